"""Words for what a page's intervals say, made from the intervals themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from . import summaries
from .stats import NBSP, Interval

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def tasks(which: pd.Series) -> str:
    """The tasks at which `which` is true, "all 4 tasks" where it always is, "no task" if never."""
    if which.all() and len(which) > 1:
        return f"all {len(which)} tasks"
    return summaries.names(which) if which.any() else "no task"


def changes(by_task: pd.Series, spec: str = "+.2f") -> str:
    """A number for each task, as in "CartPole +0.21, Pendulum +0.23"; a dash where it is none."""
    shown = [
        f"{task}{NBSP}{format(x, spec).replace('-', MINUS) if np.isfinite(x) else DASH}"
        for task, x in by_task.items()
    ]
    return ", ".join(shown)


def with_points(interval: Interval, spec: str = ".2f") -> str:
    """An interval of a rank correlation, and from how many points it is."""
    return f"{interval:{spec}}, {interval.count} points"


def overlapping(env: str, shares: Mapping[str, Interval]) -> list[str]:
    """The other tasks whose intervals overlap with that of `env`."""
    mine = shares[env]
    return [
        other
        for other, share in shares.items()
        if other != env and share.low <= mine.high and mine.low <= share.high
    ]


def exception(env: str, shares: Mapping[str, Interval]) -> str:
    """Whether a task is an exception: its interval overlaps with no other task's. "yes" or "no".

    "open" where there is no interval, or no other task.
    """
    intervals = [share.low for share in shares.values()]
    if len(shares) < 2 or not np.isfinite(intervals).all():
        return "open"
    return "no" if overlapping(env, shares) else "yes"
