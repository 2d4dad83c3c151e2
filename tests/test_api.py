"""The reference: it has the library's core, and what readers rely on, with fields and defaults."""

import re
from dataclasses import MISSING, fields
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from conftest import ROOT

from lnqlib.spec import RunSpec
from lnqlib.tasks import Task

PAGES = {
    name: (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf8")
    for name in ("api", "api_book")
}
MODULES = [m for page in PAGES.values() for m in re.findall(r"\{reference\} ([\w.]+)", page)]
CORE = ("spec", "tasks", "data", "networks", "metrics", "training", "results", "sweep")


@pytest.fixture(scope="module")
def signatures():
    spec = spec_from_file_location("signatures", ROOT / "chapters" / "signatures.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_core_is_in_the_reference() -> None:
    assert {f"lnqlib.{name}" for name in CORE} <= set(MODULES)
    assert len(MODULES) == len(set(MODULES))
    assert "lnqbook." not in PAGES["api"] and "{reference} lnqlib." not in PAGES["api_book"]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_the_reference_documents_something(signatures, module: str) -> None:
    assert signatures.public(module)


def test_it_has_the_names_that_readers_rely_on(signatures) -> None:
    names = {
        "lnqlib.spec": {"RunSpec", "grid", "study"},
        "lnqlib.data": {"Transitions", "offline_dataset"},
        "lnqlib.networks": {"QNetwork"},
        "lnqlib.training": {"train"},
        "lnqlib.metrics": {"interference", "second_order", "isometry"},
        "lnqlib.sweep": {"sweep", "curves"},
    }
    for module, wanted in names.items():
        assert wanted <= set(signatures.public(module))


def test_a_class_of_fields_shows_them_with_types_and_defaults(signatures) -> None:
    shown = signatures.fields("lnqlib.spec", "RunSpec")
    assert [(name, kind) for _, name, kind, _ in shown] == [
        (f.name, f.type) for f in fields(RunSpec)
    ]
    assert [MISSING if value is None else eval(value) for *_, value in shown] == [
        f.default for f in fields(RunSpec)
    ]
    assert [name for _, name, *_ in signatures.fields("lnqlib.tasks", "Task")] == [
        f.name for f in fields(Task)
    ]
    assert signatures.fields("lnqlib.spec", "SpecError") == []
