"""Tables of intervals for several metrics, their sides counted, and their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from .sentences import listed
from .stats import Interval, by_env, paired_effect

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


def means(table: pd.DataFrame, metrics: Mapping[str, str]) -> dict[str, float]:
    """A `by_metric` table's values averaged over tasks: `sgi_0` is SGI in the first column."""
    return {
        f"{metric}_{i}": mean
        for metric, name in metrics.items()
        for i, mean in enumerate(values(table.loc[name]).mean())
    }


def side_counts(table: pd.DataFrame, prefix: str = "") -> dict[str, int]:
    """How many intervals of column i lie above 0 (`above_i`), below (`below_i`), or neither.

    The last, `open_i`, contain 0 or are missing.

    **Arguments** `prefix`: before each name, for a page that counts several tables.
    """
    signs = table.map(lambda interval: interval.sign)
    words = {"above": 1, "below": -1, "open": 0}
    return {
        f"{prefix}{word}_{i}": int((signs.iloc[:, i] == sign).sum())
        for word, sign in words.items()
        for i in range(signs.shape[1])
    }


def tasks_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """The tasks with intervals above 0, below 0, or around it, for each metric and column.

    **Arguments** `table`: as `by_metric` gives it.
    """
    signs = table.map(lambda interval: interval.sign)
    words = {"above 0": 1, "below 0": -1, "contains 0 or is missing": 0}
    rows = {
        (name, column): {
            word: names(signs.loc[name, column] == sign) for word, sign in words.items()
        }
        for name in signs.index.unique("metric")
        for column in signs
    }
    return pd.DataFrame(rows).T.rename_axis(["metric", "rho with"])


def names(which: pd.Series) -> str:
    """The labels at which `which` is true, as in "CartPole, Acrobot"; "none" where it never is."""
    return listed(which.index[which])


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


def said(interval: Interval) -> str:
    """`-0.83 [-0.90, -0.71] (the interval lies below 0)`."""
    side = {1: "lies above 0", -1: "lies below 0", 0: "contains 0"}[interval.sign]
    side = "is missing" if np.isnan(interval.low) else side
    return f"{interval:.2f} (the interval {side})"
