"""Where the results of each backend are kept, and what a GPU refuses to train."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ..own.sources import NoSource, digest_of
from ..spec import RunSpec
from .chunks import BACKENDS, Backend
from .executor import SweepError
from .local import Store
from .shipped import Shipped


def on_the_gpu(specs: list[RunSpec]) -> int:
    """How many chunks a GPU trains at once.

    **Raises** `SweepError` where there is no GPU, or a run that its kernels were not written for.
    """
    from ..gpu import NOT_PROVEN, PROVEN
    from ..gpu.card import refusal

    if reason := refusal(specs):
        raise SweepError(reason)
    if not PROVEN:
        print(NOT_PROVEN, file=sys.stderr)
    return 1


def backend_store(store: Store | str | os.PathLike | None, backend: Backend) -> Store:
    """The store for results of `backend`: the engine's own, or a folder in it for any other."""
    if not callable(backend) and backend not in BACKENDS:
        raise SweepError(
            f'backend is {backend!r}; allowed are "engine", "reference" and a function '
            'RunSpec -> Result; write backend="engine"'
        )
    store = store if isinstance(store, Store) else Store(store)
    if backend == "engine":
        return store
    if backend == "gpu":  # of no other version of its kernels
        from ..gpu import VERSION

        return store.within(f"gpu-{VERSION}")
    return store.within(backend if isinstance(backend, str) else _folder_of(backend))


def _folder_of(train: Callable) -> str:
    named = train if hasattr(train, "__qualname__") else type(train)
    try:
        name = f"{named.__module__}.{named.__qualname__}-{digest_of(train)}"
    except NoSource as error:
        raise SweepError(f"backend: {error}") from None
    return name.replace("<", "").replace(">", "")


def shipped_of(backend: Backend) -> Shipped | None:
    return Shipped() if backend == "engine" else None
