"""The reader's own modules, for a norm "my_module:factory" or a task "my_module:MyEnv-v0".

`load` alone runs them, and only where something is trained or a task is asked for its sizes. A
specification is text, and looking results up reads the source's digest.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..spec import RunSpec, SpecError, cut
from .sources import files_digest, installed, sources

if TYPE_CHECKING:
    from torch import nn

LOCK = threading.RLock()
"""Held while modules are imported anew: another thread would find them half gone."""


def digest(spec: RunSpec) -> str:
    """What results of `spec` are kept under beside its key: a digest of the modules it names, "".

    It covers what they import as well, see `sources`; nothing is run.

    **Raises** `SpecError` where a module is not there.
    """
    return "".join(_digest(module) for module in spec.modules)


def source_folder(spec: RunSpec) -> str:
    """The folder of the store for results of `spec`, as in `my_module-0123456789abcdef`; or ""."""
    return "+".join(f"{module}-{_digest(module)}" for module in spec.modules)


def load(module: str) -> ModuleType:
    """Imports a module, and what it imports, as their source is on disk now.

    What was imported before is left aside, with what a program has set in it; modules of installed
    packages stay.

    **Raises** `SpecError` where there is none, or it ends in an error.
    """
    with LOCK:
        files = _files(module)
        try:
            for name, path in files.items():
                if not installed(path):
                    sys.modules.pop(name, None)
                    # Python's own cache goes by size and second: a changed digit would go unseen
                    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
            importlib.invalidate_caches()
            return importlib.import_module(module)
        except Exception as error:
            raise SpecError(
                f"module is {module!r}, and importing it ended in "
                f"{cut(f'{type(error).__name__}: {error}')}; it must be importable; "
                f"write it so that python -c 'import {module}' works"
            ) from error


def _files(module: str) -> dict[str, Path]:
    """The files of a module and of what it imports, without this library's: that has a version."""
    own = __name__.partition(".")[0]
    try:
        files = {name: path for name, path in sources(module).items() if name.split(".")[0] != own}
    except SyntaxError as error:
        raise SpecError(
            f"module is {module!r}, and line {error.lineno} of it or of what it imports is no "
            f"Python; it must be importable; write it so that python -c 'import {module}' works"
        ) from error
    if module not in files:
        raise SpecError(
            f"module is {module!r}, and Python finds no file of that name; it must be on the path; "
            "write its folder into PYTHONPATH, or start Python there"
        )
    return files


def _digest(module: str) -> str:
    return files_digest(_files(module))


def make_norm(name: str, width: int) -> nn.Module:
    """The norm that "my_module:factory" stands for, for `width` hidden units.

    **Raises** `SpecError` where there is no such factory, or it makes no module (B, width) ->
    (B, width).
    """
    import torch  # here, for looking results up needs none of it

    module, _, attribute = name.partition(":")
    factory = getattr(load(module), attribute, None)
    wanted = (
        "it must be a function width -> nn.Module that maps (B, width) to (B, width); "
        f"write def {attribute}(width: int) -> nn.Module in {module}"
    )
    if not callable(factory):
        raise SpecError(f"norm is {name!r}, and {module} has no function {attribute}; {wanted}")
    try:
        made = factory(width)
        if not isinstance(made, torch.nn.Module):
            raise TypeError(f"it returns {cut(repr(made))}")
        with torch.no_grad():
            shape = tuple(made.eval()(torch.zeros(2, width)).shape)
        if shape != (2, width):
            raise ValueError(f"its module makes {shape} of (2, {width})")
    except Exception as error:
        problem = cut(" ".join(str(error).split()))
        raise SpecError(f"norm is {name!r}, and it fails: {problem}; {wanted}") from error
    return made.train()


def is_installed(module: str) -> bool:
    """Whether an imported module belongs to an installed package.

    `__main__` never does: under `python -m pytest` it is pytest's file, and what is in it is not.
    """
    top = sys.modules.get(module.partition(".")[0])
    return module != "__main__" and installed(getattr(top, "__file__", None) or "")


def check_source(env: str, homes: Iterable[str]) -> None:
    """Refuses an environment that is made in a module which its digest does not see.

    **Arguments** `homes`: the modules of its class, of its wrappers and of what makes it.

    **Raises** `SpecError`.
    """
    named = RunSpec(env).modules
    seen = {name for module in named for name in _files(module)}
    for home in homes:
        if home not in seen and not is_installed(home):
            module = "my_module" if home == "__main__" else home  # of a notebook nothing is kept
            where = f"import {module} in {named[0]}" if named else f'env="{module}:{env}"'
            raise SpecError(
                f"env is {env!r}, which is made in {home}; results are kept under a digest of the "
                f"module that the id names, which must be or import that one; write {where}"
            )
