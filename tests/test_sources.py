"""Changed source gives another digest, and nothing is executed to find that out."""

import importlib
import sys
from functools import partial
from importlib.util import spec_from_file_location

import pytest

from lnqlib.own.sources import NoSource, digest_of, sources

FILES = {
    "mine.py": "import numpy\nfrom pack import helper\nfrom pack.deep import SIZE\nRATE = 1\n"
    "def factory(width):\n    return helper.double(width) * SIZE * RATE\n",
    "pack/__init__.py": "",
    "pack/helper.py": "from . import deep\ndef double(x):\n    return 2 * x\n",
    "pack/deep.py": "import mine\nSIZE = 3\n",
    "other.py": "RATE = 5\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("mine", "pack", "pack.helper", "pack.deep", "other"):
        sys.modules.pop(name, None)


def test_what_is_imported_counts_and_is_not_executed(project) -> None:
    (project / "pack" / "helper.py").write_text("from . import deep\nraise SystemExit\n")
    assert set(sources("mine")) == {"mine", "pack", "pack.helper", "pack.deep"}
    assert len(digest_of("mine:factory")) == 16
    assert "mine" not in sys.modules


def test_a_package_that_a_finder_of_its_own_finds_counts(project, monkeypatch) -> None:
    """As `pip install -e` leaves one behind, where it is not on the path."""
    (project / "apart").mkdir()
    (project / "apart" / "placed.py").write_text("import mine\n")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            file = project / "apart" / "placed.py"
            return spec_from_file_location(name, file) if name == "placed" else None

    assert sources("placed") == {}
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert set(sources("placed")) == {"placed", "mine", "pack", "pack.helper", "pack.deep"}


@pytest.mark.parametrize("name", FILES)
def test_each_of_its_files_counts_and_no_other(project, name) -> None:
    before = digest_of("mine:factory")
    (project / name).write_text(FILES[name] + "MORE = 1\n")
    assert (digest_of("mine") == before) == (name == "other.py")


def test_a_function_has_its_modules_digest(project) -> None:
    assert digest_of(importlib.import_module("mine").factory) == digest_of("mine")


def test_a_version_takes_the_place_of_the_source(project) -> None:
    made = [lambda width: width for _ in range(3)]
    for function, version in zip(made, ("1", "2", "1"), strict=True):
        function.version = version
    first, second, third = map(digest_of, made)
    assert first == third != second


@pytest.mark.parametrize("made", [lambda x: x, partial(max, 1), "".join, print, "no_such_module"])
def test_what_has_no_file_of_its_own_is_refused(made) -> None:
    with pytest.raises(NoSource, match=r"has no source file of its own; write .* version"):
        digest_of(made)


def test_a_file_edited_since_its_import_is_refused(project) -> None:
    importlib.import_module("mine")
    edited = FILES["mine.py"].replace("* RATE", "+ RATE")
    (project / "mine.py").write_text(edited)
    with pytest.raises(NoSource, match=r"mine\.py was edited since it was imported"):
        digest_of("mine")
