"""Minari's datasets, written and read as the five arrays of `data.Transitions`."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from ..spec import RunSpec
from ..tasks import TASKS

if TYPE_CHECKING:
    from minari import MinariDataset


def write(
    obs: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    next_obs: np.ndarray,
    terminated: np.ndarray,
    ends: np.ndarray,
    dataset_id: str,
    env: str,
    metadata: dict[str, str],
) -> MinariDataset:
    """Stores N transitions; `ends`, bool (N,), says which are the last of their episode.

    **Raises** as `data.to_minari`.
    """
    minari = _imported()
    from minari.data_collector import EpisodeBuffer

    gym_id, obs_dim, num_actions = _sizes(env)
    if obs.shape[1] != obs_dim:
        raise ValueError(
            f"obs has {obs.shape[1]} columns; {env} has {obs_dim}; "
            "write the env that the dataset comes from"
        )
    _check_actions(action, num_actions, "the dataset")
    stops = np.flatnonzero(ends) + 1
    buffers = [
        EpisodeBuffer(
            id=index,
            observations=np.concatenate([obs[start:stop], next_obs[stop - 1 : stop]]),
            actions=action[start:stop],
            rewards=reward[start:stop],
            terminations=terminated[start:stop],
            truncations=ends[start:stop] & ~terminated[start:stop],
        )
        for index, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True))
    ]
    return minari.create_dataset_from_buffers(
        dataset_id, buffers, env=gym_id, action_space=Discrete(num_actions), **metadata
    )


def read(dataset: MinariDataset | str) -> list[np.ndarray]:
    """obs, action, reward, next_obs, terminated of a Minari dataset, or of the one with that id.

    **Raises** as `data.from_minari`.
    """
    minari = _imported()
    if isinstance(dataset, str):
        dataset = minari.load_dataset(dataset)
    actions, observations = dataset.action_space, dataset.observation_space
    if not isinstance(actions, Discrete):
        raise ValueError(
            f"the action space is {actions}; it must be Discrete; "
            "write Transitions(obs, action, reward, next_obs, terminated) with such actions"
        )
    if not (isinstance(observations, Box) and len(observations.shape) == 1):
        raise ValueError(
            f"the observation space is {observations}; it must be a Box of vectors; "
            "write gymnasium.wrappers.FlattenObservation(env) around the environment you record"
        )
    rows = [
        (e.observations[:-1], e.actions, e.rewards, e.observations[1:], e.terminations)
        for e in dataset.iterate_episodes()
    ]
    name = f"the Minari dataset {dataset.spec.dataset_id}"
    if not rows:
        raise ValueError(
            f"{name} has no episodes; it must have one; "
            "write the id of a dataset that was recorded to its end"
        )
    obs, action, *rest = (np.concatenate(column) for column in zip(*rows, strict=True))
    action = action.astype(np.int64) - int(actions.start)
    _check_actions(action, int(actions.n), name)
    return [obs, action, *rest]


def _sizes(env: str) -> tuple[str, int, int]:
    """A task's Gymnasium id, observation size and number of actions."""
    if env in TASKS or "-v" not in env:
        task = TASKS[RunSpec(env=env).env]  # which names an unknown env
        return task.gym_id, task.obs_dim, task.num_actions
    made = gymnasium.make(env)
    obs, actions = made.observation_space, made.action_space
    made.close()
    shape = obs.shape or ()
    if not (isinstance(actions, Discrete) and len(shape) == 1):
        raise ValueError(
            f"{env} has actions {actions} and observations {obs}; they must be Discrete and a Box "
            "of vectors; write an env with such spaces"
        )
    return env, shape[0], int(actions.n)


def _check_actions(action: np.ndarray, num_actions: int, source: str) -> None:
    if action.min() < 0 or action.max() >= num_actions:
        raise ValueError(
            f"the actions of {source} run from {action.min()} to {action.max()}; they must lie in "
            f"0 to {num_actions - 1}; write the actions' indices"
        )


def _imported() -> ModuleType:
    try:
        import h5py  # noqa: F401  Minari's storage format
        import minari
    except ImportError as error:
        raise ImportError(
            'Minari or h5py is not installed; write pip install "minari[hdf5]"'
        ) from error
    return minari
