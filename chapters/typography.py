"""Glued numbers as print sets them, and no line that begins with a comma or a %."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from lnqbook.numbers import NBSP, printed


class Typography(SphinxPostTransform):
    """Runs after MyST-NB has pasted what the notebooks glued."""

    default_priority = 400

    def run(self, **kwargs: object) -> None:
        for span in list(self.document.findall(nodes.inline)):
            if "pasted-text" in span["classes"]:
                for text in list(span.findall(nodes.Text)):
                    text.parent.replace(text, nodes.Text(printed(text.astext())))
        for formula in list(self.document.findall(nodes.math)):
            keep_together(formula)
        keep_percents(self.document)


def keep_together(formula: nodes.math) -> None:
    """Puts the formula and the punctuation after it into one unbroken span."""
    after = formula.next_node(nodes.Text, descend=False, siblings=True)
    mark = re.match(r"[.,;:!?)\]\u2019\u201d]+", after.astext()) if after else None
    if mark and formula.parent.index(after) == formula.parent.index(formula) + 1:
        rest = after.astext()[mark.end() :]
        formula.parent.replace(after, nodes.Text(rest))
        span = nodes.inline(classes=["unbroken"])
        formula.replace_self(span)
        span += [formula, nodes.Text(mark[0])]


def keep_percents(document: nodes.Element) -> None:
    """Lets no line begin with a percent sign; code stays as it is."""
    code = nodes.FixedTextElement | nodes.literal | nodes.math
    for text in list(document.findall(nodes.Text)):
        if " %" in text and not isinstance(text.parent, code):
            text.parent.replace(text, nodes.Text(text.replace(" %", f"{NBSP}%")))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Typography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
