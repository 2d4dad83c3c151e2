"""Under each figure: how to draw it again, the numbers that it draws, a large version.

A figure with a plot carries it for `_static/plots.js`, which draws it in the picture's place.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from ..figures.hover import MIME
from ..notebook import PATHS

DATA = "_data"
"""The folder of the CSV files in the built book."""
SCRIPT = '<script async class="plotly" src="{}_static/plotly.min.js"></script>'
"""What draws plots, one file for the whole book."""


class FigureTools(SphinxPostTransform):
    """Runs after MyST-NB has chosen the pictures."""

    default_priority = 210
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        notebook = executed(self.app, self.env.docname)
        if not notebook:
            return
        given = given_parameters(notebook)
        tables, plots = by_figure(notebook, "text/csv"), by_figure(notebook, MIME)
        up = "../" * self.env.docname.count("/")
        for figure in list(self.document.findall(nodes.figure)):
            name = next((name for name in figure["ids"] if name.startswith("fig-")), "")
            image = figure.next_node(nodes.image)
            if not name or not image:
                continue
            picture = f"{up}_images/{Path(image['uri']).name}"
            link = nodes.reference("", "", refuri=picture, classes=["enlarge"])
            image.replace_self(link)
            link += image
            if name in plots:
                link.parent.insert(link.parent.index(link) + 1, plot(plots[name]))
            parts = [
                html('<div class="figure-tools">'),
                *again(self.env.docname, given),
            ]
            if name in tables:
                path = Path(self.app.outdir) / DATA / f"{name}.csv"
                path.parent.mkdir(exist_ok=True)
                path.write_text("".join(tables[name]), encoding="utf8")
                link = f'<a href="{up}{DATA}/{name}.csv" download="{name}.csv">Data (CSV)</a>'
                parts.append(html(link))
            parts.append(html(f'<a class="enlarge" href="{picture}">Large picture</a></div>'))
            figure.parent.insert(figure.parent.index(figure) + 1, parts)
        if plots:
            self.document += html(SCRIPT.format(up))


def again(docname: str, given: dict[str, object]) -> list[nodes.Node]:
    """The folded lines that run a page, in a shell and in Python."""
    line = papermill_line(docname, given)
    parameters = given or {"env": "Pendulum"}
    python = (
        "import papermill\n\n"
        f'papermill.execute_notebook("{docname}.ipynb", "out.ipynb", {parameters!r})'
    )
    return [
        html("<details><summary>Run this</summary>"),
        nodes.literal_block(line, line, language="bash"),
        nodes.literal_block(python, python, language="python"),
        html("</details>"),
    ]


def papermill_line(docname: str, given: dict[str, object] | None = None) -> str:
    """The command that runs a page with `given` parameters, or with one as an example."""
    if not given:
        arguments = "-p env Pendulum"
    elif all(isinstance(value, str | int | float) for value in given.values()):
        arguments = " ".join(f"-p {name} {shlex.quote(str(x))}" for name, x in given.items())
    else:
        arguments = f"-y {shlex.quote(json.dumps(given))}"
    return f"papermill {docname}.ipynb out.ipynb {arguments}"


def executed(app: Sphinx, docname: str) -> dict | None:
    """The notebook of a page with its outputs; None for a page that is none."""
    path = executed_path(app, docname)
    return json.loads(path.read_text(encoding="utf8")) if path else None


def executed_path(app: Sphinx, docname: str) -> Path | None:
    """Where MyST-NB has put the notebook of a page with its outputs; None for other pages."""
    path = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    found = docname in app.env.found_docs and path.exists()
    return path if found and Path(app.env.doc2path(docname)).suffix == ".ipynb" else None


def given_parameters(notebook: dict) -> dict[str, object]:
    """What papermill was given, where it made the notebook."""
    given = notebook["metadata"].get("papermill", {}).get("parameters", {})
    return {name: value for name, value in given.items() if name not in PATHS}


def by_figure(notebook: dict, kind: str) -> dict[str, object]:
    """By figure, what its cell put out in the form `kind` beside the picture."""
    found = {}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            if name and (data := output.get("data", {}).get(kind)):
                found[name] = data
    return found


def plot(found: object) -> nodes.raw:
    """A plot as data, in the page itself: a page that is a file may fetch nothing."""
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return html(f'<script type="application/json" class="plot-data">{text}</script>')


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(FigureTools)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
