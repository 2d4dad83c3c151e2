"""Links to ids in shown HTML, and to labels."""

from collections import defaultdict
from types import SimpleNamespace

from docutils.core import publish_doctree

from lnqbook.book import anchors


def test_ids_in_html_are_targets_and_headings_keep_theirs():
    text = '.. raw:: html\n\n   <p id="claim-3">x</p><details class="a" id="claim-4"></details>\n'
    env = SimpleNamespace(docname="claims", metadata=defaultdict(dict))
    env.metadata["claims"]["myst_slugs"] = {"claim-4": (1, "own", "A heading")}
    anchors.remember(SimpleNamespace(env=env), publish_doctree(text))
    assert env.metadata["claims"]["myst_slugs"] == {
        "claim-3": (0, "claim-3", "claim-3"),
        "claim-4": (1, "own", "A heading"),
    }


def test_labels_are_targets_too():
    env = SimpleNamespace(docname="glossary", metadata=defaultdict(dict))
    text = ".. _term-seed:\n\nA seed.\n\nA Heading\n=========\n\nText.\n"
    anchors.remember(SimpleNamespace(env=env), publish_doctree(text))
    assert env.metadata["glossary"]["myst_slugs"] == {"term-seed": (0, "term-seed", "term-seed")}
