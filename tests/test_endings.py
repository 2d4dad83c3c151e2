"""A chapter's verdicts are the board's."""

from dataclasses import replace

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lnqlib import endings, verdicts
from lnqlib.claims import CLAIMS
from lnqlib.notebook import Parameters
from lnqlib.ship import Shipped
from lnqlib.spec import LEARNING_RATES
from lnqlib.store import Store
from lnqlib.sweep import lookup

NUMBERS = (3, 8, 11, 25)


@pytest.fixture(scope="module")
def asked() -> Parameters:
    return Parameters(("CartPole", "Pendulum"), "SGD", 4, 200_000, LEARNING_RATES, 0, False, "")


@pytest.fixture(scope="module")
def pairs(asked):
    return endings.judged(asked, *NUMBERS)


def test_the_verdicts_are_those_of_all_the_claims_runs(asked, pairs):
    specs = verdicts.specs(asked.envs, asked.seeds, asked.steps, asked.learning_rates)
    every = [spec for some in specs.values() for spec in some]
    runs = verdicts.frame(specs, lookup(every, Store(), Shipped()))
    assert [first.claim.number for first, _ in pairs] == list(NUMBERS)
    for pair in pairs[:3] + endings.judged(asked, 13):  # 13 compares with policies, too
        for found, bias in zip(pair, (True, False), strict=True):
            board = verdicts.judge(found.claim, runs, "SGD", bias)
            assert found.verdict == board.verdict
            same = ["check", "env", "interval", "counts", "verdict"]
            pd.testing.assert_frame_equal(found.rows[same], board.rows[same])


def test_a_theorem_needs_no_runs(pairs):
    (alone, printed), = endings.judged(None, 25)  # fmt: skip
    assert alone.verdict == printed.verdict == pairs[3][0].verdict
    assert set(alone.rows["env"]) == {"all"}


def test_runs_that_are_not_there_are_missing(asked, pairs):
    assert "missing" not in [verdict.verdict for verdict in pairs[0]]
    few = replace(asked, steps=7)
    (first, second), = endings.judged(few, NUMBERS[0])  # fmt: skip
    assert (first.verdict, second.verdict) == ("missing", "missing")


def test_the_list_leads_to_the_board(pairs):
    rows = BeautifulSoup(endings.listed(pairs), "html.parser").select("tbody tr")
    links = [row.a["href"] for row in rows]
    assert links == [f"claims.html#claim-{number}" for number in NUMBERS]
    for row, number, (first, second) in zip(rows, NUMBERS, pairs, strict=True):
        words = [cell.get_text() for cell in row.select("td")]
        assert words[0] == str(number)
        assert words[1].split()[0] == CLAIMS[number - 1].statement.split()[0]
        assert words[2].endswith(first.verdict)
        printed = "\N{EN DASH}" if number == 25 else second.verdict  # a theorem has one reading
        assert words[3].endswith(printed)


def test_where_a_check_holds(pairs):
    first = pairs[1][0]
    found = endings.where(first, "LN lowers SGI")
    rows = first.rows.set_index(["check", "env"])["verdict"]
    assert list(found.index) == ["CartPole", "Pendulum"]
    for env, holds in found.items():
        assert holds == (rows["LN lowers SGI at over half of the lrs", env] == "holds")
    assert endings.where(first, "no such check").empty


def test_policies_are_played_only_where_a_claim_compares_with_them(asked):
    for number, played in ((3, False), (13, True)):
        runs = endings.finished(asked, list(CLAIMS[number - 1].checks))
        assert ("uniform_return" in runs) == played
