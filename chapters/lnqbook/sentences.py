"""Lists and answers in words, made from a page's intervals."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def listed(names: Iterable[str], nothing: str = "none", last: str = ", ") -> str:
    """The names in a row, as in "CartPole, Acrobot"; `nothing` for none.

    **Arguments** `last`: what stands before the last name, as in " and ".
    """
    *first, end = list(names) or [nothing]
    return f"{', '.join(first)}{last}{end}" if first else end


def tasks(which: pd.Series) -> str:
    """The tasks at which `which` is true, as in "CartPole, Acrobot and Pendulum".

    "all 4 tasks" where it always is, "no task" where it never is.
    """
    if which.all() and len(which) > 1:
        return f"all {len(which)} tasks"
    return listed(which.index[which], "no task", " and ")
