"""The reference: all that a module documents, a class' fields as its signature."""

from __future__ import annotations

import ast
from pathlib import Path

from autodoc2.render.myst_ import MystRenderer
from autodoc2.sphinx.utils import get_database
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
TOPS = {"lnqlib": ROOT, "lnqbook": ROOT / "chapters"}
PACKAGES = ("lnqlib.metrics", "lnqlib.probe")
"""Whose readers import from them what their modules define."""


class Fields(MystRenderer):
    """autodoc2 reads signatures off `__init__`, which such classes do not write."""

    def get_item(self, full_name: str) -> dict | None:
        """The item; for an `__init__` that is not there, one with the fields."""
        item = super().get_item(full_name)
        if item is None and full_name.endswith(".__init__"):
            owner = full_name.removesuffix(".__init__")
            module, _, name = owner.rpartition(".")
            found = fields(module, name)
            return {"args": found} if found else None
        return item


class Reference(SphinxDirective):
    """`{reference} lnqlib.spec`: its documented functions and classes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        # in a package, a name may also be a module's
        modules = {path.stem for path in files(module)[1:]}
        lines = [
            line
            for name in public(module)
            for full in (f"{name}.{name}" if name in modules else name,)
            for line in (f"```{{autodoc2-object}} {module}.{full}", "```", "")
        ]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, self.env.docname), 0, node)
        return node.children


def public(module: str) -> list[str]:
    """A module's documented public functions and classes, in its source's order.

    Of a package, those that it passes on in `__all__`.
    """
    if module in PACKAGES:
        passed = [n for n in tree(module).body if isinstance(n, ast.Assign)]
        return [
            name
            for node in passed
            if getattr(node.targets[0], "id", "") == "__all__"
            for name in ast.literal_eval(node.value)
            if not name.isupper()
        ]
    documented = [
        node
        for node in tree(module).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and ast.get_docstring(node)
    ]
    return [node.name for node in documented if not node.name.startswith("_")]


def fields(module: str, name: str) -> list[tuple[None, str, str, str | None]]:
    """A class' fields as autodoc2 has arguments: prefix, name, type, default."""
    found = []
    for path in files(module):
        source = path.read_text(encoding="utf8")
        classes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
        body = next((node.body for node in classes if node.name == name), [])
        for field in (node for node in body if isinstance(node, ast.AnnAssign)):
            kind, value = ast.unparse(field.annotation), None
            if field.value:  # as written: 200_000
                value = ast.get_source_segment(source, field.value)
            found.append((None, field.target.id, kind, value))
    return found


def files(module: str) -> list[Path]:
    """The file of a module, or all of a package's."""
    top, *rest = module.split(".")
    path = TOPS[top].joinpath(top, *rest)
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def tree(module: str) -> ast.Module:
    paths = files(module)
    own = next((path for path in paths if path.name == "__init__.py"), paths[0])
    return ast.parse(own.read_text(encoding="utf8"))


def name_packages(app: Sphinx) -> None:
    """Gives autodoc2 what `PACKAGES` import, under the names that readers write."""
    db = get_database(app.env)
    for package in PACKAGES:
        for origin, alias in (db.get_item(package) or {}).get("imports", []):
            name = f"{package}.{alias or origin.rpartition('.')[2]}"
            if origin in db and name not in db:
                db.add({**db.get_item(origin), "full_name": name})
                for child in list(db.get_children(origin)):
                    inner = child["full_name"].replace(origin, name, 1)
                    db.add({**child, "full_name": inner})


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Types in signatures that are not shown under that name.

    A link where the reference has them under another; what others define, and a
    module's type alias, stays a word. A name of ours that is nowhere is left to
    Sphinx, which warns of it.
    """
    target = node["reftarget"]
    if node.get("refdomain") != "py" or node.get("refexplicit"):
        return None
    top, last = target.partition(".")[0], target.rpartition(".")[2]
    if top not in TOPS:
        ours = not target.count(".") and "py:module" not in node
        return None if ours else shown
    domain = env.get_domain("py")
    same = [name for name in domain.objects if name.endswith(f".{last}")]
    package = target.removesuffix(last)
    same = [name for name in same if name.startswith(package)] or same
    if same:
        found = domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", min(same, key=len), node, shown
        )
        return found or shown
    return shown if target in get_database(env) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Runs after autodoc2 has read the library."""
    app.add_directive("reference", Reference)
    app.connect("builder-inited", name_packages, priority=900)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
