"""The reference names everything public: what has a docstring in the modules it lists."""

import ast
import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "chapters" / "api.md").read_text()
MODULES = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
INTERNAL = {"__init__", "__main__", "files", "greedy", "instructions", "job", "lock"}
INTERNAL |= {"looks", "panels", "scales", "sketches"}
INTERNAL |= {"clamped_points", "endings", "forecast", "goals"}  # for the book's own pages alone
INTERNAL |= {"verdict_tables", "watching", "wording"}


def public(module: str) -> list[str]:
    """The documented public functions and classes of a module, in the order of its source."""
    tree = ast.parse((ROOT / "lnqlib" / f"{module}.py").read_text())
    definitions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return [n.name for n in definitions if n.name[0] != "_" and ast.get_docstring(n)]


def test_the_reference_lists_every_module_that_is_not_internal():
    assert not INTERNAL & set(MODULES)
    assert INTERNAL | set(MODULES) == {path.stem for path in (ROOT / "lnqlib").glob("*.py")}


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_lists_the_module(module):
    listed = re.findall(rf"{{autodoc2-object}} lnqlib\.{module}\.(\w+)$", PAGE, re.MULTILINE)
    assert listed == public(module)


def test_the_reference_has_the_names_that_readers_rely_on():
    names = {"spec.RunSpec", "sweep.sweep", "metrics.interference", "metrics.isometry"}
    names |= {"data.offline_dataset", "networks.QNetwork", "training.train", "verdicts.judge"}
    assert names <= set(re.findall(r"\{autodoc2-object\} lnqlib\.([\w.]+)$", PAGE, re.MULTILINE))
