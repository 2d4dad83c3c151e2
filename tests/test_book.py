"""The built book in a browser: every page, light and dark, wide and narrow, without a network."""

import io
import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from conftest import ROOT, tool
from from_data import SAID
from from_data_tables import TABLES, cells_of, wrong
from PIL import Image
from playwright.sync_api import Browser

from lnqbook.stats import NBSP

SITE = "https://example.org/book/"
SKETCHES = {"fig-tasks"}  # figures without numbers
WIDTHS = {"wide": 1400, "narrow": 400}
BROKEN = (
    ".system-message",  # docutils could not read something
    ".problematic",
    "mjx-merror",  # MathJax could not
    "mjx-mtext[style*='red']",  # MathJax knows no such command
    ".output.stderr",
)
CUT_EQUATIONS = """() => [...document.querySelectorAll("article div.math")]
    .filter(box => [...box.querySelectorAll("mjx-c")]
        .some(glyph => glyph.getBoundingClientRect().left < box.getBoundingClientRect().left - 2))
    .map(box => box.textContent)"""


def contents() -> list[str]:
    """The book's pages, "chapters/index" first."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


def source(page: str) -> SimpleNamespace:
    """What a page's source promises: its title and how many figures it draws."""
    path = ROOT / f"{page}.ipynb"
    if not path.exists():
        return SimpleNamespace(title=heading(ROOT.joinpath(f"{page}.md").read_text()), figures=0)
    cells = nbformat.read(path, as_version=4).cells
    figures = sum("figure" in cell.metadata.get("mystnb", {}) for cell in cells)
    return SimpleNamespace(title=heading(cells[0].source), figures=figures)


def heading(text: str) -> str:
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


@pytest.fixture(scope="session")
def book(store, tmp_path_factory) -> Path:
    """The folder of the book's pages, built as `make book` builds them."""
    folder = tmp_path_factory.mktemp("book")
    options = ["--path-output", folder, "-W", "--keep-going"]
    finished = tool("jupyter-book", "build", ROOT, *options, LNQ_STORE=store, LNQ_BOOK_URL=SITE)
    assert finished.returncode == 0, finished.stdout
    return folder / "_build" / "html"


def html(book: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup(book.joinpath(f"{page}.html").read_text(), "html.parser")


@contextmanager
def opened(browser: Browser, url: str):
    """A loaded page and the list of everything that went wrong while it was open."""
    context = browser.new_context(offline=True)
    page, wrong = context.new_page(), []
    page.on("request", lambda r: r.url.startswith("http") and wrong.append(f"asks {r.url}"))
    page.on("requestfailed", lambda r: wrong.append(f"fails {r.url}"))
    page.on("pageerror", lambda error: wrong.append(f"raises {error}"))
    page.on("console", lambda m: m.type == "error" and wrong.append(f"logs {m.text}"))
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    yield page, wrong
    context.close()


@pytest.fixture(scope="module", params=contents())
def page(book, browser, request):
    """A page of the book, loaded once for all the tests that look at it."""
    with opened(browser, (book / f"{request.param}.html").as_uri()) as (tab, wrong):
        article = tab.locator("article")
        yield SimpleNamespace(name=request.param, tab=tab, article=article, wrong=wrong)


def show(page, scheme: str, width: int) -> None:
    """Turns an open page light or dark, as a reader's system does, and wide or narrow."""
    page.tab.emulate_media(color_scheme=scheme)
    page.tab.set_viewport_size({"width": width, "height": 1000})
    page.tab.wait_for_selector(f"html[data-theme={scheme}]")
    draw_plots(page)


def draw_plots(page) -> None:
    """Looks at each figure that a plot takes the place of, and so has it drawn."""
    for figure in page.article.locator("figure:visible:has(script.plot-data)").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".plot svg").first.wait_for()


