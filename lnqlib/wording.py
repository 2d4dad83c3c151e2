"""Words for what a page's intervals say, made from the intervals themselves."""

from __future__ import annotations

from collections.abc import Iterable

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


def overlapping(env: str, shares: pd.Series) -> list[str]:
    """The other tasks whose intervals overlap with that of `env`."""
    mine = shares[env]
    return [
        other
        for other, share in shares.items()
        if other != env and share.low <= mine.high and mine.low <= share.high
    ]


def exception(env: str, shares: pd.Series) -> str:
    """Whether a task is an exception: its interval overlaps with no other task's. "yes" or "no".

    "open" where there is no interval, or no other task.
    """
    intervals = [share.low for share in shares]
    if len(shares) < 2 or not np.isfinite(intervals).all():
        return "open"
    return "no" if overlapping(env, shares) else "yes"


def exceptions(env: str, cases: Iterable[tuple[str, str, pd.Series, pd.DataFrame]]) -> pd.DataFrame:
    """`exception` for several measures and optimizers, with what it rests on.

    **Arguments** `cases`: for each the optimizer, the measure's name, the share of learning rates
    with a raised mean by task, and the task's row of `summaries.effect_sides`.

    **Returns** one row a case: optimizer, measure; raised, lowered, open (learning rates); share,
    overlaps (the other tasks whose interval it overlaps with) and exception.
    """
    rows = [
        {"optimizer": optimizer, "measure": measure}
        | sides.loc[env].to_dict()
        | {
            "share": shares[env],
            "overlaps": ", ".join(overlapping(env, shares)) or "none",
            "exception": exception(env, shares),
        }
        for optimizer, measure, shares, sides in cases
        if env in shares
    ]
    return pd.DataFrame(rows, columns=_EXCEPTION)


def answered(table: pd.DataFrame, answer: str) -> str:
    """The cases of `exceptions` with this answer, as in "GI₂ with SGD"; "none of the cases"."""
    mine = table[table["exception"] == answer]
    cases = [f"{row.measure} with {row.optimizer}" for row in mine.itertuples()]
    return ", ".join(cases) or "none of the cases"


_EXCEPTION = ["optimizer", "measure", "raised", "lowered", "open", "share", "overlaps", "exception"]
