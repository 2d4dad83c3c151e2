"""Sentences and figures of the settings beyond the paper's."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import online_statistics, target_statistics
from lnqbook.answers import sentence, word
from lnqbook.figures import beyond
from lnqbook.findings import in_tasks
from lnqbook.pages_beyond import (
    ONLINE,
    TARGET,
    answer,
    changes,
    claims_by_setting,
    fates_told,
    online_answers,
    target_answers,
    would_change,
)
from lnqbook.stats import Interval

PHRASES = {"supported": "it rises", "contradicted": "it falls", "undecided": "it is open"}


@pytest.mark.parametrize(
    ("low", "high", "sign", "against", "expected"),
    [
        (0.1, 0.9, 1, 0.0, "supported"),
        (0.1, 0.9, -1, 0.0, "contradicted"),
        (-0.9, -0.1, -1, 0.0, "supported"),
        (-0.9, -0.1, 1, 0.0, "contradicted"),
        (-0.1, 0.9, 1, 0.0, "undecided"),
        (0.0, 0.9, 1, 0.0, "undecided"),
        (0.7, 0.9, 1, 0.8, "undecided"),
        (0.9, 1.5, 1, 0.8, "supported"),
        (0.1, 0.7, 1, 0.8, "contradicted"),
        (np.nan, np.nan, 1, 0.0, "no interval"),
    ],
)
def test_words(low, high, sign, against, expected) -> None:
    assert word(Interval(0.5, low, high, 4), sign, against) == expected


def test_sentences() -> None:
    words = pd.Series({"CartPole": "supported", "Acrobot": "undecided", "Pendulum": "supported"})
    found = sentence(words, PHRASES)
    assert found == "It rises in CartPole and Pendulum; it is open in Acrobot."
    assert sentence(words.iloc[:1], PHRASES) == "It rises in CartPole."
    words[:] = "contradicted"
    assert sentence(words, PHRASES) == "It falls in all 3 tasks."
    assert sentence(words[:0], PHRASES) == ""
    words["Acrobot"] = "no interval"
    with pytest.raises(KeyError, match="no phrase for no interval"):
        sentence(words, PHRASES)


def test_lists() -> None:
    assert in_tasks(["a"], 3) == in_tasks(["a"], 1) == "in a"
    assert in_tasks(["a", "b"], 3) == "in a and b"
    assert in_tasks(["a", "b", "c"], 4) == "in a, b and c"
    assert in_tasks(["a", "b"], 2) == "in all 2 tasks"


@pytest.mark.parametrize("phrases", [*TARGET.values(), *ONLINE.values()])
def test_every_question_has_a_sentence_for_every_answer(phrases) -> None:
    ends = {"Low": (-9.0, -8.0), "Wide": (-9.0, 9.0), "High": (8.0, 9.0), "None": (np.nan, np.nan)}
    text = answer({task: Interval(0.0, *both, 4) for task, both in ends.items()}, phrases)
    sign, _, said = phrases
    up, down = ("High", "Low") if sign > 0 else ("Low", "High")
    assert f"{said['supported']} in {up}".lower() in text.lower()
    assert f"{said['contradicted']} in {down}".lower() in text.lower()
    assert "not decided in Wide" in text and "no interval in None" in text
    assert text[0].isupper() and text.endswith(".")


def test_answers_by_statistic() -> None:
    J = np.repeat(np.array([[10.0, 20, 30, 25, 15], [25, 28, 27, 26, 5]])[..., None, None], 4, -1)
    found = target_statistics.every_statistic(J)
    told = target_answers({"Pendulum": found, "Acrobot": found}).split("\n")
    assert told[0] == "- LN's best period is shorter than None's in all 2 tasks."
    assert told[3].startswith("- LN alone brings less than four fifths")
    assert told[4] == "- A target network raises LN's return as well in all 2 tasks."


def test_answers_by_setting() -> None:
    scores = np.array([[10.0, 15.0], [20.0, 22.0], [26.0, 23.0]])
    J = np.repeat(scores[:, :, None, None], 4, axis=-1)
    told = online_answers({"Pendulum": online_statistics.online_statistics(J)}).split("\n")
    assert told == [
        "- *offline:* LN raises the return in Pendulum.",
        "- *online:* LN raises the return in Pendulum.",
        "- *online, target network:* LN lowers the return in Pendulum.",
        "- *online, without LN:* The target network raises the return in Pendulum.",
        "- *online, with LN:* The target network raises the return in Pendulum.",
    ]


def test_return_by_period_draws_means_over_rates_and_the_best_of_them() -> None:
    J = np.arange(2 * 3 * 2 * 4, dtype=float).reshape(2, 3, 2, 4)
    figure = beyond.return_by_period({"Pendulum": J}, ("none", "layer"), (1, 10, 100))
    (ax,) = figure.axes
    solid, dotted = ax.lines[::2], ax.lines[1::2]
    for network in (0, 1):
        np.testing.assert_allclose(solid[network].get_xdata(), [1, 10, 100])
        np.testing.assert_allclose(solid[network].get_ydata(), J[network].mean(axis=(1, 2)))
        np.testing.assert_allclose(dotted[network].get_ydata(), J[network, :, 1].mean(axis=-1))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["none", "10", "100"]
    assert ax.get_title() == "Pendulum"


def test_scores_by_setting_draws_values_and_intervals() -> None:
    settings = {"offline": Interval(3.0, 2.0, 5.0, 4), "online": Interval(7.0, 6.0, 9.0, 4)}
    higher = {name: Interval(*(x + 1 for x in i[:3]), 4) for name, i in settings.items()}
    figure = beyond.scores_by_setting(
        {"Acrobot": {"none": settings, "layer": higher}}, ("none", "layer")
    )
    (ax,) = figure.axes
    for container, offset in zip(ax.containers, (0, 1), strict=True):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_ydata(), [3 + offset, 7 + offset])
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [[2 + offset, 5 + offset], [6 + offset, 9 + offset]])


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval(2.0, 1.0, 3.0, 10), "a shift by -1"),
        (Interval(-2.0, -3.0, -0.5, 10), "a shift by +0.5"),
        (Interval(1.0, -1.0, 3.0, 10), "40 seeds"),  # half width 2, twice the value
        (Interval(-1.0, -2.0, 2.0, 10), "90 seeds"),  # its upper half is 3
        (Interval(1.0, -2.0, 2.0, 10), "90 seeds"),  # its lower half is 3
        (Interval(0.01, -1.0, 1.0, 10), "over 1,000 seeds"),
        (Interval(0.0, -1.0, 1.0, 10), "over 1,000 seeds"),
        (Interval(1.0, np.nan, np.nan, 1), "more seeds"),
    ],
)
def test_what_would_change_an_answer(interval: Interval, expected: str) -> None:
    assert would_change(interval) == expected
    assert would_change(Interval(*(end + 5 for end in interval[:3]), interval.count), 5) == expected


def test_changes_have_a_row_a_question_and_task() -> None:
    found = {task: dict.fromkeys(TARGET, Interval(2.0, 1.0, 3.0, 10)) for task in ("A", "B")}
    table = changes(found, TARGET)
    assert len(table) == 2 * len(TARGET)
    assert table.loc[("shift", "A"), "answer"] == "contradicted"
    assert table.loc[("share", "B"), "would change it"] == "a shift by -0.2"


def test_what_becomes_of_the_claims_is_told() -> None:
    before = pd.DataFrame({"A": ["supported", "supported"], "B": ["undecided", ""]}, index=[3, 6])
    after = pd.DataFrame({"A": ["supported", "contradicted"], "B": ["supported", ""]}, index=[3, 6])
    text = fates_told(before, after)
    assert "Of 2 pairs" in text and "1 are decided alike" in text and "claim 6 in A." in text
    assert "None turns" in fates_told(before, before)
    assert "No claim is decided" in fates_told(before[["B"]], after[["B"]])
    table = claims_by_setting({"none": before, "10": after})
    assert table["none"].to_list() == ["1 of 2", "1 of 1"] and table.index[0].startswith("3. ")
