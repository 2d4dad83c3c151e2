"""`python -m lnqbook.book.one_page gi2 -p env Pendulum`: a chapter run, and its page as one file.

Papermill runs the notebook, Sphinx makes the page as it makes the book's, and styles, scripts,
pictures and tables go into the file. `python -m lnqlib page` calls it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import yaml
from papermill.cli import papermill
from papermill.exceptions import PapermillExecutionError

from .inlined import whole

REFERENCES = "## References\n\n```{bibliography}\n:filter: docname in docnames\n```"
LEFT_OUT = ("signatures", "autodoc2", "lnqbook.book.downloads", "sphinxext.opengraph")
"""Of the book's extensions: the library reference's, and what a page needs beside others."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a chapter of the repository and writes its page; returns the exit code."""
    options = _parser().parse_args(arguments)
    root, name = Path(options.repository), options.chapter
    chapters = sorted(path.stem for path in root.glob("chapters/*.ipynb"))
    if name not in chapters:
        allowed = ", ".join(chapters)
        print(f"error: no chapter is called {name}; write one of {allowed}", file=sys.stderr)
        return 2
    out = Path(options.output or f"{name}.html").resolve()
    if not out.parent.is_dir():
        print(f"error: {out.parent} is no folder; write -o into one that exists", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="lnqbook-") as folder:
        made = Path(folder) / "chapters" / f"{name}.ipynb"
        made.parent.mkdir()
        given = [f for pair in options.parameter for f in ("-p", *pair)]
        given += [f for text in options.yaml for f in ("-y", text)]
        notebook = root / "chapters" / f"{name}.ipynb"
        try:
            papermill.main([str(notebook), str(made), *given], standalone_mode=False)
        except PapermillExecutionError as failed:
            print(f"error: {failed.evalue}", file=sys.stderr)
            return 1
        build(root, Path(folder), name)
        page = Path(folder) / "_build" / "html" / "chapters" / f"{name}.html"
        out.write_text(whole(page), encoding="utf8")
    print(out)
    return 0


def build(root: Path, folder: Path, name: str) -> None:
    """Makes `folder`, which has the executed chapter, a book of one page, and builds it."""
    shutil.copytree(root / "_static", folder / "_static")
    shutil.copy(root / "references.bib", folder)
    path = folder / "chapters" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # a sweep's progress is no part of the page
        kept = [each for each in cell.get("outputs", []) if each.get("name") != "stderr"]
        if "outputs" in cell:
            cell.outputs = kept
    notebook.cells.append(nbformat.v4.new_markdown_cell(REFERENCES))
    nbformat.write(notebook, path)
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    settings["execute"] = {"execute_notebooks": "off"}
    sphinx = settings["sphinx"]
    sphinx.pop("local_extensions", None)
    config = sphinx["config"]
    config["extensions"] = [e for e in config["extensions"] if e not in LEFT_OUT]
    config["extensions"].append("lnqbook.book.alone")
    for setting in [key for key in config if key.startswith("autodoc2")]:
        del config[setting]
    config["html_theme_options"]["use_download_button"] = False
    (folder / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf8")
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/{name}\n", encoding="utf8")
    search = os.pathsep.join([str(root / "chapters"), os.environ.get("PYTHONPATH", "")])
    jupyter_book = "from jupyter_book.cli.main import main; main()"  # `-m jupyter_book` is missing
    command = [sys.executable, "-c", jupyter_book, "build", str(folder)]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"Sphinx did not build the page:\n{done.stdout}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lnqlib page", description=__doc__)
    parser.add_argument("chapter", help="its notebook's name, as gi2")
    parser.add_argument("--repository", default=".", help="the clone that has the chapter")
    named = {"nargs": 2, "metavar": ("NAME", "VALUE"), "action": "append", "default": []}
    parser.add_argument("-p", "--parameter", **named, help="as papermill takes it: -p env Pendulum")
    parser.add_argument("-y", "--yaml", action="append", default=[], help="as papermill takes it")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (CHAPTER.html)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
