"""Whether there is a GPU that kernels can run on, and in one sentence what is missing if not."""

from __future__ import annotations

from importlib.util import find_spec
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
    Write `cuda.jit(function, **options())`: as a decorator with arguments it forgets `lto`.
    """
    # the simulator knows neither
    return {} if simulated() else {"lto": False, "max_registers": registers or None}


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
    from numba import cuda

    try:
        name = cuda.get_current_device().name
    except Exception as error:  # of the driver, the toolkit or numba, each with classes of its own
        reason = " ".join(str(error).split()).rstrip(".:")
        raise NoCard(
            f'backend "gpu" needs an NVIDIA GPU with its driver, and numba finds none ({reason}); '
            'write backend="engine"'
        ) from error
    return name.decode() if isinstance(name, bytes) else str(name)
