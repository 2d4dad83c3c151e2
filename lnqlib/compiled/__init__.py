"""One instruction set for everything compiled, so that a run has the same bits on any x86 machine.

numba compiles for the processor it finds, and a sum in 16 lanes rounds differently from a sum in 8.
So on every processor with AVX2 and FMA (x86-64-v3: Intel since Haswell, AMD since Zen) code is
compiled for these two and scheduled for the processor that trained `data/`. On other processors, or
where NUMBA_CPU_NAME or NUMBA_CPU_FEATURES names a target, numba's own choice stands; runs then
differ by rounding, which training amplifies.

Modules import `njit` from here: numba fixes its target when it decorates its first function, and
`cache=True` means the cache of `cache.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.dispatcher import Dispatcher

from .cache import keep, stamp

config: Any = numba.config  # numba fills it at run time

__all__ = ["njit", "pin", "pinned", "portable"]

TUNED_FOR = "znver3"
FEATURES = """64bit cmov cx8 cx16 fxsr mmx sse sse2 sse3 ssse3 sse4.1 sse4.2 crc32 popcnt sahf
    avx avx2 bmi bmi2 f16c fma lzcnt movbe"""
V3 = frozenset(FEATURES.split())


def portable(host: dict[str, bool]) -> str | None:
    """LLVM's feature string for x86-64-v3 and nothing more; None where `host` lacks a part of it.

    **Arguments** `host`: feature to whether the processor has it, as `llvmlite` reports them.
    """
    if not all(host.get(name, False) for name in V3):
        return None
    return ",".join(f"{'+' if name in V3 else '-'}{name}" for name in sorted(host))


def pin() -> None:
    """Makes numba compile for `portable` from here on, unless the user's environment decides."""
    if config.CPU_NAME is not None or config.CPU_FEATURES is not None:
        return
    try:
        features = portable(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM knows no features of this kind of processor
        return
    if features:
        config.CPU_NAME, config.CPU_FEATURES = TUNED_FOR, features


def njit(cache: bool = False, **options: Any) -> Callable:
    """numba's `njit` with `options`; `cache`, whether the code is kept on disk."""
    decorate = numba.njit(**options)

    def compiled(function: Callable) -> Callable:
        dispatcher = decorate(function)
        if isinstance(dispatcher, Dispatcher):  # a plain function under NUMBA_DISABLE_JIT
            stamp(function.__module__)
            if cache:
                keep(dispatcher)
        return dispatcher

    return compiled


def pinned() -> bool:
    """Whether numba compiles for the target that trained `data/`, so that bits are to agree."""
    asked = (config.CPU_FEATURES or "").split(",")
    features = {name[1:] for name in asked if name.startswith("+")}
    return config.CPU_NAME == TUNED_FOR and features == V3


pin()
