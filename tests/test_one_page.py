"""`python -m lnqlib page`: a chapter as one HTML file, for a browser without a network."""

import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from docutils import nodes
from sphinx.addnodes import pending_xref
from test_book import opened

from lnqbook.book import alone
from lnqbook.book.inlined import styles, whole
from lnqlib.__main__ import main

QUICK = ["-p", "env", "Pendulum", "-p", "seeds", "1", "-y", "{trials: 200, steps: 200}"]


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "mine.html"
    command = [sys.executable, "-m", "lnqlib", "page", "linear_regression", *QUICK, "-o", out]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    return out


def test_it_is_the_books_page_with_its_figures_and_references(page):
    soup = BeautifulSoup(page.read_text(encoding="utf8"), "html.parser")
    source = (ROOT / "chapters" / "linear_regression.ipynb").read_text(encoding="utf8")
    assert len(soup.select("figure img")) == source.count('"name": "fig-')
    assert all(image["src"].startswith("data:image/png;") for image in soup.select("figure img"))
    assert all(a["href"].startswith("data:text/csv;") for a in soup.select("a[download]"))
    assert "out.ipynb -p env Pendulum -p seeds 1" in soup.select_one(".figure-tools").get_text()
    text = soup.select_one("article").get_text()
    assert "[]" not in text and "{glue" not in text
    loads = [x.get("src") or x.get("href") for x in soup.select("script[src], link[href]")]
    assert loads == []
    links = [a["href"] for a in soup.select("a[href]") if not a["href"].startswith(("#", "data:"))]
    assert links and all(link.startswith("https://") for link in links)
    ids = {part["id"] for part in soup.select("[id]")}
    inside = {a["href"][1:] for a in soup.select('a[href^="#"]')} - {""}
    assert inside <= ids
    assert soup.select(".stderr") == []


def test_a_browser_without_a_network_shows_it(page, browser):
    with opened(browser, page.as_uri()) as (tab, wrong):
        assert tab.locator("article mjx-container svg").count() > 5
        assert tab.locator("article mjx-merror").count() == 0
        tab.locator("figure:has(script.plot-data)").scroll_into_view_if_needed()
        tab.locator("figure .plot svg").first.wait_for()
        tab.locator("button.code-switch").click()
        assert tab.locator("details.code-cell[open]").count() > 2
        asked = [w for w in wrong if w.startswith("asks")]
        assert asked == [] and wrong == []


def test_a_chapter_that_does_not_exist_is_answered_in_one_sentence(capfd):
    assert main(["page", "gi3"]) == 2
    said = capfd.readouterr().err
    assert re.fullmatch(r"error: no chapter is called gi3; write one of .*gi2.*\n", said)


def test_a_bad_value_is_answered_without_a_traceback(capfd, tmp_path):
    out = tmp_path / "page.html"
    assert main(["page", "gi2", "-p", "env", "Pong", "-o", str(out)]) == 1
    said = capfd.readouterr().err
    assert "Traceback" not in said and "error: env is 'Pong'" in said and not out.exists()


def test_sheets_fonts_and_pictures_of_a_sheet_are_inside(tmp_path):
    tmp_path.joinpath("dot.png").write_bytes(b"dot")
    tmp_path.joinpath("basic.css").write_text("b { color: red; }")
    sheet = tmp_path / "sheet.css"
    sheet.write_text('@import "basic.css"; a { background: url("dot.png?v=1") } i { top: url(#x) }')
    assert styles(sheet) == (
        "b { color: red; } a { background: url(data:image/png;base64,ZG90) } i { top: url(#x) }"
    )


def test_a_script_cannot_end_early(tmp_path):
    tmp_path.joinpath("a.js").write_text("say('</script>');")
    html = tmp_path / "page.html"
    html.write_text('<html><body><script src="a.js"></script></body></html>')
    assert whole(html).count("</script>") == 1


@pytest.mark.parametrize(
    ("reftype", "own", "said"),
    [
        ("numref", False, "a figure of the book"),
        ("ref", True, "these seeds"),
        ("doc", False, "these seeds"),
    ],
)
def test_a_link_to_another_page_keeps_a_text_of_its_own(reftype, own, said):
    link = pending_xref("", reftype=reftype, refexplicit=own)
    assert alone.in_words(None, None, link, nodes.inline("", "these seeds")).astext() == said
