"""Compiled code on disk, found again only by everything that was compiled into it.

numba's own cache looks at the decorated function and its file alone: change a constant or a callee
in another file, and the old machine code still answers. A damaged file raises at every start.

Here a file's name holds a digest of the function as it is in memory, of every constant and compiled
function that it reaches, and of what compiles them. So a file never becomes stale: it is not looked
for any more, and the `KEPT` latest of each function stay. A file holds its content's checksum.
"""

from __future__ import annotations

import dis
import hashlib
import os
import pickle
import sys
import warnings
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from uuid import uuid4

import llvmlite
import numba
import numpy as np
from numba import types
from numba.core import caching, config
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

__all__ = ["CodeCache", "described"]

KEPT = 8  # files of one function: its signatures, targets, and versions of its source
VERSIONS = (sys.version_info[:3], numba.__version__, llvmlite.__version__, np.__version__)
SWITCHES = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes, range)
PLAIN += (np.generic, np.dtype, types.Type)  # all that there is to them is printed
NAMED = (type, FunctionType, BuiltinFunctionType, ModuleType)
OTHERS = sys.stdlib_module_names | {"numpy", "numba"}  # their versions speak for what they hold


class CodeCache(caching.NullCache):
    """What `numba.core.caching.FunctionCache` does for one function, by everything it reaches."""

    def __init__(self, function: FunctionType):
        self._function = function
        name = f"{function.__module__}.{function.__qualname__}"
        self._name = name.replace("<", "").replace(">", "")

    @cached_property
    def _place(self) -> caching.CompileResultCacheImpl | None:
        """numba's choice of a folder: NUMBA_CACHE_DIR, `__pycache__`, the user's cache folder."""
        try:
            return caching.CompileResultCacheImpl(self._function)
        except RuntimeError:
            _warn("there is no folder to write to")
            return None

    @property
    def cache_path(self) -> str | None:
        return self._place and self._place.locator.get_cache_path()

    def load_overload(self, sig, target_context) -> CompileResult | None:
        target_context.refresh()
        if self._place is None:
            return None
        path = self._path(sig, target_context.codegen())
        try:
            checksum, content = path.read_bytes().split(b"\n", 1)
            if checksum != _digest(path.name.encode() + content):
                return None
            code = self._place.rebuild(target_context, pickle.loads(content))
        except Exception:  # whatever a file holds that cannot be read, compiling replaces it
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        return code

    def save_overload(self, sig, code: CompileResult) -> None:
        if self._place is None or not self._place.check_cachable(code):
            return
        content = dumps(self._place.reduce(code))
        path = self._path(sig, code.codegen)
        temporary = path.with_suffix(f".{uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_digest(path.name.encode() + content) + b"\n" + content)
            temporary.replace(path)  # at once: another process sees all of it or nothing
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            _warn(f"{path.parent}: {error.strerror}")
        with suppress(OSError):
            files = sorted(path.parent.glob(f"{self._name}-*"), key=lambda p: p.stat().st_mtime)
            for old in files[:-KEPT]:
                old.unlink()

    def _path(self, sig, codegen) -> Path:
        switches = [str(getattr(config, name)) for name in SWITCHES]
        made_by = (VERSIONS, codegen.magic_tuple(), config.USING_SVML, switches)
        arguments = [_of_type(kind) for kind in getattr(sig, "args", sig)]
        text = repr((described(self._function), arguments, made_by))
        return Path(self.cache_path, f"{self._name}-{_digest(text.encode())[:32].decode()}.nbc")


@cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept ({reason}), so every process compiles it again; "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        stacklevel=2,
    )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _of_type(kind: types.Type) -> object:
    """An argument's type; numba's name of a NamedTuple leaves its fields' names out."""
    if isinstance(kind, types.Dispatcher):
        return described(kind.dispatcher)
    inner = [_of_type(part) for part in kind] if isinstance(kind, types.BaseTuple) else ()
    return str(kind), getattr(kind, "fields", ()), inner


def described(value: object, names: tuple[str, ...] = (), above: tuple = ()) -> object:
    """Everything that compiled code takes from `value`, as nested tuples that print the same way.

    **Arguments** `value`: a function, or what a function reads: a constant, a module, a compiled
    function; `names`, the attributes that may be read of a module; `above`, the code objects that
    led here, so that recursion ends.

    **Raises** `TypeError` for a value whose content cannot be told.
    """
    kind = type(value).__name__

    def each(values: object) -> list[object]:
        return [described(v, names, above) for v in values]

    if isinstance(value, Dispatcher):
        return kind, *each((value.targetoptions, value.locals, value.py_func))
    if isinstance(value, tuple | list):
        return kind, each(value)
    if isinstance(value, set | frozenset):
        return kind, sorted(map(repr, each(value)))
    if isinstance(value, dict):
        return kind, sorted(zip(map(repr, value), map(repr, each(value.values())), strict=True))
    if isinstance(value, np.ndarray):
        return kind, str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, CodeType):
        parts = value.co_code, value.co_exceptiontable, value.co_names, value.co_varnames
        return kind, parts, value.co_freevars, value.co_cellvars, each(value.co_consts)
    if isinstance(value, PLAIN) or type(value) is np.ufunc:
        return kind, repr(value)
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    if isinstance(value, NAMED) and str(home).partition(".")[0] in OTHERS:
        return kind, home, getattr(value, "__qualname__", "")
    if isinstance(value, FunctionType):
        return kind, _of_function(value, above)
    if isinstance(value, ModuleType):
        return home, [(n, *each([getattr(value, n)])) for n in names if hasattr(value, n)]
    if isinstance(value, type) and issubclass(value, tuple):
        return home, value.__qualname__, getattr(value, "_fields", ())
    raise TypeError(
        f"compiled code reads a {kind}, {value!r}, and its cache cannot tell when that changes; "
        "allowed are numbers, strings, arrays, tuples and other containers of such, NamedTuple "
        "classes, modules, and compiled functions; read one of these instead"
    )


def _of_function(function: FunctionType, above: tuple) -> object:
    code = function.__code__
    if any(code is other for other in above):
        return "itself", code.co_qualname
    above = (*above, code)
    consts = code.co_consts
    if consts and consts[0] == function.__doc__:
        consts = (None, *consts[1:])  # words are not compiled
    read = _codes(code)
    names = tuple(sorted({name for c in read for name in c.co_names}))
    loads = {i.argval for c in read for i in dis.get_instructions(c) if i.opname == "LOAD_GLOBAL"}
    seen = {name: function.__globals__[name] for name in loads if name in function.__globals__}
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    closure = {name: cell.cell_contents for name, cell in cells}
    defaults = function.__defaults__, function.__kwdefaults__
    own = described(code.replace(co_consts=consts), names, above)
    return own, [described(v, names, above) for v in (seen, closure, defaults)]


def _codes(code: CodeType) -> list[CodeType]:
    """A function's code and that of the functions within it."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return [code, *(c for part in inner for c in _codes(part))]
