"""Tasks by Gymnasium id: their sizes, datasets and episodes, all in Gymnasium itself.

Episodes begin at the environment's own reset and end where it says terminated or truncated; only
a terminated transition has no bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, flatdim

from ..spec import RunSpec, SpecError, cut
from ..tasks import OUTSIDE, Task, start_states
from .extensions import LOCK, check_source, digest, is_installed, load

LONGEST = 100_000  # steps of an episode; an environment without a time limit could go on for ever

Policy = Callable[[np.ndarray], int]
"""An observation, float32 (obs_dim,), to an action."""


def make(env: str) -> gymnasium.Env:
    """The environment of a Gymnasium id; a module in the id is imported first.

    **Raises** `SpecError` where there is none or it is none for a Q-network: observations must be
    a Box of vectors, actions Discrete from 0.
    """
    module, _, name = env.rpartition(":")
    try:
        with LOCK:
            if module:
                _register(module, name)
            world = gymnasium.make(env, disable_env_checker=True)
    except SpecError:
        raise
    except Exception as error:  # Gymnasium's own, or anything that the environment raises
        wanted = "it must be the id of an installed environment; write pip install for its package"
        if module:
            wanted = f'{module} must register it; write gymnasium.register("{name}", ...) there'
        raise SpecError(
            f"env is {env!r}, and Gymnasium cannot make it ({cut(_first_line(error))}); {wanted}"
        ) from error
    check_source(env, _homes(world))
    observations, actions = world.observation_space, world.action_space
    if not (isinstance(observations, Box) and len(observations.shape) == 1):
        raise SpecError(
            f"env is {env!r}, whose observations are {_space(observations)}; they must be a Box of "
            "vectors; write a module that registers "
            "lambda: gymnasium.wrappers.FlattenObservation(env) as an id of its own"
        )
    if not isinstance(actions, Discrete):
        raise SpecError(
            f"env is {env!r}, whose actions are {_space(actions)}; they must be Discrete; write a "
            "module that registers lambda: gymnasium.wrappers.DiscretizeAction(env, bins=3) as an "
            "id of its own"
        )
    if actions.start != 0:
        raise SpecError(
            f"env is {env!r}, whose actions begin at {actions.start}; they must be counted from 0; "
            "write a module that registers lambda: gymnasium.wrappers.TransformAction(env, "
            f"lambda a: a + {actions.start}, gymnasium.spaces.Discrete({actions.n})) as an id"
        )
    return world


def _register(module: str, name: str) -> None:
    """Imports the module anew, without what an older state of it has registered under the name."""
    before = gymnasium.registry.pop(name, None)
    load(module)
    if before and name not in gymnasium.registry and is_installed(_maker(before)):
        gymnasium.registry[name] = before  # an installed package is not imported again


def _maker(spec: EnvSpec) -> str:
    """The module of what makes an environment."""
    entry = spec.entry_point
    if isinstance(entry, str):
        return entry.partition(":")[0]
    return getattr(entry, "func", entry).__module__  # a partial's function


def _homes(world: gymnasium.Env) -> Iterator[str]:
    """The modules of what makes an environment, of its wrappers and of its own class."""
    if world.spec:
        yield _maker(world.spec)
    while isinstance(world, gymnasium.Wrapper):
        yield type(world).__module__
        world = world.env
    yield type(world).__module__


def task(env: str) -> Task:
    """What a caller has to know of a task by its Gymnasium id."""
    return _task(env, digest(RunSpec(env)))


@lru_cache(maxsize=64)
def _task(env: str, source: str) -> Task:
    world = make(env)
    size, actions = flatdim(world.observation_space), flatdim(world.action_space)
    limit = world.spec.max_episode_steps if world.spec else None
    world.close()
    return Task(env, env.rpartition(":")[2], OUTSIDE, size, actions, 0, limit, source)


def rollout(env: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """`size` transitions of uniformly random actions; the last episode stops where they are full.

    **Returns** obs, action, reward, next_obs, terminated, as `data.Transitions` holds them.
    """
    sizes, world = task(env), make(env)
    action = rng.integers(sizes.num_actions, size=size)
    obs, next_obs = np.empty((2, size, sizes.obs_dim), np.float32)
    reward, terminated = np.empty(size, np.float32), np.empty(size, np.bool_)
    seen, _ = world.reset(seed=int(start_states(sizes, 1, rng)[0]))
    for i in range(size):
        obs[i] = seen
        seen, reward[i], terminated[i], truncated, _ = world.step(int(action[i]))
        next_obs[i] = seen
        if terminated[i] or truncated:
            seen, _ = world.reset()
    world.close()
    return obs, action, reward, next_obs, terminated


def returns(env: str, policy: Policy, seeds: np.ndarray) -> np.ndarray:
    """The undiscounted return of an episode of `policy` from each reset: (episodes,).

    **Raises** `SpecError` where an episode goes on for `LONGEST` steps.
    """
    totals, world = np.zeros(len(seeds)), make(env)
    for episode, seed in enumerate(seeds):
        seen, _ = world.reset(seed=int(seed))
        for _ in range(LONGEST):
            action = policy(np.asarray(seen, np.float32))
            seen, reward, terminated, truncated, _ = world.step(action)
            totals[episode] += reward
            if terminated or truncated:
                break
        else:
            raise SpecError(
                f"env is {env!r}, and an episode has not ended after {LONGEST:,} steps; "
                "it must have a time limit; write gymnasium.register(..., max_episode_steps=500)"
            )
    world.close()
    return totals


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _space(space: gymnasium.Space) -> str:
    return cut(" ".join(repr(space).split()))
