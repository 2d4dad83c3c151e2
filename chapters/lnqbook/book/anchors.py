"""Links to ids in the HTML that cells show, as in `claims.ipynb#claim-3`.

MyST itself knows a page's headings and labels alone.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx


def remember(app: Sphinx, document: nodes.document) -> None:
    """Adds the ids to those that MyST resolves links with."""
    known = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for raw in document.findall(nodes.raw):
        for name in re.findall(r'\sid="([^"]+)"', raw.astext()):
            known.setdefault(name, (0, name, name))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", remember)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
