"""What all pages need beside their text: repairs for screen readers, and plotly's script."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

LISTS = {'<div role="list" class="citation-list">': '<div class="citation-list">'}
"""Docutils calls citations a list whose parts are no list's: screen readers announce neither."""


def repair(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Replaces in a page's body what accessibility rules forbid."""
    for wrong, right in LISTS.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def copy_plotly(app: Sphinx, error: Exception | None) -> None:
    """Puts the installed plotly's script beside the book's, for reading without a network."""
    if error is None and app.builder.format == "html":
        with as_file(files("plotly") / "package_data" / "plotly.min.js") as script:
            shutil.copy(script, Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", repair)
    app.connect("build-finished", copy_plotly)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
