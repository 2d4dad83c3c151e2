"""Lists and answers in words, made from a page's intervals."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
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


def exception(env: str, shares: pd.Series) -> str:
    """Whether all tasks' shares have intervals above one half, except this task's.

    **Arguments** `shares`: intervals by task. **Returns** "yes", "no", or "open" where there is no
    interval, or no other task.
    """
    if len(shares) < 2 or not np.isfinite([share.low for share in shares]).all():
        return "open"
    return "yes" if _above_half(shares).drop(env).all() and not _above_half(shares)[env] else "no"


def exceptions(env: str, cases: Iterable[tuple[str, str, pd.Series, pd.DataFrame]]) -> pd.DataFrame:
    """`exception` for several measures and optimizers, with its evidence.

    **Arguments** `cases`: the optimizer, the measure's name, by task the share of learning rates
    with a raised mean, and `summaries.effect_sides`.

    **Returns** one row a case: optimizer, measure; raised, lowered, open (learning rates); share,
    others (how many other tasks' shares lie above one half) and exception.
    """
    rows = [
        {"optimizer": optimizer, "measure": measure}
        | sides.loc[env].to_dict()
        | {
            "share": shares[env],
            "others": f"{_above_half(shares).drop(env).sum()} of {len(shares) - 1}",
            "exception": exception(env, shares),
        }
        for optimizer, measure, shares, sides in cases
        if env in shares
    ]
    return pd.DataFrame(rows, columns=_EXCEPTION)


def answered(table: pd.DataFrame, answer: str) -> str:
    """The cases of `exceptions` with this answer, as in "GI₂ with SGD"; "none of the cases"."""
    mine = table[table["exception"] == answer]
    cases = (f"{row.measure} with {row.optimizer}" for row in mine.itertuples())
    return listed(cases, "none of the cases")


def _above_half(shares: pd.Series) -> pd.Series:
    return shares.map(lambda share: share.low > 0.5).astype(bool)


_EXCEPTION = ["optimizer", "measure", "raised", "lowered", "open", "share", "others", "exception"]
