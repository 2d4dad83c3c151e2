"""Offline datasets: transitions of random actions, as arrays, npz files and Minari datasets."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .spec import RunSpec, SpecError
from .tasks import OUTSIDE, STATE_SIZE, TASKS, compiled, observe, start_states, step, uniform_states

if TYPE_CHECKING:
    from minari import MinariDataset


class Transitions(NamedTuple):
    """N transitions (s, a, r, s', terminated); `terminated` is False where a time limit cut in."""

    obs: np.ndarray  # (N, obs_dim) float32
    action: np.ndarray  # (N,) int64
    reward: np.ndarray  # (N,) float32
    next_obs: np.ndarray  # (N, obs_dim) float32
    terminated: np.ndarray  # (N,) bool


_DTYPES = tuple(map(np.dtype, ("float32", "int64", "float32", "float32", "bool")))
_NDIMS = (2, 1, 1, 2, 1)


def offline_dataset(env: str, seed: int, data: str = "protocol", size: int = 10_000) -> Transitions:
    """The dataset that every run of `env` and `seed` trains on; equal arguments, equal bits.

    **Arguments**

    - `env`, `seed`: as in `RunSpec`; all randomness is `spec.generator(env, seed, "data")`.
    - `data`: "rollout" for episodes of uniformly random actions from Gymnasium's reset, each ended
      by the task or its time limit; "protocol" for the same in CartPole, Acrobot and tasks by
      Gymnasium id, and for a fresh uniform state and action in every transition of MountainCar and
      Pendulum.
    - `size`: the number N of transitions; the last episode stops where they are full.

    **Raises** `SpecError` for a value that no `RunSpec` can have.
    """
    spec = RunSpec(env=env, seed=seed, data=data, dataset_size=size, batch_size=2)
    if data == "online":
        raise SpecError(
            'data is "online", transitions that a run collects while it learns; offline datasets '
            'are protocol, rollout; write data="rollout"'
        )
    rng = spec.rng("data")
    task = TASKS[env]
    if task.index == OUTSIDE:
        from .own.gym_tasks import rollout  # here, for the four tasks need no Gymnasium

        return Transitions(*rollout(env, size, rng))
    fresh = data == "protocol" and env in ("MountainCar", "Pendulum")
    starts = uniform_states(task, size, rng) if fresh else start_states(task, size, rng)
    action = rng.integers(task.num_actions, size=size)
    obs, next_obs = np.empty((2, size, task.obs_dim), np.float32)
    reward, terminated = np.empty(size, np.float32), np.empty(size, np.bool_)
    time_limit = 1 if fresh else task.time_limit
    _roll(task.index, time_limit, starts, action, obs, reward, next_obs, terminated)
    return Transitions(obs, action, reward, next_obs, terminated)


@compiled
def _roll(index, time_limit, starts, action, obs, reward, next_obs, terminated):
    """Fills the last four arrays; an episode that begins in row i begins at starts[i]."""
    state = np.zeros(STATE_SIZE)
    t = 0
    for i in range(len(action)):
        if t == 0:
            state[:] = starts[i]
        observe(index, state, obs[i])
        reward[i], terminated[i] = step(index, state, action[i])
        observe(index, state, next_obs[i])
        t = 0 if terminated[i] or t + 1 == time_limit else t + 1


def goal_transitions(dataset: Transitions) -> int:
    """How many transitions are terminated: goals reached, in CartPole poles fallen."""
    return int(dataset.terminated.sum())


def sample(dataset: Transitions, rng: np.random.Generator, n: int) -> Transitions:
    """A batch of `n` different rows in random order.

    **Raises** `ValueError` where the dataset has fewer rows.
    """
    size = len(dataset.action)
    if not 0 < n <= size:
        raise ValueError(
            f"n is {n}; it must be from 1 to {size}, the rows of the dataset; "
            f"write n={min(max(n, 1), size)}"
        )
    rows = rng.choice(size, n, replace=False)
    return Transitions(*(array[rows] for array in dataset))


def episode_ends(dataset: Transitions) -> np.ndarray:
    """Which rows are the last of their episode, bool (N,).

    These are the terminated rows, the rows after which another state than next_obs comes (a time
    limit, or transitions that are no episode at all), and the last row.
    """
    ends = dataset.terminated.copy()
    ends[:-1] |= (dataset.next_obs[:-1] != dataset.obs[1:]).any(axis=1)
    ends[-1:] = True
    return ends


def save_npz(dataset: Transitions, path: str | PathLike) -> None:
    """Writes the five arrays, under their names, to a compressed npz file."""
    _check(dataset._asdict(), "the dataset")
    with open(path, "wb") as file:  # a name without .npz stays as it is
        np.savez_compressed(file, **dataset._asdict())


def load_npz(path: str | PathLike) -> Transitions:
    """Reads what `save_npz` wrote, or any npz file with the same five arrays.

    **Raises** `ValueError` where the file is no npz file or damaged, or an array is missing or has
    another shape or dtype than `Transitions` names; `OSError` where it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as npz:
                arrays = {name: npz[name] for name in Transitions._fields if name in npz}
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged bytes
            raise ValueError(
                f"{path} is not an npz file of plain arrays; write it with lnqlib.data.save_npz"
            ) from error
    return _check(arrays, str(path))


def to_minari(dataset: Transitions, dataset_id: str, env: str, **metadata: str) -> MinariDataset:
    """Stores the dataset as a Minari dataset, one Minari episode for each of its episodes.

    An episode that does not end terminated ends truncated. Actions are Discrete, in Pendulum too.
    Minari takes some milliseconds an episode, so half a minute for 10,000 of one transition each.

    **Arguments**

    - `dataset_id`: Minari's name for it, like "acrobot/random-v0"; it must be free.
    - `env`: as in `RunSpec`.
    - `metadata`: author, description ... as `minari.create_dataset_from_buffers` takes them.

    **Raises** `ImportError` without Minari; `ValueError` where the observations or actions are not
    `env`'s.
    """
    from .own import minari  # here, for it is an extra

    _check(dataset._asdict(), "the dataset")
    return minari.write(*dataset, episode_ends(dataset), dataset_id, env, metadata)


def from_minari(dataset: MinariDataset | str) -> Transitions:
    """The transitions of a Minari dataset, or of the local one with that id, in stored order.

    `terminated` is Minari's terminations; truncated transitions bootstrap like any other. Actions
    are counted from 0, whatever their space starts at.

    **Raises** `ImportError` without Minari; `ValueError` for actions that are not Discrete or not
    in their space, for observations that are not vectors, and where there is no episode.
    """
    from .own import minari

    return Transitions(*(c.astype(t) for c, t in zip(minari.read(dataset), _DTYPES, strict=True)))


def _check(arrays: dict[str, np.ndarray], source: str) -> Transitions:
    """`arrays` as `Transitions`; raises `ValueError` at the first array that cannot be one."""
    fields = Transitions._fields
    missing = [name for name in fields if name not in arrays]
    if missing:
        raise ValueError(
            f"{source} has no array {', '.join(missing)}; it must have {', '.join(fields)}"
        )
    dataset = Transitions(**arrays)
    size = np.shape(dataset.obs)[:1]
    for name, array, dtype, ndim in zip(fields, dataset, _DTYPES, _NDIMS, strict=True):
        if array.dtype != dtype:
            raise ValueError(
                f"{name} of {source} is {array.dtype}; it must be {dtype}; "
                f"write {name}.astype('{dtype}')"
            )
        if array.ndim != ndim or array.shape[:1] != size or size == (0,):
            raise ValueError(
                f"{name} of {source} has shape {array.shape}; "
                f"it must be {'(N, obs_dim)' if ndim == 2 else '(N,)'} with N > 0 the rows of obs"
            )
    if dataset.next_obs.shape != dataset.obs.shape:
        raise ValueError(
            f"next_obs of {source} has shape {dataset.next_obs.shape}; "
            f"it must be {dataset.obs.shape}, the shape of obs"
        )
    return dataset
