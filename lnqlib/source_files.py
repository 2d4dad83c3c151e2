"""The source files that a module depends on: its own and those of all that it imports.

The standard library and site-packages do not count. Modules are found and read, never executed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from sysconfig import get_path
from types import CodeType, FunctionType


class SourceFiles:
    """The modules found so far, with a digest for each.

    What a loaded module has in memory counts where it differs from its file: functions from before
    an edit, constants set at run time.

    **Arguments** `root`: a module; its top-level package counts even within site-packages.
    """

    def __init__(self, root: str):
        self.digests: dict[str, str] = {}
        self._root = root.partition(".")[0]
        self._specs: dict[str, ModuleSpec | None] = {}

    def add(self, name: str) -> bool:
        """Adds a module with all that it imports; returns whether it has a file that counts."""
        if name in self.digests:
            return True
        if package := name.rpartition(".")[0]:
            self.add(package)
        if not self.counts(name):
            return False
        spec = self._spec(name)
        source = Path(spec.origin).read_bytes()
        self.digests[name] = digest = hashlib.sha256(source).hexdigest()  # now: imports may circle
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return True  # an extension module, of which the bytes count
        for imported in _imports(tree, spec.parent or ""):
            self.add(imported)
        changed = "\n".join(_changed(name, tree))
        self.digests[name] = hashlib.sha256(f"{digest}{changed}".encode()).hexdigest()
        return True

    def counts(self, name: str) -> bool:
        """Whether a module has a file outside the standard library and site-packages."""
        spec = self._spec(name)
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            return False  # missing, built in, or a folder without code
        file = Path(spec.origin)
        installed = {"site-packages", "dist-packages"} & set(file.parts)
        standard = any(file.is_relative_to(get_path(kind)) for kind in ("stdlib", "platstdlib"))
        return name.partition(".")[0] == self._root or not (installed or standard)

    def unsaved(self, name: str) -> bool:
        """Whether a module has no file at all: a notebook, a prompt."""
        return not getattr(sys.modules.get(name), "__file__", None) and self._spec(name) is None

    def _spec(self, name: str) -> ModuleSpec | None:
        if name not in self._specs:
            loaded, package = sys.modules.get(name), name.rpartition(".")[0]
            found = getattr(loaded, "__spec__", None)
            if found is None and getattr(loaded, "__file__", None):  # a script
                found = importlib.util.spec_from_file_location(name, loaded.__file__)
            elif found is None and package:
                parent = self._spec(package)  # importlib's find_spec would execute it
                folders = parent and parent.submodule_search_locations
                found = PathFinder.find_spec(name, folders) if folders else None
            elif found is None and name:
                with suppress(ImportError, ValueError):
                    found = importlib.util.find_spec(name)
            self._specs[name] = found
        return self._specs[name]


def functions(member: object) -> list[FunctionType]:
    """The Python functions that a member of a module or class stands for."""
    if isinstance(member, property):
        return [f for accessor in (member.fget, member.fset) for f in functions(accessor)]
    if isinstance(member, type):
        return []
    member = getattr(member, "__wrapped__", getattr(member, "__func__", member))
    return [member] if isinstance(member, FunctionType) else []


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """The names of all modules that a module may import, and some names that are none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _changed(name: str, tree: ast.Module) -> Iterator[str]:
    """What a loaded module's functions and constants have other than its file."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if not file:
        return
    written = set(_codes(compile(tree, file, "exec", dont_inherit=True)))
    classes = [x for x in vars(module).values() if isinstance(x, type) and x.__module__ == name]
    for holder in (module, *classes):
        for key, member in sorted(vars(holder).items()):
            for code in (f.__code__ for f in functions(member)):
                if code.co_filename == file and code not in written:
                    yield f"{holder.__name__}.{key} {_text(code)}"
    for key, value in _constants(tree):
        if repr(now := vars(module).get(key)) != repr(value):
            yield f"{key} {now!r}"


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _text(code: CodeType) -> str:
    constants = [_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """The names that a module assigns once, to a literal number, string or tuple of these."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = Counter(node.id for node in names if isinstance(node.ctx, ast.Store))
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            with suppress(ValueError, TypeError):
                value = ast.literal_eval(node.value)
                once = isinstance(target, ast.Name) and stored[target.id] == 1
                if once and not isinstance(value, list | dict | set):
                    yield target.id, value
