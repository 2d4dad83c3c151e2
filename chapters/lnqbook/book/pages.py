"""Small repairs of the pages that Sphinx writes."""

from __future__ import annotations

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


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
