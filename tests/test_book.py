"""The built book in a browser: every page, light and dark, wide and narrow, without a network."""

import io
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT, tool
from from_data import NUMBERS
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
    finished = tool("jupyter-book", "build", ROOT, *options, LNQ_STORE=store)
    assert finished.returncode == 0, finished.stdout
    return folder / "_build" / "html"


def pasted(book: Path, page: str) -> dict[str, tuple[str, str]]:
    """For each value glued into a page's text, its format there and what the page shows."""
    cells = nbformat.read(ROOT / f"{page}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    names = [role.partition(":") for role in re.findall(r"\{glue:text\}`([^`]+)`", text)]
    html = BeautifulSoup(book.joinpath(f"{page}.html").read_text(), "html.parser")
    shown = [span.get_text() for span in html.select("span.pasted-text")]
    return {name: (form, x) for (name, _, form), x in zip(names, shown, strict=True)}


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, scheme: str = "light", width: int = 1400):
    """A loaded page and the list of everything that went wrong while it loaded."""
    context = browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 1000}
    )
    page, wrong = context.new_page(), []
    page.on("request", lambda r: r.url.startswith("http") and wrong.append(f"asks {r.url}"))
    page.on("requestfailed", lambda r: wrong.append(f"fails {r.url}"))
    page.on("pageerror", lambda error: wrong.append(f"raises {error}"))
    page.on("console", lambda m: m.type == "error" and wrong.append(f"logs {m.text}"))
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    yield page, wrong
    context.close()


def pixels(image) -> np.ndarray:
    """An element as the screen shows it: (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("RGB"), float)


@pytest.mark.parametrize("page", contents())
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_page(book, browser, page, scheme, width):
    expected = source(page)
    url = (book / f"{page}.html").as_uri()
    with opened(browser, url, scheme, width) as (tab, wrong):
        assert expected.title in tab.title()
        article = tab.locator("article")

        images = article.locator("img").all()
        assert article.locator("figure img").count() == expected.figures <= len(images)
        for image in images:
            assert image.evaluate("i => i.complete && i.naturalWidth > 0")
            assert not re.fullmatch(r"|.*\.(png|svg)", image.get_attribute("alt") or "")
            assert pixels(image).std() > 5, "a blank figure"
        for image in article.locator("figure img").all():
            shrunk = image.evaluate("i => i.getBoundingClientRect().width / i.naturalWidth")
            assert shrunk > 0.45, "its labels are too small to read"

        text = article.inner_text()
        assert "Traceback (most recent call last)" not in text
        output = " ".join(article.locator(".cell_output").all_inner_texts())
        assert not re.search(r"\b(\w+Error|\w*Warning):", output)
        for broken in BROKEN:
            assert article.locator(broken).count() == 0, broken
        assert article.locator(".math").count() <= article.locator("mjx-container").count()
        assert tab.evaluate(CUT_EQUATIONS) == [], "no scrolling leads to the left end of these"

        overflow = "() => document.documentElement.scrollWidth - window.innerWidth"
        assert tab.evaluate(overflow) <= 0, "the page scrolls sideways"
        tab.wait_for_selector(f"html[data-theme={scheme}]")
        background = np.median(pixels(article.locator("h1")))
        assert background > 200 if scheme == "light" else background < 110
        assert wrong == []


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


@pytest.mark.parametrize("page", [p for p in contents() if (ROOT / f"{p}.ipynb").exists()])
def test_the_download_button_serves_the_source_notebook(book, browser, page):
    with opened(browser, (book / f"{page}.html").as_uri()) as (tab, _):
        link = tab.locator("a.btn-download-source-button").first.get_attribute("href")
    served = (book / page).parent / link
    assert served.read_bytes() == (ROOT / f"{page}.ipynb").read_bytes()


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, some in NUMBERS.items() for name in some]
)
def test_the_text_says_what_the_data_say(book, page, name):
    form, shown = pasted(book, f"chapters/{page}")[name]
    assert shown == format(NUMBERS[page][name](), form)
