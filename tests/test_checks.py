"""The rules for one statistic, and each kind of statistic by another way."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from points import noise, runs

from lnqbook import theory
from lnqbook.claims import kinds
from lnqbook.claims.checks import (
    BEST,
    BY_SEED,
    CALM,
    CONTRADICTED,
    COUNTED,
    MEDIANS,
    NO_LINK,
    OTHER_RANDOM,
    SUPPORTED,
    UNDECIDED,
    Draws,
    counted,
    held,
)
from lnqbook.rates import Sides
from lnqbook.stats import Resampled
from lnqlib.results import INTERFERENCE

DRAWS = Draws(7, 1000)


def resampled(value: float, spread: float = 0.1) -> Resampled:
    return Resampled(value, value + spread * np.linspace(-1, 1, 1000), 9, 18)


@pytest.mark.parametrize(
    ("value", "bar", "word"),
    [
        (0.6, 0.47, SUPPORTED),
        (-0.6, 0.47, CONTRADICTED),
        (0.3, 0.47, NO_LINK),  # clear of 0, and no more than chance gives
        (-0.3, 0.47, NO_LINK),
        (0.05, 0.47, UNDECIDED),
        (0.3, 0.0, SUPPORTED),
        (np.nan, 0.0, UNDECIDED),
    ],
)
def test_the_rule_for_an_interval(value, bar, word):
    assert held(resampled(value), 1, bar=bar).word == word
    mirrored = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    assert held(resampled(value), -1, bar=bar).word == mirrored.get(word, word)
    shifted = held(resampled(value + 2), 1, against=2, bar=bar)
    assert shifted.word == word


def test_how_sure_a_contradiction_is():
    edge = Resampled(-1.0, np.r_[np.full(990, -1.0), np.full(9, 1.0)], 9, 9)
    assert held(edge, 1).p == pytest.approx(2 * 10 / 1000)
    assert held(None, 1).word == UNDECIDED


@pytest.mark.parametrize(
    ("sides", "word"),
    [
        ((6, 2, 1), SUPPORTED),
        ((2, 6, 1), CONTRADICTED),
        ((5, 4, 0), NO_LINK),
        ((3, 1, 5), UNDECIDED),
        ((4, 3, 2), NO_LINK),
    ],
)
def test_the_rule_for_learning_rates(sides, word):
    assert counted(Sides(*sides)).word == word
    assert counted(Sides(0, 0, 0)) is None


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """SGI and the loss go together but for noise; the points at the largest rate are clamped."""
    a, b = noise(21), noise(22)
    frame = runs(
        seeds=8,
        sgi=lambda lr, norm, seed: np.log10(lr) + a(lr, norm, seed),
        loss=lambda lr, norm, seed: np.log10(lr) + b(lr, norm, seed),
        qgi_plus=lambda lr, norm, seed: a(lr, norm, seed),
    )
    hit = (frame["lr"] > 0.05) & (frame["norm"] == "none")
    return frame.assign(clamped_steps=1.0 * hit, **{"return": -frame["loss"]})


def spearman(frame, x, y, how="mean", kept=None):
    table = frame.groupby(["lr", "norm"])[[x, y]].agg(how)
    table = table if kept is None else table[kept]
    return scipy.stats.spearmanr(table[x], table[y]).statistic


def test_rho_and_its_views_by_scipy(frame):
    check = kinds.rho("sgi", "loss", 1)
    free = frame.groupby(["lr", "norm"])["clamped_steps"].max() == 0
    assert check.primary(frame, DRAWS).value.value == pytest.approx(spearman(frame, "sgi", "loss"))
    assert set(check.views) == {BY_SEED, MEDIANS, CALM, COUNTED}
    medians = check.views[MEDIANS](frame, DRAWS).value
    assert medians.value == pytest.approx(spearman(frame, "sgi", "loss", "median"))
    calm = check.views[CALM](frame, DRAWS).value
    assert (calm.value, calm.count) == (
        pytest.approx(spearman(frame, "sgi", "loss", kept=free)),
        17,
    )
    own = [scipy.stats.spearmanr(s["sgi"], s["loss"]).statistic for _, s in frame.groupby("seed")]
    assert check.views[BY_SEED](frame, DRAWS).value.value == pytest.approx(np.mean(own))
    few = frame.assign(clamped_steps=1.0 * (frame["lr"] > 2e-4))
    assert check.views[CALM](few, DRAWS) is None  # 6 points are no statistic
    assert check.views[COUNTED](frame, DRAWS) is None  # nobody measured it


def test_zero_gradients_count_as_zero_over_the_seeds_that_were_measured(frame):
    measured = frame["seed"] < 5
    some = frame.assign(sgi_zero=np.where(measured, -frame["sgi"], np.nan))
    found = kinds.rho("sgi", "loss", 1).views[COUNTED](some, DRAWS)
    expected = spearman(some[measured], "sgi_zero", "loss")
    assert found.value.value == pytest.approx(expected)
    assert found.word == CONTRADICTED


def test_differences_of_rho_by_scipy(frame):
    gap = kinds.rho_gap("sgi", "qgi_plus", "loss")
    expected = spearman(frame, "sgi", "loss") - spearman(frame, "qgi_plus", "loss")
    assert gap.primary(frame, DRAWS).value.value == pytest.approx(expected)
    broken = kinds.clamping_gap("sgi", "loss")
    free = frame.groupby(["lr", "norm"])["clamped_steps"].max() == 0
    expected = spearman(frame, "sgi", "loss", kept=free) - spearman(frame, "sgi", "loss")
    assert broken.primary(frame, DRAWS).value.value == pytest.approx(expected)
    nothing = broken.primary(frame.assign(clamped_steps=0.0), DRAWS)
    assert (nothing.value[:3], nothing.word) == ((0.0, 0.0, 0.0), UNDECIDED)


def test_injection_compares_a_run_with_itself(frame):
    few = frame["lr"] < 2e-5
    some = frame.assign(gi2=frame["sgi"], injected_gi2=frame["sgi"] + np.where(few, -1.0, 1.0))
    others = [name for name in INTERFERENCE if name != "gi2"]
    some = some.assign(**{f"injected_{name}": 0.0 for name in others})
    some = some.assign(**{name: 0.0 for name in others if name not in some})
    found = kinds.injection().primary(some[some["norm"] == "none"], DRAWS)
    assert found.value[:3] == (8, 1, 0)


def test_returns_and_their_views_by_pandas(frame):
    some = frame.assign(uniform_return=-2.0, untrained_return=-3.0)
    table = some.groupby(["seed", "norm"])["return"].mean().unstack()
    check = kinds.gain("layer", "none", 1)
    value = check.primary(some, DRAWS).value
    assert value.value == pytest.approx((table["layer"] - table["none"]).mean())
    free = some[some["lr"] < 0.05].groupby("norm")["return"].mean()
    assert check.views[CALM](some, DRAWS).value.value == pytest.approx(free["layer"] - free["none"])
    assert set(check.views) == {CALM, BEST}
    random = kinds.gain("layer", "uniform", 1, "untrained")
    assert set(random.views) == {CALM, OTHER_RANDOM}
    mean = table["layer"].mean()
    assert random.primary(some, DRAWS).value.value == pytest.approx(mean + 2)
    assert random.views[OTHER_RANDOM](some, DRAWS).value.value == pytest.approx(mean + 3)


def gaining(stream: int, seeds: int, spread: float) -> pd.DataFrame:
    """LN returns 1 more than None."""
    draw = noise(stream)

    def value(lr, norm, seed):
        return (norm == "layer") + spread * draw(lr, norm, seed)

    return runs(seeds=seeds, **{"return": value})


@pytest.mark.parametrize(
    ("offset", "word"),
    [(0.0, SUPPORTED), (0.1, SUPPORTED), (0.5, CONTRADICTED), (-0.5, CONTRADICTED)],
)
def test_equivalence_within_a_margin(offset, word):
    draw = noise(31)
    frame = runs(
        seeds=8,
        **{"return": lambda lr, norm, seed: (norm == "layer") + 0.01 * draw(lr, norm, seed)},
    )
    third = frame[frame["norm"] == "layer"].assign(network="crossq", norm="crossq")
    both = pd.concat([frame, third.assign(**{"return": third["return"] + offset})])
    assert kinds.equivalent("crossq", "layer", 0.2).primary(both, DRAWS).word == word


def test_an_equivalence_that_the_seeds_cannot_see_is_undecided():
    frame = gaining(32, 4, 0.1)
    third = frame[frame["norm"] == "none"].assign(network="crossq", norm="crossq")
    third["return"] += 0.8 + np.where(third["seed"] % 2, 0.6, -0.6)
    found = kinds.equivalent("crossq", "layer", 0.2).primary(pd.concat([frame, third]), DRAWS)
    assert found.word == UNDECIDED


def test_counts_have_no_interval(frame):
    some = kinds.clamped_runs(1).primary(frame, DRAWS)
    assert (some.word, some.value[:3]) == (SUPPORTED, (8.0, 8.0, 8.0))
    assert kinds.clamped_runs(-1).primary(frame, DRAWS).word == CONTRADICTED


def test_theorems_are_checked_against_something_that_breaks_them():
    def dependent():
        laws = theory.random_laws(200, 5, 0)
        return laws.loc[~laws["independent"], "loss_ratio"].max(), 200

    broken = kinds.theorem("Theorem 3 without independence", dependent, 1 + 1e-9)
    assert broken.primary(pd.DataFrame(), DRAWS).word == CONTRADICTED


def test_a_trend_that_is_broken(frame):
    turned = kinds.breaks(kinds.rho("sgi", "loss", 1))
    assert turned.primary(frame, DRAWS).word == CONTRADICTED
    assert turned.primary(frame.assign(loss=-frame["loss"]), DRAWS).word == SUPPORTED
    assert turned.text == "not so: rho(SGI, loss) > 0"
    unclear = kinds.breaks(kinds.rho("qgi_plus", "loss", 1))
    found = kinds.rho("qgi_plus", "loss", 1).primary(frame, DRAWS).word
    expected = {NO_LINK: SUPPORTED, UNDECIDED: UNDECIDED}
    assert unclear.primary(frame, DRAWS).word == expected[found]
