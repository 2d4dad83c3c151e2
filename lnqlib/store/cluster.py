"""A dask scheduler, and with it a cluster's workers, as the executor of a sweep."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .executor import SweepError

if TYPE_CHECKING:
    from distributed import Client

EXAMPLE = "tcp://localhost:8786"
TIMEOUT = 5.0  # seconds for a scheduler to answer
_ADDRESS = re.compile(r"(tcp|tls)://[^\s:/]+:(\d{1,5})")


class SchedulerError(SweepError):
    """A scheduler that cannot be used; the message names its address."""


@contextmanager
def connected(scheduler: str) -> Iterator[Executor | None]:
    """The executor of the dask scheduler at an address; None, local threads, without one.

    Every worker needs the same lnqlib; `dask scheduler` and `dask worker ADDRESS` start a cluster.

    **Arguments**: `scheduler`, as in tcp://localhost:8786, or "".

    **Raises** `SchedulerError` where the address is none, nothing answers in time, or dask is not
    installed.
    """
    if not scheduler:
        yield None
        return
    if not is_address(scheduler):
        raise SchedulerError(
            f"scheduler is {scheduler!r}; it must be tcp://HOST:PORT; write for example {EXAMPLE}"
        )
    client = _client(scheduler)
    try:
        threads = client.nthreads()
        there = f"{len(threads)} workers, {sum(threads.values())} threads"
        start = f"no workers yet; start them with dask worker {scheduler}"
        print(f"{scheduler}: {there if threads else start}", file=sys.stderr)
        yield client.get_executor()
    finally:
        with suppress(Exception):  # what it was needed for is over
            client.close(timeout=1)


def is_address(text: str) -> bool:
    """Whether `text` is tcp://HOST:PORT or tls://HOST:PORT."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[2]) < 2**16


def _client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise SchedulerError(
            f"{address} needs dask, which is not installed; write pip install 'lnqlib[cluster]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised
    made: Future = Future()

    def connect() -> None:
        try:
            made.set_result(Client(address, timeout=TIMEOUT, set_as_default=False))
        except Exception as error:
            made.set_exception(error)

    # in a thread, for what answers at an address may be no scheduler and keep dask waiting
    threading.Thread(target=connect, daemon=True).start()
    try:
        return made.result(TIMEOUT + 1)
    except Exception as error:
        raise SchedulerError(
            f"no dask scheduler answers at {address}; check the address, or start one there with "
            "dask scheduler and its workers with dask worker"
        ) from error
