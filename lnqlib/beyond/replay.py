"""Online replay: an experience buffer that epsilon-greedy episodes fill while the network learns.

The buffer holds `dataset_size` transitions, first in, first out, and starts with `WARM_UP` random
steps. Then each gradient step t is preceded by one step of the task, random with probability

    eps_t = max(0.05, 1 - 0.95 t / (0.1 steps)),

else greedy by the weights of that moment, and takes the rows floor(u fill_t) of the buffer as its
batch, u uniform in [0, 1), fill_t = min(WARM_UP + t + 1, dataset_size). Episodes start from
Gymnasium's default reset and end with the task or its time limit; what a time limit cut off
bootstraps like any other transition. What is measured before step t is measured on a batch of the
min(WARM_UP + t, dataset_size) transitions that are there before that step.

Everything random is drawn before the steps that use it (`Explorer`, `rows`), so a run depends
neither on who learns nor on the stretches in which it is trained.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data import Transitions
from ..spec import WARM_UP, RunSpec
from ..tasks import STATE_SIZE, TASKS, compiled, observe, start_states, step

EPSILON = 0.05  # the least probability of a random step
DECAY = 0.1  # the share of the run over which it falls there from 1
GREEDY = -1  # in place of a random action


class Replay(NamedTuple):
    """The buffer and the running episode; a learner writes into its arrays.

    The first five are those of `data.Transitions`: transition number i (from 0) is in row i % size.
    """

    obs: np.ndarray  # (size, obs_dim) float32
    action: np.ndarray  # (size,) int64
    reward: np.ndarray  # (size,) float32
    next_obs: np.ndarray  # (size, obs_dim) float32
    terminated: np.ndarray  # (size,) bool
    state: np.ndarray  # (4,) float64, of the running episode
    counts: np.ndarray  # (3,) int64: steps of the running episode, all transitions, goals reached

    @property
    def filled(self) -> Transitions:
        """The rows that hold a transition."""
        fill = min(int(self.counts[1]), len(self.action))
        return Transitions(*(array[:fill] for array in self[:5]))


class Moves(NamedTuple):
    """What a stretch of task steps does not leave to the network, one row a step."""

    action: np.ndarray  # (steps,) int64: the random action, or GREEDY
    starts: np.ndarray  # (steps, 4): where an episode starts that this step begins


class Explorer:
    """Draws a run's `Moves` in order; each kind of number has a generator of its own."""

    def __init__(self, spec: RunSpec):
        self.spec, self.task = spec, TASKS[spec.env]
        self._coins, self._actions, self._starts = spec.rng("data").spawn(3)

    def moves(self, first: int, last: int) -> Moves:
        """The moves of the steps `first` to `last`; those of the warm-up are below 0."""
        count = last - first
        action = self._actions.integers(self.task.num_actions, size=count)
        action[self._coins.random(count) >= epsilon(self.spec, first, last)] = GREEDY
        return Moves(action, start_states(self.task, count, self._starts))


def epsilon(spec: RunSpec, first: int, last: int) -> np.ndarray:
    """eps_t = max(0.05, 1 - 0.95 t / (0.1 steps)) of the steps `first` to `last`; 1 before 0."""
    t = np.arange(first, last)
    return np.clip(1 - (1 - EPSILON) * t / (DECAY * spec.steps), EPSILON, 1.0)


def rows(spec: RunSpec, rng: np.random.Generator, first: int, last: int) -> np.ndarray:
    """floor(u fill_t), the batches of the steps `first` to `last`, int32 (steps, B)."""
    fill = np.minimum(WARM_UP + 1 + np.arange(first, last), spec.dataset_size)
    u = rng.random((last - first, spec.batch_size))
    u *= fill[:, None]  # in place: a further large array costs more time than the drawing
    return u.astype(np.int32)


def begin(spec: RunSpec) -> tuple[Replay, Explorer]:
    """The buffer after its `WARM_UP` random steps, and the explorer of the steps that follow."""
    task, size, explorer = TASKS[spec.env], spec.dataset_size, Explorer(spec)
    obs, next_obs = np.zeros((2, size, task.obs_dim), np.float32)
    action, reward = np.zeros(size, np.int64), np.zeros(size, np.float32)
    state, counts = np.zeros(STATE_SIZE), np.zeros(3, np.int64)
    replay = Replay(obs, action, reward, next_obs, np.zeros(size, np.bool_), state, counts)
    _play(task.index, task.time_limit, replay, *explorer.moves(-WARM_UP, 0))
    return replay, explorer


@compiled
def _play(index, time_limit, replay, actions, starts):
    for t in range(len(actions)):
        act(index, time_limit, replay, look(index, replay, starts[t]), actions[t])


@compiled
def look(index, replay, start):
    """Writes what the task shows now into the buffer's next row, and returns which row that is.

    Where no episode is running, one begins at `start` (4,).
    """
    if replay.counts[0] == 0:
        replay.state[:] = start
    row = replay.counts[1] % len(replay.action)
    observe(index, replay.state, replay.obs[row])
    return row


@compiled
def act(index, time_limit, replay, row, action):
    """Takes `action` and completes the buffer's `row` with what it leads to."""
    reward, terminated = step(index, replay.state, action)
    replay.action[row], replay.reward[row], replay.terminated[row] = action, reward, terminated
    observe(index, replay.state, replay.next_obs[row])
    steps = replay.counts[0] + 1
    replay.counts[0] = 0 if terminated or steps == time_limit else steps
    replay.counts[1] += 1
    replay.counts[2] += terminated
