"""Tables of intervals for several metrics, and how many learning rates decide a side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from . import rates
from .stats import NBSP, Interval, by_env

Column = tuple[Callable[..., Interval], ...]
"""A statistic of `stats` and its arguments after the metric: `(stats.sign_share, -1)`."""


def by_metric(
    runs: pd.DataFrame, metrics: Mapping[str, str], columns: Mapping[str, Column]
) -> pd.DataFrame:
    """`statistic(runs of a task, metric, *arguments)` for each metric, task and column.

    **Arguments** `runs`: one row a run. `metrics`: its columns and their names in the table.

    **Returns** intervals, indexed by (metric, task) under the table's names.
    """
    parts = {
        name: pd.DataFrame(
            {
                column: by_env(runs, statistic, metric, *arguments)
                for column, (statistic, *arguments) in columns.items()
            }
        )
        for metric, name in metrics.items()
    }
    return pd.concat(parts, names=["metric", "task"])


def values(table: pd.DataFrame) -> pd.DataFrame:
    """The intervals' values alone."""
    return table.map(lambda interval: interval.value)


def points_left(whole: pd.Series, part: pd.Series) -> pd.Series:
    """How many points the intervals in `part` keep of those in `whole`: "6 of 18"."""
    counts = [f"{b.count}{NBSP}of{NBSP}{a.count}" for a, b in zip(whole, part, strict=True)]
    return pd.Series(counts, whole.index)


def effect_sides(
    runs: pd.DataFrame, envs: Sequence[str], metric: str, norm: str, baseline: str
) -> pd.DataFrame:
    """`rates.effect_sides` of each task, one row a task: raised, lowered, open."""
    rows = {}
    for env in envs:
        some = runs[runs["env"] == env]
        raised, lowered, left, _ = rates.effect_sides(some, metric, norm=norm, baseline=baseline)
        rows[env] = {"raised": raised, "lowered": lowered, "open": left}
    return pd.DataFrame(rows).T
