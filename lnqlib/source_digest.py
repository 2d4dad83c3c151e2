"""A digest of the source that a function or a module depends on: changed code, another digest.

Not seen are data files, and modules whose names are put together at run time.
"""

from __future__ import annotations

import argparse
import dataclasses
import dis
import enum
import hashlib
import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace

import numpy as np

from .source_files import SourceFiles, functions

_LITERAL = (type(None), bool, int, float, complex, str, bytes, type(...), PurePath)
_LIBRARY = __name__.partition(".")[0]


class NoSource(ValueError):
    """No source is found, or a value that counts has no digest; the message says what to write."""


def digest_of(what: str | Callable) -> str:
    """16 hexadecimal digits that change with the source that `what` depends on.

    That is the source of its module and, transitively, of every module that this imports outside
    the standard library and site-packages. No module is executed that is not yet loaded.

    **Arguments** `what`: a module's name, as in "my_module" or "my_module:factory", or a function
    or another callable. Of a callable the values count, too, that it captures: closure, defaults,
    and the globals that it and the functions it calls name. `f.version = "2"` takes the place of
    all that: only name and version count.

    **Raises** `NoSource` where there is no source, or a captured value has no digest.
    """
    if isinstance(what, str):
        name = what.partition(":")[0]
        captured = _Captured(name)
        if not captured.files.add(name):
            raise NoSource(f"the module {name} has no source file; write the name of a .py file")
        return _digest(sorted(captured.files.digests.items()))
    name = getattr(what, "__module__", None) or type(what).__module__
    version = getattr(what, "version", None)
    if isinstance(version, str | int):
        return _digest([name, getattr(what, "__qualname__", type(what).__name__), version])
    if version is not None:
        raise NoSource(f'version is {version!r}; it must be a string; write version = "1"')
    captured = _Captured(name)
    value = captured.value(what, True, getattr(what, "__name__", "the function"))
    return _digest([value, sorted(captured.files.digests.items())])


class _Captured:
    """Writes captured values as JSON, and collects the files of what they refer to."""

    def __init__(self, root: str):
        self.files = SourceFiles(root)
        self._seen: dict[int, object] = {}

    def value(self, x: object, strict: bool, name: str) -> object:
        """`x`, which the source calls `name`; without a digest an error if `strict`, else a type.

        Not strict are a file's globals: the file says how they are made.
        """
        kind = type(x)
        inner = partial(self.value, strict=strict, name=name)
        if isinstance(x, enum.Enum):
            return [self._class(kind), x.name]
        if isinstance(x, _LITERAL):
            return [kind.__name__, repr(x)]
        if isinstance(x, np.ndarray | np.generic) and not x.dtype.hasobject:
            return [x.dtype.str, x.shape, hashlib.sha256(x.tobytes()).hexdigest()]
        if isinstance(x, ModuleType):
            return [x.__name__, self.files.add(x.__name__)]
        if isinstance(x, type):
            return self._class(x)
        if isinstance(x, tuple | list):
            if self._again(x):
                return "again"
            return [kind.__name__, *map(inner, x)]
        if isinstance(x, set | frozenset):
            return sorted(map(inner, x), key=json.dumps)
        if self._again(x):
            return "again"
        if isinstance(x, dict):
            return [kind.__name__, *map(inner, x.items())]
        if isinstance(x, FunctionType):
            return self._function(x)
        if isinstance(x, MethodType):
            return [self._function(x.__func__), inner(x.__self__)]
        if isinstance(x, partial):
            return [inner(x.func), inner(x.args), inner(x.keywords)]
        if hasattr(x, "__wrapped__"):
            return inner(x.__wrapped__)
        if dataclasses.is_dataclass(x):
            return [self._class(kind), *(inner(getattr(x, f.name)) for f in dataclasses.fields(x))]
        if isinstance(x, SimpleNamespace | argparse.Namespace):
            return inner(vars(x))
        if kind.__module__.partition(".")[0] == "torch":
            if hasattr(x, "detach"):
                return inner(x.detach().cpu().numpy())
            if hasattr(x, "state_dict"):
                return [repr(x), inner(dict(x.state_dict()))]
            return repr(x)  # a device, a dtype
        if self.files.counts(kind.__module__) or self.files.unsaved(kind.__module__):
            if strict and hasattr(x, "__dict__"):
                return [self._class(kind), inner(vars(x))]
        elif callable(x) and hasattr(x, "__name__"):  # compiled
            home = getattr(x, "__module__", None) or kind.__module__
            return [home, x.__name__, self.files.add(home)]
        if strict:
            raise NoSource(
                f"{name} is a {kind.__module__}.{kind.__qualname__}, whose value has no digest; "
                'give the function a version that you change with it, as in train.version = "1"'
            )
        return f"{kind.__module__}.{kind.__qualname__}"

    def _again(self, x: object) -> bool:
        again = id(x) in self._seen
        self._seen[id(x)] = x  # kept, so that no other object gets its id
        return again

    def _function(self, f: FunctionType) -> object:
        home, code = f.__globals__.get("__name__", ""), f.__code__
        what, in_file = [home, code.co_qualname], self.files.add(home)
        if self._known(home, in_file):
            return what
        if not in_file:
            try:
                what.append(inspect.getsource(f))
            except (OSError, TypeError):
                raise NoSource(
                    f"{code.co_qualname} has no source here; put it into a file, or give it a "
                    f'version that you change with it, as in {f.__name__}.version = "1"'
                ) from None
        captured = dict(enumerate(f.__defaults__ or ())) | (f.__kwdefaults__ or {})
        for key, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            with suppress(ValueError):  # not filled yet
                captured[key] = cell.cell_contents
        strict = not in_file or "<locals>" in code.co_qualname
        values = [[key, self.value(v, strict, str(key))] for key, v in captured.items()]
        names = sorted(_global_names(code) & f.__globals__.keys())
        return [*what, values, [[n, self.value(f.__globals__[n], not in_file, n)] for n in names]]

    def _known(self, home: str, in_file: bool) -> bool:
        """Whether the files say all of a module: this library's, and installed ones."""
        return home.partition(".")[0] == _LIBRARY if in_file else not self.files.unsaved(home)

    def _class(self, kind: type) -> object:
        home, what = kind.__module__, f"{kind.__module__}.{kind.__qualname__}"
        in_file = self.files.add(home)
        if self._known(home, in_file) or self._again(kind):
            return what
        parts: list[object] = [what, *map(self._class, kind.__bases__)]
        for key, member in vars(kind).items():
            own = [f for f in functions(member) if f.__globals__.get("__name__") == home]
            made = key.startswith("__") and all(f.__code__.co_filename[0] == "<" for f in own)
            if not made:  # by dataclass and the like
                parts += [[key, self._function(f)] for f in own if not self._again(f)]
                if not own and not in_file:
                    parts.append([key, self.value(member, False, key)])
        return parts


def _global_names(code: CodeType) -> set[str]:
    """The globals that a function and the functions within it name."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    return names.union(*(_global_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
