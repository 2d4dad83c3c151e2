"""Datasets and batches as the kernel reads them: the CPU's own, rows sorted by action."""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from ..data import Transitions
from ..engine.fused import pack
from ..run import dataset_of, looks
from ..spec import RunSpec
from .shape import QUAD, Shape


def padded_rows(dataset: Transitions, spec: RunSpec, shape: Shape) -> np.ndarray:
    """obs, next_obs, reward and discount of each transition, filled up: (size * `shape.row`,)."""
    packed = pack(dataset, spec.gamma, spec.terminal_mask)[:, :-1]  # without the action
    rows = np.zeros((len(packed), shape.row), np.float32)
    rows[:, : packed.shape[1]] = packed
    return rows.ravel()


@njit(nogil=True, cache=True)
def sort_by_action(batches, action, m, quad, order, cuts):
    """Fills `order` (steps, B) and `cuts` (steps, 2 m + 1), as `kernel.training_kernel` says."""
    steps, size = batches.shape
    place = np.empty(m, np.int64)
    for step in range(steps):
        place[:] = 0
        for i in range(size):
            place[action[batches[step, i]]] += 1
        start, slots = 0, 0
        for a in range(m):
            count = place[a]
            place[a] = start
            cuts[step, m + a] = slots
            start += count
            slots += (count + quad - 1) // quad
            cuts[step, a] = start
        cuts[step, 2 * m] = slots
        for i in range(size):
            a = action[batches[step, i]]
            order[step, place[a]] = batches[step, i]
            place[a] += 1


class Stream:
    """The batches of one task and seed, which all its runs share."""

    def __init__(self, spec: RunSpec, shape: Shape):
        dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
        self.spec, self.shape = spec, shape
        self.rows = padded_rows(dataset, spec, shape)
        self.action = dataset.action
        self.rng = spec.rng("batches")
        self.looks = looks(spec, dataset)  # what is drawn at every checkpoint

    def draw(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The next `steps` batches as `order` and `cuts`; drawn as `run` draws them."""
        size = (steps, self.spec.batch_size)
        batches = self.rng.integers(self.spec.dataset_size, size=size, dtype=np.int32)
        order = np.empty(size, np.uint16)
        cuts = np.empty((steps, 2 * self.shape.m + 1), np.uint16)
        sort_by_action(batches, self.action, self.shape.m, QUAD, order, cuts)
        return order, cuts


def stream_of(spec: RunSpec) -> tuple:
    """What runs must share to read one stream."""
    return spec.env, spec.seed, spec.data, spec.dataset_size, spec.batch_size
