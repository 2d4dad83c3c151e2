"""The reader's own modules, for a norm "my_module:factory" or a task "my_module:MyEnv-v0".

`load` alone runs them, and only where something is trained or a task is asked for its sizes. A
specification read from a file is text; so is every lookup of results, which reads the source's
digest. What runs is the source as it is on disk: whatever was imported before has no part in it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import sys
import threading
import warnings
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from .source_files import SourceFiles
from .spec import RunSpec, SpecError, cut

if TYPE_CHECKING:
    from torch import nn

_LOCK = threading.RLock()
_MARK = "_lnqlib_digests"  # on a module's spec: those of the files that it was made from
_IN_STRING = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+|\w+(?=:\w))(?::\w+)?")  # module:name, a.module


def digest(spec: RunSpec) -> str:
    """What results of `spec` are kept under beside its key: a digest of the source it names.

    That is the source of the modules, and of all that they import, as it is on disk; of an
    installed package it is the version, and this library has `results.ENGINE_VERSION`. "" where
    `spec` names no module. Runs nothing.

    **Raises** `SpecError` where a module is not there.
    """
    digests = [_digest(module) for module in modules(spec)]
    return _hash(*digests) if digests else ""


def source_folder(spec: RunSpec) -> str:
    """The folder of the store for results of `spec`, as in `my_module-0123456789abcdef`; or ""."""
    own = digest(spec)
    return f"{'+'.join(modules(spec))}-{own}" if own else ""


def modules(spec: RunSpec) -> tuple[str, ...]:
    """The modules that `spec` names, and the one behind an id that no installed package has."""
    behind = _registered(spec.env) if "env" in spec.own and ":" not in spec.env else ""
    return tuple(dict.fromkeys([*spec.modules, *([behind] if behind else [])]))


def _registered(env: str) -> str:
    """The module of an environment that this program registered itself, "" for installed ones."""
    from gymnasium import registry

    entry = registry[env].entry_point if env in registry else ""
    named = isinstance(entry, str)
    module = entry.partition(":")[0] if named else entry.__module__
    own = module == "__main__" or (module and _Files.of(module).digests)
    if own and not named:
        raise SpecError(
            f"env is {env!r}, registered in this program with an object of the module {module}; "
            "only a module's name says which source it has; "
            f'write env="my_module:{env}" with the module that registers it'
        )
    return module if own else ""  # an installed id has its version in it


class _Files(SourceFiles):
    """The files of a module and of all that it imports or names in a string, as for an entry point.

    Installed packages and this library do not count: they have versions.
    """

    @classmethod
    def of(cls, module: str) -> _Files:
        files = cls("")  # no package is the root: none within site-packages counts
        files.add(module)
        return files

    def counts(self, name: str) -> bool:
        return name.partition(".")[0] not in ("lnqlib", "__main__") and super().counts(name)

    def add(self, name: str) -> bool:
        new = name not in self.digests and super().add(name)
        if new and (path := self.paths()[name]).suffix == ".py":
            for node in ast.walk(ast.parse(path.read_bytes())):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and (found := _IN_STRING.fullmatch(text)):
                    self.add(found[1])
        return name in self.digests

    def paths(self) -> dict[str, Path]:
        return {name: Path(self._spec(name).origin) for name in sorted(self.digests)}


def _digest(module: str) -> str:
    if module == "__main__":
        raise SpecError(
            'module is "__main__", a notebook or script; it must be a module with a file of its '
            'own; write its code into my_module.py, and "my_module:" in its place'
        )
    try:
        paths = _Files.of(module).paths()
    except SyntaxError as error:
        raise SpecError(
            f"module is {module!r}, and line {error.lineno} of it or of what it imports is no "
            f"Python ({error.msg}); it must be importable; {_importable(module)}"
        ) from error
    if paths:
        return _hash(*(f"{name} {_hash(path.read_bytes())}" for name, path in paths.items()))
    top = module.partition(".")[0]
    if find_spec(top) is None:
        raise SpecError(
            f"module is {module!r}, and Python finds none of that name; it must be on the path; "
            "write its folder into PYTHONPATH, or start Python there"
        )
    packages = sorted(set(packages_distributions().get(top, ())))
    return _hash(module, *(f"{name} {version(name)}" for name in packages))


def _hash(*parts: str | bytes) -> str:
    data = [part if isinstance(part, bytes) else part.encode() for part in parts]
    return hashlib.sha256(b"\n".join(data)).hexdigest()[:16]


def _importable(module: str) -> str:
    return f"write it so that python -c 'import {module}' works"


def load(module: str) -> ModuleType:
    """Imports a module, once more where it is other than its source on disk.

    **Raises** `SpecError` where there is none, or it ends in an error.
    """
    with _LOCK:
        _digest(module)  # raises where there is none
        files, present = _Files.of(module), sys.modules.get(module)
        # on the spec, which importlib.reload replaces; digests hold what memory has other than disk
        if files.digests and getattr(getattr(present, "__spec__", None), _MARK, 0) == files.digests:
            return present
        finder = _Sources(files.paths())
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
                f"{_importable(module)}"
            ) from error
        finally:
            sys.meta_path.remove(finder)
        setattr(made.__spec__, _MARK, _Files.of(module).digests)
        return made


def check_source(env: str, made: object) -> None:
    """Refuses an environment whose class stands in a file that its digest does not see.

    **Raises** `SpecError`.
    """
    home = type(made).__module__
    named = modules(RunSpec(env))
    if named and _Files("").counts(home) and not any(home in _Files.of(m).digests for m in named):
        raise SpecError(
            f"env is {env!r}, whose class stands in {home}; {named[0]} must import that module or "
            f"name it in a string; write import {home} in {named[0]}"
        )


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
    import torch  # here, for looking results up needs none of it

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
        if not isinstance(made, torch.nn.Module):
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
