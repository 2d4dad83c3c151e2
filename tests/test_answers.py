"""Sentences that the data choose."""

import numpy as np
import pandas as pd
import pytest

from lnqbook.answers import coverage, narrow, sentence, word
from lnqbook.findings import in_tasks
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


@pytest.mark.parametrize("seeds", [4, 10, 30])
def test_how_often_intervals_of_two_halves_hold(seeds: int) -> None:
    """Against a simulation: the mean of two halves, each resampled by itself."""
    rng, trials, half = np.random.default_rng(seeds), 3000, seeds // 2
    values = rng.normal(size=(trials, 2, half))
    spread = np.sqrt(values.var(axis=2).sum(axis=1) / (4 * half))  # of the resampled means
    inside = np.abs(values.mean(axis=(1, 2))) < 1.96 * spread
    assert coverage(seeds) == pytest.approx(inside.mean(), abs=0.025)
    assert f"the two halves of {seeds} seeds" in narrow(seeds) and narrow(3) == ""


def test_lists() -> None:
    assert in_tasks(["a"], 3) == in_tasks(["a"], 1) == "in a"
    assert in_tasks(["a", "b"], 3) == "in a and b"
    assert in_tasks(["a", "b", "c"], 4) == "in a, b and c"
    assert in_tasks(["a", "b"], 2) == "in all 2 tasks"
