"""What the card measures of a group's networks at a checkpoint: their interference and returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numba import cuda

from ..data import Transitions
from ..engine.fused import INJECTED_AS
from ..metrics import check_batch
from ..networks import TABLE
from ..run import Look
from ..spec import RunSpec
from ..tasks import STATE_SIZE, TASKS
from .courses import Seen
from .episodes import episodes_kernel
from .interference import interference_kernel
from .memory import Lent
from .shape import THREADS, Shape
from .sums import SUMS, values_of

NO_STATES = np.empty((0, STATE_SIZE))
MEETING = 128  # threads of a network at most where samples meet


class Checkpoints:
    """Measures N networks whose runs differ in lr and seed alone."""

    def __init__(self, specs: list[RunSpec], shape: Shape, queue: Any):
        """`queue`: the card's stream that all is done in."""
        self.spec = first = specs[0]
        task, self.center = TASKS[first.env], TABLE[first.norm].center
        assert task.time_limit is not None  # each of the four has one
        self.queue, self.lr = queue, np.array([spec.lr for spec in specs])
        self.kinds = [first.norm, *([INJECTED_AS[first.norm]] if first.norm in INJECTED_AS else [])]
        # which norm is measured is chosen at run time
        self.threads = min(MEETING, -(-first.batch_size // THREADS) * THREADS)
        self.meet = interference_kernel(replace(shape, scale=False), self.threads)
        self.play = episodes_kernel(shape, task.index, task.time_limit, THREADS)
        scratch = (len(specs) * len(self.kinds), first.width * 2 * first.batch_size)
        self.scratch = [cuda.device_array(scratch, np.float64, stream=queue) for _ in range(2)]
        self.measured, self.played = Lent(queue), Lent(queue)

    def look(self, theta: Any, stream: Any, looks: list[Look]) -> Seen:
        """What is seen of the networks `theta` (N, P).

        **Arguments** `stream` (N,): whose batch and start states each of them has; `looks`: those.
        """
        meeting, playing = self._meet(theta, stream, looks), self._play(theta, stream, looks)
        found, returns = (there.copy_to_host(stream=self.queue) for there in (meeting, playing))
        weights = theta.copy_to_host(stream=self.queue)
        self.queue.synchronize()
        finite = np.isfinite(weights).all(1)
        values = values_of(found, self.spec.batch_size, self.lr)
        interference = {name: np.where(finite, of[:, 0], np.nan) for name, of in values.items()}
        if len(self.kinds) > 1:
            interference |= {
                f"injected_{name}": np.where(finite, of[:, 1], np.nan)
                for name, of in values.items()
                if name != "zero_gradients"
            }
        names, episodes = list(looks[0].starts), self.spec.eval_episodes
        means = {
            name: np.where(finite, returns[:, o * episodes :][:, :episodes].mean(1), np.nan)
            for o, name in enumerate(names)
        }
        return Seen(weights, interference, means)

    def _meet(self, theta: Any, stream: Any, looks: list[Look]) -> Any:
        """The interference kernel's sums (N, kinds, SUMS), on the card."""
        rows = np.stack([rows_of(look.batch, self.spec) for look in looks])
        kinds = np.array([(TABLE[kind].center, TABLE[kind].scale) for kind in self.kinds])
        sums = np.zeros((len(self.lr), len(kinds), SUMS))
        kinds, rows, lr, found = self.measured(kinds, rows, self.lr, sums)
        blocks = len(self.lr) * len(self.kinds)
        self.meet[blocks, self.threads, self.queue](
            theta, kinds, rows, stream, lr, *self.scratch, found
        )
        return found

    def _play(self, theta: Any, stream: Any, looks: list[Look]) -> Any:
        """The return of every episode (N, episodes), on the card."""
        starts = np.stack([np.concatenate([*look.starts.values(), NO_STATES]) for look in looks])
        starts, returns = self.played(starts, np.zeros((len(self.lr), starts.shape[1])))
        self.play[len(self.lr), THREADS, self.queue](theta, self.center, starts, stream, returns)
        return returns


def rows_of(batch: Transitions, spec: RunSpec) -> np.ndarray:
    """obs, next_obs, reward, bootstrap, action of each transition: (B, 2 obs_dim + 3) float64."""
    data = check_batch(batch, spec.lr, spec.gamma, spec.terminal_mask)
    columns = (data.obs, data.next_obs, data.reward, data.bootstrap, data.action)
    return np.column_stack(columns)
