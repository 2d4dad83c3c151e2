"""One thread for numpy's linear algebra on matrices of a network's size.

OpenBLAS wakes a thread for each core for an eigenvalue problem of 128 rows, and these spin for
longer than the problem takes: alone it takes four times as long so, and beside another sweep a
hundred times. With one thread the numbers do not depend on the machine's cores, either. Without
threadpoolctl, which comes with the book's packages, the threads are as numpy has them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

try:
    from threadpoolctl import ThreadpoolController
except ImportError:
    ThreadpoolController = None

_ALONE = threading.Lock()  # of two that overlap, the first to leave would undo the other's


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra inside has one thread; what was set before comes back. Not to be nested."""
    libraries = _libraries()
    with _ALONE, libraries.limit(limits=1, user_api="blas") if libraries else nullcontext():
        yield


@cache
def _libraries() -> ThreadpoolController | None:
    return ThreadpoolController and ThreadpoolController()
