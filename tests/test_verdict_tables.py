"""The board, its summary and its evidence as a reader sees them."""

import re
from functools import cache

import numpy as np
import pytest
import worlds
from bs4 import BeautifulSoup
from conftest import ROOT

from lnqbook.claims import verdict_tables, verdicts
from lnqbook.claims.checks import CALM, CONTRADICTED, NO_LINK, SUPPORTED, VIEWS, Check, Evidence
from lnqbook.claims.figure_numbers import figure_numbers
from lnqbook.claims.statements import CLAIMS, Claim
from lnqbook.claims.verdicts import SCALE, Row, Unit, Verdict
from lnqbook.rates import Sides
from lnqbook.stats import NBSP, Interval

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    world = worlds.the_papers(worlds.asked(tmp_path_factory.mktemp("store")))
    some = world[world["env"].isin(["CartPole", "Pendulum", "MountainCar"])]
    return verdicts.judge_all(some)


@cache
def parsed(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def test_the_board_has_one_row_a_claim(pairs):
    page = parsed(verdict_tables.overview(pairs, "claims.html"))
    rows = page.select("tbody tr")
    assert len(rows) == len(CLAIMS)
    for row, claim, (first, second) in zip(rows, CLAIMS, pairs, strict=True):
        number, statement, defaults, printed, figures = row.select("td")
        assert number.a["href"] == f"claims.html#claim-{claim.number}"
        assert claim.where in statement.get_text()
        assert first.word in defaults.get_text()
        assert first.word == second.word or second.word in printed.get_text()
        assert (printed.get_text() == "the same") == (claim.number == 25)
        assert len(figures.select("a")) == len(verdict_tables.FIGURES[claim.number])
        firm = {True: "firm", False: "not firm", None: ""}[first.firm]
        assert defaults.select("small")[-1].get_text() == firm


def test_the_tally_says_which_tasks():
    def verdict(units, *words):
        claim = Claim(1, "", "", units=units)
        tasks = ("CartPole", "Acrobot", "Pendulum")
        rows = [Unit(t, w, True, (), {}) for t, w in zip(tasks, words, strict=False)]
        return Verdict(claim, verdicts.scale(words), tuple(rows))

    tally = verdict_tables.tally
    assert tally(verdict("task", SUPPORTED, NO_LINK, SUPPORTED)) == (
        "2 of 3 tasks: CartPole, Pendulum"
    )
    assert tally(verdict("task", SUPPORTED, SUPPORTED)) == "2 of 2 tasks"
    assert tally(verdict("task", CONTRADICTED)) == "0 of 1 task"
    assert tally(verdict("trend", SUPPORTED, NO_LINK)) == "1 of 2 trends"
    assert tally(verdict("task", "no runs", SUPPORTED)) == ""
    assert tally(Verdict(CLAIMS[29], verdicts.UNTESTED, ())) == ""


def test_the_summary_adds_up_to_all_claims(pairs):
    rows = parsed(verdict_tables.summary(pairs)).select("tbody tr")
    counts = np.array([[int(b.get_text()) for b in row.select("b")] for row in rows])
    assert counts[-1].tolist() == [len(CLAIMS)] * 2
    assert (counts[:-1].sum(axis=0) == counts[-1]).all()
    for reading in (1, 2):
        listed = [a.get_text() for row in rows[:-1] for a in row.select("td")[reading].select("a")]
        assert sorted(map(int, listed)) == [c.number for c in CLAIMS]
    words = [row.td.get_text().split(NBSP)[-1] for row in rows[:-1]]
    assert words == [word for word in SCALE if word in words]


def test_the_evidence_has_one_row_a_unit(pairs):
    page = parsed(verdict_tables.details(pairs))
    blocks = page.select("details.claim")
    assert [block["id"] for block in blocks] == [f"claim-{c.number}" for c in CLAIMS]
    for block, (first, second) in zip(blocks, pairs, strict=True):
        rows = block.select("tbody tr")
        assert len(rows) == len(first.units)
        for row, unit in zip(rows, first.units, strict=True):
            cells = row.select("td")
            assert (row.get("class") == ["uncounted"]) == (not unit.counts)
            assert ("excepted" in cells[0].get_text()) == (not unit.counts)
            assert (unit.verdict or unit.word) in cells[1].get_text()
            others = [other for other in second.units if other.name == unit.name]
            for reading, cell in zip((unit, *others), cells[1:], strict=False):
                for view, word in reading.under.items():
                    assert f"{view}: {word}" in cell.get_text()
        assert len(block.select("th")) == (0 if not rows else 2 if second is first else 3)
    assert verdict_tables.OPENER in verdict_tables.details(pairs)


def test_every_statistic_of_a_task_is_told_with_its_number(pairs):
    first, _ = pairs[9]
    cell = parsed(verdict_tables.details([pairs[9]])).select("tbody tr")[0].select("td")[1]
    lines = [line.get_text() for line in cell.select(":scope > small")]
    for line, row in zip(lines, first.units[0].rows, strict=True):
        value = row.evidence.value
        assert f"{value.plus}{NBSP}for, {value.minus}{NBSP}against" in line
        assert line.startswith("\N{CHECK MARK}")


def test_a_view_that_turns_a_task_stands_out():
    check = Check("rho(SGI, loss) > 0", lambda runs, draws: None)
    views = {CALM: Evidence(CONTRADICTED, Interval(-0.5, -0.6, -0.4, 14))}
    row = Row(check, "Pendulum", "SGD", Evidence(SUPPORTED, Interval(0.7, 0.6, 0.8, 18)), views)
    unit = Unit("Pendulum", SUPPORTED, True, (row,), {CALM: CONTRADICTED})
    verdict = Verdict(CLAIMS[2], "holds", (unit,))
    cells = parsed(verdict_tables.details([(verdict, verdict)])).select("tbody td")
    views = cells[1].select_one(".views")
    assert views.b.get_text() == CONTRADICTED
    assert f"{MINUS}0.50 [{MINUS}0.60, {MINUS}0.40]" in views.get_text().replace(NBSP, " ")
    assert verdict.turned == [f"{CALM} (Pendulum)"]


def test_a_statistic_that_does_not_decide_is_grey_and_says_why(pairs):
    def lines(pair, name):
        rows = parsed(verdict_tables.details([pair])).select("tbody tr")
        row = next(row for row in rows if row.td.get_text().startswith(name))
        return row.select("td")[1].select(":scope > small")

    # claim 8: in MountainCar SGI is excepted, the other two are not
    sgi, *others = lines(pairs[7], "MountainCar")
    assert sgi["class"] == ["uncounted"] and sgi.get_text().endswith("(excepted)")
    assert not any(line.get("class") for line in others)


def test_a_statistic_that_need_not_hold_in_this_task_is_grey(pairs):
    rows = [row for pair in pairs for unit in pair[0].units for row in unit.rows]
    assert not any(row.elsewhere and not row.check.anywhere for row in rows)
    check = Check("rho(ISO_p, return) > 0", lambda runs, draws: None, anywhere="across")
    value = Interval(-0.5, -0.6, -0.4, 18)
    found = [
        Row(check, env, "SGD", Evidence(word, value), {})
        for env, word in (("CartPole", CONTRADICTED), ("Pendulum", SUPPORTED))
    ]
    units = list(verdicts._units(CLAIMS[17], found, {}))
    assert [unit.word for unit in units] == [SUPPORTED] * 2
    page = verdict_tables.details([(Verdict(CLAIMS[17], "holds", tuple(units)),) * 2])
    here, there = (row.select("td")[1].small for row in parsed(page).select("tbody tr"))
    assert here["class"] == ["uncounted"] and here.get_text().endswith("(enough elsewhere)")
    assert there.get("class") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Interval(-0.5, -0.75, 0.25, 9), f"{MINUS}0.50 [{MINUS}0.75, 0.25]"),
        (Interval(120.4, 99.6, 130.2, 9), "120 [100, 130]"),
        (Interval(3.0, 3.0, 3.0, 9), "3"),
        (Interval(0.5, np.nan, np.nan, 1), "0.50"),
        (Interval(np.nan, np.nan, np.nan, 0), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        (Sides(6, 2, 1), "6 for, 2 against, 1 undecided"),
        (Sides(9, 0, 0), "9 for, 0 against"),
    ],
)
def test_a_number_on_the_page(value, text):
    assert verdict_tables.number(value).replace(NBSP, " ").replace("&nbsp;", " ") == text


