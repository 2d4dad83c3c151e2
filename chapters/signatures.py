"""The reference: a class' fields as its signature, and what a package passes on."""

from __future__ import annotations

import ast
from pathlib import Path

from autodoc2.render.myst_ import MystRenderer
from autodoc2.sphinx.utils import get_database
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
PACKAGES = ("lnqlib.metrics", "lnqlib.probe")
"""Whose readers import from them what their modules define."""


class Fields(MystRenderer):
    """autodoc2 reads signatures off `__init__`, which such classes do not write."""

    def get_item(self, full_name: str) -> dict | None:
        """The item; for an `__init__` that is not there, one with the fields."""
        item = super().get_item(full_name)
        if item is None and full_name.endswith(".__init__"):
            found = fields(*full_name.split(".")[1:3])
            return {"args": found} if found else None
        return item


def fields(module: str, name: str) -> list[tuple[None, str, str, str | None]]:
    """A class' fields as autodoc2 has arguments: prefix, name, type, default."""
    found = []
    for source in map(Path.read_text, files(module)):
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
    path = ROOT / "lnqlib" / module
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def name_packages(app: Sphinx) -> None:
    """Gives autodoc2 what `PACKAGES` import, under the names that readers write."""
    db = get_database(app.env)
    for package in PACKAGES:
        for origin, alias in (db.get_item(package) or {}).get("imports", []):
            name = f"{package}.{alias or origin.rpartition('.')[2]}"
            if origin in db and name not in db:
                db.add({**db.get_item(origin), "full_name": name})
                for child in list(db.get_children(origin)):
                    db.add(
                        {
                            **child,
                            "full_name": child["full_name"].replace(
                                origin, name, 1
                            ),
                        }
                    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Runs after autodoc2 has read the library."""
    app.connect("builder-inited", name_packages, priority=900)
    return {"parallel_read_safe": True}
