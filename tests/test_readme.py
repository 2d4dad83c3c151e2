"""The README's Python runs as it is typed, its map is true, and `make` says what is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, tool

TEXT = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
MAP = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", TEXT.partition("## Where things are")[2], re.M))


def test_there_are_two_snippets():
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["sweep", "agent"])
def test_a_snippet_runs_as_typed(snippet, tmp_path):
    path = tmp_path / "typed.py"
    path.write_text(snippet)
    finished = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        env=os.environ | {"LNQ_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    if "report" in snippet:
        assert "gi2_scaled" in finished.stdout and "128 transitions" in finished.stdout


def test_the_map_leads_to_files_that_are_there():
    assert len(MAP) > 10
    for places in MAP.values():
        for path in re.findall(r"`([\w./]+)`", places):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("learning-rate grid", "LEARNING_RATES ="),
        ("LN and the other norms", "Eq. (2), LN(x) ="),
        ("Eqs. (6) to (11)", "Eq. (11)"),
    ],
)
def test_the_map_finds_what_the_paper_defines(sought, found):
    (places,) = (places for what, places in MAP.items() if sought in what)
    assert found in (ROOT / re.search(r"`(.+?)`", places)[1]).read_text()


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        (None, "Python is missing; install Python 3.11, 3.12 or 3.13"),
        ('case "$*" in *version_info*) exit 1;; -V) echo Python 3.10.9;; esac', "is Python 3.10.9"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "has no venv module; install it: apt install"),
    ],
)
def test_make_says_in_one_sentence_what_to_install(python, sentence, tmp_path):
    """As where there is no Python, an old one, or Debian's own without python3-venv."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    named = Path(tmp_path / "python3") if python else ""
    if named:
        named.write_text(f"#!/bin/sh\n{python}\n")
        named.chmod(0o755)
    command = ["make", f"PYTHON={named}", "test"]
    alone = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)
    assert done.returncode != 0 and not (tmp_path / ".venv").exists()
    (said,) = done.stdout.splitlines()
    assert sentence in said


def test_jupyterlab_has_the_extension_that_renders_the_chapters():
    listed = tool("jupyter", "labextension", "list")
    assert re.search(r"jupyterlab-myst v\S+ .*enabled.*OK", listed.stdout), listed.stdout
