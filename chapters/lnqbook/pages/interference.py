"""Interference in a table, and runs with a goal in their dataset beside those without.

A table is a linear network without bias on one-hot states (Sec. 3.1.1): each Q(s, a) is one weight,
and its interference is known without measuring. In Acrobot a dataset without a terminated
transition has the same reward everywhere: LN cannot improve there by learning rewards better.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lnqlib.data import Transitions

from .. import stats, table1
from ..sentences import listed

WITH, WITHOUT = "with a goal", "without"
GAIN = "LN's gain in return"
RHO = "\N{GREEK SMALL LETTER RHO}"
CORRELATIONS = {"sgi": f"{RHO}(SGI, loss)", "gi2": f"{RHO}(GI₂, loss)"}
FORMATS = {GAIN: ".0f"} | dict.fromkeys(CORRELATIONS.values(), ".2f")


def every_pair(num_states: int, num_actions: int, seed: int) -> Transitions:
    """Every state-action pair of a random decision process once.

    Rewards are normal, next states uniform, and nothing terminates.

    **Returns** num_states x num_actions transitions, states as one-hot rows.
    """
    rng = np.random.default_rng(seed)
    pairs = np.arange(num_states * num_actions)
    one_hot = np.eye(num_states)
    return Transitions(
        obs=one_hot[pairs // num_actions],
        action=pairs % num_actions,
        reward=rng.standard_normal(len(pairs)),
        next_obs=one_hot[rng.integers(num_states, size=len(pairs))],
        terminated=np.zeros(len(pairs), bool),
    )


def mixed_cosines(table: np.ndarray, batch: Transitions, gamma: float = 0.99) -> np.ndarray:
    """Eq. (9) in a table, cos(g_i, f_j) for every pair, off the diagonal.

    -sign(Delta_i Delta_j) gamma / sqrt(1 + gamma^2) where i is the greedy next pair of j, else 0:
    grad h_j is 1 at the pair j and -gamma at its greedy next pair, g_i is Delta_i at the pair i.

    **Arguments** `table`: Q(s, a), (num_states, num_actions). `batch`: as `every_pair` gives it.

    **Returns** (B, B), NaN on the diagonal.
    """
    state, next_state = batch.obs.argmax(1), batch.next_obs.argmax(1)
    td_error = table[state, batch.action] - batch.reward - gamma * table[next_state].max(1)
    sign = np.sign(np.outer(td_error, td_error))
    greedy_next = (state[:, None] == next_state) & (
        batch.action[:, None] == table[next_state].argmax(1)
    )
    cosines = np.where(greedy_next, -sign * gamma / np.sqrt(1 + gamma**2), 0.0)
    np.fill_diagonal(cosines, np.nan)
    return cosines


def split_by_goal(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each kind of dataset: its seeds, and intervals over them.

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


def gain_without_goal(runs: pd.DataFrame) -> str:
    """Whether LN also gains with the same reward everywhere, in words.

    **Arguments** `runs`: as for `split_by_goal`, or none.
    """
    table = split_by_goal(runs) if len(runs) else pd.DataFrame()
    if WITHOUT not in table.index:
        return "No dataset without a goal is shown here."
    gain = table.loc[WITHOUT, GAIN]
    if gain.sign > 0:
        return (
            "Without a goal in the data, too, the interval of LN's gain lies above 0. That part of "
            "the gain cannot come from learning rewards better."
        )
    return "Without a goal in the data the interval of LN's gain does not lie above 0."


def kinds_compared(table: pd.DataFrame) -> str:
    """The columns in which the intervals of the two kinds of dataset lie apart, in words.

    **Arguments** `table`: as `split_by_goal` gives it.
    """
    if table.empty:
        return "Acrobot is not among the tasks shown here."
    if len(table) < 2:
        return "All datasets shown here are of one kind, so there is nothing to compare."
    pairs = list(table.drop(columns="seeds", errors="ignore").items())
    apart = [name for name, (a, b) in pairs if a.high < b.low or b.high < a.low]
    turned = [name for name, (a, b) in pairs if a.sign * b.sign < 0]
    text = f"The two intervals do not overlap in: {listed(apart, 'none of the columns')}"
    return f"{text}. They lie on opposite sides of 0 in: {listed(turned, 'none of them')}."
