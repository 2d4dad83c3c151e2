"""Interference in a table and in single steps; runs with a goal in their dataset beside others.

A table is a linear network without bias on one-hot states (Sec. 3.1.1): each Q(s, a) is one weight,
and its interference is known without measuring. In Acrobot a dataset without a terminated
transition has the same reward everywhere: LN cannot improve there by learning rewards better.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from lnqlib import metrics
from lnqlib.data import Transitions

from ... import curvature, one_step, stats, table1

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


def table_checks(table: nn.Linear, walk: Transitions) -> dict[str, float]:
    """The measures of a table, whose values are known, and erratum 9's formula.

    **Arguments** `table`: weights (num_actions, num_states). `walk`: as `every_pair` gives it.
    """
    library = metrics.interference(table, walk, lr=1e-3)
    flat = one_step.Flat(table, walk)
    mixed = one_step.cosines(one_step.semi_gradients(flat), one_step.full_gradients(flat)).numpy()
    expected = mixed_cosines(table.weight.detach().numpy().T, walk)
    off = ~np.eye(len(mixed), dtype=bool)
    return {
        "QGI₊, expected 0": library["qgi_plus"],
        "SGI without self pairs, expected 0": library["sgi_off"],
        "SGI times the number of pairs, expected 1": library["sgi"] * len(mixed),
        "share of MGI's cosines that are not 0, without self pairs": (mixed != 0)[off].mean(),
        "their size": np.nanmax(abs(expected)),
        "largest difference from erratum 9's formula": abs(mixed - expected)[off].max(),
    }


def step_checks(net: nn.Module, batch: Transitions, lr: float) -> dict[str, float]:
    """Eqs. (5) to (9) on real steps, one on each transition."""
    library, flat = metrics.interference(net, batch, lr), one_step.Flat(net, batch)
    stepped, cosine = one_step.first_order(flat, lr), one_step.mean_cosines(flat)
    delta, u = curvature.updates(flat)
    ratio = 2 * lr * library["dgi"] / float((2 * lr * delta * u).mean())
    return {
        "share of pairs that move": stepped["moved"],
        "share of steps that move their own value against its error": stepped["same_direction"],
        "changes of the values less Eq. (5), as a part of them": stepped["first_order_gap"],
        "increments of the loss over Eq. (7) as printed, expected 2": stepped["factor"],
        "SGI less the squared length of the mean unit semi-gradient": abs(
            cosine["sgi"] - library["sgi"]
        ),
        "MGI less the mean of the matrix of cosines": abs(cosine["mgi"] - library["mgi"]),
        "2η DGI less the first-order term, as a part of it": abs(ratio - 1),
        "QGI₊: 0 in a table, 1 for gradients on one line": library["qgi_plus"],
    }


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
