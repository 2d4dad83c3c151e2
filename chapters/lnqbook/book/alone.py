"""A page without the rest of the book: what it says of other pages becomes plain words."""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def in_words(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.Element:
    """The text of a link to another page; for a figure that is there, words."""
    if node.get("reftype") in ("numref", "ref") and not node.get("refexplicit"):
        return nodes.inline("", "a figure of the book")
    return nodes.inline("", contnode.astext())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", in_words, priority=900)
    return {"parallel_read_safe": True}
