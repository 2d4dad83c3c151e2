"""No line begins with a comma, or breaks a name such as Q-learning."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

NAMES = re.compile(r"\b([QR]-[a-z]+)\b")


class Names(SphinxTransform):
    """Runs when a page is read, so that titles in the contents have it, too."""

    default_priority = 800

    def apply(self, **kwargs: object) -> None:
        keep_names(self.document)


class Typography(SphinxPostTransform):
    """Runs when the outputs of notebooks are in the page."""

    default_priority = 400

    def run(self, **kwargs: object) -> None:
        for formula in list(self.document.findall(nodes.math)):
            keep_together(formula)


def keep_names(document: nodes.Element) -> None:
    """Breaks no line after the hyphen of names such as Q-learning; code stays."""
    code = nodes.FixedTextElement | nodes.literal | nodes.math | nodes.raw
    for text in list(document.findall(nodes.Text)):
        parts = NAMES.split(text.astext())
        kept = isinstance(text.parent, code) or "unbroken" in text.parent.get(
            "classes", []
        )
        if len(parts) == 1 or kept:
            continue
        text.parent.replace(
            text,
            [
                nodes.inline("", part, classes=["unbroken"])
                if odd % 2
                else nodes.Text(part)
                for odd, part in enumerate(parts)
                if part
            ],
        )


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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(Names)
    app.add_post_transform(Typography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
