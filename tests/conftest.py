"""Where the book is, how a reader calls its tools, and what holds for every test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The nets are tiny: more threads only wait for one another, here and in the pages that tests run.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read as numpy is imported

import hypothesis
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

torch.set_num_threads(1)

# The same examples in every run: a failure is then the change's, not the day's.
hypothesis.settings.register_profile("lnqlib", derandomize=True, database=None)
hypothesis.settings.load_profile("lnqlib")

ROOT = Path(__file__).resolve().parents[1]
GOOD = {
    "env": "all",
    "optimizer": "SGD",
    "seeds": 3,
    "steps": 20_000,
    "learning_rates": [1e-3, 1e-2],
    "workers": 0,
    "refresh": False,
    "scheduler": "",
}
"""Parameters that a chapter takes."""


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


@pytest.fixture
def shell():
    """An IPython shell in this process whose history holds what a kernel's would."""
    not_the_readers = Config(HistoryManager={"enabled": False})  # else ~/.ipython would hold it too
    yield InteractiveShell.instance(config=not_the_readers)
    InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def browser():
    """One Chromium a process, for Playwright starts no second one beside it."""
    from playwright.sync_api import sync_playwright  # here, for few tests need it

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        refuse = pytest.fail if "CI" in os.environ else pytest.skip
        refuse("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