def pixels(image) -> np.ndarray:
    """An element as the screen shows it: (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("RGB"), float)


each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def test_page_says_what_its_source_says(page):
    expected, article = source(page.name), page.article
    assert expected.title in page.tab.title()
    images = article.locator("img").all()
    assert article.locator("figure img").count() == expected.figures <= len(images)
    for image in images:
        assert image.evaluate("i => i.complete && i.naturalWidth > 0")
        assert not re.fullmatch(r"|.*\.(png|svg)", image.get_attribute("alt") or "")

    assert "Traceback (most recent call last)" not in article.inner_text()
    output = " ".join(article.locator(".cell_output").all_inner_texts())
    assert not re.search(r"\b(\w+Error|\w*Warning):", output)
    for broken in BROKEN:
        assert article.locator(broken).count() == 0, broken
    assert article.locator(".math").count() <= article.locator("mjx-container").count()


RULES = {"light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "dark": ["color-contrast"]}
"""What axe-core checks; in the dark only colours differ."""
SERIOUS = ("serious", "critical")


@each_scheme
def test_page_can_be_read_by_everybody(page, scheme):
    show(page, scheme, WIDTHS["wide"])
    page.tab.wait_for_timeout(300)  # colours fade over
    options = {"runOnly": RULES[scheme], "resultTypes": ["violations"], "preload": False}
    found = Axe().run(page.tab, context={"exclude": [["mjx-container"]]}, options=options)
    wrong = [rule for rule in found.response["violations"] if rule["impact"] in SERIOUS]
    assert [(rule["id"], [node["html"] for node in rule["nodes"][:3]]) for rule in wrong] == []


OPEN = "document.querySelectorAll('article details').forEach(box => { box.open = true; })"
CUT_TABLES = """() => {
    return new Promise(ready => setTimeout(ready, 50)).then(() =>
        [...document.querySelectorAll("article table")].filter(table => {
            let edge = table.getBoundingClientRect().right;
            for (let box = table.parentElement; box.tagName !== "BODY"; box = box.parentElement) {
                const style = getComputedStyle(box);
                if (box.scrollWidth > box.clientWidth + 1 && style.overflowX !== "visible")
                    return style.overflowX === "hidden" || box.tabIndex !== 0 || innerWidth > 1000;
            }
            return edge > innerWidth;
        }).map(table => table.innerText.slice(0, 80)));
}"""


@pytest.mark.parametrize("width", [1400, 1100, 390])
def test_no_table_is_cut(page, width):
    """On a wide screen all of it shows; on a phone it scrolls, with the keyboard, too."""
    show(page, "light", width)
    page.tab.evaluate(OPEN)
    assert page.tab.evaluate(CUT_TABLES) == []


def test_code_shows_when_it_is_asked_for_and_is_remembered(page):
    show(page, "light", WIDTHS["wide"])
    button = page.tab.get_by_role("button", name="Code", exact=True)
    cells = page.article.locator("details.code-cell")
    assert button.count() == (cells.count() > 0)
    if not cells.count():
        return
    assert not any(cell.is_visible() for cell in cells.all())
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert all(cell.is_visible() and cell.get_attribute("open") is not None for cell in cells.all())
    assert all(len(name) > 3 for name in cells.locator("> summary").all_inner_texts())
    page.tab.reload()
    button = page.tab.get_by_role("button", name="Code", exact=True)
    assert button.get_attribute("aria-pressed") == "true"
    button.press("Space")
    assert page.article.locator("details.code-cell:visible").count() == 0
    page.tab.evaluate("() => window.MathJax?.startup?.promise")


def test_under_each_figure_are_its_command_its_numbers_and_a_large_picture(page, book):
    figures = page.article.locator("figure")
    tools = page.article.locator(".figure-tools")
    assert tools.count() == source(page.name).figures
    for figure, row in zip(figures.all(), tools.all(), strict=True):
        command = row.locator("pre").first.text_content()
        assert command.startswith(f"papermill {page.name}.ipynb out.ipynb -p ")
        data = row.locator("a[download]")
        if figure.get_attribute("id") in SKETCHES:
            assert data.count() == 0
            continue
        path = book.joinpath(page.name).parent / data.get_attribute("href")
        assert len(pd.read_csv(path)) > 1
    draw_plots(page)  # or a plot takes a picture's place while it is clicked
    pictures = figures.locator("a.enlarge:visible")
    if pictures.count():
        pictures.first.click()
        dialog = page.tab.locator("dialog[open]")
        assert dialog.locator("img").evaluate("i => i.width === i.naturalWidth")
        page.tab.keyboard.press("Escape")
        assert dialog.count() == 0


@each_scheme
def test_page_has_no_blank_figure(page, scheme):
    show(page, scheme, WIDTHS["wide"])
    page.tab.evaluate(OPEN)
    draw_plots(page)
    for drawing in page.article.locator("img:visible, figure .plot").all():
        inside = pixels(drawing)[20:-20, 20:-20]  # without the frame that the dark theme draws
        assert inside.std() > 5, drawing.evaluate("d => d.alt ?? d.ariaLabel")


@each_scheme
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_page_fits_the_screen_in_its_colours(page, scheme, width):
    show(page, scheme, width)
    page.tab.evaluate(OPEN)
    background = np.median(pixels(page.article.locator("h1")))
    assert background > 200 if scheme == "light" else background < 110
    overflow = "() => document.documentElement.scrollWidth - window.innerWidth"
    assert page.tab.evaluate(overflow) <= 0, "the page scrolls sideways"
    assert page.tab.evaluate(CUT_EQUATIONS) == [], "no scrolling leads to the left end of these"
    draw_plots(page)
    for image in page.article.locator("figure img:visible").all():
        shrunk = image.evaluate("i => i.getBoundingClientRect().width / i.naturalWidth")
        assert shrunk > 0.45, "its labels are too small to read"


def test_page_needs_no_network_and_logs_no_error(page):
    assert page.wrong == []  # what the tests above did to it included


def test_the_front_door_leads_to_the_first_chapter(book, browser):
    tab = browser.new_page()
    tab.goto((book / "index.html").as_uri(), wait_until="commit")
    tab.wait_for_url("**/chapters/index.html")
    assert source("chapters/index").title in tab.title()
    tab.close()


def test_search_works_without_a_server(book, browser):
    with opened(browser, (book / "search.html").as_uri() + "?q=gradient") as (tab, wrong):
        tab.wait_for_selector("#search-results ul.search li a")
        assert wrong == []


def test_the_board_names_figures_by_the_numbers_that_they_have(book):
    seen = {}
    for page in (page for page in contents() if (ROOT / f"{page}.ipynb").exists()):
        for figure in html(book, page).select("figure[id]"):
            number = figure.select_one(".caption-number").get_text().strip()
            seen[f"{Path(page).name}.html#{figure['id']}"] = number
    links = html(book, "chapters/claims").select('a[href*="#fig-"]')
    assert len(links) > 50
    for link in links:
        assert link.get_text().replace(NBSP, " ") == seen[link["href"]]


@pytest.mark.parametrize("width", [1400, 1100, 390])
def test_a_link_to_a_claim_opens_its_evidence_and_all_of_it_fits(book, browser, width):
    url = (book / "chapters" / "claims.html").as_uri()
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
    tab = context.new_page()
    opened_ones = "() => [...document.querySelectorAll('details.claim[open]')].map(d => d.id)"
    tab.goto(f"{url}#claim-8")
    tab.wait_for_selector("#claim-8[open]")
    assert tab.locator("#claim-8 table").is_visible()
    tab.evaluate("document.querySelector('#claim-8').open = false")
    tab.locator('td a[href="#claim-8"]').click()  # the same address again
    tab.wait_for_selector("#claim-8[open]")
    tab.locator('td a[href="#claim-3"]').click()
    tab.wait_for_selector("#claim-3[open]")
    assert tab.evaluate(opened_ones) == ["claim-3", "claim-8"]
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wider = """() => [...document.querySelectorAll("table.claims")].filter(table =>
        table.getBoundingClientRect().right
        > table.closest(".cell_output").getBoundingClientRect().right + 1).length"""
    assert tab.evaluate(wider) == 0
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    context.close()


def test_every_link_leads_somewhere(book):
    pages = {page: html(book, page) for page in contents()}
    names = {
        (book / f"{page}.html").resolve(): {tag["id"] for tag in soup.select("[id]")}
        for page, soup in pages.items()
    }
    for page, soup in pages.items():
        here = (book / f"{page}.html").resolve()
        for link in soup.select("a[href]"):
            address, _, anchor = link["href"].partition("#")
            if re.match(r"https?:|mailto:|data:", address):
                assert re.fullmatch(r"https?://[\w.-]+\.\w+(/\S*)?", address), address
                continue
            target = (here.parent / address.split("?")[0]).resolve() if address else here
            assert target.exists(), f"{page} links to {link['href']}"
            if anchor and target in names:
                assert anchor in names[target], f"{page} links to {link['href']}"


def test_search_puts_chapters_before_functions(book, browser):
    with opened(browser, (book / "search.html").as_uri() + "?q=isometry") as (tab, _):
        first = tab.locator("#search-results ul.search li a").first
        first.wait_for()
        assert "isometry.html" in first.get_attribute("href")


@pytest.mark.parametrize("page", [p for p in contents() if (ROOT / f"{p}.ipynb").exists()])
def test_findings_are_outputs_without_a_hole(book, page):
    article = html(book, page).select_one("article")
    assert "in: none" not in article.get_text() and "{glue" not in article.get_text()
    assert "{glue" not in (ROOT / f"{page}.ipynb").read_text()
    for code in article.select("code, pre"):
        code.decompose()
    told = [part.get_text() for part in article.select(".cell_output p, .cell_output li")]
    assert not [text for text in told if re.search(r"(?<![\w-])-\d|\de[+-]\d", text)]


@pytest.mark.parametrize("page", [p for p in contents() if (ROOT / f"{p}.ipynb").exists()])
def test_the_download_button_serves_the_source_notebook(book, page):
    link = html(book, page).select_one("a.btn-download-source-button")["href"]
    served = (book / page).parent / link
    assert served.read_bytes() == (ROOT / f"{page}.ipynb").read_bytes()


@pytest.mark.parametrize("page", [p for p in contents() if (ROOT / f"{p}.ipynb").exists()])
def test_the_notebook_that_was_executed_is_there_to_download(book, page):
    article = html(book, page)
    (link,) = article.select("a.btn-download-executed-button")
    served = (book / page).parent.joinpath(link["href"]).resolve()
    cells = nbformat.read(served, as_version=4).cells
    assert any(cell.get("outputs") for cell in cells)
    assert str(ROOT) not in served.read_text(encoding="utf8")


@pytest.mark.parametrize("page", contents())
def test_a_link_to_the_page_is_described_by_its_question(book, page):
    made = html(book, page)
    (described,) = made.select('meta[name="description"]')
    assert described["content"] == made.select_one('meta[property="og:description"]')["content"]
    assert 20 < len(described["content"]) <= 203 and "Another task" not in described["content"]
    assert not re.search(r"\\|\w\[ ", described["content"])  # no LaTeX, words apart
    if first := made.select_one("article section > p"):
        told, said = (re.sub(r"\W", "", t) for t in (first.get_text(), described["content"]))
        assert said[:20] == told[:20]
    card = made.select_one('meta[property="og:image"]')["content"]
    assert card.startswith(SITE) and (book / card.removeprefix(SITE)).exists()
    assert made.select_one('meta[property="og:url"]')["content"] == f"{SITE}{page}.html"


def plain(text: str) -> str:
    """In one line, with the spaces, apostrophes and signs that one types."""
    typed = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MINUS SIGN}", "'-")
    return " ".join(text.translate(typed).split())


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, some in SAID.items() for name in some]
)
def test_a_finding_says_what_the_data_say(book, page, name):
    article = html(book, f"chapters/{page}").select_one("article")
    assert plain(SAID[page][name]()) in plain(article.get_text())


@pytest.mark.parametrize("shown", TABLES, ids=lambda shown: f"{shown.page}-{shown.heads[0]}")
def test_a_table_shows_what_the_data_say(book, shown):
    article = html(book, f"chapters/{shown.page}").select_one("article")
    cells = [(*at, text, shown.cell(*at)) for *at, text in cells_of(article, shown)]
    compared = [cell for cell in cells if cell[-1] is not None]
    assert len(compared) >= 4
    assert not [cell for cell in compared if wrong(*cell[-2:])]
