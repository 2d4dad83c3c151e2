"""Statistics against scipy, hand-computed cases and exact enumeration."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from lnqbook import stats
from lnqlib.results import INTERFERENCE

LRS = (1e-1, 1e-2, 1e-3)


def frame(metrics, norms=("none", "layer"), lrs=LRS, clamped=()):
    """Runs of one environment; each metric is an array (norms, lrs, seeds)."""
    shape = next(iter(metrics.values())).shape
    rows = [
        {"env": "Pendulum", "norm": norms[i], "lr": lrs[j], "seed": k}
        | {name: values[i, j, k] for name, values in metrics.items()}
        | {"clamped_steps": int((norms[i], lrs[j], k) in clamped)}
        for i, j, k in np.ndindex(shape)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)  # the order of rows must not matter


def test_interval_of_two_values_is_the_exact_bootstrap():
    # resampled means of {0, 1} are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
    assert stats.bootstrap_interval([0.0, 1.0])[:3] == (0.5, 0.0, 1.0)
    assert stats.bootstrap_interval([0.0, 1.0], level=0.4)[:3] == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_interval_agrees_with_scipy(statistic):
    values = np.random.default_rng(1).gamma(2.0, size=25)
    ours = stats.bootstrap_interval(values, statistic, level=0.9, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), statistic, confidence_level=0.9, n_resamples=20_000, method="percentile", rng=2
    )
    assert ours.value == statistic(values)
    assert np.allclose(ours[1:3], theirs.confidence_interval, atol=0.02 * values.std())


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    samples = rng.normal(5.0, 1.0, size=(400, 30))
    intervals = [stats.bootstrap_interval(s, resamples=500, seed=i) for i, s in enumerate(samples)]
    coverage = np.mean([i.low <= 5.0 <= i.high for i in intervals])
    assert 0.90 <= coverage <= 0.98


def test_values_that_are_not_finite_are_counted():
    interval = stats.bootstrap_interval([1.0, np.nan, 3.0, np.inf])
    assert interval.value == 2.0
    assert interval.count == 2
    assert interval.left_out == 2
    nothing = stats.bootstrap_interval([np.nan, np.inf])
    assert np.isnan(nothing.value)
    assert (nothing.count, nothing.left_out) == (0, 2)


def test_one_seed_has_no_interval():
    interval = stats.bootstrap_interval([4.0])
    assert interval.value == 4.0
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)
    assert interval.sign == 0
    assert f"{interval:.1f}" == "4.0"


def test_the_geometric_mean_is_scipys_and_turns_over_with_its_values():
    values = np.random.default_rng(0).lognormal(size=30)
    mean, inverse = stats.geometric_mean(values), stats.geometric_mean(1 / values)
    assert mean.value == pytest.approx(scipy.stats.gmean(values))
    assert mean.low < mean.value < mean.high
    assert (inverse.low, inverse.high) == pytest.approx((1 / mean.high, 1 / mean.low))
    assert stats.geometric_mean(np.array([1.0, 4.0, np.inf])).left_out == 1


def test_interval_sign_and_format():
    assert stats.Interval(-0.5, -0.75, -0.25, 9).sign == -1
    assert stats.Interval(0.5, 0.25, 0.75, 9).sign == 1
    assert stats.Interval(0.5, -0.25, 0.75, 9).sign == 0
    text = f"{stats.Interval(-0.5, -0.754, -0.25, 9):.2f}"
    assert text == "-0.50 [-0.75, -0.25]".replace(" ", stats.NBSP)
    assert f"{stats.Interval(0.5, np.nan, np.nan, 1.0, 2.0):.1f}" == "0.5 (2 left out)"


def test_spearman_agrees_with_scipy_on_ties_and_gaps():
    rng = np.random.default_rng(4)
    for _ in range(50):
        x, y = rng.integers(0, 6, size=(2, 18)).astype(float)
        x[rng.random(18) < 0.2] = np.nan
        theirs = scipy.stats.spearmanr(x, y, nan_policy="omit").statistic
        assert stats.spearman(x, y) == pytest.approx(theirs, abs=1e-12)


def test_spearman_by_hand():
    assert stats.spearman([1, 2, 3, 4], [10, 1e30, 1e31, 1e32]) == 1.0
    assert stats.spearman([1, 2, 3], [3, 1, 2]) == -0.5  # 1 - 6 (4 + 1 + 1) / (3 * 8)
    assert stats.spearman([1, 2, 3], [1, 2, np.inf]) == 1.0  # an infinity has a rank
    assert np.isnan(stats.spearman([1, 2, 3], [5, 5, 5]))
    assert np.isnan(stats.spearman([1, 2, np.nan], [1, 2, 3]))


def test_spearman_is_vectorised_over_leading_axes():
    x, y = np.random.default_rng(5).normal(size=(2, 7, 18))
    rows = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert np.allclose(stats.spearman(x, y), rows, atol=1e-12)


def test_spearman_interval_is_the_bootstrap_over_seeds_done_by_scipy():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, 3, 12)) + np.arange(6).reshape(2, 3, 1)
    y = -x + rng.normal(scale=2.0, size=x.shape)
    points = (x.reshape(6, 12), y.reshape(6, 12))

    def rho(*seeds):
        seeds = np.asarray(seeds[0], int)
        return scipy.stats.spearmanr(*(p[:, seeds].mean(1) for p in points)).statistic

    theirs = scipy.stats.bootstrap(
        (np.arange(12),), rho, vectorized=False, n_resamples=4000, method="percentile", rng=7
    )
    ours = stats.spearman_interval(frame({"x": x, "y": y}), "x", "y", resamples=4000)
    assert ours.value == pytest.approx(rho(range(12)), abs=1e-12)
    assert np.allclose(ours[1:3], theirs.confidence_interval, atol=0.06)
    assert (ours.count, ours.left_out) == (6, 0)


def test_spearman_interval_resamples_the_same_seeds_for_every_point_and_metric():
    rng = np.random.default_rng(8)
    # a seed's noise shared by all points moves every mean alike and leaves the ranks alone
    shared = np.arange(6.0).reshape(2, 3, 1) + rng.normal(scale=100.0, size=10)
    ordered = np.arange(6.0).reshape(2, 3, 1) + np.zeros(10)
    interval = stats.spearman_interval(frame({"x": shared, "y": ordered}), "x", "y")
    assert interval[:3] == (1.0, 1.0, 1.0)
    # each point's own noise moves x and y alike
    own = rng.normal(size=(2, 3, 10))
    interval = stats.spearman_interval(frame({"x": own, "y": 2 * own}), "x", "y")
    assert interval[:3] == (1.0, 1.0, 1.0)


def test_clamped_points_can_be_left_out():
    x = np.broadcast_to(np.array([[0.0, 1, 2], [3, 4, 5]])[..., None], (2, 3, 4))
    y = x.copy()
    y[1, 2] = -10.0  # the one point that breaks the order had one clamped seed
    runs = frame({"x": x, "y": y}, clamped={("layer", LRS[2], 1)})
    assert stats.spearman_interval(runs, "x", "y").value < 0.5
    kept = stats.spearman_interval(runs, "x", "y", clamped=False)
    assert (kept.value, kept.count, kept.left_out) == (1.0, 5, 0)
    nothing = stats.spearman_interval(runs.assign(clamped_steps=1), "x", "y", clamped=False)
    assert np.isnan(nothing.value)
    assert nothing.count == 0


def test_spearman_interval_counts_points_without_a_finite_value():
    x = np.arange(24.0).reshape(2, 3, 4)
    y = x.copy()
    y[0, 0, :] = np.nan  # a whole point
    y[0, 1, 0] = np.inf  # one seed of a point: its mean is over the others
    interval = stats.spearman_interval(frame({"x": x, "y": y}), "x", "y")
    assert (interval.value, interval.count, interval.left_out) == (1.0, 5, 1)


def test_paired_effect_by_hand():
    none = np.array([[1.0, 2, 3], [0, 0, 0], [5, np.nan, 5]])
    layer = np.array([[2.0, 4, 6], [-1, -1, -1], [6, 6, 8]])
    effects = stats.paired_effect(frame({"m": np.stack([none, layer])}), "m").set_index("lr")
    assert effects["value"].to_dict() == {1e-1: 2.0, 1e-2: -1.0, 1e-3: 2.0}
    assert effects["count"].to_dict() == {1e-1: 3, 1e-2: 3, 1e-3: 2}
    assert effects.loc[1e-3, "left_out"] == 1
    assert (effects.loc[1e-1, "low"], effects.loc[1e-1, "high"]) == (1.0, 3.0)


def test_pairing_removes_the_noise_that_seeds_share():
    noise = np.random.default_rng(9).normal(scale=100.0, size=(1, 3, 10))
    runs = frame({"m": noise + np.array([0.0, 1.0]).reshape(2, 1, 1)})
    effects = stats.paired_effect(runs, "m")
    assert np.allclose(effects[["value", "low", "high"]], 1.0)


def test_sign_share_by_hand():
    layer = np.array([[1.0, 1], [-1, -1], [2, 3]])
    runs = frame({"m": np.stack([np.zeros((3, 2)), layer])})
    up, down = (stats.sign_share(runs, "m", sign) for sign in (1, -1))
    assert up[:4] == (2 / 3, 2 / 3, 2 / 3, 3)
    assert down.value == pytest.approx(1 / 3)
    layer[0] = [3, -1]  # mean 1; the resample of the second seed alone, one in four, turns it
    unsure = stats.sign_share(frame({"m": np.stack([np.zeros((3, 2)), layer])}), "m", 1)
    assert unsure[:3] == (2 / 3, 1 / 3, 2 / 3)
    nothing = frame({"m": np.zeros((2, 3, 2))})  # no effect has neither sign
    assert [stats.sign_share(nothing, "m", sign).value for sign in (1, -1)] == [0.0, 0.0]


def test_sign_agreement_by_hand():
    x = np.stack([np.zeros((3, 2)), [[1, 1], [1, 1], [-1, -1]]])
    y = np.stack([np.zeros((3, 2)), [[5, 5], [-5, -5], [-5, -5]]])
    runs = frame({"x": x, "y": y})
    same, opposite = (stats.sign_agreement(runs, "x", "y", sign) for sign in (1, -1))
    assert same[:4] == (2 / 3, 2 / 3, 2 / 3, 3)
    assert opposite.value == pytest.approx(1 / 3)


def test_switched_measurements_stand_beside_the_others_as_norms_of_their_own():
    values = {name: np.zeros((2, 3, 4)) for name in INTERFERENCE}
    values |= {f"injected_{name}": np.ones((2, 3, 4)) for name in INTERFERENCE}
    values["injected_gi2"] = np.arange(24.0).reshape(2, 3, 4)
    runs = frame(values | {"loss": np.arange(24.0).reshape(2, 3, 4)})
    both = stats.with_switched(runs)
    assert len(both) == 2 * len(runs)
    for norm, source in (("injected", "none"), ("removed", "layer")):
        got, trained = (both[both.norm == n].set_index(["lr", "seed"]) for n in (norm, source))
        assert got["gi2"].equals(trained["injected_gi2"])
        assert got["loss"].equals(trained["loss"])
        assert (got["sgi"] == 1).all()
        assert (trained["sgi"] == 0).all()
    effects = stats.paired_effect(both, "gi2", "injected", "none").set_index("lr")["value"]
    assert effects[1e-1] == np.mean([0, 1, 2, 3])


def test_with_controls_gives_each_control_a_name_of_its_own():
    runs = frame({"return": np.arange(24.0).reshape(2, 3, 4)}).assign(lr_control="none")
    decayed = runs[runs.norm == "none"].assign(lr_control="own_decay")
    decayed["return"] += 5
    projected = runs[runs.norm == "layer"].assign(lr_control="project")
    arms = stats.with_controls(pd.concat([runs, decayed, projected]))
    assert arms["norm"].value_counts().to_dict() == dict.fromkeys(
        ("none", "layer", "own_decay", "project"), 12
    )
    effects = stats.paired_effect(arms, "return", "own_decay", "none")
    assert effects["value"].tolist() == [5.0] * 3
    assert (stats.paired_effect(arms, "return", "project", "layer")["value"] == 0).all()


def test_by_env_keeps_environments_apart():
    runs = frame({"return": np.full((1, 3, 4), 1.0)}, norms=("layer",))
    both = pd.concat([runs.assign(env="Acrobot", **{"return": 2.0}), runs])
    cells = stats.by_env(both, stats.table_cell)
    assert list(cells.index) == ["Acrobot", "Pendulum"]
    assert [cell.value for cell in cells] == [2.0, 1.0]


def test_table_cell_averages_learning_rates_within_a_seed_first():
    values = np.array([[[0.0, 10], [100, 110], [200, 210]]])  # (norm, lr, seed)
    cell = stats.table_cell(frame({"return": values}, norms=("layer",)))
    assert cell[:4] == (105.0, 100.0, 110.0, 2)  # seeds' means 100 and 110: the lr's spread is gone


def test_table_cell_leaves_out_seeds_with_a_gap():
    values = np.array([[[0.0, 10, 20], [0, np.inf, 20], [0, 10, 20]]])
    runs = frame({"return": values}, norms=("layer",))
    cell = stats.table_cell(runs)
    assert (cell.value, cell.count, cell.left_out) == (10.0, 2, 1)
    missing = runs[~((runs.seed == 2) & (runs.lr == 1e-1))]
    assert stats.table_cell(missing)[3:] == (1, 2)


def test_point_summary_marks_points_with_a_clamped_seed():
    values = np.arange(24.0).reshape(2, 3, 4)
    summary = stats.point_summary(
        frame({"m": values}, clamped={("none", 1e-1, 3)}), "m", resamples=100
    )
    marked = summary[summary.clamped]
    assert marked[["norm", "lr"]].to_numpy().tolist() == [["none", 1e-1]]
    assert sorted(summary.value) == sorted(values.mean(-1).ravel())


def test_mixed_frames_are_refused():
    runs = frame({"m": np.zeros((2, 3, 4))})
    twice = pd.concat([runs, runs.assign(env="Acrobot")])
    for call in (
        lambda: stats.paired_effect(twice, "m"),
        lambda: stats.spearman_interval(twice, "m", "m"),
    ):
        with pytest.raises(ValueError, match="select one environment"):
            call()
    with pytest.raises(ValueError, match="one norm, the frame holds layer, none"):
        stats.table_cell(runs, "m")


@pytest.mark.parametrize("count", [2, 3])
def test_the_caution_for_few_seeds_says_how_often_an_interval_misses(count):
    values = np.random.default_rng(count).normal(size=(2000, count))
    intervals = [stats.bootstrap_interval(row, resamples=500) for row in values]
    clear = np.mean([interval.sign != 0 for interval in intervals])
    assert clear == pytest.approx(2.0 ** (1 - count), abs=0.04)
    said = stats.few_seeds(count)
    assert f"have {count} seeds" in said and f"clear of 0 in about {2.0 ** (1 - count):.0%}" in said


def test_the_caution_ends_where_seeds_are_enough():
    assert stats.few_seeds(1) == "These runs have one seed, and so no intervals."
    assert "too narrow" in stats.few_seeds(4) and "too narrow" in stats.few_seeds(9)
    assert stats.few_seeds(10) == stats.few_seeds(30) == ""


@pytest.mark.parametrize("over_seeds", [np.mean, np.median])
@pytest.mark.parametrize("seeds", [1, 2, 7, 10])
def test_resamples_are_those_of_the_drawn_values(over_seeds, seeds):
    rng = np.random.default_rng(seeds)
    column = rng.integers(5, size=(seeds, 4)) * 10.0 ** rng.integers(9, size=(seeds, 4))  # ties
    draws = stats._draws(seeds, 200, 0)
    theirs = over_seeds(column[draws], axis=1)
    assert np.allclose(stats.means_of(column, 200, over_seeds), theirs, rtol=1e-12)
    column[0, 0] = np.inf  # has no place in a mean or median
    finite = np.where(np.isfinite(column), column, np.nan)[draws]
    ours = stats.means_of(column, 200, over_seeds)
    assert np.allclose(ours[:, 1:], theirs[:, 1:], rtol=1e-12)
    rest = {np.mean: np.nanmean, np.median: np.nanmedian}[over_seeds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample of that seed alone
        assert np.allclose(ours[:, 0], rest(finite, axis=1)[:, 0], rtol=1e-12, equal_nan=True)


def test_medians_are_not_moved_by_one_diverged_seed():
    x = np.broadcast_to(np.arange(6.0).reshape(2, 3, 1), (2, 3, 9)).copy()
    y = x.copy()
    y[0, 0, 0] = 1e30
    runs = frame({"x": x, "y": y})
    assert stats.spearman_interval(runs, "x", "y").value < 0.5
    assert stats.spearman_interval(runs, "x", "y", over_seeds=np.median)[:3] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_coverage_counts_the_intervals_that_hold_the_truth_on_either_side(sign):
    """One seed of two says rho = sign, the other, twice as loud, -sign, and so do both together.

    Of two drawn seeds a quarter are twice the first: their interval is sign alone, and misses.
    """
    ranks = np.arange(6.0).reshape(2, 3)  # (norms, lrs)
    y = sign * np.stack([ranks, -2 * ranks], axis=-1)  # (norms, lrs, seeds)
    runs = frame({"x": np.stack([ranks, ranks], axis=-1), "y": y})
    assert stats.coverage(runs, "x", "y", seeds=2) == pytest.approx(0.75, abs=0.1)
    assert stats.coverage(runs, "x", "y", seeds=50) > 0.9
    assert stats.coverage(runs, "x", "x", seeds=2) == 1.0


def test_norms_without_a_common_learning_rate_have_no_differences():
    x = np.arange(24.0).reshape(2, 3, 4)
    runs = frame({"x": x, "y": x})
    apart = runs[(runs["norm"] == "none") == (runs["lr"] == runs["lr"].max())]
    assert stats.paired_effect(apart, "x").empty
    for interval in (stats.sign_share(apart, "x", 1), stats.sign_agreement(apart, "x", "y", 1)):
        assert interval.count == 0 and np.isnan(interval.value)


def test_several_metrics_by_point():
    x = np.arange(24.0).reshape(2, 3, 4)
    runs = frame({"x": x, "y": -x})
    first, second, again = stats.by_points(runs, "x", "y", "x")
    assert first.shape == (4, 6)
    assert np.array_equal(first, again) and np.array_equal(second, -first)
    assert [table.shape for table in stats.by_points(runs[:0], "x", "y")] == [(0, 0), (0, 0)]
    with pytest.raises(KeyError):
        stats.by_points(runs[:0], "z")


ONE, TWO = np.arange(3.0), np.ones((3, 2))
RUNS = frame({"x": np.arange(24.0).reshape(2, 3, 4)})
REFUSED = {
    "values (seeds, points)": (
        lambda: stats.bootstrap_interval(TWO),
        r"values has the shape \(3, 2\); it must be \(seeds,\), .*; pass .*mean\(axis=1\)",
    ),
    "a single number": (lambda: stats.bootstrap_interval(4.0), r"the shape \(\)"),
    "a level in percent": (
        lambda: stats.bootstrap_interval(ONE, level=95),
        "level is 95; it must be a number between 0 and 1; write level=0.95",
    ),
    "a level of NaN": (lambda: stats.bootstrap_interval(ONE, level=np.nan), "level is nan"),
    "a level in words": (lambda: stats.bootstrap_interval(ONE, level="95%"), "level is '95%'"),
    "no resamples": (
        lambda: stats.bootstrap_interval(ONE, resamples=0),
        "resamples is 0; it must be a whole number from 1; write resamples=1000",
    ),
    "half resamples": (lambda: stats.bootstrap_interval(ONE, resamples=1e3), "resamples is 1000.0"),
    "a seed below 0": (lambda: stats.bootstrap_interval(ONE, seed=-1), "seed is -1"),
    "a negative value": (lambda: stats.geometric_mean([1.0, -4.0]), "values holds -4.0; .*pos"),
    "a column (seeds,)": (
        lambda: stats.joint_interval(stats.spearman, ONE, ONE),
        r"shapes \(3,\), \(3,\); all must have one shape, \(seeds, points\)",
    ),
    "columns of different seeds": (
        lambda: stats.joint_interval(stats.spearman, TWO, TWO[:2]), r"\(3, 2\), \(2, 2\)"
    ),
    "no columns": (lambda: stats.joint_interval(np.mean), "shapes of none"),
    "a statistic over seeds that is neither": (
        lambda: stats.spearman_interval(RUNS, "x", "x", over_seeds=np.max),
        "over_seeds is .*; it must be np.mean or np.median; write over_seeds=np.mean",
    ),
    "no joint resamples": (
        lambda: stats.spearman_interval(RUNS, "x", "x", resamples=0), "resamples is 0"
    ),
    "returns of other seeds": (
        lambda: stats.share_of_gain(ONE, ONE, ONE, ONE[:1]), r"\(3,\), \(3,\), \(3,\), \(1,\)"
    ),
    "returns (seeds, lrs)": (lambda: stats.share_of_gain(TWO, TWO, TWO, TWO), r"\(3, 2\)"),
    "no seeds to caution of": (lambda: stats.few_seeds(0), "count is 0"),
    "one y for three x": (
        lambda: stats.spearman(ONE, [1.0]), r"x has the shape \(3,\) and y \(1,\)"
    ),
    "numbers to rank": (lambda: stats.spearman(1.0, 2.0), r"x has the shape \(\)"),
    "coverage of one seed": (lambda: stats.coverage(RUNS, "x", "x", seeds=1), "seeds is 1"),
    "coverage in no trial": (
        lambda: stats.coverage(RUNS, "x", "x", seeds=2, trials=0), "trials is 0"
    ),
    "coverage of no runs": (lambda: stats.coverage(RUNS[:0], "x", "x", seeds=2), "no runs"),
    "the share of no sign": (lambda: stats.sign_share(RUNS, "x", 0), "sign is 0; .* 1 or -1"),
    "agreement of sign 2": (lambda: stats.sign_agreement(RUNS, "x", "x", 2), "sign is 2"),
    "another norm switched": (
        lambda: stats.with_switched(RUNS.assign(norm="rms")), "holds the norms rms"
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, sentence", REFUSED.values(), ids=REFUSED)
def test_what_would_give_a_wrong_number_is_refused_in_a_sentence(call, sentence):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=sentence) as refused:
        warnings.simplefilter("error")
        call()
    assert "\n" not in str(refused.value)


def test_an_underflow_has_no_geometric_mean_and_is_counted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = stats.geometric_mean([0.0, 4.0, 9.0])
    assert mean.value == pytest.approx(6.0) and (mean.count, mean.left_out) == (2, 1)


def test_by_env_drops_no_task():
    runs = frame({"return": np.full((1, 3, 4), 1.0)}, norms=("layer",))
    both = pd.concat([runs.assign(env="Mine-v0", **{"return": 2.0}), runs])
    cells = stats.by_env(both, stats.table_cell)
    assert {env: cell.value for env, cell in cells.items()} == {"Pendulum": 1.0, "Mine-v0": 2.0}
    assert list(cells.index) == ["Pendulum", "Mine-v0"]
