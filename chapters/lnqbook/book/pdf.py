"""`python -m lnqbook.book.pdf`: the book as one PDF.

Sphinx writes all pages as a single one, and Chromium prints that: the headings are the PDF's
outline, the links lead within it, folded boxes are open.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from pypdf import PdfWriter
from pypdf.generic import NameObject, TextStringObject

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FOOT = (
    '<div style="width: 100%; text-align: center; font: 8px sans-serif; color: #555">'
    '<span class="pageNumber"></span></div>'
)
PREPARED = """() => {
    document.querySelectorAll("details").forEach(part => part.open = true);
    document.querySelectorAll("img").forEach(image => image.loading = "eager");
}"""
READY = """() => (!window.MathJax || !!MathJax.startup?.promise)
    && [...document.images].every(image => image.complete)"""


def main(arguments: list[str] | None = None) -> int:
    """Writes the PDF; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lnqbook.book.pdf", description=__doc__)
    parser.add_argument("root", nargs="?", default=".", help="the book's folder")
    parser.add_argument("-o", "--output", metavar="FILE", help="_build/lnqbook.pdf by default")
    asked = parser.parse_args(arguments)
    root = Path(asked.root).resolve()
    out = Path(asked.output or root / "_build" / "lnqbook.pdf")
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not chromium:
        print("error: the PDF needs Chromium; apt install chromium on Debian", file=sys.stderr)
        return 2
    if not (root / "_toc.yml").exists():
        print(f"error: {root} has no _toc.yml; name the book's folder", file=sys.stderr)
        return 2
    jupyter_book = "from jupyter_book.cli.main import main; main()"  # `-m jupyter_book` is missing
    options = ["--all", "-W", "--keep-going", "--builder", "singlehtml"]
    if subprocess.run([sys.executable, "-c", jupyter_book, "build", root, *options]).returncode:
        return 1
    folder = root / "_build" / "singlehtml"
    page = folder / "book.html"  # Sphinx writes it into chapters/, with addresses from here
    shutil.copy(folder / "chapters" / "index.html", page)
    printed(page, out, chromium)
    finish(out, root)
    print(out)
    return 0


def printed(page: Path, out: Path, chromium: str) -> None:
    """Prints an HTML page, its folded boxes open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1000, "height": 1400}, color_scheme="light")
        tab.set_default_timeout(600_000)
        tab.goto(page.as_uri())
        tab.evaluate(PREPARED)
        tab.wait_for_function(READY)
        tab.evaluate("() => window.MathJax?.startup?.promise")
        margin = dict.fromkeys(("top", "bottom"), "16mm") | dict.fromkeys(("left", "right"), "14mm")
        tab.pdf(
            path=out,
            format="A4",
            margin=margin,
            scale=0.8,  # a column wide enough for a figure at its size
            print_background=True,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOT,
        )
        browser.close()


def finish(path: Path, root: Path) -> None:
    """Names the book and its authors, and mends the outline.

    Chromium names a heading twice that it has moved to the next page.
    """
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # of Chromium's object counts
    writer = PdfWriter(clone_from=path)
    rest = [writer.root_object["/Outlines"]]
    while rest:
        item = rest.pop().get_object()
        if "/Title" in item:
            item[NameObject("/Title")] = TextStringObject(once(str(item["/Title"])))
        rest += [item[key] for key in ("/First", "/Next") if key in item]
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    writer.add_metadata({f"/{key.title()}": settings[key] for key in ("title", "author")})
    writer.write(path)


def once(title: str) -> str:
    """`1.2. The data` of `1.2. 1.2. The dataThe data`."""
    twice = re.fullmatch(r"((?:[\d.]+\s)?)\1(.+)\2", title)
    return twice[1] + twice[2] if twice else title


if __name__ == "__main__":
    sys.exit(main())
