"""The reader's own modules, for a norm "my_module:factory" or a task "my_module:MyEnv-v0".

`load` alone runs them, and only where something is trained or a task is asked for its sizes. A
specification read from a file is text; so is every lookup of results, which reads the source's
digest. What runs is the source as it is on disk: whatever was imported before has no part in it.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
import warnings
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import torch
from torch import nn

from .source_files import SourceFiles
from .spec import RunSpec, SpecError, cut

_LOCK = threading.RLock()
_MARK = "_lnqlib_digest"  # on a module: the digest of the source that it was made from


def digest(spec: RunSpec) -> str:
    """What results of `spec` are kept under beside its key: a digest of the source it names.

    That is the source of the modules, and of all that they import, as it is on disk; of an
    installed package it is the version. "" where `spec` names no module. Runs nothing.

    **Raises** `SpecError` where a module is not there.
    """
    digests = [_digest(module) for module in _modules(spec)]
    return _hash(*digests) if digests else ""


def source_folder(spec: RunSpec) -> str:
    """The folder of the store for results of `spec`, as in `my_module-0123456789abcdef`; or ""."""
    own = digest(spec)
    return f"{'+'.join(_modules(spec))}-{own}" if own else ""


def _modules(spec: RunSpec) -> tuple[str, ...]:
    """The modules that `spec` names, and the one behind an id that no installed package has."""
    behind = _registered(spec.env) if "env" in spec.own and ":" not in spec.env else ""
    return tuple(dict.fromkeys([*spec.modules, *([behind] if behind else [])]))


def _registered(env: str) -> str:
    """The module of an environment that this program registered itself, "" for installed ones."""
    from gymnasium import registry

    entry = registry[env].entry_point if env in registry else ""
    module = entry.partition(":")[0] if isinstance(entry, str) else entry.__module__
    own = module == "__main__" or (module and sources(module))
    return module if own else ""  # the id of an installed one has its version in it


def sources(module: str) -> dict[str, Path]:
    """The files of a module and of all that it imports, by module, without installed packages."""
    files = SourceFiles("")  # no package is the root: none within site-packages counts
    files.add(module)
    return {name: Path(files._spec(name).origin) for name in sorted(files.digests)}


def _digest(module: str) -> str:
    if module == "__main__":
        raise SpecError(
            'module is "__main__", a notebook or script; it must be a module with a file of its '
            'own; write its code into my_module.py, and "my_module:" in its place'
        )
    if files := sources(module):
        return _hash(*(f"{name} {_hash(path.read_bytes())}" for name, path in files.items()))
    top = module.partition(".")[0]
    if find_spec(top) is None:
        raise SpecError(
            f"module is {module!r}, and Python finds none of that name; it must be on the path; "
            "write its folder into PYTHONPATH, or start Python there"
        )
    return _hash(module, *(f"{name} {version(name)}" for name in _packages(top)))


def _packages(top: str) -> list[str]:
    return sorted(set(packages_distributions().get(top, ())))


def _hash(*parts: str | bytes) -> str:
    data = [part if isinstance(part, bytes) else part.encode() for part in parts]
    return hashlib.sha256(b"\n".join(data)).hexdigest()[:16]


def load(module: str) -> ModuleType:
    """Imports a module, again where its source has changed since.

    **Raises** `SpecError` where there is none, or it ends in an error.
    """
    with _LOCK:
        now, files = _digest(module), sources(module)
        present = sys.modules.get(module)
        if getattr(present, _MARK, "") == now:
            return present
        finder = _Sources(
            {n: p for n, p in files.items() if n.partition(".")[0] not in ("lnqlib", "__main__")}
        )
        finder.forget()
        sys.meta_path.insert(0, finder)
        try:
            with warnings.catch_warnings():  # it may register its environments once more
                warnings.filterwarnings("ignore", ".*Overriding environment")
                made = importlib.import_module(module)
        except Exception as error:
            finder.forget()
            raise SpecError(
                f"module is {module!r}, and importing it ended in "
                f"{cut(f'{type(error).__name__}: {error}')}; it must be importable; "
                f"write it so that python -c 'import {module}' works"
            ) from error
        finally:
            sys.meta_path.remove(finder)
        if files:
            setattr(made, _MARK, now)
        return made


class _Sources:
    """Finds modules in given source files; compiles these, never what Python has cached of them.

    Python's cache goes by size and second, so a digit changed at once would go unseen.
    """

    def __init__(self, files: dict[str, Path]):
        self.files = files

    def forget(self) -> None:
        for name in self.files:
            sys.modules.pop(name, None)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        file = self.files.get(name)
        return file and spec_from_file_location(name, file, loader=_Fresh(name, str(file)))


class _Fresh(SourceFileLoader):
    def get_code(self, name: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def make_norm(name: str, width: int) -> nn.Module:
    """The norm that "my_module:factory" stands for, for `width` hidden units.

    **Raises** `SpecError` where there is no such factory, or it makes no module (B, width) ->
    (B, width).
    """
    module, _, attribute = name.partition(":")
    factory = getattr(load(module), attribute, None)
    example = f"write def {attribute}(width: int) -> nn.Module in {module}"
    wanted = "it must be a function width -> nn.Module"
    if not callable(factory):
        raise SpecError(
            f"norm is {name!r}, and {module} has no function {attribute}; {wanted}; {example}"
        )
    try:
        made = factory(width)
        if not isinstance(made, nn.Module):
            raise TypeError(f"it returns {cut(repr(made))}")
        with torch.no_grad():
            shape = tuple(made.eval()(torch.zeros(2, width)).shape)
        if shape != (2, width):
            raise ValueError(f"its module makes {shape} of (2, {width})")
    except Exception as error:
        problem = str(error) if type(error) in (TypeError, ValueError) else repr(error)
        raise SpecError(
            f"norm is {name!r}, and {attribute}({width}) fails: {' '.join(problem.split())[:160]}; "
            f"{wanted} that maps (B, {width}) to (B, {width}); {example}"
        ) from error
    return made.train()
