"""CONTRIBUTING.md, done: every diff applied to a copy of the project, and its lines run there."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
COPIED = ("lnqlib", "chapters", "data", "_toc.yml")
SHOWS = {
    "A norm of your own, outside this repository": "my_norms:largest",
    "A norm inside this repository": "group norm",
    "A task of your own": "my_tasks:Corridor-v0",
    "A metric": "True",
    "A claim": "holds",
    "A figure": "",
    "A chapter": "CartPole-v1",
}


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[title], re.MULTILINE | re.DOTALL)


def test_every_extension_has_a_diff_and_lines_that_use_it():
    assert list(SECTIONS) == list(SHOWS)
    for title in SECTIONS:
        assert len(blocks(title, "diff")) == len(blocks(title, "python")) == 1


def test_a_norm_inside_takes_at_most_40_lines_in_3_files():
    (diff,) = blocks("A norm inside this repository", "diff")
    assert len(re.findall(r"^\+\+\+ ", diff, re.MULTILINE)) <= 3
    assert len(re.findall(r"^[+-](?![+-]{2} )", diff, re.MULTILINE)) <= 40


@pytest.mark.parametrize("title", SHOWS)
def test_the_diff_applies_to_a_copy_and_its_lines_run(title, tmp_path):
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        leave = shutil.ignore_patterns("__pycache__", "*.curves.parquet", "_build")
        if source.is_dir():
            shutil.copytree(source, target, ignore=leave)
        else:
            shutil.copy(source, target)
    (diff,), (lines,) = blocks(title, "diff"), blocks(title, "python")
    applied = subprocess.run(
        ["git", "apply", "--verbose", "-"],
        cwd=tmp_path,
        input=diff,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        capture_output=True,
        text=True,
    )
    assert applied.returncode == 0, applied.stderr
    path = os.pathsep.join([str(tmp_path), str(tmp_path / "chapters")])
    places = {"PYTHONPATH": path, "LNQ_STORE": str(tmp_path / "store")}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=tmp_path,
        env=os.environ | places | {"OMP_NUM_THREADS": "1"},  # torch's threads wait for each other
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert SHOWS[title] in done.stdout
