"""`train(specs)`: many runs at once on one GPU."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numba import cuda

from ..engine.fused import BETA1, BETA2
from ..networks import TABLE
from ..results import Result
from ..run import Progress, stretches
from ..spec import RunSpec
from .batches import Stream, stream_of
from .card import NoCard, refusal, simulated
from .checkpoints import Checkpoints
from .courses import Seen, compile_rest, courses
from .kernel import training_kernel
from .memory import Lent
from .shape import shape_of

NEVER = np.iinfo(np.int64).max
GROUP = 72  # runs of a group at most: few enough that its process is not waited for
MOST_GROUPS = 64  # that are trained at the same time


def train(
    specs: list[RunSpec],
    apart: bool = True,
    stop: threading.Event | None = None,
) -> list[Result]:
    """Trains `specs` side by side.

    Up to `GROUP` runs that differ in lr and seed alone are a group: one launch takes a stretch of
    steps of all of them. Each group has a thread here and a CUDA stream, so the card has others to
    train while one is measured.

    **Arguments**

    - `apart`: whether each group is measured in a process of its own.
    - `stop`: set it to give up; the groups that are finished by then are returned.

    **Returns** the results in the order of the groups.

    **Raises** `NoCard` where there is no GPU, and for runs that `covers` refuses.
    """
    if reason := refusal(specs):
        raise NoCard(reason)
    kinds: dict[RunSpec, list[RunSpec]] = {}
    for spec in sorted(specs, key=lambda spec: spec.seed):  # runs of a seed share batches
        kinds.setdefault(replace(spec, lr=1.0, seed=0), []).append(spec)
    groups = [
        kind[start : start + GROUP]
        for kind in kinds.values()
        for start in range(0, len(kind), GROUP)
    ]
    stop = stop or threading.Event()
    results: list[Result] = []
    if apart:
        compile_rest(specs[0])
    with ThreadPoolExecutor(1 if simulated() else min(len(groups), MOST_GROUPS)) as pool:
        try:
            waiting = [pool.submit(_train, group, apart, stop) for group in groups]
            for done in as_completed(waiting):
                results += done.result()
        except BaseException:
            stop.set()
            raise
    return results


def _train(specs: list[RunSpec], apart: bool, stop: threading.Event) -> list[Result]:
    """One group's runs; none where `stop` was set before they ended."""
    ends = [*specs[0].checkpoint_steps.tolist(), specs[0].steps]
    with courses(specs, apart) as rest:
        group = Group(specs, rest.theta())
        reports: list[list[Progress]] = []
        for first, last in pairwise(ends):
            rest.go_on(reports, group.look())
            reports = group.advance(first, last)
            if stop.is_set():
                return []
        return rest.end(reports)


class Group:
    """Networks on the card whose runs differ in lr and seed alone."""

    def __init__(self, specs: list[RunSpec], theta: np.ndarray, **how: int):
        """`theta` (N, P): the initial weights; `how`: fields of the kernel's `Shape`."""
        first = specs[0]
        self.shape = shape = shape_of(first, **how)
        self.adam, self.center = first.optimizer == "Adam", TABLE[first.norm].center
        self.unit = np.float32(first.gradient_scale / first.batch_size)
        self.count = len(specs)
        self.kernel = training_kernel(shape)
        keys = list(dict.fromkeys(map(stream_of, specs)))
        self.streams = [
            Stream(next(spec for spec in specs if stream_of(spec) == key), shape) for key in keys
        ]
        # a group trains on its own in order, and at the same time as others
        self.queue = cuda.stream()
        moments = (self.count, 2, shape.n + shape.m, shape.units, shape.threads)
        rows = np.stack([stream.rows for stream in self.streams])
        self.on_card = [
            cuda.to_device(array, stream=self.queue)
            for array in (
                theta,
                np.zeros(moments, np.float32),
                np.zeros((self.count, 2, 1, 1, shape.m), np.float32),
                rows,
                np.array([keys.index(stream_of(spec)) for spec in specs]),
            )
        ]
        self.lr = cuda.to_device(np.array([spec.lr for spec in specs]), stream=self.queue)
        self.lent = Lent(self.queue)
        self.checkpoints = Checkpoints(specs, shape, self.queue)

    def theta(self) -> np.ndarray:
        """All weights (N, P)."""
        theta = self.on_card[0].copy_to_host(stream=self.queue)
        self.queue.synchronize()
        return theta

    def look(self) -> Seen:
        """What is measured of every network at its next checkpoint."""
        theta, stream = self.on_card[0], self.on_card[-1]
        return self.checkpoints.look(theta, stream, [next(s.looks) for s in self.streams])

    def advance(self, first: int, last: int) -> list[list[Progress]]:
        """The steps from `first` up to `last` of every network; what each stretch reports."""
        reports: list[list[Progress]] = [[] for _ in range(self.count)]
        for start, stop in stretches(first, last):
            for report, progress in zip(reports, self._stretch(start, stop), strict=True):
                report.append(progress)
        return reports

    def _stretch(self, start: int, stop: int) -> list[Progress]:
        drawn = [stream.draw(stop - start) for stream in self.streams]
        counts = np.full((self.count, 3), NEVER)
        counts[:, 0] = 0
        loss = np.zeros(self.count)
        order, cuts, corrections, loss_there, counts_there = self.lent(
            np.stack([order for order, _ in drawn]),
            np.stack([cuts for _, cuts in drawn]),
            corrections_of(self.adam, start, stop),
            loss,
            counts,
        )
        self.kernel[self.count, self.shape.threads, self.queue](
            *self.on_card, order, cuts, self.lr, corrections, self.unit, self.center, self.adam,
            start, loss_there, counts_there,
        )  # fmt: skip
        self.queue.synchronize()  # a thread sleeps here, and would spin in a copy
        loss_there.copy_to_host(loss, stream=self.queue)
        counts_there.copy_to_host(counts, stream=self.queue)
        counts[counts == NEVER] = -1
        return [
            Progress(total, *three)
            for total, three in zip(loss.tolist(), counts.tolist(), strict=True)
        ]


def corrections_of(adam: bool, start: int, stop: int) -> np.ndarray:
    """(steps, 2): Adam's factors of the learning rate and of the second moment's root, else 1."""
    step = np.arange(start + 1, stop + 1, dtype=np.float64)
    if not adam:
        return np.ones((len(step), 2))
    return np.stack([1 / (1 - BETA1**step), 1 / np.sqrt(1 - BETA2**step)], axis=1)
