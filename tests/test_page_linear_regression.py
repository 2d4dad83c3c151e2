"""What the page on linear regression says, sentence by sentence."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lnqbook import theory
from lnqbook.pages.linear_regression import words
from lnqbook.stats import Interval
from lnqbook.theory import EXAMPLES

BETTER, WORSE, OPEN = Interval(0.5, 0.4, 0.6, 9), Interval(2, 1.5, 3, 9), Interval(1, 0.5, 2, 9)
EQUAL = Interval(1.01, 0.99, 1.02, 9)
P = SimpleNamespace(steps=1_000, seeds=10, optimizer="SGD")


def networks(tasks=("CartPole", "Pendulum"), end=(BETTER, WORSE)) -> pd.DataFrame:
    rows = {}
    for env, last in zip(tasks, end, strict=True):
        for norm, spread in (("none", 0.5), ("layer", 0.03)):
            for kind in ("spread", "shuffled"):
                row = (spread, BETTER, OPEN, *([last] * 2 if norm == "none" else [EQUAL] * 2))
                rows[env, norm, kind] = row
    names = ["spread", "one_step_distance", "one_step_loss", "distance", "loss"]
    index = pd.MultiIndex.from_tuples(rows, names=["env", "norm", "inputs"])
    return pd.DataFrame(list(rows.values()), index, names, dtype=object)


def laws(worst: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"independent": [True, False], "distance_ratio": [worst, 0.9], "loss_ratio": [0.8, 5.0]}
        | {"distance_residual": [-1e-16, 0.0], "loss_residual": [0.0, 2e-16]}
        | {"rival_ratio": [2.0, 0.5], "spread": [0.5, 0.5]}
    )


def test_the_answer():
    one, bound, end, spread, caution = words.answer(laws(), networks(), P)
    assert one.endswith("for the loss where norm and direction are independent.")
    assert bound == "None of 2 random distributions breaks that."
    assert end.startswith("Over 1,000 steps with SGD on the features of networks without LN, the ")
    assert end.endswith("own norms, is higher in Pendulum, and lower in CartPole.")
    assert "over mean) of 0.50 without LN, and of at most 0.03 with it." in spread
    assert caution == ""
    few = SimpleNamespace(**vars(P) | {"seeds": 2})
    broken = words.answer(laws(1.5), networks(end=(OPEN, OPEN)), few)
    assert broken[1] == "A random distribution breaks that, by 0.5."
    assert broken[2].endswith("is nowhere clearly different.")
    assert broken[4].startswith("These runs have 2 seeds.")


def test_random_distributions():
    assert words.parabolas(laws(), 5).startswith("On all 2 of them, in 5 dimensions, taking the")
    assert "reaches at most 1.000000 of the bound" in words.distance(laws())
    assert words.distance(laws()).endswith("the spread norm wins in 50% of them.")
    said = words.loss(laws())
    assert "from the curve is 0, and the best reaches 0.800000" in said  # 0.8 = 1 / (1 + 0.5^2)
    assert said.endswith("in 100% of the cases, by a factor of up to 5.0.")


def test_exact_examples():
    """Worked out by hand: A = E<x, e>^2 and B = E|x|^2 <x, e>^2."""
    spread = Fraction((16 + 64) ** 2, 4) / Fraction(25 * 16 + 100 * 64, 2)
    constant = Fraction(9) ** 2 / (25 * 9)
    said = words.mental_arithmetic(spread, constant, Fraction(16, 25))
    assert "A\u00b2/B is 8/17 for the spread norm and 9/25 for the constant one: the cons" in said
    assert said.endswith("a constant norm and it is 16/25.")
    assert "loses" not in words.mental_arithmetic(constant, spread, spread)
    assert words.same_loss(Fraction(49), Fraction(2), Fraction(245, 8)) == (
        "The loss is 49 both times. C\u00b2/D is 2 for the spread norm and 245/8 \u2248 30.625 for "
        "the constant one."
    )


def test_noise():
    half = (1.0, 2.0)  # 1^2 / 2
    assert words.noise([half, half], [(1.0, 4.0), half]).endswith("it is 0.250 and 0.500.")
    assert words.saturating([half, (1.0, 4.0)]) == (
        "The best decrement is 0.500 for the spread norm and 0.250 for the constant one."
    )
    example = EXAMPLES["noise"]
    x, error = np.array(example.spread, float), np.array(example.error, float)
    terms = theory.noisy_terms(x, error, lambda squared: 100)
    said = words.simulated(example, terms, count=1_000)
    mean = float(said.partition("a step is ")[2][:6])
    formula = float(said.rpartition("says ")[2].rstrip("."))
    assert formula == pytest.approx(5 - 0.02 * terms[0] + 1e-4 * terms[1], abs=1e-4)
    assert mean == pytest.approx(formula, abs=0.3)


def test_features_and_their_norms():
    said = words.regressions(P)
    assert "SGD, one sample a step, 1,000 in all, at 29 learning rates from 0.3 to" in said
    assert said.endswith("10\u207b\u2074.")
    assert words.unexplained(0.094, 5).endswith("leaves 9.4% of E[y\u00b2] unexplained.")
    said = words.norms(networks())
    assert "a spread s of 0.50 without LN and of at most 0.03 with it" in said
    assert said.endswith("changes R by at most 1.0% and L by 1.0%.")


def test_where_a_constant_norm_is_better():
    r_spread, _, l_spread, _ = words.constant_norms(networks())
    assert r_spread == (
        "In R, a constant norm compared with spread norms: in one step better in all 2 tasks; at "
        "the end worse in Pendulum, and better in CartPole."
    )
    assert "with spread norms: in one step undecided; at the end wor" in l_spread
    one_seed = Interval(0.5, np.nan, np.nan, 1)
    alone = words.constant_norms(networks(("CartPole",), (one_seed,)))
    assert alone[0].endswith("at the end better in CartPole.")


def test_the_table():
    table = words.table(networks())
    assert list(table.index)[:2] == [("CartPole", "None"), ("CartPole", "None, shuffled")]
    assert table["1/(1+s²)"].iloc[0] == pytest.approx(0.8)
    assert set(table) == set(words.FORMATS)
