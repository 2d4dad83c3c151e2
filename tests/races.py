"""Races of CUDA kernels, found in numba's simulator, which itself cannot show them.

The simulator runs a block's threads one barrier at a time, in one order. On a card they run in any
order between two barriers. So a kernel is free of races if, of the threads that touch one place of
memory between two barriers, all read or all are the same one; and, of the blocks of a launch, all
read a place or all are the same one. `watched()` checks each access of a kernel for this; atomic
operations are let through. Memory that is read before anything was written to it is found, too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numba.cuda.simulator import kernel, kernelapi

SPENT = "_spent"  # a thread's barriers so far


class Watch:
    """What threads did to each byte address since the last barrier, blocks since the launch."""

    def __init__(self) -> None:
        self.found: set[str] = set()  # where in the source
        self.lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Of a launch."""
        self.by_thread: dict[int, tuple] = {}
        self.by_block: dict[int, tuple] = {}
        self.at_barrier: dict[tuple, str] = {}

    def touch(self, address: int, writes: bool, shared: bool) -> None:
        """The calling thread reads or writes a number; kept is who read or wrote it so far."""
        thread = threading.current_thread()
        if not isinstance(thread, kernel.BlockThread):
            return
        block, t = thread.blockIdx.x, thread.thread_id
        epoch, line = (block, vars(thread).get(SPENT, 0)), _caller()
        with self.lock:
            since, readers, writers = self.by_thread.get(address, (None, set(), set()))
            if since != epoch:
                readers, writers = set(), set()
            (writers if writes else readers).add(t)
            self.by_thread[address] = epoch, readers, writers
            if writers and len(readers | writers) > 1:
                self.found.add(f"threads at {line}")
            if shared:  # each block has its own
                return
            readers, writers = self.by_block.setdefault(address, (set(), set()))
            (writers if writes else readers).add(block)
            if writers and len(readers | writers) > 1:
                self.found.add(f"blocks at {line}")

    def barrier(self, thread: Any) -> None:
        """The calling thread has waited."""
        spent = vars(thread).get(SPENT, 0)
        setattr(thread, SPENT, spent + 1)
        line, place = _caller(), (thread.blockIdx.x, spent)
        with self.lock:
            if self.at_barrier.setdefault(place, line) != line:
                self.found.add(f"barriers at {line}")


def _caller() -> str:
    """Where in the kernel's source the calling thread is."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ or "simulator" in frame.f_code.co_filename:
        assert frame.f_back
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"


class Watched:
    """An array whose every access is told to a `Watch`."""

    def __init__(self, watch: Watch, data: np.ndarray, at: np.ndarray | None, shared: bool):
        self.watch, self.data, self.shape, self.shared = watch, data, data.shape, shared
        if at is None:  # the address of each number
            assert data.flags.c_contiguous
            at = data.ctypes.data + data.itemsize * np.arange(data.size).reshape(data.shape)
        self.at = at

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> Any:
        value, at = self.data[index], self.at[index]
        if isinstance(value, np.ndarray):
            return Watched(self.watch, value, at, self.shared)
        self.watch.touch(int(at), False, self.shared)
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        self.watch.touch(int(self.at[index]), True, self.shared)
        self.data[index] = value


class _Atomic(kernelapi.FakeCUDAAtomic):
    def min(self, array: Watched, index: Any, value: Any) -> Any:
        return super().min(array.data, index, value)


@contextmanager
def watched() -> Iterator[Watch]:
    """Simulated kernels that are launched meanwhile are watched."""
    watch, wait = Watch(), kernel.BlockThread.syncthreads

    def syncthreads(thread: Any) -> None:
        wait(thread)
        watch.barrier(thread)

    class Shared(kernelapi.FakeCUDAShared):
        def array(self, shape: Any, dtype: Any) -> Watched:
            line = sys._getframe(1).f_lineno
            with watch.lock:
                return self._allocations.setdefault(
                    line, Watched(watch, np.empty(shape, dtype), None, True)
                )

    class Module(kernel.FakeCUDAModule):
        def __init__(self, *sizes: Any):
            super().__init__(*sizes)
            watch.begin()
            self._atomic, self._shared = _Atomic(), Shared(sizes[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.BlockThread, "syncthreads", syncthreads)
        patch.setattr(kernel, "FakeCUDAModule", Module)
        patch.setattr(
            kernel, "FakeWithinKernelCUDAArray", lambda fake: Watched(watch, fake._ary, None, False)
        )
        yield watch
