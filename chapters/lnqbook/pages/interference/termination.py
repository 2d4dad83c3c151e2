"""Runs whose dataset holds a terminated transition beside those whose dataset holds none.

In Acrobot a dataset without one shows the same reward everywhere: whatever LN changes there, it
does not change how well rewards are learned.
"""

from __future__ import annotations

import pandas as pd

from ... import stats, table1
from ...stats import Interval

WITH, WITHOUT = "with a goal", "without"
GAIN = "LN's gain in return"
RHO = "\N{GREEK SMALL LETTER RHO}"
CORRELATIONS = {"sgi": f"{RHO}(SGI, loss)", "gi2": f"{RHO}(GI₂, loss)"}
FORMATS = {GAIN: ".0f"} | dict.fromkeys(CORRELATIONS.values(), ".2f")


def split(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each kind of dataset that is there: its seeds, and intervals over them.

    **Arguments** `runs`: one row a run, one task and optimizer, norms "none" and "layer".

    **Returns** columns seeds, "LN's gain in return" (LN minus None, averaged over learning rates
    within a seed) and, for each of `CORRELATIONS`, Spearman's rho over the (lr, norm) points.
    """
    rows = {}
    for name, there in ((WITH, True), (WITHOUT, False)):
        mine = runs[(runs["goal_transitions"] > 0) == there]
        if mine.empty:
            continue
        gain = table1.gain_by_env(table1.by_seed(mine)).iloc[0]
        rows[name] = {"seeds": mine["seed"].nunique(), GAIN: gain} | {
            text: stats.spearman_interval(mine, metric, "loss")
            for metric, text in CORRELATIONS.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def told(runs: pd.DataFrame) -> str:
    """Whether LN also gains where no reward says that anything is better, in words.

    **Arguments** `runs`: as `split` takes them; they may be none.
    """
    table = split(runs) if len(runs) else pd.DataFrame()
    if WITHOUT not in table.index:
        return "No dataset without a goal is shown here."
    gain = table.loc[WITHOUT, GAIN]
    if gain.sign > 0:
        return (
            "Without a goal in the data, too, the interval of LN's gain lies above 0. That part of "
            "the gain cannot come from learning rewards better."
        )
    return "Without a goal in the data the interval of LN's gain does not lie above 0."


def compared(table: pd.DataFrame) -> str:
    """In which columns the intervals of the two kinds of dataset lie apart, in words.

    **Arguments** `table`: as `split` gives it.
    """
    if table.empty:
        return "Acrobot is not among the tasks shown here."
    if len(table) < 2:
        return "All datasets shown here are of one kind, so there is nothing to compare."
    columns = [column for column in table if column != "seeds"]
    apart = [column for column in columns if disjoint(*table[column])]
    turned = [column for column in columns if turns(*table[column])]
    text = f"The two intervals do not overlap in: {', '.join(apart) or 'none of the columns'}"
    return f"{text}. They lie on opposite sides of 0 in: {', '.join(turned) or 'none of them'}."


def disjoint(a: Interval, b: Interval) -> bool:
    return bool(a.high < b.low or b.high < a.low)


def turns(a: Interval, b: Interval) -> bool:
    return a.sign * b.sign < 0
