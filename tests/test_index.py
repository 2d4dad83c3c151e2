"""The front page and the map: every item of the paper, every page, every command."""

import re
import shlex
from functools import partial
from itertools import pairwise
from operator import itemgetter

import nbformat
import papermill
import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT

from lnqbook.claims.chapter import NOTHING
from lnqbook.claims.statements import CLAIMS
from lnqbook.claims.verdict_tables import FIGURES, details, overview, summary
from lnqbook.claims.verdicts import judge

CHAPTERS = ROOT / "chapters"
PAPER = (
    [f"Fig. {n}" for n in range(1, 10)]
    + ["Table 1", "Definition 1", "Assumption 1", "Theorem 2", "Theorem 3", "Theorem 4", "Lemma 5"]
    + [f"Eq. ({n})" for n in range(1, 12)]
    + [f"App. {letter}" for letter in "ABCDEFGHI"]
)


def sources(path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


FRONT = "\n\n".join(sources(CHAPTERS / "index.ipynb"))
TEXT = (CHAPTERS / "map.md").read_text(encoding="utf8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = TEXT.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


ROWS = rows("Where the paper's pieces are")
ERRATA = rows("What the paper gets wrong")
EQUATIONS = [row for row in ROWS if row[0].startswith("Eq")]
THEOREMS = [row for row in ROWS if row[0].startswith(("Theorem", "Lemma"))]
COMMANDS = [line.partition("#")[::2] for line in TEXT.split("\n") if line.startswith("papermill ")]
each_row = partial(pytest.mark.parametrize, "row", ids=itemgetter(0))


def items(cell: str) -> list[str]:
    """What a row is about: `Eqs. (8), (9)` are two equations."""
    if cell.startswith("Eq"):
        return [f"Eq. {number}" for number in re.findall(r"\(\d+\)", cell)]
    return cell.split(", ")


def figures() -> set[str]:
    """The names of all numbered figures."""
    cells = [c for path in CHAPTERS.glob("*.ipynb") for c in nbformat.read(path, 4).cells]
    return {
        c.metadata.mystnb.figure.name for c in cells if "figure" in c.metadata.get("mystnb", {})
    }


def pages() -> set[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return {toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])}


def test_every_item_of_the_paper_has_one_row():
    assert sorted(item for row in ROWS for item in items(row[0])) == sorted(PAPER)


@each_row(argvalues=ROWS)
def test_every_row_leads_somewhere(row):
    links = re.findall(r"\]\((\S+)\)", row[2])
    numbered = set(re.findall(r"\{numref\}`([\w-]+)`", row[2]))
    assert links or numbered or row[0] == "App. H"
    assert numbered <= figures()
    for link in links:
        assert (CHAPTERS / link).exists()
        assert f"chapters/{link.partition('.')[0]}" in pages()


@each_row(argvalues=EQUATIONS)
def test_equations_stand_on_the_first_page_that_is_linked(row):
    page = "\n".join(sources(CHAPTERS / re.search(r"\]\((\S+)\)", row[2])[1]))
    for item in items(row[0]):
        assert rf"\tag{{{item[5:-1]}}}" in page


@each_row(argvalues=THEOREMS)
def test_theorems_stand_on_the_page_that_is_linked(row):
    page = "\n".join(sources(CHAPTERS / re.search(r"\]\((\S+)\)", row[2])[1]))
    assert re.search(rf"```\{{prf:(theorem|lemma)\}}.*{row[0]}", page)


def test_every_erratum_is_listed_once():
    assert [row[0] for row in ERRATA] == [str(number) for number in range(1, 16)]
    boxes = {
        (path.name, int(number))
        for path in CHAPTERS.glob("*.ipynb")
        for title in re.findall(r"admonition\} (Errat(?:um|a) [^:\n]+)", "\n".join(sources(path)))
        for number in re.findall(r"\d+", title)
    }
    text = "\n".join(text for path in CHAPTERS.glob("*.ipynb") for text in sources(path))
    assert "admonition} Erratum:" not in text  # each has its number
    listed = {(link, int(row[0])) for row in ERRATA for link in re.findall(r"\]\((\S+)\)", row[2])}
    assert listed == boxes


def test_links_to_every_page():
    linked = set(re.findall(r"\]\((\w+)\.(?:ipynb|md)\)", TEXT))
    assert {f"chapters/{name}" for name in linked} | {"chapters/map"} == pages()
    doors = set(re.findall(r"\]\((\w+)\.(?:ipynb|md)\)", FRONT))
    assert {"setting", "map", "faq", "glossary", "reproduce", "own_network", "api"} <= doors


@pytest.mark.parametrize("command", [command.strip() for command, _ in COMMANDS])
def test_commands_name_a_chapter_and_its_parameters(command):
    parts = shlex.split(command)
    path = next(part for part in parts if part.startswith("chapters/"))
    given = {value for flag, value in pairwise(parts) if flag == "-p"}
    for flag, value in pairwise(parts):
        given |= set(yaml.safe_load(value)) if flag == "-y" else set()
    assert given <= set(papermill.inspect_notebook(str(ROOT / path)))


def test_every_figure_and_table_has_its_command():
    told = ", ".join(comment for _, comment in COMMANDS)
    lists = re.findall(r"Figs?\. ([\d, and]+)", told)
    assert set(re.findall(r"\d", " ".join(lists))) == set("123456789")
    assert "Table 1" in told


def test_the_board_and_the_front_page_lead_to_every_claim():
    page = "\n".join(sources(CHAPTERS / "claims.ipynb"))
    assert "verdict_tables.overview(pairs)" in page  # the board lives on one page
    assert "verdict_tables.details(pairs)" in page
    assert "verdict_tables.summary(pairs)" in FRONT
    assert "overview(" not in FRONT

    pairs = [(judge(claim, NOTHING),) * 2 for claim in CLAIMS]
    numbers = [claim.number for claim in CLAIMS]
    targets = BeautifulSoup(details(pairs), "html.parser").select("details")
    assert [target["id"] for target in targets] == [f"claim-{number}" for number in numbers]
    board = BeautifulSoup(overview(pairs), "html.parser").select("td:first-child a")
    assert [a["href"] for a in board] == [f"#claim-{number}" for number in numbers]
    front = BeautifulSoup(summary(pairs), "html.parser").select("td a")
    assert {a["href"] for a in front} == {f"claims.html#claim-{number}" for number in numbers}
    assert [a.get_text() for a in board] == [str(number) for number in numbers]


def claims_on(text: str) -> set[int]:
    """The claims to which a page leads: those listed at its end, and those with a link by hand."""
    listed = re.findall(r"chapter\.judged\(\s*\w+, ([\d, ]+)\s*\)", text)
    return {int(n) for n in re.findall(r'"claims.html#claim-(\d+)"', text)} | {
        int(n) for some in listed for n in some.split(",")
    }


def test_claims_and_pages_lead_to_each_other():
    text = {path.stem: "\n".join(sources(path)) for path in CHAPTERS.glob("*.ipynb")}
    for number, places in FIGURES.items():
        for place in places:
            page, _, anchor = place.partition("#")
            assert anchor in figures() or f":label: {anchor}" in text[page]
            assert anchor in (CHAPTERS / f"{page}.ipynb").read_text()
            assert page == "index" or number in claims_on(text[page])
