"""Shows a dataclass or NamedTuple in the reference with its fields as signature."""

from __future__ import annotations

import ast
from pathlib import Path

from autodoc2.render.myst_ import MystRenderer

ROOT = Path(__file__).parents[1]


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
    source = (ROOT / "lnqlib" / f"{module}.py").read_text()
    classes = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef))
    body = next(node.body for node in classes if node.name == name)
    found = []
    for field in (node for node in body if isinstance(node, ast.AnnAssign)):
        kind, value = ast.unparse(field.annotation), None
        if field.value:  # as written: 200_000
            value = ast.get_source_segment(source, field.value)
        found.append((None, field.target.id, kind, value))
    return found
