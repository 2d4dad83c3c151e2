"""Where results are kept: by backend, and by the modules that specs name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

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


class Place(NamedTuple):
    """Runs whose results are kept in one store; where they name modules, a digest of the source."""

    specs: list[RunSpec]
    store: Store
    shipped: Shipped | None
    source: str = ""

    @property
    def keys(self) -> list[str]:
        return list(dict.fromkeys(spec.key for spec in self.specs))

    def finished(self) -> set[str]:
        keys = set(self.keys)
        have = keys & self.shipped.keys() if self.shipped else set()
        return have | (keys & self.store.keys() if keys - have else set())

    def read(self, what: str, local_first: bool) -> list[pd.DataFrame]:
        """The "results" or "curves" of the finished runs: a frame from each source that was asked.

        The second source is asked for the runs that the first one lacks.
        """
        sources = (self.store, self.shipped) if local_first else (self.shipped, self.store)
        keys, frames = self.keys, []
        for source in sources:
            if source is not None and keys:
                frames.append(getattr(source, what)(keys))
                found = set(frames[-1]["key"])
                keys = [key for key in keys if key not in found]
        return frames


def places(specs: list[RunSpec], store: Store, shipped: Shipped | None) -> list[Place]:
    """The specs by where their results are kept; what names a module is never looked up in files
    that came with the library, or from somebody else."""
    sources: dict[tuple[str, ...], tuple[str, str]] = {}
    found: dict[str, Place] = {}
    for spec in specs:
        own = tuple(spec.own.values())
        if own and own not in sources:
            from ..own.extensions import digest, source_folder  # here, for most sweeps need neither

            sources[own] = source_folder(spec), digest(spec)
        folder, source = sources.get(own, ("", ""))
        if folder not in found:
            inner = Place([], store.within(folder), None, source) if folder else None
            found[folder] = inner or Place([], store, shipped)
        found[folder].specs.append(spec)
    return list(found.values())
