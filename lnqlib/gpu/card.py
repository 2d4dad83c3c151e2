"""Whether there is a GPU that kernels can run on, and in one sentence what is missing if not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from importlib.util import find_spec
from inspect import signature
from typing import Any

import numba

from ..spec import RunSpec
from .shape import covers


class NoCard(RuntimeError):
    """Kernels cannot run here; the message says what is missing and what to do."""


def simulated() -> bool:
    """Whether kernels are simulated on the CPU: NUMBA_ENABLE_CUDASIM=1 when Python starts."""
    return bool(vars(numba.config)["ENABLE_CUDASIM"])


def options(registers: int = 0) -> dict[str, Any]:
    """How kernels are compiled, for `cuda.jit`; `registers` of a thread at most, 0 for any.

    Without optimization at link time, numba's default: it takes half as long again, for nothing.
    All have the largest shared memory: a multiprocessor that is to divide its memory otherwise for
    another kernel must first be idle.

    Write `cuda.jit(function, **options())`: as a decorator with arguments it forgets `lto`.
    """
    from numba import cuda

    if simulated():  # it knows none of them
        return {}
    carveout = {"shared_memory_carveout": "MaxShared"}  # which older numba-cuda does not know
    known = signature(cuda.jit).parameters.keys() >= carveout.keys()
    return {"lto": False, "max_registers": registers or None} | (carveout if known else {})


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """`functools.cache`, but threads that come at the same time get one kernel, compiled once."""
    made, lock = cache(make), threading.Lock()

    @wraps(make)
    def get(*arguments: Any) -> Any:
        with lock:
            return made(*arguments)

    return get


def refusal(specs: list[RunSpec]) -> str:
    """Why the GPU cannot train `specs`, in one sentence; "" where it can."""
    if beyond := [spec for spec in specs if not covers(spec)]:
        return (
            f'{len(beyond)} of {len(specs)} runs are not supported by backend "gpu", such as '
            f'{beyond[0]}; write backend="engine" for those'
        )
    try:
        card()
    except NoCard as error:
        return str(error)
    return ""


def card() -> str:
    """The name of the GPU in use.

    **Raises** `NoCard` where there is none, or where something that numba needs is missing.
    """
    if simulated():
        return "numba's simulator"
    if find_spec("numba_cuda") is None:
        raise NoCard(
            'backend "gpu" needs the package numba-cuda, which is not installed; '
            'write pip install "lnqlib[gpu]"'
        )
    # read when CUDA starts: streams that share a queue to the card wait for each other
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    from numba import cuda

    with suppress(Exception):  # whatever fails here is said below, or costs time alone
        _sleep_while_waiting()
    try:
        name = cuda.get_current_device().name
    except Exception as error:  # of the driver, the toolkit or numba, each with classes of its own
        reason = " ".join(str(error).split()).rstrip(".:")
        raise NoCard(
            f'backend "gpu" needs an NVIDIA GPU with its driver, and numba finds none ({reason}); '
            'write backend="engine"'
        ) from error
    return name.decode() if isinstance(name, bytes) else str(name)


def _sleep_while_waiting() -> None:
    """Threads that wait for the card sleep; else each keeps a core from what is left to the CPU."""
    from numba import cuda
    from numba.cuda.cudadrv.driver import driver

    blocking = 4  # CU_CTX_SCHED_BLOCKING_SYNC
    for device in cuda.gpus:
        driver.cuDevicePrimaryCtxSetFlags(device.id, blocking)
