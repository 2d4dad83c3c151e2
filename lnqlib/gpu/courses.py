"""What is left of many runs once the card has trained and measured their networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.managers import BaseManager
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ..data import Transitions
from ..engine.fused import FusedLearner
from ..networks import Params
from ..results import Result
from ..run import Progress, course, dataset_of, initial_params_of, looks
from ..spec import RunSpec
from ..tasks import isometry_sizes


class Seen(NamedTuple):
    """Of N networks at a checkpoint; what was measured is NaN where a weight is not finite."""

    theta: np.ndarray  # (N, P), in the order of `fused.layout`
    interference: dict[str, np.ndarray]  # what `FusedLearner.interference` returns, (N,) each
    returns: dict[str, np.ndarray]  # mean returns, (N,) each


class SeenLearner(FusedLearner):
    """A learner whose steps are taken elsewhere, and who is told what was seen there."""

    def see(self, seen: Seen, i: int) -> None:
        """Network i of `seen`."""
        self.theta[:] = seen.theta[i]
        self.found = {name: float(of[i]) for name, of in seen.interference.items()}
        self.returns = iter([float(of[i]) for of in seen.returns.values()])

    def interference(self, params: Params, batch: Transitions) -> dict[str, float]:
        return self.found

    def greedy_return(self, starts: np.ndarray) -> float:
        return next(self.returns)


def compile_rest(spec: RunSpec) -> None:
    """Compiles, once and for the disk, what every process would else compile for itself."""
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    learner, look = SeenLearner(spec, dataset, initial_params_of(spec)), next(looks(spec, dataset))
    learner.found = {}
    learner.measure(look.batch, isometry_sizes(spec.env), look.seed)


class Courses:
    """Runs that differ in lr and seed alone, each up to where it waits for gradient steps."""

    def __init__(self, specs: list[RunSpec]):
        self.learners, self.running = [], []
        for spec in specs:
            dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
            learner = SeenLearner(spec, dataset, initial_params_of(spec))
            self.learners.append(learner)
            self.running.append(course(spec, dataset, learner, perf_counter()))

    def theta(self) -> np.ndarray:
        """All weights (N, P) in the order of `fused.layout`."""
        return np.stack([learner.theta for learner in self.learners])

    def go_on(self, reports: list[list[Progress]], seen: Seen) -> None:
        """To the next steps, with what those before reported ([] before the first)."""
        for i, (learner, running) in enumerate(zip(self.learners, self.running, strict=True)):
            learner.see(seen, i)
            if reports:
                running.send(reports[i])
            else:
                next(running)

    def end(self, reports: list[list[Progress]]) -> list[Result]:
        """The results, after the last steps."""
        results = []
        for report, running in zip(reports, self.running, strict=True):
            try:
                running.send(report)
            except StopIteration as end:
                results.append(end.value)
        return results


class _Process(BaseManager):
    """A process of its own: what is left holds Python's lock for too much of its time."""


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
