"""A chapter's verdicts are the board's."""

import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lnqbook.claims import chapter, verdicts
from lnqbook.claims import runs as claim_runs
from lnqbook.claims.statements import CLAIMS
from lnqbook.claims.verdict_tables import MARKS
from lnqbook.notebook import Parameters
from lnqlib.spec import LEARNING_RATES

NUMBERS = (3, 8, 11, 25)


@pytest.fixture(scope="module")
def asked() -> Parameters:
    return Parameters(("CartPole", "Pendulum"), "SGD", 4, 200_000, LEARNING_RATES, 0, False, "")


@pytest.fixture(scope="module")
def pairs(asked):
    return chapter.judged(asked, *NUMBERS)


def test_the_verdicts_are_those_of_all_the_claims_runs(asked, pairs):
    specs = claim_runs.specs(asked.envs, asked.seeds, asked.steps, asked.learning_rates)
    runs = chapter.looked_up(specs)
    assert [first.claim.number for first, _ in pairs] == list(NUMBERS)
    # 12 repeats others, 13 compares with policies, 28 with the growth of weights
    for pair in pairs[:3] + chapter.judged(asked, 12, 13, 28):
        for found, bias in zip(pair, (True, False), strict=True):
            board = verdicts.judge(found.claim, runs, "SGD", bias)
            assert found.word == board.word
            assert [unit.word for unit in found.units] == [unit.word for unit in board.units]
            pd.testing.assert_frame_equal(found.rows, board.rows)


def test_a_theorem_needs_no_runs(pairs):
    (alone, printed), = chapter.judged(None, 25)  # fmt: skip
    assert alone.word == printed.word == pairs[3][0].word == "holds"


def test_runs_that_are_not_there_are_no_runs(asked, pairs):
    assert "no runs" not in [verdict.word for verdict in pairs[0]]
    few = replace(asked, steps=7)
    (first, second), = chapter.judged(few, NUMBERS[0])  # fmt: skip
    assert (first.word, second.word) == ("no runs", "no runs")


def test_the_list_leads_to_the_board(pairs):
    rows = BeautifulSoup(chapter.listed(pairs), "html.parser").select("tbody tr")
    links = [row.a["href"] for row in rows]
    assert links == [f"claims.html#claim-{number}" for number in NUMBERS]
    for row, number, (first, second) in zip(rows, NUMBERS, pairs, strict=True):
        words = [cell.get_text() for cell in row.select("td")]
        assert words[0] == str(number)
        assert words[1].split()[0] == CLAIMS[number - 1].statement.split()[0]
        assert first.word in words[2]
        assert words[3] == "the same" if number == 25 else second.word in words[3]


def test_the_badges_say_number_and_verdict_and_lead_to_the_evidence(asked, pairs):
    line = chapter.badges(pairs)
    links = re.findall(r"\[\*\*(\d+)\*\*\xa0(.+?)\]\(claims\.ipynb#claim-(\d+)\)", line)
    assert [(int(a), int(b)) for a, _, b in links] == [(n, n) for n in NUMBERS]
    for (_, said, _), (first, second) in zip(links, pairs, strict=True):
        assert first.word in said
        assert (f", as printed {unescape(MARKS[second.word])} {second.word}" in said) == (
            first.word != second.word
        )
    assert line.count("\n") == 0 and line.endswith(").")
    (alone, _) = pairs[0]
    (none, _), = chapter.judged(replace(asked, steps=7), NUMBERS[0])  # fmt: skip
    assert chapter.badges([(alone, none)]).endswith(
        "As printed, without biases, there are no finished runs with these parameters."
    )


def test_badges_where_a_claim_is_not_about_the_task(asked):
    own = replace(asked, envs=("CartPole-v1",))
    said = chapter.badges(chapter.judged(own, 3, 12))
    assert said == "Claims 3 and 12 are not about what is shown here."
    said = chapter.badges(chapter.judged(own, 3, 8, 25))
    head = "**[Verdicts](glossary.md#term-verdict) on the paper's claims, by these runs:** [**25**"
    assert said.startswith(head) and said.endswith(
        "Claims 3 and 8 are not about what is shown here."
    )
    # no data can test claim 30, wherever it is asked
    assert "**30**\xa0\N{EN DASH} not tested" in chapter.badges(chapter.judged(own, 30))


def test_an_answer_is_a_paragraph_badges_and_the_claims_behind_a_title(asked, pairs, monkeypatch):
    shown = []
    monkeypatch.setattr(chapter, "display", lambda *outputs: shown.extend(outputs))
    chapter.answer(pairs, "It does.", "", "Not always.")
    answer, badges, claims = (output.data for output in shown)
    assert answer == "It does. Not always."
    assert badges == chapter.badges(pairs)
    assert claims.startswith('<details class="folded"><summary>These claims in words')
    assert chapter.listed(pairs) in claims
    shown.clear()
    own = replace(asked, envs=("CartPole-v1",))
    chapter.answer(chapter.judged(own, 3), "It does.")
    assert len(shown) == 2


def test_policies_are_played_only_where_a_claim_compares_with_them(asked):
    for number, played in ((3, False), (13, True)):
        runs = chapter.finished(asked, list(CLAIMS[number - 1].checks))
        assert ("uniform_return" in runs) == played
