"""Compiled code comes back only as what the source says now; damage and full disks stop nothing."""

import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from numba import typeof

from lnqlib import code_cache, engine, greedy, structured, tasks
from lnqlib.code_cache import KEPT, described
from lnqlib.instructions import njit
from lnqlib.spec import NORMS

PACKAGE = {
    "limits.py": "LIMIT = 3.0\n",
    "callee.py": """
from lnqlib.instructions import njit
from .limits import LIMIT

@njit(error_model="numpy")
def limited(x):
    return min(x, LIMIT) + 0.0
""",
    "top.py": """
from lnqlib.instructions import njit
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


def test_a_constant_or_a_callee_in_another_file_counts_and_its_return_is_no_new_compilation(small):
    assert run(small)[0] == [3, 30, 0]
    assert run(small)[0] == [3, 30, 2]
    change(small / "limits.py", "3.0", "5.0")
    assert run(small)[0] == [5, 50, 0]
    change(small / "callee.py", "+ 0.0", "+ 1.0")
    assert run(small)[0] == [6, 60, 0]
    for name, text in PACKAGE.items():
        (small / name).write_text(text)
    assert run(small)[0] == [3, 30, 2]


def test_the_library_changed_and_changed_back_computes_what_its_source_says(tmp_path):
    """EPS is in networks.py, the compiled LN in greedy.py; LN(1, -1) = (1, -1) / sqrt(1 + EPS)."""
    library = shutil.copytree(
        ROOT / "lnqlib", tmp_path / "lnqlib", ignore=shutil.ignore_patterns(PYCACHE)
    )
    program = """
import numpy as np
from lnqlib import greedy
from lnqlib.spec import NORMS
f = lambda *values: np.array(values, np.float32)
z = f(0, 0)
layer = NORMS.index("layer")
greedy._best_action(layer, f(1, -1)[None], f(0, 0), f(1, 0)[None], f(0), f(1, 1), f(0, 0), f(1), z)
print(z[0])
"""
    values = []
    for before, after in (("1e-5", "1e-5"), ("1e-5", "3.0"), ("3.0", "1e-5")):
        change(library / "networks.py", f"EPS = {before}", f"EPS = {after}")
        values += run(library, program, PYTHONPATH=tmp_path)[0]
    assert values == pytest.approx([1 / sqrt(1 + 1e-5), 0.5, 1 / sqrt(1 + 1e-5)], rel=1e-6)


@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "another file's"])
def test_a_damaged_file_is_compiled_again_and_overwritten(small, damage):
    run(small)
    files = sorted((small / PYCACHE).glob("*.nbc"))
    first, second = (path.read_bytes() for path in files)
    middle = len(first) // 2
    damaged = {"empty": b"", "half": first[:middle]}
    damaged |= {"one bit": first[:middle] + bytes([first[middle] ^ 1]) + first[middle + 1 :]}
    files[0].write_bytes(damaged.get(damage, second))
    assert run(small)[0] == [3, 30, 1]
    assert run(small)[0] == [3, 30, 2]


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
    assert len(list((small / PYCACHE).iterdir())) == 2


def test_files_of_old_code_do_not_pile_up(small):
    folder = small / PYCACHE
    folder.mkdir()
    name = "small.top.scaled.locals.answer"
    for age in range(30):
        path = folder / f"{name}-{age}.nbc"
        path.touch()
        os.utime(path, (10**9 - age, 10**9 - age))
    (folder / f"{name}s-0.nbc").touch()  # another function's
    run(small)
    left = {path.name.removeprefix(f"{name}-") for path in folder.iterdir()}
    digests = {stem for stem in left if re.fullmatch(r"[0-9a-f]{32}\.nbc", stem)}
    assert len(digests) == 2
    assert left - digests == {f"{age}.nbc" for age in range(KEPT - 2)} | {f"{name}s-0.nbc"}


# --- what a description tells apart ---------------------------------------------------------


Pair = namedtuple("Pair", ("first", "second"))
Swapped = namedtuple("Pair", ("second", "first"))  # of the same name


def source(globals_: dict, text: str = "def f(x): return x + LIMIT", **options: object) -> object:
    exec(text, globals_)
    return described(njit(**options)(globals_["f"]))


def test_a_description_tells_apart_what_compiles_to_different_code():
    double = {"LIMIT": 1.0, "__name__": "some"}
    told = [
        source(dict(double)),
        source(double | {"LIMIT": 1}),
        source(double | {"LIMIT": np.float32(1.0)}),
        source(double | {"LIMIT": -0.0}),
        source(double | {"LIMIT": 0.0}),
        source(double | {"LIMIT": np.ones(3)}),
        source(double | {"LIMIT": np.ones(3, np.float32)}),
        source(dict(double), fastmath={"contract"}),
        source(dict(double), "def f(x): return x - LIMIT"),
        source(dict(double), "def f(x): return x + 1.0"),
        source(dict(double), "def f(x, LIMIT=1.0): return x + LIMIT"),
        source(dict(double), "def f(x, LIMIT=2.0): return x + LIMIT"),
        source(double | {"module": engine}, "def f(x): return x + module.CLAMP"),
        source(double | {"module": engine}, "def f(x): return x + module.EPS"),
        source({"P": Pair}, "def f(x): return P(x, 2.0).first"),
        source({"P": Swapped}, "def f(x): return P(x, 2.0).first"),
        source(double | {"g": njit()(lambda x: x)}, "def f(x): return g(x)"),
        source(double | {"g": njit()(lambda x: 2 * x)}, "def f(x): return g(x)"),
        source(double | {"g": njit(fastmath=True)(lambda x: 2 * x)}, "def f(x): return g(x)"),
    ]
    assert len({repr(d) for d in told}) == len(told)


def test_a_description_leaves_out_words_and_unread_names():
    plain = source({"LIMIT": 1.0})
    worded = source({"LIMIT": 1.0, "other": 2}, 'def f(x):\n\n  "More."\n  return x + LIMIT')
    again = source({"LIMIT": 1.0, "other": 2}, 'def f(x):\n  "Less."\n  return x + LIMIT')
    assert worded == again
    assert plain != source({"LIMIT": 2.0})


def test_recursion_ends():
    text = "def f(x): return x if x < LIMIT else g(x - 1.0)\ndef g(x): return f(x)"
    assert source({"LIMIT": 1.0}, text) != source({"LIMIT": 2.0}, text)


def test_an_arguments_fields_count():
    pair, swapped = (typeof(kind(1.0, 2.0)) for kind in (Pair, Swapped))
    assert code_cache._of_type(pair)[1:] != code_cache._of_type(swapped)[1:]


def test_what_cannot_be_described_is_refused():
    with pytest.raises(TypeError, match=r"reads a object.*allowed are numbers"):
        source({"LIMIT": object()})


def test_everything_that_the_library_compiles_has_a_description_that_stays():
    """One that held an address would never be found again."""
    compiled = [f for m in (tasks, greedy, structured) for f in vars(m).values() if _kept(f)]
    assert len(compiled) > 10
    kinds = {"switched", *NORMS} - set(engine.SWITCHED)
    compiled += [engine.kernel(4, 2, 128, 128, kind, True) for kind in sorted(kinds)]
    told = [repr(described(f)) for f in compiled]
    assert len(set(told)) == len(set(map(id, compiled)))
    assert not any(re.search(r"0x[0-9a-f]{6}", text) for text in told)


def _kept(value: object) -> bool:
    return isinstance(getattr(value, "_cache", None), code_cache.CodeCache)
