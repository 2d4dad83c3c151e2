"""Who may import whom: the core, its fast twins, the store, the sweep; then the book's code."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from conftest import ROOT

TOPS = {"lnqlib": ROOT, "lnqbook": ROOT / "chapters"}
LAYERS = ("lnqlib.engine", "lnqlib.gpu", "lnqlib.store", "lnqlib.sweep", "lnqlib.__main__")
"""From low to high; what is in none of these is the core and lies below them."""

FILES = {
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
    for top, folder in TOPS.items()
    for path in sorted((folder / top).rglob("*.py"))
}
CHAPTERS = ROOT / "chapters"
NOTEBOOKS = sorted([*CHAPTERS.glob("*.ipynb"), *CHAPTERS.glob("drafts/*.ipynb")])


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def layer(module: str) -> int:
    return next((i for i, name in enumerate(LAYERS, 1) if within(module, name)), 0)


def targets(tree: ast.AST, package: str = "") -> set[str]:
    """The project's modules that a source imports, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names = {f"{start}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else start for name in names}
    return {name for name in found if name.split(".")[0] in TOPS}


def imports(module: str) -> set[str]:
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return targets(ast.parse(path.read_text()), package)


def notebook_imports(path: Path) -> set[str]:
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return set().union(*(targets(ast.parse(source)) for source in code))


@pytest.mark.parametrize("module", [name for name in FILES if within(name, "lnqlib")])
def test_the_library_imports_downwards(module):
    assert {t for t in imports(module) if layer(t) > layer(module)} == set()
    assert {t for t in imports(module) if within(t, "lnqbook")} == set()


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_s_code_serves_that_page_alone(page):
    own = f"lnqbook.pages.{page.stem}"
    assert {
        t for t in notebook_imports(page) if within(t, "lnqbook.pages") and not within(t, own)
    } == set()
    elsewhere = [name for name in FILES if not within(name, own)]
    assert {name for name in elsewhere if any(within(t, own) for t in imports(name))} == set()


def test_every_page_s_code_has_its_page():
    pages = {name.split(".")[2] for name in FILES if name.startswith("lnqbook.pages.")}
    drafts = ROOT.glob("chapters/drafts/*.ipynb")
    assert pages <= {path.stem for path in (*NOTEBOOKS, *drafts)}


def test_the_core_is_few_files(record_property):
    """The flat files; folders of the library count apart."""
    core = sorted((ROOT / "lnqlib").glob("*.py"))
    lines = sum(len(path.read_text().splitlines()) for path in core)
    record_property("core", f"{len(core)} files, {lines} lines")
    assert 8 <= len(core) <= 12 and lines <= 2_200


def test_ready_made_environments_take_the_pins_and_the_python_of_the_tests() -> None:
    """For mybinder.org and development containers: the same requirements, and the same Python."""
    (reference,) = (ROOT / ".binder" / "requirements.txt").read_text().split("\n")[:1]
    assert reference == "-r ../requirements.txt"
    assert (ROOT / ".binder" / "runtime.txt").read_text().strip() == "python-3.11"
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert "/python:3.11" in container["image"]
    assert container["postCreateCommand"].endswith("make .venv/installed")
    assert "\n.venv/installed: requirements.txt" in (ROOT / "Makefile").read_text()
