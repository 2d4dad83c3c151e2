"""Q-learning in a table, Sec. 3.1.1: the case whose interference is known without measuring it.

A table is a linear network without bias on one-hot states: each Q(s, a) is one weight.
"""

from __future__ import annotations

import numpy as np

from lnqlib.data import Transitions


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
