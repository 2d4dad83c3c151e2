"""Rank correlations over the points of a task: what chance gives, other views, and the placebo.

A point is a learning rate and a network, all its seeds together. Resampled seeds say how sure the
points are. They hold the points fixed, so a second bar is needed: the rho that random order gives.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd

from lnqlib.spec import ENVS

from . import stats
from .stats import RESAMPLES, Interval, Resampled, by_points, spearman

MIN_POINTS = 8  # fewer points have no rank correlation worth the name
CHANCE = 0.05
_ALL_ORDERS = 9  # so many points have 362,880 orders; of more, random ones are drawn
_ORDERS = 200_000


@cache
def chance_bound(points: int, level: float = CHANCE) -> float:
    """The smallest |rho| that `points` in random order reach in at most `level` of the cases.

    0.47 for 18 points at 5%. Computed over all orders up to 9 points and over 200,000 random
    orders beyond.

    **Raises** `ValueError` for fewer than 5 points, of which no order is rare enough.
    """
    if points < 5:
        raise ValueError(f"points is {points}; it must be 5 or more; write chance_bound(18)")
    ranks = np.arange(points, dtype=float)
    if points <= _ALL_ORDERS:
        orders = np.array(list(permutations(range(points))), dtype=float)
    else:
        rng = np.random.default_rng(0)
        orders = rng.permuted(np.broadcast_to(ranks, (_ORDERS, points)), axis=1)
    centred = ranks - ranks.mean()
    sizes = np.sort(np.abs(orders @ centred) / (centred @ centred))
    values, first = np.unique(np.round(sizes, 12), return_index=True)
    shares = 1 - first / len(sizes)  # how often |rho| is at least this value
    return float(values[np.argmax(shares <= level)])


def enough(rho: Interval) -> bool:
    """Whether there are points enough for a correlation."""
    return rho.count >= MIN_POINTS


def side(rho: Interval) -> int:
    """1 or -1 where rho is clear of 0 and further from it than random order gets, else 0."""
    return rho.sign if enough(rho) and abs(rho.value) >= chance_bound(rho.count) else 0


def rho(
    runs: pd.DataFrame,
    x: str,
    y: str,
    clamped: bool = True,
    over_seeds: stats.Statistic = np.mean,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Resampled:
    """Spearman's rho of the seeds' means, one task and optimizer, with its bootstrap draws.

    **Arguments** as `stats.spearman_interval`.
    """
    columns = by_points(runs if clamped else stats.unclamped(runs), x, y)
    how = {"over_seeds": over_seeds, "resamples": resamples, "seed": seed}
    return stats.resampled(spearman, *columns, **how)


def rho_by_seed(
    runs: pd.DataFrame, x: str, y: str, seed: int = 0, resamples: int = RESAMPLES
) -> Resampled:
    """The mean over seeds of each seed's own rho over the points.

    **Returns** the draws; `count` is the number of points, `left_out` how many seeds have no rho.
    """
    columns = by_points(runs, x, y)  # (seeds, points) each
    own = np.atleast_1d(spearman(*columns))  # (seeds,)
    known = own[np.isfinite(own)][:, None]
    how = {"resamples": resamples, "seed": seed}
    mean = stats.resampled(lambda means: means[..., 0], known, **how)
    return mean._replace(count=columns[0].shape[1], left_out=len(own) - len(known))


class Placebo(NamedTuple):
    """One task's metric against every task's loss or return.

    - `matrix`: rho, a row for the metric's task, a column for the other quantity's.
    - `excess`: by task, its own rho minus the mean of its rhos with the other tasks: `Interval`s.
    - `own`, `others`: means over tasks of the two; `difference`: their difference, an `Interval`.
    """

    matrix: pd.DataFrame
    excess: pd.Series
    own: Interval
    others: Interval
    difference: Interval


def placebo(runs: pd.DataFrame, x: str, y: str, resamples: int = RESAMPLES) -> Placebo | None:
    """rho of each task's `x` with every task's `y`, over the same grid of points.

    What a metric knows about its task it cannot know about another task's loss: only the learning
    rate and the network are common to them. Seeds are resampled, in each task by itself.

    **Arguments** `runs`: one row a run, one optimizer.

    **Returns** None where fewer than two tasks are there, or they share too few points.
    """
    envs = [env for env in ENVS if (runs["env"] == env).any()]
    tables = {env: stats.pivot(runs[runs["env"] == env], (x, y)) for env in envs}
    grids = [table[x].columns for table in tables.values()]
    shared = grids[0] if grids else pd.Index([])
    for grid in grids[1:]:
        shared = shared.intersection(grid)
    if len(envs) < 2 or len(shared) < MIN_POINTS:
        return None
    means, draws = {}, {}
    for number, env in enumerate(envs):
        for name in {x, y}:
            column = tables[env][name][shared].to_numpy(float)  # (seeds, points)
            means[env, name] = stats.mean_over_seeds(column)
            draws[env, name] = stats.means_of(column, resamples, seed=number)
    cells = [[spearman(means[a, x], means[b, y]) for b in envs] for a in envs]
    drawn = np.array([[spearman(draws[a, x], draws[b, y]) for b in envs] for a in envs])
    seeds = min(len(table) for table in tables.values())

    def interval(value: np.ndarray, some: np.ndarray) -> Interval:
        return Resampled(float(value), some, seeds, len(shared)).interval

    own, others = _own_and_others(np.array(cells)[..., None])
    own_drawn, others_drawn = _own_and_others(drawn)
    gaps = (own - others)[:, 0]
    excess = {env: interval(gaps[i], own_drawn[i] - others_drawn[i]) for i, env in enumerate(envs)}
    return Placebo(
        pd.DataFrame(cells, envs, envs),
        pd.Series(excess, dtype=object),
        interval(own.mean(), own_drawn.mean(0)),
        interval(others.mean(), others_drawn.mean(0)),
        interval(gaps.mean(), (own_drawn - others_drawn).mean(0)),
    )


def _own_and_others(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The diagonal of (tasks, tasks, draws), and the mean of each row's other entries."""
    tasks = len(matrix)
    own = np.array([matrix[i, i] for i in range(tasks)])
    return own, (matrix.sum(axis=1) - own) / (tasks - 1)
