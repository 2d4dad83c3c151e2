"""A page for others: the notebook that the build executed, and the book's address in its head."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from .figure_tools import executed_path

FOLDER = "_executed"
"""The folder of executed notebooks in the built book."""
SITE = "LNQ_BOOK_URL"
"""The variable that names the address at which the book is published, for links to it."""


def add(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Puts the executed notebook into the page's menu of downloads, where it has one."""
    source = executed_path(app, page)
    menus = [b for b in context.get("header_buttons", []) if b.get("label") == "download-buttons"]
    if not menus or not source:
        return
    target = Path(app.outdir) / FOLDER / f"{page}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    button = {
        "type": "link",
        "url": f"{context['pathto'](FOLDER, 1)}/{page}.ipynb",
        "text": "executed .ipynb",
        "icon": "fas fa-play",
        "tooltip": "Download the notebook with its outputs",
        "label": "download-executed-button",
    }
    menus[0]["buttons"].insert(0, button)


def site(app: Sphinx, config: Config) -> None:
    """The book's address, for links to it; without one there are no pictures for them."""
    config.ogp_site_url = os.environ.get(SITE, "")
    if not config.ogp_site_url:
        config.ogp_social_cards = {"enable": False}


def without_address(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Leaves out the page's address where the book's is not known."""
    if not app.config.ogp_site_url and "metatags" in context:
        context["metatags"] = re.sub(r'<meta property="og:url".*\n', "", context["metatags"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", site)
    app.connect("html-page-context", without_address, priority=600)  # after sphinxext.opengraph
    app.connect("html-page-context", add, priority=900)  # after the theme has made the menu
    return {"parallel_read_safe": True, "parallel_write_safe": True}
