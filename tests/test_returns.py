"""Returns averaged over learning rates and at each network's best one, by hand and by pandas."""

import numpy as np
import pandas as pd
import pytest
from points import RATES, noise, runs

from lnqbook import returns


def test_the_best_rate_of_one_half_is_scored_on_the_other():
    even, odd = np.array([1.0, 5.0, 3.0]), np.array([2.0, 1.0, 4.0])
    # even chooses the second rate, worth 1 to odd; odd the third, worth 3 to even
    assert returns.crossfit(even, odd) == pytest.approx((1 + 3) / 2)
    both = returns.crossfit(np.stack([even, odd]), np.stack([odd, even]))
    assert both.tolist() == [2.0, 2.0]


def test_a_network_is_not_praised_for_the_luck_of_its_choice():
    draw = noise(11)  # nothing but noise: the best of nine rates seems better than it is
    frame = runs(seeds=20, **{"return": draw})
    honest = returns.scores(frame, ("none",), "best")
    best = frame[frame["norm"] == "none"].groupby("lr")["return"].mean().max()
    assert honest.means[0] < best
    assert abs(honest.means[0]) < 0.5


@pytest.mark.parametrize("seeds", [2, 3])
def test_a_half_of_one_seed_has_no_interval(seeds):
    found = returns.gain(runs(seeds=seeds, **{"return": noise(3)}), "layer", "none", "best")
    assert found is not None and not np.isfinite(found.interval.low)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    draw = noise(12)

    def value(lr, norm, seed):
        peak = 1e-3 if norm == "layer" else 1e-4
        return (
            (10 if norm == "layer" else 6) - abs(np.log10(lr / peak)) + 0.1 * draw(lr, norm, seed)
        )

    return runs(seeds=10, **{"return": value}).assign(uniform_return=1.0)


def test_scores_by_pandas(frame):
    table = frame.groupby(["seed", "norm"])["return"].mean().unstack()
    found = returns.scores(frame, ("layer", "none"))
    assert found.means == pytest.approx(table[["layer", "none"]].mean())
    assert (found.seeds, found.rates) == (10, 9)
    gain = returns.gain(frame, "layer", "none", "average")
    assert gain.value == pytest.approx((table["layer"] - table["none"]).mean())

    best = returns.scores(frame, ("layer", "none"), "best")
    assert [len(rates) for rates in best.chosen] == [1, 1]
    assert np.ravel(best.chosen) == pytest.approx([1e-3, 1e-4])
    at = frame[np.isclose(frame["lr"], np.where(frame["norm"] == "layer", 1e-3, 1e-4))]
    halves = at.groupby(["norm", at["seed"] % 2])["return"].mean().groupby("norm").mean()
    assert best.means == pytest.approx(halves[["layer", "none"]].to_numpy())
    interval = best.of(lambda a, b: a - b).interval
    assert interval.low < interval.value < interval.high


def test_a_policy_returns_the_same_at_every_rate(frame):
    for over in ("average", "best", "calm"):
        assert returns.scores(frame, ("uniform",), over).means == pytest.approx([1.0])


def test_the_choice_is_made_anew_in_every_resample():
    """Two rates of which each is best for some seeds: resamples choose differently."""
    frame = runs(
        seeds=8,
        rates=RATES[:2],
        **{"return": lambda lr, norm, seed: float((lr == RATES[0]) == (seed % 4 < 2))},
    )
    draws = returns.scores(frame, ("none",), "best").draws
    assert len(np.unique(draws)) > 3


def test_rates_without_a_clamped_run(frame):
    hit = (frame["lr"] > 2e-4) & (frame["norm"] == "none")
    some = frame.assign(clamped_steps=1.0 * hit)
    calm = returns.scores(some, ("layer", "none"), "calm")
    kept = some[some["lr"] < 2e-4].groupby("norm")["return"].mean()
    assert calm.means == pytest.approx(kept[["layer", "none"]].to_numpy())
    assert returns.scores(some, ("layer",), "calm").rates == 9  # LN alone was never clamped
    assert returns.scores(some.assign(clamped_steps=1.0), ("layer",), "calm") is None


def test_shares_of_the_gain(frame):
    other = frame[frame["norm"] == "none"].assign(network="rms", norm="rms")
    other["return"] += 1.0
    both = pd.concat([frame, other])
    mean = frame.groupby("norm")["return"].mean()
    share = returns.share(both, "rms", "none", "average")
    assert share.value == pytest.approx(1 / (mean["layer"] - mean["none"]))


def test_what_part_of_the_gain_comes_from_rates_at_which_none_always_diverged():
    gains = {1e-1: 6.0, 1e-2: -1.0, 1e-3: 1.0}
    frame = runs(
        rates=tuple(gains), **{"return": lambda lr, norm, _: gains[lr] if norm == "layer" else 0.0}
    )
    every = (frame["lr"] == 1e-1) & (frame["norm"] == "none")
    one = (frame["lr"] == 1e-3) & (frame["norm"] == "none") & (frame["seed"] == 0)
    share = returns.share_where_none_is_clamped(frame.assign(clamped_steps=1.0 * (every | one)))
    assert share[:3] == pytest.approx((1.0, 1.0, 1.0))  # 6 of 6
    none = returns.share_where_none_is_clamped(frame)
    assert none.value == 0


def test_one_seed_is_too_few_to_choose_and_score(frame):
    found = returns.scores(frame[frame["seed"] == 0], ("layer", "none"), "best")
    assert np.isnan(found.means).all()
    assert np.isnan(found.of(lambda a, b: a - b).interval.low)
