"""What is measured of many runs while another takes their gradient steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.managers import BaseManager
from time import perf_counter

import numpy as np

from ..engine.fused import FusedLearner
from ..results import Result
from ..run import Progress, course, dataset_of, initial_params_of
from ..spec import RunSpec


class Courses:
    """Runs that differ in lr and seed alone, each up to where it waits for gradient steps."""

    def __init__(self, specs: list[RunSpec]):
        self.learners, self.running = [], []
        for spec in specs:
            dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
            learner = FusedLearner(spec, dataset, initial_params_of(spec))
            self.learners.append(learner)
            self.running.append(course(spec, dataset, learner, perf_counter()))

    def start(self) -> tuple[np.ndarray, tuple[int, int]]:
        """All weights (N, P) in the order of `fused.layout`, and the steps that come first."""
        awaited = [next(running) for running in self.running]
        return np.stack([learner.theta for learner in self.learners]), awaited[0]

    def go_on(
        self, theta: np.ndarray, reports: list[list[Progress]]
    ) -> tuple[int, int] | list[Result]:
        """Takes what the steps led to and measures; the steps that come next, or the results."""
        awaited: tuple[int, int] = (0, 0)
        results = []
        for i, (learner, running) in enumerate(zip(self.learners, self.running, strict=True)):
            learner.theta[:] = theta[i]
            try:
                awaited = running.send(reports[i])
            except StopIteration as end:
                results.append(end.value)
        return results or awaited


class _Process(BaseManager):
    """A process of its own: measuring holds Python's lock for too much of its time."""


_Process.register("Courses", Courses)


@contextmanager
def courses(specs: list[RunSpec], apart: bool) -> Iterator[Courses]:
    """`Courses(specs)`; where `apart`, in a process of its own, called in the same way."""
    if not apart:
        yield Courses(specs)
        return
    # forked from a process that has imported the library, and that no CUDA nor thread is in
    fork = "forkserver" in get_all_start_methods()
    context = get_context("forkserver" if fork else "spawn")
    if fork:
        context.set_forkserver_preload([__name__])
    with _Process(ctx=context) as process:
        yield process.Courses(specs)  # type: ignore[attr-defined]  # made by `register`
