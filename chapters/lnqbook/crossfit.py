"""Returns at a choice made on other seeds: averaged over learning rates, or each at its best one.

Who is scored at its best learning rate, or its best period, on the seeds that chose it is praised
for their noise. So the choice is made on one half of the seeds and scored on the other, both ways
round; halves are the even and the odd seeds. Means of a half stand in arrays whose first entry is
of the seeds as they are and whose others are of resampled ones, so that any statistic of them
brings its bootstrap along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from .stats import LEVEL, RESAMPLES, Interval

Over = Literal["average", "best"]
"""All learning rates averaged, as in Table 1; or each network's own best."""
Halves = tuple[np.ndarray, np.ndarray]
"""Means over the even and over the odd seeds, (1 + resamples, ...) each."""


def table(runs: pd.DataFrame, arms: Mapping[str, list], metric: str = "return") -> np.ndarray:
    """`metric` by arm, learning rate and seed: (..., rates, seeds), seeds by rising number.

    **Arguments** `arms`: column -> its values, an axis each, in this order.

    **Returns** NaN where a run is missing.

    **Raises** `ValueError` where (arms, lr, seed) does not identify a run.
    """
    axes = dict(arms) | {"lr": sorted(set(runs["lr"])), "seed": sorted(set(runs["seed"]))}
    index = pd.MultiIndex.from_product(axes.values(), names=list(axes))
    values = runs.set_index(list(axes))[metric]
    if values.index.has_duplicates:
        raise ValueError(
            f"the frame holds several runs of one ({', '.join(axes)}); select one task, optimizer "
            "and protocol first, as in frame[frame.env == 'Pendulum']"
        )
    return values.reindex(index).to_numpy(float).reshape([len(axis) for axis in axes.values()])


def halves(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Halves:
    """Means over the even and the odd ones of the seeds, the last axis of `values`.

    A seed that lacks a value anywhere is left out. The mean of a half without seeds is NaN, and so
    are the resampled means of a half of one seed, which says nothing of the spread over seeds.
    """
    whole = np.isfinite(values).all(axis=tuple(range(values.ndim - 1)))
    rng = np.random.default_rng(seed)

    def means(parity: int) -> np.ndarray:
        half = values[..., [i for i in np.flatnonzero(whole) if i % 2 == parity]]
        count = half.shape[-1]
        if not count:
            return np.full((1 + resamples, *values.shape[:-1]), np.nan)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count
        weights = np.concatenate([np.full((1, count), 1 / count), weights])
        if count == 1:
            weights[1:] = np.nan
        return np.tensordot(weights, half, axes=(1, half.ndim - 1))

    return means(0), means(1)


def crossfit(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The score of the best of the last axis, chosen on one half and scored on the other.

    **Arguments** `first`, `second`: the halves' means, (..., choices).

    **Returns** (...), the average of both ways round.
    """

    def scored(choice: np.ndarray, score: np.ndarray) -> np.ndarray:
        best = choice.argmax(axis=-1)[..., None]
        return np.take_along_axis(score, best, axis=-1)[..., 0]

    return (scored(first, second) + scored(second, first)) / 2


def fixed(means: Halves, over: Over) -> np.ndarray:
    """The score of each arm: (..., rates) -> (...)."""
    return sum(means).mean(axis=-1) / 2 if over == "average" else crossfit(*means)


def chosen(means: Halves, over: Over) -> np.ndarray:
    """The score of the best of the last axis of arms: (..., arms, rates) -> (...).

    With "average" the arm is chosen by its mean over learning rates, with "best" together with its
    learning rate.
    """
    if over == "average":
        return crossfit(*(half.mean(axis=-1) for half in means))
    return crossfit(*(half.reshape(*half.shape[:-2], -1) for half in means))


def interval(statistic: np.ndarray, count: int) -> Interval:
    """A statistic (1 + resamples,) with the percentile interval of its resampled values.

    There is none for fewer than 2 seeds, nor where the statistic does not exist in more of the
    resamples than one end cuts off.
    """
    value, drawn = float(statistic[0]), statistic[1:]
    tail = (1 - LEVEL) / 2
    if count < 2 or np.isnan(drawn).mean() > tail:
        return Interval(value, np.nan, np.nan, count)
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high), count)
