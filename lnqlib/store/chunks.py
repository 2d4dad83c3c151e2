"""The unit of work of a sweep: runs of one kind that take a worker some seconds."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..results import COUNTS, CURVES, ENGINE_VERSION, Result
from ..spec import RunSpec, cut

Backend = str | Callable[[RunSpec], Result]

STEP_SECONDS = {"engine": 12e-6, "reference": 450e-6}  # per gradient step, batch 128, width 128
CHECKPOINT_SECONDS = {"engine": 3e-3, "reference": 50e-3}
ARM_COST = {"none": 1.0, "backward": 1.6, "overshoot": 2.3, "isometry": 1.7, "random_isometry": 1.7}
"""A gradient step's time over that without an arm; about 1.1 for the others."""
CHUNK_SECONDS = 8.0
BACKENDS = (*STEP_SECONDS, "gpu")
SIDE_BY_SIDE = 4320  # runs that a GPU is given at once


class Failure(NamedTuple):
    """A run whose trainer raised."""

    spec: RunSpec
    message: str
    trace: str


class Chunk(NamedTuple):
    """Runs trained by one call of a worker."""

    specs: list[RunSpec]
    backend: Backend


@dataclass(frozen=True)
class Unchanged:
    """A backend for runs that name modules of the reader's own, whose source has this digest."""

    backend: Backend
    source: str

    def __call__(self, spec: RunSpec) -> Result:
        self._check(spec)
        result = trainer(self.backend)(spec)
        self._check(spec)
        return result

    def _check(self, spec: RunSpec) -> None:
        from ..own.extensions import digest

        if digest(spec) != self.source:
            raise RuntimeError(
                f"the source of {', '.join(spec.own.values())} is another than when the sweep "
                "began, or than on the machine that started it; run it again"
            )


def chunked(specs: list[RunSpec], backend: Backend, workers: int) -> list[Chunk]:
    """Groups runs that differ in lr and seed alone, each group split into chunks of like cost.

    Where there is little to do the chunks are smaller, so that every worker has some. On a GPU runs
    of any kind are trained side by side.
    """
    if backend == "gpu":
        starts = range(0, len(specs), SIDE_BY_SIDE)
        return [Chunk(specs[start : start + SIDE_BY_SIDE], backend) for start in starts]
    backends = _backends(specs, backend)
    costs = [predicted_seconds(s, b) for s, b in zip(specs, backends, strict=True)]
    budget = min(CHUNK_SECONDS, sum(costs) / (2 * workers))
    open_chunks: dict[tuple, tuple[Chunk, float]] = {}
    chunks: list[Chunk] = []
    for spec, which, cost in zip(specs, backends, costs, strict=True):
        kind = (replace(spec, lr=1.0, seed=0), which)
        chunk, spent = open_chunks.get(kind, (None, 0.0))
        if chunk is None or spent + cost > budget:
            chunk, spent = Chunk([], which), 0.0
            chunks.append(chunk)
        chunk.specs.append(spec)
        open_chunks[kind] = (chunk, spent + cost)
    return chunks


def predicted_seconds(spec: RunSpec, backend: Backend = "engine") -> float:
    """About how long a run takes on one core."""
    kind = backend if isinstance(backend, str) else "engine"
    size = spec.batch_size * spec.width / 128**2
    times = 2 if spec.lr_control == "paired_decay" else 1  # it trains LN's run, too
    steps = spec.steps * times * ARM_COST.get(spec.arm, 1.1)
    per_checkpoint = CHECKPOINT_SECONDS[kind] * (10 if spec.second_order else 1 + spec.companions)
    return steps * size * STEP_SECONDS[kind] + spec.checkpoints * per_checkpoint


def train_chunk(
    specs: list[RunSpec],
    backend: Backend,
    version: int,
    stop: threading.Event | None = None,
    records: dict[RunSpec, dict[str, np.ndarray]] | None = None,
) -> list[Result | Failure]:
    """What a worker does: trains `specs` one after the other, until `stop` is set.

    `version` is the sweep's engine version; a worker on another machine may have another.
    `records` are the curves of twins that need not be trained once more.
    """
    if version != ENGINE_VERSION:
        raise RuntimeError(
            f"the worker has engine version {ENGINE_VERSION}, the sweep {version}; "
            "install the same lnqlib on both"
        )
    if backend == "gpu":
        from ..gpu.training import train as train_side_by_side

        return list(train_side_by_side(specs, stop=stop))
    train = trainer(backend)
    outcomes: list[Result | Failure] = []
    for spec in specs:
        if stop and stop.is_set():
            break
        try:
            record = records.get(spec.twin) if records and spec.twin else None
            result = train(spec, record) if record else train(spec)
            outcomes.append(checked(result, spec) if callable(backend) else result)
        except Exception as error:
            outcomes.append(Failure(spec, describe(error), traceback.format_exc()))
    return outcomes


def checked(result: Result, spec: RunSpec) -> Result:
    """What a backend of the reader's own returned for a run.

    **Raises** `TypeError` where that is no `Result` of the run.
    """
    wanted = "a backend must return the Result of the RunSpec that it was given; write "
    wanted += "return make_result(spec, curves, mean_loss, counts), of lnqlib.results"
    if not isinstance(result, Result):
        raise TypeError(f"the backend returned {cut(repr(result))}; {wanted}")
    if result.spec != spec:
        asked = vars(spec)
        other = [f"{n}={v!r}" for n, v in vars(result.spec).items() if v != asked[n]]
        raise TypeError(f"the backend returned the Result of {', '.join(other)}; {wanted}")
    if lost := [n for n in (*CURVES, *COUNTS) if n not in result.row]:
        raise TypeError(f"the backend returned a row without {', '.join(lost[:3])}; {wanted}")
    return result


def backend_for(spec: RunSpec, backend: Backend = "engine") -> Backend:
    """The backend that trains `spec`: the one asked for, or the reference beyond the engine."""
    if backend != "engine":
        return backend
    from ..engine import covers

    return "engine" if covers(spec) else "reference"


def trainer(backend: Backend) -> Callable[..., Result]:
    """The function that a backend's name stands for, imported only when something is trained.

    The library's own take a record beside the spec.
    """
    if callable(backend):
        return backend
    if backend == "engine":
        from ..engine import train
    elif backend == "reference":
        from ..training import train
    else:
        raise ValueError(f"backend {backend!r} trains many runs at once, none alone")
    return train


def _backends(specs: list[RunSpec], backend: Backend) -> list[Backend]:
    backends = [backend_for(spec, backend) for spec in specs]
    beyond = [s for s, b in zip(specs, backends, strict=True) if b != backend]
    if beyond:
        slower, usual = (
            sum(predicted_seconds(s, which) for s in beyond) for which in ("reference", "engine")
        )
        print(
            f"{len(beyond)} of {len(specs)} runs are beyond the engine, such as {beyond[0]}; "
            f"the torch reference trains them, about {slower / usual:.0f} times slower.",
            file=sys.stderr,
        )
    return backends


def describe(error: Exception) -> str:
    """What an error's traceback ends with."""
    return f"{type(error).__name__}: {error}"
