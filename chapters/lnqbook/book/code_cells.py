"""Code under one switch: a folded, named box for each cell whose input is hidden.

`_static/book.js` turns the boxes on and off with the page's Code button; without scripts each opens
by itself. The cell of parameters is a box that is always there, with the command that changes them.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from html import escape

from docutils import nodes
from myst_nb.sphinx_ import (
    HideCodeCellNode,
    depart_HideCellInput,
)
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

from .figure_tools import papermill_line

PARAMETERS, GIVEN = "Parameters of this page", "Parameters that this run was given"
TITLES = (
    (r"notebook\.parameters\(", "Check of the parameters"),
    (r"answer\(", "Answer"),
    (r"\bp\.sweep\(", "Runs"),
    (r"\b(chapter|board|verdicts|verdict_tables)\.", "Verdicts"),
    (r"\b(tables|Tables)\.|to_html\(", "Table"),
)
"""What a cell is called whose source matches; the first pattern that does."""


class CodeCells(SphinxPostTransform):
    """Names the cells before MyST-NB folds them."""

    default_priority = 190  # MyST-NB's is 199
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") != "cell_code" or not cell.children:
                continue
            metadata, code = cell["cell_metadata"], cell.children[0]
            tags = metadata.get("tags", [])
            if code.get("nb_element") != "cell_code_source":
                continue
            if "parameters" in tags or "injected-parameters" in tags:
                cell["hide_mode"] = "input"
                cell["prompt_show"] = cell["prompt_hide"] = ""
            if "parameters" in tags:
                code["code_title"] = PARAMETERS
                line = papermill_line(self.env.docname)
                code.insert(0, nodes.literal_block(line, line, language="bash"))
                text = "Another task, fewer seeds or shorter runs make another page:"
                # not a paragraph, or it would be part of the page's description for others
                code.insert(0, nodes.raw("", f"<p>{text}</p>", format="html"))
            elif "injected-parameters" in tags:
                code["code_title"] = GIVEN
            else:
                given = metadata.get("mystnb", {}).get("code_prompt_show")
                own = given if cell.get("hide_mode") == "input" else ""
                code["code_title"] = own or title(code.astext(), metadata)


def title(source: str, metadata: dict) -> str:
    """What a cell's code does, in a word or two."""
    if "figure" in metadata.get("mystnb", {}):
        return "Code of the figure"
    with suppress(SyntaxError):  # a notebook of the reader's own may hold magics
        body = ast.parse(source).body
        if body and all(isinstance(line, ast.Import | ast.ImportFrom) for line in body):
            return "Imports"
    return next((name for form, name in TITLES if re.search(form, source)), "Calculation")


def fold(self: HTML5Translator, node: HideCodeCellNode) -> None:
    """Opens the box of a cell's code, or of an output that is folded under a title."""
    name = node[0].get("code_title", node["prompt_show"])
    boxes = {PARAMETERS: 'class="parameters-cell"', GIVEN: 'class="parameters-cell" open'}
    kind = boxes.get(name, 'class="code-cell"' if "code_title" in node[0] else 'class="folded"')
    self.body.append(f"<details {kind}>\n<summary>{escape(name)}</summary>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(HideCodeCellNode, override=True, html=(fold, depart_HideCellInput))
    app.add_post_transform(CodeCells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