def test_formulas_are_set_as_html():
    assert verdict_tables.formula("rho(GI2 / loss, x) < 0") == (
        "&rho;(GI<sub>2</sub> / loss, x) &lt; 0"
    )
    assert verdict_tables.formula("QGI+, ISO_p, A^2/B, 2 lr DGI") == (
        "QGI<sub>+</sub>, ISO<sub>p</sub>, A<sup>2</sup>/B, 2&eta;&thinsp;DGI"
    )


def test_figures_are_named_by_the_books_numbers(tmp_path):
    assert list(verdict_tables.FIGURES) == [c.number for c in CLAIMS]
    numbers = figure_numbers()
    assert numbers["fig-headline"] == "Fig. 1"
    assert re.fullmatch(r"Fig\. 4\.\d+", numbers["fig-gi2-loss"])  # the fourth page of the contents
    for places in verdict_tables.FIGURES.values():
        for place in places:
            anchor = place.partition("#")[2]
            assert anchor in numbers or not anchor.startswith("fig-")
    assert figure_numbers(tmp_path) == {}  # an installed library has no pages
    assert (ROOT / "_toc.yml").exists()


def test_every_word_has_a_mark():
    words = {*SCALE, SUPPORTED, CONTRADICTED, NO_LINK}
    assert words <= set(verdict_tables.MARKS)
    assert len(set(VIEWS)) == len(VIEWS)
