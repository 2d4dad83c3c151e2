"""Links to another page's labels and ids in shown HTML: `claims.ipynb#claim-3`.

MyST itself knows another page's headings alone.
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
    for name, explicit in document.nametypes.items():
        if explicit and (place := document.nameids.get(name)):
            known.setdefault(name, (0, place, name))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", remember)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
