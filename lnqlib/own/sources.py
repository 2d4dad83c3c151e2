"""A digest of the source that a module depends on: changed code, another digest.

It covers the module's file and those of all modules that it imports, outside the standard library
and other packages that are installed. Files are found and read; no module is executed. Data files,
and modules whose names are put together at run time, are not seen.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from sysconfig import get_path
from types import CodeType, FunctionType


class NoSource(ValueError):
    """There is no source to take a digest of; the message says what to write."""


def digest_of(what: str | Callable) -> str:
    """16 hexadecimal digits that change with the source that `what` depends on.

    **Arguments** `what`: a module, as "my_module" or "my_module:factory", or a function of one.
    A function's `version`, as in `train.version = "2"`, takes the place of its source.

    **Raises** `NoSource` where there is no module file, where a function is made at run time and
    has no version, and where a file was edited since it was imported.
    """
    if isinstance(what, str):
        module = what.partition(":")[0]
        named = f"the module {module}"
    else:
        kind = what if hasattr(what, "__qualname__") else type(what)
        module, name = kind.__module__, kind.__qualname__
        if (version := getattr(what, "version", None)) is not None:
            return _digest(f"{module}.{name} {version!r}")
        named = f"{module}.{name}"
        if kind is not what or "<" in name or hasattr(what, "__self__"):
            module = ""  # closures, lambdas, partials and methods hold values that no file shows
    files = sources(module)
    if module not in files:
        raise NoSource(
            f"{named} has no source file of its own; write a function of a .py file, or give it a "
            'version that you change with it, as in train.version = "1"'
        )
    for name, path in files.items():
        if _edited(name, path):
            raise NoSource(f"{path} was edited since it was imported; start Python again")
    return files_digest(files)


def files_digest(files: dict[str, Path]) -> str:
    """16 hexadecimal digits of files' names and contents."""
    parts = [f"{name} {_digest(path.read_bytes())}" for name, path in sorted(files.items())]
    return _digest("\n".join(parts))


def sources(module: str) -> dict[str, Path]:
    """The files that `module` depends on, itself and its packages included, by module name.

    Of installed packages only the module's own counts.
    """
    files: dict[str, Path] = {}
    waiting = [module]
    own = module.partition(".")[0]
    while waiting:
        name = waiting.pop()
        if name in files or (path := _file(name)) is None:
            continue
        if installed(path) and name.partition(".")[0] != own:
            continue
        files[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [name.rpartition(".")[0], *_imports(path.read_bytes(), package)]
    return files


def installed(path: str | Path) -> bool:
    """Whether a file belongs to an installed package."""
    return bool({"site-packages", "dist-packages"} & set(Path(path).parts))


def _file(name: str) -> Path | None:
    """The module's own file, None where it has none or comes with Python."""
    folders = None
    for depth in range(1, name.count(".") + 2):
        spec = _find(".".join(name.split(".")[:depth]), folders) if name else None
        folders = spec.submodule_search_locations if spec else None
        if spec is None or (folders is None and depth <= name.count(".")):
            return None
    if not spec or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin).resolve()
    standard = any(path.is_relative_to(get_path(kind)) for kind in ("stdlib", "platstdlib"))
    return path if installed(path) or not standard else None


def _find(name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    """Where Python finds a module, without running it.

    A package that is installed in place, as by `pip install -e`, may have a finder of its own.
    """
    if folders is not None:
        return PathFinder.find_spec(name, folders)
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    return next(filter(None, (find(name, None) for find in finders if find)), None)


@lru_cache(1024)  # several compiled modules depend on the same files
def _imports(source: bytes, package: str) -> list[str]:
    """The names of all modules that a file may import, and some that are none."""
    names: dict[str, None] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= dict.fromkeys([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return list(names)


def _edited(name: str, path: Path) -> bool:
    """Whether a loaded module has functions that its file does not hold."""
    loaded = [f for f in vars(sys.modules.get(name, object)).values() if type(f) is FunctionType]
    own = [f.__code__ for f in loaded if f.__module__ == name]
    if not own:
        return False
    written = set(_codes(compile(path.read_bytes(), own[0].co_filename, "exec", dont_inherit=True)))
    return any(code.co_filename == own[0].co_filename and code not in written for code in own)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _digest(content: str | bytes) -> str:
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]
