"""The reference names everything public: what has a docstring in the modules it lists."""

import ast
import json
import re
from dataclasses import MISSING, fields
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from conftest import ROOT

from lnqlib.spec import RunSpec
from lnqlib.tasks import Task

PAGE = (ROOT / "chapters" / "api.md").read_text()
MODULES = re.findall(r"^### ([\w.]+)$", PAGE, re.MULTILINE)
INTERNAL = {
    "lnqlib",
    "lnqlib.__main__",
    "lnqlib.store.chunks",
    "lnqlib.compiled.cache",
    "lnqlib.store.parquet",
    "lnqlib.engine.greedy",
    "lnqlib.compiled",
}
INTERNAL |= {
    "lnqbook",
    "lnqbook.claims",
    "lnqbook.figures",
    "lnqbook.pages",
    "lnqbook.pages.interference",
    "lnqbook.pages.linear_regression",
    "lnqbook.pages.lr_decay",
    "lnqbook.pages.setting",
    "lnqlib.engine",
    "lnqlib.store",
}
INTERNAL |= {"lnqlib.store.executor", "lnqlib.store.lock"}
INTERNAL |= {
    "lnqbook.figures.style",
    "lnqbook.figures.layout",
    "lnqbook.figures.axes",
    "lnqbook.pages.setting.drawings",
}
INTERNAL |= {
    "lnqbook.pages.normalizations",
    "lnqbook.claims.chapter",
    "lnqbook.pages.reproduce",
    "lnqbook.pages.interference.termination",
}  # for the book's own pages alone
INTERNAL |= {
    "lnqbook.claims.verdict_tables",
    "lnqbook.pages.setting.comparison",
    "lnqbook.sentences",
}
HELPERS = {  # what one module has for others and no reader calls
    "lnqlib.store.cluster": {"is_address"},
    "lnqlib.metrics": {"check_batch", "check_features"},
    "lnqlib.networks": {"neutral_params"},
    "lnqlib.results": {"make_result"},
    "lnqlib.sources": {"files_digest", "installed", "sources"},
    "lnqlib.spec": {"shown", "cut", "default"},
    "lnqlib.store.local": {"in_repository", "key_of"},
    "lnqlib.engine.structured": {"inner_products", "prepare"},
    "lnqlib.sweep": {"train_missing"},
}


FILES = {
    ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"): path
    for top, package in ((ROOT, "lnqlib"), (ROOT / "chapters", "lnqbook"))
    for path in (top / package).rglob("*.py")
}


def tree(module: str) -> ast.Module:
    path = ROOT / "lnqlib" / module
    return ast.parse(
        (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    )


def public(module: str) -> list[str]:
    """The documented public functions and classes of a module, in the order of its source.

    Those that it only passes on count where it lists them in `__all__`.
    """
    names = []
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names += [node.name] if node.name[0] != "_" and ast.get_docstring(node) else []
        elif isinstance(node, ast.ImportFrom) and node.level and passes_on(module):
            origin = (
                node.module.replace(".", "/") if module == "probe" else f"{module}/{node.module}"
            )
            defined = {n.name: n for n in tree(origin).body if hasattr(n, "name")}
            names += [alias.name for alias in node.names if alias.name in defined]
    return names


def passes_on(module: str) -> bool:
    assigned = [n.targets[0] for n in tree(module).body if isinstance(n, ast.Assign)]
    return "__all__" in [getattr(target, "id", "") for target in assigned]


def imported(module: str) -> set[str]:
    """What the library's other modules import from a module, by name or as its attribute."""
    names = set()
    for path in (ROOT / "lnqlib").rglob("*.py"):
        if path.stem != module:
            nodes = list(ast.walk(ast.parse(path.read_text())))
            froms = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == module]
            names |= {alias.name for node in froms for alias in node.names}
            attributes = [n for n in nodes if isinstance(n, ast.Attribute)]
            names |= {n.attr for n in attributes if getattr(n.value, "id", "") == module}
    return names


def test_the_reference_lists_every_module_that_is_not_internal():
    assert not INTERNAL & set(MODULES)
    files = {path.stem for path in (ROOT / "lnqlib").glob("*.py")}
    packages = {path.parent.name for path in (ROOT / "lnqlib").glob("*/__init__.py")}
    assert INTERNAL | set(MODULES) == files | packages


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_lists_the_module(module):
    listed = re.findall(rf"{{autodoc2-object}} lnqlib\.{module}\.(\w+)$", PAGE, re.MULTILINE)
    assert listed == [name for name in public(module) if name not in HELPERS.get(module, ())]


@pytest.mark.parametrize("module", HELPERS)
def test_what_the_reference_leaves_out_serves_other_modules_and_no_reader(module):
    helpers = HELPERS[module]
    assert helpers <= set(public(module))
    assert helpers <= imported(module), "used here alone: begin its name with an underscore"
    pages = [json.loads(path.read_text()) for path in (ROOT / "chapters").glob("*.ipynb")]
    code = [c for page in pages for c in page["cells"] if c["cell_type"] == "code"]
    for line in (line for cell in code for line in cell["source"] if module in line):
        assert not re.search(rf"\b{module}\b.*\b({'|'.join(helpers)})\b", line), line


def test_a_class_of_fields_shows_them_with_types_and_defaults():
    spec = spec_from_file_location("signatures", ROOT / "chapters" / "signatures.py")
    signatures = module_from_spec(spec)
    spec.loader.exec_module(signatures)
    shown = signatures.fields("spec", "RunSpec")
    assert [(name, kind) for _, name, kind, _ in shown] == [
        (f.name, f.type) for f in fields(RunSpec)
    ]
    assert [MISSING if value is None else eval(value) for *_, value in shown] == [
        f.default for f in fields(RunSpec)
    ]
    assert [name for _, name, *_ in signatures.fields("tasks", "Task")] == [
        f.name for f in fields(Task)
    ]
    assert signatures.fields("spec", "SpecError") == []


def test_the_reference_has_the_names_that_readers_rely_on():
    names = {"spec.RunSpec", "sweep.sweep", "metrics.interference", "metrics.isometry"}
    names |= {"data.offline_dataset", "networks.QNetwork", "training.train", "verdicts.judge"}
    assert names <= set(re.findall(r"\{autodoc2-object\} lnqlib\.([\w.]+)$", PAGE, re.MULTILINE))
