"""The wheel alone measures a network, says where results are, and writes nothing beside itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import ROOT

LEAN = {"filelock", "gymnasium", "numba", "numpy", "pandas", "pyarrow", "scipy", "torch"}
LEAN |= {"tqdm"}
BOOKS = ("matplotlib", "seaborn", "papermill", "IPython", "sphinx", "myst_nb", "lnqbook")
MEASURE = f"""
import sys
import numpy as np
from torch import nn
from lnqlib.data import offline_dataset, sample
from lnqlib.metrics import interference
q = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
batch = sample(offline_dataset("CartPole", 0, size=1000), np.random.default_rng(0), 128)
print(interference(q, batch, lr=1e-3)["td_loss"] > 0, [m for m in {BOOKS} if m in sys.modules])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source") / "clone"
    files = subprocess.run(
        ["git", "ls-files", "lnqlib", "chapters", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in files.stdout.split():
        if (ROOT / name).exists():  # setuptools leaves a build folder where it builds
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, copy], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel unpacked as pip does it."""
    home = tmp_path_factory.mktemp("venv") / "lib" / "site-packages"
    with ZipFile(wheel) as archive:
        archive.extractall(home)
    return home


def python(installed: Path, *words: str, **environment: object) -> subprocess.CompletedProcess:
    home = installed.parents[1]
    kept = {n: v for n, v in os.environ.items() if n not in ("LNQ_STORE", "NUMBA_CACHE_DIR")}
    own = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "PYTHONPATH": installed}
    return subprocess.run(
        [sys.executable, "-B", *words],
        env=kept | {name: str(value) for name, value in (own | environment).items()},
        cwd=home,
        capture_output=True,
        text=True,
    )


def test_what_it_needs_is_lean(wheel) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("METADATA")]
        metadata = message_from_string(archive.read(name).decode())
        assert "lnqlib/py.typed" in archive.namelist()
        assert "lnqbook/notebook.py" in archive.namelist()
    needed = [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]
    assert {re.match(r"[\w-]+", need)[0] for need in needed} == LEAN
    assert wheel.stat().st_size < 2**20


def test_it_measures_a_network_and_writes_nothing_beside_itself(installed) -> None:
    before = sorted(installed.rglob("*"))
    done = python(installed, "-c", MEASURE)
    assert (done.stdout.strip(), done.returncode) == ("True []", 0), done.stderr
    train = "from lnqlib.spec import grid; from lnqlib.sweep import sweep; "
    train += "sweep(grid(env='MountainCar', steps=5, eval_episodes=0), progress=False)"
    assert python(installed, "-c", train).returncode == 0
    assert sorted(installed.rglob("*")) == before
    assert list((installed.parents[1] / "cache" / "lnqlib").glob("*.parquet"))


@pytest.mark.parametrize("words", [("status",), ("verify",), ("ship", "core")])
def test_results_are_in_the_repository_and_it_says_so(installed, words) -> None:
    done = python(installed, "-m", "lnqlib", *words)
    assert "is no clone of the project's repository, in which the results are; set" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == (0 if words == ("status",) else 2)


def test_the_papers_table_is_too(installed) -> None:
    done = python(installed, "-c", "from lnqbook import table1; table1.paper()")
    assert "set LNQ_REPOSITORY to the folder of one" in done.stderr.splitlines()[-1]


def test_a_clone_can_be_named(installed) -> None:
    done = python(installed, "-m", "lnqlib", "status", LNQ_REPOSITORY=ROOT)
    assert re.search(r"^core +4320 of +4320 \(shipped 4320", done.stdout, re.MULTILINE)
    assert done.stderr == ""
