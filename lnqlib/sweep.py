"""sweep: finished runs looked up, missing ones trained in chunks, every chunk kept as it ends."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import starmap

import pandas as pd

from .spec import RunSpec
from .store import Store
from .store.backends import backend_store, on_the_gpu, places, shipped_of
from .store.chunks import STEP_SECONDS, Backend, Unchanged, chunked, predicted_seconds
from .store.executor import Job, SweepError
from .store.parquet import in_order
from .store.progress import Bar, announce
from .store.shipped import Shipped

_MANY = 64  # assumed worker count when the executor reports none
_WINDOW = 2048  # chunks submitted ahead to such an executor; a cluster queues what it cannot start


def sweep(
    specs: Iterable[RunSpec],
    executor: Executor | None = None,
    progress: bool = True,
    backend: Backend = "engine",
    workers: int | None = None,
    store: Store | str | os.PathLike | None = None,
    refresh: bool = False,
) -> pd.DataFrame:
    """The results of `specs`: those shipped or stored are looked up, the others trained and stored.

    The numbers do not depend on workers, executor, order or interruptions. Stopped with Ctrl-C,
    the sweep keeps what was finished; the same call, without `refresh`, continues it.

    Results of specs that name a module, as a norm or in a Gymnasium id, are kept in a folder of the
    store that is called after the module and a digest of its source: changed source is trained
    again. A module is imported where something is trained, never for looking up.

    **Arguments**

    - `executor`: any `concurrent.futures` executor, such as `Client(...).get_executor()` of
      dask.distributed; without it, local threads.
    - `progress`: a bar on stderr with runs done, rate and time left; silent if nothing is missing.
    - `backend`: "engine", "reference" (torch) or a function RunSpec -> Result. What another backend
      than the engine trained is kept apart, in a folder of the store with its name. A function's
      folder is also named by the `digest_of` its source and of all that this imports outside
      site-packages: after a change its runs are trained again. `f.version = "2"` takes the place
      of the digest, for a function that reads data files or has no source.
    - `workers`: how many chunks are trained at once, at most; without it, one a core, or as many
      as the executor can.
    - `store`: a `Store` or its folder; without it, the default one.
    - `refresh`: train all of `specs` anew and return those results.

    **Returns** one row for each spec in the order given: key, every RunSpec field, every name in
    CURVES (mean over training) and COUNTS.

    **Raises** `SweepError` where runs failed, `StoreError` where the store cannot be written.
    """
    specs = list(specs)
    store = backend_store(store, backend)
    if workers is not None and workers < 1:
        raise SweepError(f"workers is {workers!r}; it must be 1 or more; write workers=2")
    shipped = shipped_of(backend)
    try:
        train_missing(specs, store, shipped, executor, progress, backend, workers, refresh)
    except KeyboardInterrupt:
        done = len(finished(specs, store, shipped))
        print(
            f"Interrupted: {done} of {len({s.key for s in specs})} runs are finished and kept; "
            f"run it again{' without refresh' * refresh} to continue.",
            file=sys.stderr,
        )
        raise
    return lookup(specs, store, shipped, local_first=refresh)


def curves(
    specs: Iterable[RunSpec],
    store: Store | str | os.PathLike | None = None,
    backend: Backend = "engine",
    local_first: bool = False,
) -> pd.DataFrame:
    """The checkpoints of the finished ones among `specs`; nothing is trained.

    Shipped curves may hold fewer checkpoints than the run measured.

    **Arguments**: `store`, `backend` as for `sweep`; `local_first`, whether a stored run takes
    precedence over a shipped one, as in the rows of a `sweep` with `refresh`.

    **Returns** one row a run and checkpoint: key, step, a column for each name in CURVES.
    """
    specs = list(specs)
    kept = places(specs, backend_store(store, backend), shipped_of(backend))
    parts = [part for place in kept for part in place.read("curves", local_first)]
    keys = list(dict.fromkeys(spec.key for spec in specs))
    return in_order([part for part in parts if len(part)], keys)


def lookup(
    specs: list[RunSpec], store: Store, shipped: Shipped | None, local_first: bool = False
) -> pd.DataFrame:
    """The rows of `specs` in their order; runs that are not finished are left out.

    **Arguments** `local_first`: whether a stored run takes precedence over a shipped one.
    """
    kept = places(specs, store, shipped)
    frames = [frame for place in kept for frame in place.read("results", local_first)]
    if not frames:
        return store.results([])
    frame = pd.concat([f for f in frames if len(f)] or frames[:1])
    where = pd.Index(frame["key"]).get_indexer([spec.key for spec in specs])
    return frame.iloc[where[where >= 0]].reset_index(drop=True)


def finished(specs: list[RunSpec], store: Store, shipped: Shipped | None) -> set[str]:
    """The keys of the finished ones among `specs`."""
    return set().union(*(place.finished() for place in places(specs, store, shipped)))


def train_missing(
    specs: list[RunSpec],
    store: Store,
    shipped: Shipped | None,
    executor: Executor | None = None,
    progress: bool = True,
    backend: Backend = "engine",
    workers: int | None = None,
    refresh: bool = False,
    until: float = float("inf"),
) -> None:
    """Trains and stores what is missing of `specs`; starts no chunk after the time `until`.

    The runs that arms among them follow go first, unless the store has them.
    """
    errors: list[SweepError] = []
    for place in places(specs, store, shipped):
        store, unique = place.store, {spec.key: spec for spec in place.specs}
        done = set() if refresh else place.finished()
        missing = [spec for key, spec in unique.items() if key not in done]
        if not missing:
            continue
        if backend == "gpu":
            workers = on_the_gpu(missing)
        twins = [] if callable(backend) else [spec.twin for spec in missing if spec.twin]
        if twins:  # kept in the store, even where they are shipped, for there curves lack steps
            train_missing(twins, store, None, executor, progress, backend, workers, until=until)
        slots = workers or getattr(executor, "_max_workers", None)
        slots = slots or (None if executor else cores())
        chunks = chunked(missing, backend, slots or _MANY)
        if progress:
            known = [(spec, b) for specs, b in chunks for spec in specs if b in STEP_SECONDS]
            announce(missing, len(done), sum(starmap(predicted_seconds, known)), slots)
        if place.source:
            chunks = [chunk._replace(backend=Unchanged(chunk[1], place.source)) for chunk in chunks]
        keys = {spec: key for key, spec in unique.items()}
        with Bar(len(unique), len(done), progress) as bar, store.reserve() as reservation:
            job = Job(store, reservation, deque(chunks), keys, bar, refresh, until)
            window = 2 * slots if slots else _WINDOW
            try:
                if executor:
                    job.run(executor, workers or window)  # it may have more slots
                else:
                    _in_threads(job, slots or cores(), window)
            except SweepError as error:  # the runs of other places are trained all the same
                errors.append(error)
    if errors:
        raise errors[0]


def _in_threads(job: Job, slots: int, window: int) -> None:
    pool = ThreadPoolExecutor(slots, thread_name_prefix="lnqlib")
    stop = threading.Event()
    try:
        job.run(pool, window, stop)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
