"""The README's Python runs as it is typed."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

SNIPPETS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


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
