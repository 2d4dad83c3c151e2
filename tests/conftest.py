"""Where the book is, and how a reader calls its tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # the nets are tiny: more threads only wait for one another

ROOT = Path(__file__).resolve().parents[1]


def tool(name: str, *arguments: object, cwd: Path = ROOT, **environment: object):
    """Runs one of the environment's commands; returns the finished process, output as text."""
    command = [Path(sys.executable).with_name(name), *arguments]
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {key: str(value) for key, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """A local store for the session, so that no test reads or writes the reader's own."""
    return tmp_path_factory.mktemp("store")
