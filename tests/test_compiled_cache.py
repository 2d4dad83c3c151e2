"""Compiled code comes back only as what the source says now; damage and full disks stop nothing."""

import os
import shutil
import subprocess
import sys
from math import sqrt
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = {
    "limits.py": "LIMIT = 3.0\n",
    "callee.py": """
from lnqlib.compiled import njit
from .limits import LIMIT

@njit(error_model="numpy")
def limited(x):
    return min(x, LIMIT) + 0.0
""",
    "top.py": """
from lnqlib.compiled import njit
from .callee import limited

def scaled(factor):
    @njit(cache=True)
    def answer(x):
        return factor * limited(x)
    return answer
""",
}
PROGRAM = """
from small.top import scaled
once, ten = scaled(1), scaled(10)
print(once(100.0), ten(100.0), sum(sum(f.stats.cache_hits.values()) for f in (once, ten)))
"""
PYCACHE = "__pycache__"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A package whose compiled function reads a constant and a callee in two other files."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    return folder


def start(folder: Path, program: str = PROGRAM, **environment: object) -> subprocess.Popen:
    """Python with the package in `folder`; its compiled code goes to `__pycache__` by default."""
    paths = f"{folder.parent}{os.pathsep}{ROOT}"
    kept = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-B", "-c", program],
        env=kept | {"PYTHONPATH": paths} | {k: str(v) for k, v in environment.items()},
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, program: str = PROGRAM, **environment: object) -> tuple[list[float], str]:
    """The numbers that the program prints, and its stderr."""
    process = start(folder, program, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return [float(word) for word in out.split()], err


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_a_constant_or_a_callee_in_another_file_counts_(small):
    assert run(small)[0] == [3, 30, 0]
    assert run(small)[0] == [3, 30, 2]
    change(small / "limits.py", "3.0", "5.0")
    assert run(small)[0] == [5, 50, 0]
    change(small / "callee.py", "+ 0.0", "+ 1.0")
    assert run(small)[0] == [6, 60, 0]
    for name, text in PACKAGE.items():
        (small / name).write_text(text)
    assert run(small)[0] == [3, 30, 0]


def test_the_library_changed_and_changed_back_computes_what_its_source_says(tmp_path):
    """EPS is in networks.py, the compiled LN in greedy.py; LN(1, -1) = (1, -1) / sqrt(1 + EPS)."""
    library = shutil.copytree(
        ROOT / "lnqlib", tmp_path / "lnqlib", ignore=shutil.ignore_patterns(PYCACHE)
    )
    program = """
import numpy as np
from lnqlib.engine import greedy
from lnqlib.spec import NORMS
f = lambda *values: np.array(values, np.float32)
z = f(0, 0)
layer = NORMS.index("layer")
w = f(1, -1)[None]
greedy._best_action(layer, False, w, f(0, 0), f(1, 0)[None], f(0), f(1, 1), f(0, 0), f(1), z)
print(z[0])
"""
    values = []
    for before, after in (("1e-5", "1e-5"), ("1e-5", "3.0"), ("3.0", "1e-5")):
        change(library / "networks.py", f"EPS = {before}", f"EPS = {after}")
        values += run(library, program, PYTHONPATH=tmp_path)[0]
    assert values == pytest.approx([1 / sqrt(1 + 1e-5), 0.5, 1 / sqrt(1 + 1e-5)], rel=1e-6)


@pytest.mark.parametrize("kind", ["nbc", "nbi"])
@pytest.mark.parametrize("damage", ["empty", "half"])
def test_a_damaged_file_is_compiled_again_and_overwritten(small, damage, kind):
    run(small)
    path = sorted((small / PYCACHE).glob(f"*.{kind}"))[0]
    content = path.read_bytes()
    path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    assert run(small)[0] == [3, 30, 0 if kind == "nbi" else 1]
    assert run(small)[0] == [3, 30, 2]


def test_code_of_an_installed_package_stays_out_of_its_folder(small, tmp_path):
    home = tmp_path / "venv" / "site-packages"
    home.mkdir(parents=True)
    moved = shutil.copytree(small, home / "small")
    run(moved, HOME=tmp_path / "home", XDG_CACHE_HOME=tmp_path / "home")
    assert not (moved / PYCACHE).exists()
    assert len(list((tmp_path / "home").rglob("*.nbc"))) == 2
    change(moved / "limits.py", "3.0", "5.0")
    assert run(moved, HOME=tmp_path / "home", XDG_CACHE_HOME=tmp_path / "home")[0] == [5, 50, 0]


def test_where_no_folder_takes_files_it_compiles_and_says_once_how_to_name_one(small):
    blocked = small / PYCACHE
    blocked.write_text("a file where a folder should be")
    nowhere = {name: blocked for name in ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME")}
    numbers, err = run(small, **nowhere)
    assert numbers == [3, 30, 0]
    assert err.count("set NUMBA_CACHE_DIR to a folder") == err.count("UserWarning") == 1


def test_where_the_disk_is_full_it_compiles_and_says_once_how_to_name_another(small):
    full = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    for _ in range(2):
        numbers, err = run(small, full + PROGRAM)
        assert numbers == [3, 30, 0]
        assert err.count("set NUMBA_CACHE_DIR to a folder") == err.count("UserWarning") == 1
    assert list((small / PYCACHE).iterdir()) == []


def test_the_users_folder_is_taken(small, tmp_path):
    run(small, NUMBA_CACHE_DIR=tmp_path / "mine")
    assert len(list((tmp_path / "mine").rglob("*.nbc"))) == 2
    assert not (small / PYCACHE).exists()


def test_processes_that_compile_at_once_leave_whole_files(small):
    processes = [start(small) for _ in range(3)]
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [output[:2] for output in outputs] == [["3.0", "30.0"]] * 3
    assert run(small)[0] == [3, 30, 2]
    assert len(list((small / PYCACHE).iterdir())) == 3
