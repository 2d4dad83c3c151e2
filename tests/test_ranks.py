"""Chance bounds against published tables, correlations against scipy, the placebo by hand."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from points import noise, runs

from lnqbook import ranks


@pytest.mark.parametrize(
    ("points", "published"),  # Zar, Biostatistical Analysis, table B.20: two-tailed, 5%
    {6: 0.886, 7: 0.786, 8: 0.738, 9: 0.700, 10: 0.648, 12: 0.587, 14: 0.538, 18: 0.472}.items(),
)
def test_the_bound_of_random_order_is_the_published_one(points, published):
    assert ranks.chance_bound(points) == pytest.approx(published, abs=0.004)


def test_random_orders_reach_the_bound_in_one_of_twenty_cases():
    rng = np.random.default_rng(5)
    rhos = [scipy.stats.spearmanr(*rng.random((2, 18))).statistic for _ in range(2000)]
    assert np.mean(np.abs(rhos) >= ranks.chance_bound(18)) == pytest.approx(0.05, abs=0.015)


def test_too_few_points_have_no_bound():
    with pytest.raises(ValueError, match="points is 4; it must be 5 or more; write"):
        ranks.chance_bound(4)


def by_point(frame: pd.DataFrame, how: str) -> pd.DataFrame:
    return frame.groupby(["lr", "norm"])[["sgi", "loss"]].agg(how)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    sgi, loss = noise(1), noise(2)
    return runs(sgi=lambda *at: -np.log(at[0]) + 4 * sgi(*at), loss=lambda *at: loss(*at) - at[0])


@pytest.mark.parametrize(("how", "over_seeds"), [("mean", np.mean), ("median", np.median)])
def test_rho_of_the_seeds_means_and_medians(frame, how, over_seeds):
    table = by_point(frame, how)
    expected = scipy.stats.spearmanr(table["sgi"], table["loss"]).statistic
    found = ranks.rho(frame, "sgi", "loss", over_seeds=over_seeds, seed=3)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert (found.interval.count, found.seeds) == (18, 6)


def test_each_seeds_own_rho_averaged(frame):
    own = [
        scipy.stats.spearmanr(some["sgi"], some["loss"]).statistic
        for _, some in frame.groupby("seed")
    ]
    found = ranks.rho_by_seed(frame, "sgi", "loss")
    assert found.value == pytest.approx(np.mean(own), abs=1e-12)
    theirs = scipy.stats.bootstrap((own,), np.mean, method="percentile", rng=1).confidence_interval
    assert found.interval[1:3] == pytest.approx(tuple(theirs), abs=0.05)
    assert found.interval.count == 18


def test_a_stream_of_its_own(frame):
    a, b, again = (ranks.rho(frame, "sgi", "loss", seed=seed) for seed in (1, 2, 1))
    assert (a.draws == again.draws).all()
    assert not (a.draws == b.draws).all()


def test_the_level_at_which_an_interval_is_still_clear_of_a_number():
    draws = np.arange(1, 1000) / 1000  # 0.001 to 0.999
    found = ranks.Resampled(0.5, draws, 9, 9)
    assert found.p(0.0, 1) == pytest.approx(2 / 1000)
    assert found.p(0.01, 1) == pytest.approx(2 * 11 / 1000)
    assert found.p(0.0, -1) == 1.0


def two_tasks() -> pd.DataFrame:
    """SGI is the rate's order in both; the loss follows it in Pendulum and reverses in CartPole."""
    pendulum = runs(sgi=lambda lr, *_: lr, loss=lambda lr, *_: lr)
    cartpole = runs("CartPole", sgi=lambda lr, *_: lr, loss=lambda lr, *_: -lr)
    frame = pd.concat([pendulum, cartpole])
    shift = 1e-9 * (frame["norm"] == "layer")  # no ties
    return frame.assign(sgi=frame["sgi"] + shift, loss=frame["loss"] + shift)


def test_the_placebo_matrix_by_hand():
    frame = two_tasks()
    found = ranks.placebo(frame, "sgi", "loss")
    means = frame.groupby(["env", "lr", "norm"])[["sgi", "loss"]].mean()
    for a in found.matrix.index:
        for b in found.matrix.columns:
            expected = scipy.stats.spearmanr(means.loc[a]["sgi"], means.loc[b]["loss"]).statistic
            assert found.matrix.loc[a, b] == pytest.approx(expected)
    own = found.matrix.loc["Pendulum", "Pendulum"] - found.matrix.loc["Pendulum", "CartPole"]
    assert found.excess["Pendulum"].value == pytest.approx(own) and own > 1.9
    assert found.excess["CartPole"].value < -1.9
    assert found.own.value == pytest.approx(np.diag(found.matrix).mean())
    off = (found.matrix.to_numpy().sum() - np.trace(found.matrix)) / 2
    assert found.others.value == pytest.approx(off)
    assert found.difference.value == pytest.approx(found.own.value - found.others.value)


def test_the_placebos_seeds_are_resampled_task_by_task():
    draw, other = noise(3), noise(4)
    pair = [
        runs(env, sgi=draw, loss=lambda *at: draw(*at) + other(*at))
        for env in ("CartPole", "Pendulum")
    ]
    same = ranks.placebo(pd.concat(pair), "sgi", "loss")
    assert same.difference.value == pytest.approx(0)  # both tasks hold the same numbers
    assert same.difference.low < same.difference.high


def test_one_task_has_no_placebo():
    frame = two_tasks()
    assert ranks.placebo(frame[frame["env"] == "Pendulum"], "sgi", "loss") is None
    assert ranks.placebo(frame[frame["lr"] > 0.02], "sgi", "loss") is None  # 4 points
