"""What all pages need beside their text: repairs for screen readers, and plotly's script."""

from __future__ import annotations

import re
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

LISTS = {'<div role="list" class="citation-list">': '<div class="citation-list">'}
"""Docutils calls citations a list whose parts are no list's: screen readers announce neither."""


def repair(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Replaces in a page's body what accessibility rules forbid."""
    for wrong, right in LISTS.items():
        context["body"] = context.get("body", "").replace(wrong, right)


class NamedLinks(SphinxPostTransform):
    """Gives a link that is nothing but a formula a name that is read aloud."""

    default_priority = 700  # links are resolved
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        for link in self.document.findall(nodes.reference):
            parts = [part for part in link.findall() if isinstance(part, nodes.Text | nodes.math)]
            if isinstance(parts[0] if parts else None, nodes.math) and not any(
                isinstance(part, nodes.Text) and not isinstance(part.parent, nodes.math)
                for part in parts
            ):
                link += nodes.inline("", spoken(link.astext()), classes=["visually-hidden"])


def spoken(formula: str) -> str:
    """`GI2` of `\\mathrm{GI}_2`."""
    return re.sub(r"\\[a-zA-Z]+|[^\w\s]|_", "", formula)


def in_words(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Makes the first paragraphs, already written, plain text: others describe a link by it."""
    for first in [] if doctree is None else list(doctree.findall(nodes.paragraph))[:3]:
        for part in list(first.findall(nodes.inline)):
            if "visually-hidden" in part["classes"]:
                part.parent.remove(part)
        for formula in list(first.findall(nodes.math)):
            formula.parent.replace(formula, nodes.Text(spoken(formula.astext())))
        first[:] = [nodes.Text(" ".join(first.astext().split()))]


def copy_plotly(app: Sphinx, error: Exception | None) -> None:
    """Puts the installed plotly's script beside the book's, for reading without a network."""
    if error is None and app.builder.format == "html":
        with as_file(files("plotly") / "package_data" / "plotly.min.js") as script:
            shutil.copy(script, Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(NamedLinks)
    app.connect("html-page-context", repair)
    app.connect("html-page-context", in_words, priority=400)  # before sphinxext.opengraph
    app.connect("build-finished", copy_plotly)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
