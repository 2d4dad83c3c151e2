"""The loop of one sweep: hands chunks to an executor, stores them as they finish."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import suppress
from typing import Any

import numpy as np
from tqdm import tqdm

from ..results import ENGINE_VERSION, RECORDED, Result
from ..spec import RunSpec
from .chunks import Chunk, Failure, describe, train_chunk
from .local import Store
from .lock import Reservation, locked

GAVE_UP = "the executor gave it up: it was shut down or lost its scheduler"
_POLL = 0.5  # seconds between checks of what other processes have finished
_GRACE = 3.0  # seconds that an interrupted sweep waits for running chunks
_NO_WORKERS = "no workers"


class SweepError(RuntimeError):
    """Runs that could not be trained, or an invalid setting; the message says which."""


class Job:
    """What is queued, running and failed in one sweep; `keys` holds the key of each spec."""

    def __init__(
        self,
        store: Store,
        reservation: Reservation,
        queue: deque[Chunk],
        keys: dict[RunSpec, str],
        bar: tqdm,
        refresh: bool,
        until: float,
    ):
        self.store, self.reservation, self.queue, self.keys = store, reservation, queue, keys
        self.bar, self.refresh, self.until = bar, refresh, until
        self.pending: dict[Future, Chunk] = {}
        self.failures: list[Failure] = []
        self.unstarted = 0
        self.stopping = False

    def run(self, executor: Executor, window: int, stop: threading.Event | None = None) -> None:
        try:
            while self.pending or (self.queue and time.monotonic() < self.until):
                if 4 * len(self.pending) <= 3 * window:  # one check of the store serves many chunks
                    for chunk in self._take(window - len(self.pending)):
                        self.pending[self._submit(executor, chunk, stop)] = chunk
                if self.pending:
                    idle = not wait(self.pending, _POLL, FIRST_COMPLETED).done
                    lonely = idle and _workerless(executor)
                    self.bar.set_postfix_str(_NO_WORKERS if lonely else "", refresh=False)
                elif self.queue:
                    time.sleep(_POLL)  # other sweeps are training all that is left
                self._collect()
                if _lost(executor):
                    self._give_up()
                self.bar.refresh()
        except BaseException:
            self.stopping = True
            enough = time.monotonic() + _GRACE
            if stop:
                stop.set()
            _withdraw(executor)
            for future in self.pending:
                if time.monotonic() < enough:
                    future.cancel()
            if stop:
                wait(self.pending, timeout=enough - time.monotonic())
            self._collect()
            raise
        if self.failures:
            first = self.failures[0]
            unstarted = f", {self.unstarted} more were not started," if self.unstarted else ""
            error = SweepError(
                f"{len(self.failures)} of the runs failed{unstarted} and the others are kept; "
                f"the first is {first.spec}: {first.message}"
            )
            error.add_note(first.trace)
            raise error

    def _take(self, count: int) -> list[Chunk]:
        """Reserves up to `count` chunks of runs neither finished nor training elsewhere."""
        chunks: list[Chunk] = []
        if count <= 0 or not self.queue or time.monotonic() >= self.until:
            return chunks
        with self.store.writing(), locked(self.store.path):
            # reservations first: a sweep that ends meanwhile stores its runs, then releases them
            theirs = set() if self.refresh else self.reservation.others()
            have = set() if self.refresh else self.store.keys()
            for _ in range(len(self.queue)):
                if len(chunks) == count:
                    break
                specs, backend = self.queue.popleft()
                left = [spec for spec in specs if self.keys[spec] not in have]
                self.bar.update(len(specs) - len(left))
                if taken := [spec for spec in left if self.keys[spec] in theirs]:
                    self.queue.append(Chunk(taken, backend))
                if free := [spec for spec in left if self.keys[spec] not in theirs]:
                    chunks.append(Chunk(free, backend))
            mine = [*self.pending.values(), *chunks]
            self.reservation.reserve(self.keys[spec] for chunk in mine for spec in chunk.specs)
        return chunks

    def _collect(self) -> None:
        """Stores the chunks that have finished."""
        for future, chunk in [item for item in self.pending.items() if item[0].done()]:
            outcomes = self._outcomes(future, chunk)
            results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
            if results:
                self.store.write(results)
                self.bar.update(len(results))
            self.failures += [outcome for outcome in outcomes if isinstance(outcome, Failure)]
            del self.pending[future]  # last: an interrupt may come at any moment

    def _outcomes(self, future: Future, chunk: Chunk) -> list[Result | Failure]:
        try:
            return future.result()
        except Exception as error:
            cancelled = isinstance(error, CancelledError)
            if cancelled and self.stopping:
                return []
            if cancelled or isinstance(error, BrokenExecutor):
                self._clear()  # it accepts no more chunks
            trace = "".join(traceback.format_exception(error))
            return _failed(chunk, GAVE_UP if cancelled else describe(error), trace)

    def _submit(self, executor: Executor, chunk: Chunk, stop: threading.Event | None) -> Future:
        records = self._records(chunk) or None
        try:  # `stop` is None where it would leave the process
            return executor.submit(train_chunk, *chunk, ENGINE_VERSION, stop, records)
        except Exception as error:  # broken, shut down, or its scheduler gone
            failed: Future = Future()
            failed.set_exception(BrokenExecutor(describe(error)))
            return failed

    def _records(self, chunk: Chunk) -> dict[RunSpec, dict[str, np.ndarray]]:
        """What the arms among the chunk's runs follow, as the store has it."""
        twins = {spec.twin.key: spec.twin for spec in chunk.specs if spec.twin}
        if not twins or callable(chunk.backend):
            return {}
        curves = self.store.curves(twins)
        return {
            twins[key]: {name: run[name].to_numpy() for name in RECORDED}
            for key, run in curves.groupby("key", sort=False)
        }

    def _give_up(self) -> None:
        for chunk in self.pending.values():
            self.failures += [Failure(spec, GAVE_UP, "") for spec in chunk.specs]
        self.pending.clear()
        self._clear()

    def _clear(self) -> None:
        self.unstarted += sum(len(chunk.specs) for chunk in self.queue)
        self.queue.clear()


def _failed(chunk: Chunk, message: str, trace: str) -> list[Result | Failure]:
    return [Failure(spec, message, trace) for spec in chunk.specs]


def _lost(executor: Executor) -> bool:
    """Whether a dask executor has lost its scheduler; some of its futures never report it."""
    return getattr(getattr(executor, "_client", None), "status", "running") != "running"


def _withdraw(executor: Any) -> None:
    """Cancels all futures of a dask executor in one message; a cancel() for each would wait."""
    with suppress(Exception):
        executor._client.cancel(list(executor._futures))


def _workerless(executor: Any) -> bool:
    """Whether a dask executor waits for its first worker, or has lost its last."""
    with suppress(Exception):  # `_lost` finds a scheduler that does not answer
        return not executor._client.nthreads()
    return False
