"""Lists and answers in words, made from a page's intervals."""

from __future__ import annotations

import pandas as pd

from .findings import listed


def tasks(which: pd.Series) -> str:
    """The tasks at which `which` is true, as in "CartPole, Acrobot and Pendulum".

    "all 4 tasks" where it always is, "no task" where it never is.
    """
    if which.all() and len(which) > 1:
        return f"all {len(which)} tasks"
    return listed(which.index[which])
