"""Tables of intervals for several metrics, and how many learning rates decide a side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from .stats import NBSP, Interval, by_env, paired_effect

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
    """How many learning rates have a paired difference above 0, below 0, or neither, by interval.

    **Returns** one row a task: raised, lowered, open.
    """
    rows = {}
    for env in envs:
        effects = paired_effect(runs[runs["env"] == env], metric, norm=norm, baseline=baseline)
        above, below = (effects["low"] > 0).sum(), (effects["high"] < 0).sum()
        rows[env] = {"raised": above, "lowered": below, "open": len(effects) - above - below}
    return pd.DataFrame(rows).T
