"""Statistics over seeds: bootstrap intervals, rank correlations, paired effects, table cells.

Every interval is a percentile bootstrap over seeds, because seeds are what a repetition of the
experiment would draw anew. A value that is not finite has no mean and no place in an interval: it
is left out and counted in `left_out`, never dropped silently.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lnqlib.results import INTERFERENCE
from lnqlib.spec import ENVS, default, shown

NBSP = "\N{NO-BREAK SPACE}"
LEVEL = 0.95
RESAMPLES = 1000
POINT = ["lr", "norm"]  # one point of a scatter plot: all its seeds

Statistic = Callable[..., np.ndarray]
"""`np.mean` or `np.median`."""
_SKIPPING_NAN = {np.mean: np.nanmean, np.median: np.nanmedian}


class Interval(NamedTuple):
    """A statistic with its bootstrap interval.

    `count` is what the statistic was computed from (seeds, or points of a correlation), `left_out`
    how many more had no finite value. `low` and `high` are NaN for fewer than 2 seeds, and where
    the statistic does not exist in more than 2.5% of the resamples.
    """

    value: float
    low: float
    high: float
    count: int
    left_out: int = 0

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies wholly on one side of zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def __format__(self, spec: str) -> str:
        """`f"{interval:.2f}"` gives `-0.83 [-0.90, -0.71]`, and tells what was left out.

        Its spaces do not break, so that a narrow table keeps an interval on one line.
        """
        value, low, high = (format(x, spec) for x in self[:3])
        text = f"{value}{NBSP}[{low},{NBSP}{high}]" if np.isfinite(self.low) else value
        return f"{text} ({self.left_out:.0f} left out)" if self.left_out else text


def bootstrap_interval(
    values: np.ndarray,
    statistic: Statistic = np.mean,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of `statistic` over `values`, one value a seed: (seeds,).

    **Arguments** `statistic`: `np.mean` or `np.median`. `level`: the interval's coverage.
    `resamples`: bootstrap draws. `seed`: of the draws.

    **Returns** an `Interval`; its `count` is the number of finite values.

    **Raises** `ValueError` where `values` has another shape, or `level`, `resamples` or `seed` a
    value that none can have.
    """
    values = np.asarray(values, float)
    if values.ndim != 1:
        raise ValueError(
            f"values has the shape {values.shape}; it must be (seeds,), one value a seed; "
            "pass for example values.mean(axis=1) of an array (seeds, points)"
        )
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(
            f"level is {shown(level)}; it must be a number between 0 and 1; write level=0.95"
        )
    _require_whole("resamples", resamples, 1, RESAMPLES)
    _require_whole("seed", seed, 0, 0)
    finite = values[np.isfinite(values)]
    left_out = len(values) - len(finite)
    if len(finite) == 0:
        return Interval(np.nan, np.nan, np.nan, 0, left_out)
    draws = _draws(len(finite), resamples, seed)  # (resamples, seeds)
    low, high = _bounds(statistic(finite[draws], axis=-1), len(finite), level)
    return Interval(float(statistic(finite, axis=-1)), low, high, len(finite), left_out)


def geometric_mean(values: np.ndarray) -> Interval:
    """The geometric mean of `values` (seeds,), with its bootstrap interval.

    0, the inverse of an overflow, is left out as infinity is.

    **Raises** `ValueError` where a value is negative.
    """
    values = np.asarray(values, float)
    if (values < 0).any():
        raise ValueError(
            f"values holds {values[values < 0][0]}; a geometric mean is of positive numbers; "
            "pass for example np.abs(values)"
        )
    with np.errstate(divide="ignore"):
        interval = bootstrap_interval(np.log(values))
    value, low, high = np.exp(interval[:3]).tolist()
    return interval._replace(value=value, low=low, high=high)


