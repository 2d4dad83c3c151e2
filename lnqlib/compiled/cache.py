"""Compiled code on disk, compiled anew when any source file that it depends on has changed.

numba itself checks only the file of the decorated function: when a constant or a callee in another
file changes, it still runs the old code. It also fails at every start on a damaged file.
"""

from __future__ import annotations

import warnings
from functools import cache
from types import FunctionType
from typing import Any

import llvmlite
from numba.core import caching
from numba.core.compiler import CompileResult

from ..own.sources import files_digest, installed, sources


def keep(dispatcher: Any) -> None:
    """Keeps a function's compiled code on disk; where no folder can be written, says so once."""
    try:
        dispatcher._cache = CodeCache(dispatcher.py_func)
        return
    except RuntimeError as error:  # numba found no place, or `stamp` no source
        reason = str(error)
    _warn(reason if "source file" in reason else "there is no folder to write to")


@cache
def stamp(module: str) -> str:
    """What the code of a module is kept under: a digest of its sources at the first call.

    Call it when the module is imported: files may be edited later, the code in memory is not.

    **Raises** `RuntimeError` where no source is found, and changes would go unseen.
    """
    files = sources(module)
    if module not in files:
        raise RuntimeError(f"Python finds no source file of {module}")
    return f"{files_digest(files)} {llvmlite.__version__}"


class _AllSources(caching._CacheLocator):
    """A place for compiled code whose stamp covers all sources, not one file."""

    def __init__(self, py_func: FunctionType, py_file: str):
        super().__init__(py_func, py_file)  # type: ignore[call-arg]  # of the class beside it
        self._stamp = stamp(py_func.__module__)

    def get_source_stamp(self) -> str:
        return self._stamp


class _Provided(_AllSources, caching.UserProvidedCacheLocator):
    """The folder NUMBA_CACHE_DIR."""


class _InTree(_AllSources, caching.InTreeCacheLocator):
    """`__pycache__` beside the source, but for installed packages."""

    @classmethod
    def from_function(cls, py_func: FunctionType, py_file: str) -> _InTree | None:
        return None if installed(py_file) else super().from_function(py_func, py_file)


class _UserWide(_AllSources, caching.UserWideCacheLocator):
    """The user's cache folder."""


class _Code(caching.CompileResultCacheImpl):
    _locator_classes = [_Provided, _InTree, _UserWide]  # noqa: RUF012, numba reads a list


class CodeCache(caching.FunctionCache):
    """numba's cache of a function, which sees all sources and survives damaged and full disks."""

    _impl_class = _Code

    def load_overload(self, sig, target_context) -> CompileResult | None:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever damaged files raise, compiling replaces them
            return None

    def save_overload(self, sig, data: CompileResult) -> None:
        try:
            try:
                super().save_overload(sig, data)
            except OSError:
                raise
            except Exception:  # a damaged index
                self.flush()
                super().save_overload(sig, data)
        except OSError as error:
            _warn(f"{self.cache_path}: {error.strerror}")


@cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept ({reason}), so every process compiles it again; "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        stacklevel=2,
    )
