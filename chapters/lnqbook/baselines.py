"""Table 1's Random column in both readings: returns without any training.

The caption speaks of random actions, App. G of the network before its first step (erratum 13).

Training code, with numba and torch, is imported only to play: claims and figures need just the
policies' names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lnqlib.spec import generator

if TYPE_CHECKING:
    from lnqlib.tasks import Task

POLICIES = ("untrained", "uniform")
"""Greedy in the Q-values of an untrained net (App. G); uniformly random actions (the caption)."""
WIDTH = 128  # hidden units of the untrained net, as in App. G


def random_returns(
    envs: Iterable[str], seeds: Iterable[int], episodes: int = 50, bias: bool = True
) -> pd.DataFrame:
    """Table 1's Random column, one row for each env, policy and seed.

    Both policies of a seed play from the same `episodes` start states of the protocol.

    **Returns** columns env, policy (one of `POLICIES`), seed, return (mean undiscounted return).
    """
    from lnqlib.engine.greedy import greedy_return
    from lnqlib.networks import initial_params
    from lnqlib.tasks import TASKS

    rows = []
    for env in envs:
        task = TASKS[env]
        for seed in seeds:
            starts, actions = _episodes(task, seed, episodes)
            rng = generator(env, seed, "init")
            params = initial_params(rng, task.obs_dim, task.num_actions, WIDTH, bias)
            returns = (
                greedy_return(task, params, "none", starts),
                action_returns(task, starts, actions).mean(),
            )
            for policy, value in zip(POLICIES, returns, strict=True):
                rows.append({"env": env, "policy": policy, "seed": seed, "return": value})
    return pd.DataFrame(rows)


def action_returns(
    task: Task, starts: np.ndarray, actions: np.ndarray | Iterator[int]
) -> np.ndarray:
    """The undiscounted return of each episode that plays fixed actions until it terminates.

    **Arguments** `starts`: as `tasks.start_states` draws them. `actions`: (episodes, time limit);
    for a task that Gymnasium plays, an endless iterator over all its episodes.

    **Returns** (episodes,).
    """
    from lnqlib.engine.greedy import play
    from lnqlib.tasks import OUTSIDE

    if task.index == OUTSIDE:
        from lnqlib.own import gym_tasks

        return gym_tasks.returns(task.name, lambda _: next(actions), starts)
    returns = np.zeros(len(starts))
    play(task.index, starts, actions, returns)
    return returns


def _episodes(
    task: Task, seed: int, episodes: int
) -> tuple[np.ndarray, np.ndarray | Iterator[int]]:
    """Start states and uniformly random actions of a seed."""
    from lnqlib.tasks import OUTSIDE, start_states

    # children of the evaluation's generator, which no run uses
    start_rng, action_rng = generator(task.name, seed, "evaluation").spawn(2)
    starts = start_states(task, episodes, start_rng, widened=True)
    if task.index == OUTSIDE:
        return starts, iter(lambda: int(action_rng.integers(task.num_actions)), None)
    return starts, action_rng.integers(task.num_actions, size=(episodes, task.time_limit))