class Resampled(NamedTuple):
    """A statistic and its bootstrap draws: value, draws (resamples,), what it was computed from."""

    value: float
    draws: np.ndarray
    seeds: int
    count: int
    left_out: int = 0

    @property
    def interval(self) -> Interval:
        """The 95% percentile interval."""
        return Interval(
            self.value, *_bounds(self.draws, self.seeds, LEVEL), self.count, self.left_out
        )

    def p(self, against: float, side: int) -> float:
        """The two-sided level at which the percentile interval still lies on that side of a number.

        **Arguments** `side`: 1 for above `against`, -1 for below.
        """
        beyond = np.sum(~(side * (self.draws - against) > 0))  # a NaN is beyond, too
        return min(1.0, 2 * (1 + beyond) / (1 + len(self.draws)))


def joint_interval(
    statistic: Callable[..., np.ndarray],
    *columns: np.ndarray,
    over_seeds: Statistic = np.mean,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The interval of `resampled`."""
    return resampled(
        statistic, *columns, over_seeds=over_seeds, resamples=resamples, seed=seed
    ).interval


def resampled(
    statistic: Callable[..., np.ndarray],
    *columns: np.ndarray,
    over_seeds: Statistic = np.mean,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """`statistic` of the columns' means over seeds, the same seeds resampled in all of them.

    **Arguments** `statistic`: means (..., points) of every column -> (...). `columns`: each
    (seeds, points), the same seeds in the same order. `over_seeds`: `np.mean` or `np.median`.
    `seed`: of the draws.

    **Returns** the draws; their `count` is the number of points at which all columns have a finite
    value, `left_out` how many lack one.

    **Raises** `ValueError` where the columns' shapes differ or are others, or `over_seeds` or
    `resamples` has another value.
    """
    shapes = [np.shape(column) for column in columns]
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"the columns have the shapes {', '.join(map(str, shapes)) or 'of none'}; all must "
            "have one shape, (seeds, points); pass for example column[:, None] for a single point"
        )
    if over_seeds not in _SKIPPING_NAN:
        raise ValueError(
            f"over_seeds is {shown(over_seeds)}; it must be np.mean or np.median; "
            "write over_seeds=np.mean"
        )
    _require_whole("resamples", resamples, 1, RESAMPLES)
    seeds, points = shapes[0]
    if seeds == 0:
        return Resampled(np.nan, np.full(resamples, np.nan), 0, 0)
    means = [mean_over_seeds(column, over_seeds) for column in columns]
    draws = statistic(*(means_of(column, resamples, over_seeds, seed) for column in columns))
    count = int((~np.isnan(sum(means))).sum())
    return Resampled(float(statistic(*means)), draws, seeds, count, points - count)


def share_of_gain(
    arm: np.ndarray, baseline: np.ndarray, layer: np.ndarray, none: np.ndarray
) -> Interval:
    """(arm - baseline) / (LN - None), of mean returns: what part of LN's gain a difference is.

    There is no share where LN gains nothing, and no interval where it gains nothing in more than
    2.5% of the resamples.

    **Arguments**: returns (seeds,), of the same seeds; a seed that lacks one of them is left out.

    **Raises** `ValueError` where their shapes differ or are others.
    """
    shapes = [np.shape(returns) for returns in (arm, baseline, layer, none)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise ValueError(
            f"the returns have the shapes {', '.join(map(str, shapes))}; all must have one shape, "
            "(seeds,), a value for each of the same seeds; pass np.nan where a run is missing"
        )
    table = np.column_stack([arm, baseline, layer, none])  # (seeds, 4)
    complete = np.isfinite(table).all(axis=1)

    kept, left_out = int(complete.sum()), int((~complete).sum())
    found = joint_interval(lambda means: share(*np.moveaxis(means, -1, 0)), table[complete])
    return found._replace(count=kept, left_out=left_out)


def share(arm: np.ndarray, baseline: np.ndarray, layer: np.ndarray, none: np.ndarray) -> np.ndarray:
    """(arm - baseline) / (LN - None), of mean returns (...); NaN where LN gains nothing."""
    return (arm - baseline) / np.where(layer > none, layer - none, np.nan)


def few_seeds(count: int) -> str:
    """A caution for a page whose intervals come from `count` seeds; "" from 10 on.

    Of 2 or 3 values the percentile bootstrap of the mean is their range. A symmetric law's mean
    lies outside it with probability 2^(1 - count): all of the values fall on one side.

    **Raises** `ValueError` where `count` is no whole number from 1.
    """
    _require_whole("count", count, 1, 10)
    if count >= 10:
        return ""
    if count < 2:
        return "These runs have one seed, and so no intervals."
    if count > 3:
        return f"These runs have {count} seeds; intervals from so few are too narrow."
    outside = 2.0 ** (1 - count)
    return (
        f"These runs have {count} seeds. From so few an interval is no more than the "
        f"range of the seeds' own values: it covers the mean in about {1 - outside:.0%} of cases, "
        f"not in 95%, and where there is no effect at all it is clear of 0 in about {outside:.0%}. "
        "Read the intervals and verdicts of these runs as provisional."
    )


def short_runs(steps: int) -> str:
    """That runs are shorter than the paper's, where they are; else ""."""
    usual = default("steps")
    return f"The paper's runs take {usual:,} steps, these {steps:,}." if steps < usual else ""


def cautions(seeds: int, steps: int) -> str:
    """`few_seeds` and `short_runs`."""
    return " ".join(filter(None, [few_seeds(seeds), short_runs(steps)]))


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray | float:
    """Spearman's rho along the last axis: the Pearson correlation of ranks, ties averaged.

    **Arguments** `x`, `y`: (..., points). Points where either is NaN are left out; infinities rank.

    **Returns** (...) rho; NaN where fewer than 3 points are left or one side is constant.

    **Raises** `ValueError` where the numbers of points differ.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"x has the shape {x.shape} and y {y.shape}; the last axes must be the same points; "
            "pass for example the columns of one table"
        )
    x, y = np.broadcast_arrays(x, y)
    present = ~(np.isnan(x) | np.isnan(y))
    ranks = [
        np.where(present, rankdata(np.where(present, v, np.nan), axis=-1, nan_policy="omit"), 0.0)
        for v in (x, y)
    ]
    n = present.sum(-1, keepdims=True)
    a, b = (np.where(present, r - (n + 1) / 2, 0.0) for r in ranks)  # ranks always average (n+1)/2
    norm = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    defined = (n[..., 0] >= 3) & (norm > 0)
    rho = np.where(defined, (a * b).sum(-1) / np.where(norm > 0, norm, 1.0), np.nan)
    return rho if rho.ndim else float(rho)


def spearman_interval(
    frame: pd.DataFrame,
    x: str,
    y: str,
    clamped: bool = True,
    over_seeds: Statistic = np.mean,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """rho of `x` and `y` over the (lr, norm) points of one environment and optimizer.

    The interval resamples seeds, the same ones for every point, since runs of one seed share
    dataset, initial weights and batches.

    **Arguments** `frame`: one row a run. `clamped`: whether points with a clamped seed take part.
    `over_seeds`: what a point is of its seeds, `np.mean` or `np.median`.

    **Returns** an `Interval`; `count` is the number of points, `left_out` how many were left out
    for want of a finite value (clamped points left out by choice are not counted).

    **Raises** `ValueError` where (lr, norm, seed) does not identify a run.
    """
    frame = frame if clamped else unclamped(frame)
    columns = by_points(frame, x, y)
    how = {"over_seeds": over_seeds, "resamples": resamples, "seed": seed}
    return joint_interval(spearman, *columns, **how)


def unclamped(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs of the (lr, norm) points of one environment at which no seed was clamped."""
    return frame[frame.groupby(POINT)["clamped_steps"].transform("max") == 0]


def coverage(
    frame: pd.DataFrame, x: str, y: str, seeds: int, trials: int = 100, resamples: int = 200
) -> float:
    """How often an interval of rho(x, y) covers the true value, were the frame's seeds all seeds.

    Each trial draws `seeds` of them with replacement, as an experiment draws its seeds, and
    resamples those: a bootstrap within a bootstrap, which says how far to trust one.

    **Returns** the share of trials in which the interval contains the rho of all the frame's seeds.

    **Raises** `ValueError` where the frame is empty, `seeds` is below 2 (of one seed there is no
    interval) or `trials` or `resamples` below 1.
    """
    if frame.empty:
        raise ValueError("the frame holds no runs; pass the runs of one environment and optimizer")
    _require_whole("seeds", seeds, 2, 10)
    _require_whole("trials", trials, 1, 100)
    columns = by_points(frame, x, y)  # (all seeds, points) each
    truth = spearman(*(mean_over_seeds(column) for column in columns))
    drawn = np.random.default_rng(0).integers(len(columns[0]), size=(trials, seeds))
    intervals = [
        joint_interval(spearman, *(column[draw] for column in columns), resamples=resamples)
        for draw in drawn
    ]
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


def by_points(frame: pd.DataFrame, *metrics: str) -> list[np.ndarray]:
    """Each metric as (seeds, points), a point for each (lr, norm), NaN where a run is missing.

    **Raises** `ValueError` where (lr, norm, seed) does not identify a run.
    """
    if frame.empty:
        return [frame[metric].to_numpy(float).reshape(0, 0) for metric in metrics]
    table = pivot(frame, metrics)
    return [table[metric].to_numpy(float) for metric in metrics]


def point_summary(frame: pd.DataFrame, metric: str, **bootstrap) -> pd.DataFrame:
    """One row for each (env, norm, lr): `metric` over seeds, and whether any seed was clamped.

    **Returns** columns env, norm, lr, value, low, high, count, left_out, clamped; by rising lr.
    """
    values, clamped = frame[metric].to_numpy(float), frame["clamped_steps"].to_numpy() > 0
    rows = [
        {"env": env, "norm": norm, "lr": lr}
        | bootstrap_interval(values[runs], **bootstrap)._asdict()
        | {"clamped": bool(clamped[runs].any())}
        for (env, norm, lr), runs in frame.groupby(["env", "norm", "lr"], sort=True).indices.items()
    ]
    return pd.DataFrame(rows)


def paired_effect(
    frame: pd.DataFrame, metric: str, norm: str = "layer", baseline: str = "none", **bootstrap
) -> pd.DataFrame:
    """`metric` under `norm` minus under `baseline`, at each learning rate, paired by seed.

    **Arguments** `frame`: one row a run, one environment and optimizer. `bootstrap`: passed on to
    `bootstrap_interval`.

    **Returns** one row a learning rate: lr, value, low, high, count (seeds), left_out.

    **Raises** `ValueError` where (lr, norm, seed) does not identify a run.
    """
    (differences,) = paired_differences(frame, (metric,), norm, baseline)
    rows = [
        {"lr": lr} | bootstrap_interval(differences[lr], **bootstrap)._asdict()
        for lr in differences
    ]
    return pd.DataFrame(rows)


def sign_share(
    frame: pd.DataFrame, metric: str, sign: int, norm: str = "layer", baseline: str = "none"
) -> Interval:
    """The share of learning rates at which the paired effect on `metric` has `sign` (1 or -1).

    **Returns** an `Interval` over jointly resampled seeds; `count` is the number of learning rates,
    `left_out` how many had no pair with finite values.

    **Raises** `ValueError` for another `sign`.
    """
    _require_sign(sign)
    (differences,) = paired_differences(frame, (metric,), norm, baseline)
    return joint_interval(lambda effects: _share(effects, sign), differences.to_numpy())


def sign_agreement(
    frame: pd.DataFrame, x: str, y: str, sign: int, norm: str = "layer", baseline: str = "none"
) -> Interval:
    """The share of learning rates at which the paired effects on `x` and `y` agree in sign.

    **Arguments** `sign`: 1 for equal signs, -1 for opposite ones.

    **Returns** an `Interval` as `sign_share` does.

    **Raises** `ValueError` for another `sign`.
    """
    _require_sign(sign)
    effects = (table.to_numpy() for table in paired_differences(frame, (x, y), norm, baseline))
    return joint_interval(lambda a, b: _share(np.sign(a) * np.sign(b), sign), *effects)


def with_switched(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs as they were measured, and once more with LN switched for the measurement (Fig. 3).

    **Arguments** `frame`: one row a run or checkpoint, norms "none" and "layer".

    **Returns** the frame and a copy in which every interference metric is its `injected_` one; the
    copies' norms are "injected" (trained without LN, measured with it) and "removed" (the reverse).

    **Raises** `ValueError` for runs with other norms.
    """
    if others := sorted(set(frame["norm"]) - {"none", "layer"}):
        raise ValueError(
            f"the frame holds the norms {', '.join(others)}; LN is switched on without "
            "normalization and off with LN; select frame[frame.norm.isin(['none', 'layer'])]"
        )
    switched = {f"injected_{metric}": metric for metric in INTERFERENCE}
    copy = frame.drop(columns=list(switched.values())).rename(columns=switched)
    copy["norm"] = copy["norm"].map({"none": "injected", "layer": "removed"})
    return pd.concat([frame, copy], ignore_index=True)


def with_controls(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs with App. D's controls as norms of their own, under their names in `lr_control`.

    **Arguments** `frame`: one row a run or checkpoint, with norm and lr_control.
    """
    control = frame["lr_control"]
    return frame.assign(norm=frame["norm"].where(control == "none", control))


def by_env(frame: pd.DataFrame, statistic: Callable[..., Interval], *args, **kwargs) -> pd.Series:
    """`statistic(runs, ...)` for the runs of each environment in the frame, in the book's order."""
    groups = {env: frame[frame["env"] == env] for env in in_order(frame["env"])}
    return pd.Series({env: statistic(runs, *args, **kwargs) for env, runs in groups.items()})


def clear(by_task: pd.Series) -> tuple[list[str], list[str]]:
    """The tasks whose interval lies above 0, and those whose interval lies below.

    **Arguments** `by_task`: `Interval`s.
    """
    signs = {task: interval.sign for task, interval in by_task.items()}
    return [t for t, sign in signs.items() if sign > 0], [
        t for t, sign in signs.items() if sign < 0
    ]


def table_cell(frame: pd.DataFrame, metric: str = "return", **bootstrap) -> Interval:
    """Table 1's cell: `metric` averaged over learning rates within a seed, then over seeds.

    A seed that lacks a learning rate, or has a value there that is not finite, is left out.

    **Raises** `ValueError` where (lr, norm, seed) does not identify a run, or norms are mixed.
    """
    norms = sorted(set(frame["norm"]))
    if len(norms) > 1:
        raise ValueError(
            f"a table cell holds one norm, the frame holds {', '.join(norms)}; "
            "select one, as in frame[frame.norm == 'layer']"
        )
    (table,) = by_points(frame, metric)
    by_seed = table.mean(axis=1)  # (seeds,); a missing lr makes its seed NaN
    return bootstrap_interval(by_seed, **bootstrap)


def _require_whole(name: str, value: object, low: int, example: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ValueError(
            f"{name} is {shown(value)}; it must be a whole number from {low}; "
            f"write {name}={example}"
        )


def _require_sign(sign: object) -> None:
    if sign not in (1, -1):
        raise ValueError(f"sign is {shown(sign)}; it must be 1 or -1; write sign=1")


@lru_cache(16)
def _draws(seeds: int, resamples: int, seed: int) -> np.ndarray:
    """Indices of resampled seeds: (resamples, seeds)."""
    draws = np.random.default_rng(seed).integers(seeds, size=(resamples, seeds))
    draws.flags.writeable = False  # callers share this array
    return draws


@lru_cache(64)
def draw_counts(seeds: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each resample holds each seed: (resamples, seeds)."""
    places = _draws(seeds, resamples, seed) + seeds * np.arange(resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=resamples * seeds).astype(np.int16)
    counts = counts.reshape(resamples, seeds)
    counts.flags.writeable = False
    return counts


def means_of(
    column: np.ndarray, resamples: int, over_seeds: Statistic = np.mean, seed: int = 0
) -> np.ndarray:
    """`over_seeds` of each resample of a (seeds, points) column: (resamples, points).

    Uses draw counts: five times faster than gathering values.
    """
    seeds = len(column)
    if not np.isfinite(column).all():
        return mean_over_seeds(column[_draws(seeds, resamples, seed)], over_seeds)
    counts = draw_counts(seeds, resamples, seed)
    if over_seeds is np.mean:
        return (
            counts.astype(float) @ column / seeds
        )  # of two types the product takes 18 times as long
    order = column.argsort(axis=0)  # (seeds, points)
    drawn = np.ascontiguousarray(counts.T)
    below = np.zeros((column.shape[1], resamples), counts.dtype)  # draws of this rank or a lower
    middle = np.array([(seeds - 1) // 2, seeds // 2])[:, None, None]
    ranks = np.zeros((2, *below.shape), np.int16)  # of the two in the middle
    for places in order:
        below += drawn[places]
        ranks += below <= middle
    return np.take_along_axis(np.take_along_axis(column, order, 0).T[None], ranks, -1).mean(0).T


def _bounds(resampled: np.ndarray, seeds: int, level: float) -> tuple[float, float]:
    """The percentile interval; one seed says nothing about the spread over seeds.

    There is none where the statistic does not exist in more of the resamples than one end cuts off.
    """
    if seeds < 2 or np.isnan(resampled).mean() > (1 - level) / 2:
        return np.nan, np.nan
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_differences(
    frame: pd.DataFrame, metrics: Sequence[str], norm: str, baseline: str
) -> list[pd.DataFrame]:
    """Paired differences of each metric: a row a seed, a column a learning rate that both have."""
    table = pivot(frame, metrics)
    pairs = [
        [table[metric].xs(name, level="norm", axis=1) for name in (norm, baseline)]
        for metric in metrics
    ]
    shared = pairs[0][0].columns.intersection(pairs[0][1].columns)
    return [treated[shared] - plain[shared] for treated, plain in pairs]


def in_order(envs: Iterable[str]) -> list[str]:
    """Each of `envs` once: the library's tasks in the book's order, then others as they come."""
    found = dict.fromkeys(envs)
    return [e for e in ENVS if e in found] + [e for e in found if e not in ENVS]


def pivot(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row a seed, one column a metric and (lr, norm)."""
    return by_seed_and(frame, POINT, list(dict.fromkeys(metrics)))


def by_seed_and(
    frame: pd.DataFrame, columns: Sequence[str], values: str | list[str]
) -> pd.DataFrame:
    """The runs as a table: one row a seed, one column for each combination of `columns`.

    **Raises** `ValueError` where they and the seed do not identify a run.
    """
    try:
        return frame.pivot(index="seed", columns=list(columns), values=values)
    except ValueError:
        if not frame.duplicated([*columns, "seed"]).any():
            raise
        raise ValueError(
            f"the frame holds several runs of one ({', '.join([*columns, 'seed'])}); select one "
            "environment, optimizer and protocol first, as in frame[frame.env == 'Pendulum']"
        ) from None


def mean_over_seeds(values: np.ndarray, statistic: Statistic = np.mean) -> np.ndarray:
    """`statistic` over seeds of (..., seeds, points), finite values alone; NaN where none is."""
    if np.isfinite(values).all():
        return statistic(values, axis=-2)  # the same bits, in a third of the time
    finite = np.where(np.isfinite(values), values, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a point without finite values is NaN
        return _SKIPPING_NAN[statistic](finite, axis=-2)


def _share(effects: np.ndarray, sign: int) -> np.ndarray:
    """Share of the last axis with `sign`, among those that are not NaN."""
    present = ~np.isnan(effects)
    return (np.sign(effects) == sign).sum(-1) / np.where(present.any(-1), present.sum(-1), np.nan)
