"""Several users in one store, and systems without Unix's file locks."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import standin

from lnqlib.spec import grid
from lnqlib.store import Store
from lnqlib.store.local import ROOT
from lnqlib.sweep import backend_store, sweep

SPECS = grid(env="Pendulum", norm=("none", "layer"), seed=range(3), checkpoints=3)
SWEEP = (
    "import sys, standin, test_lock\n"
    "sweep = test_lock.sweep(test_lock.SPECS[:int(sys.argv[2])], backend=standin.train,"
    " store=sys.argv[1], progress=False)\n"
    "print(len(sweep))"
)


BECOME = (
    "import os, tempfile, test_lock, standin\n"
    "with tempfile.TemporaryDirectory() as folder:\n"
    "    test_lock.sweep(test_lock.SPECS[:1], backend=standin.train, store=folder)\n"
    "def become(user):\n"  # after all imports: Python itself may be root's alone
    "    os.umask(0o022); os.setgroups([54321]); os.setgid(user); os.setuid(user)\n"
)


def python(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Runs `code` in a fresh Python that finds the library and these tests."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_a_sweep_makes_has_the_permissions_of_its_store(tmp_path, umask):
    tmp_path.chmod(0o2770)
    before = os.umask(umask)
    try:
        store = Store(tmp_path).within("other")
        with store.reserve() as reservation:
            made = [store.path, store.path / "lock", reservation.path]
            modes = [stat.S_IMODE(path.stat().st_mode) & 0o777 for path in made]
    finally:
        os.umask(before)
    assert modes[0] & 0o070 == 0o070
    assert [mode & 0o060 for mode in modes[1:]] == [0o060, 0o060]
    assert not any(mode & 0o002 for mode in modes)


@pytest.fixture
def shared_folder():
    """A folder that two users of one group may write to; where tests run as root alone."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    os.chown(folder, 0, 54321)
    folder.chmod(0o2770)
    yield folder
    shutil.rmtree(folder)


def test_two_users_of_one_group_share_a_store(shared_folder):
    for user, count in ((54001, 3), (54002, len(SPECS))):
        done = python(f"{BECOME}become({user})\n{SWEEP}", shared_folder, count)
        assert done.stdout == f"{count}\n", done.stderr
    owners = {path.stat().st_uid for path in shared_folder.rglob("*.parquet")}
    assert owners == {54001, 54002}


def test_a_lock_that_cannot_be_opened_is_named(shared_folder):
    folder = shared_folder / "store"
    folder.mkdir()
    folder.chmod(0o2777)
    lock = backend_store(folder, standin.train).path / "lock"
    lock.parent.mkdir()
    lock.parent.chmod(0o2777)
    lock.touch()
    lock.chmod(0o600)
    failed = python(f"{BECOME}become(54001)\n{SWEEP}", folder, 1).stderr.splitlines()[-1]
    assert f"the store {folder}" in failed and f"(Permission denied: {lock})" in failed


def test_without_fcntl_stores_are_read_and_written(tmp_path):
    """As on Windows; there without file locks, so that work may be done twice."""
    sweep(SPECS[:2], backend=standin.train, store=tmp_path, progress=False)
    code = "import sys\nsys.modules['fcntl'] = None\n" + SWEEP
    for count in (2, len(SPECS), len(SPECS)):
        done = python(code, tmp_path, count)
        assert (done.stdout, done.stderr) == (f"{count}\n", "")
    assert len(list(tmp_path.rglob("*.parquet"))) > 1
    status = "import sys\nsys.modules['fcntl'] = None\nfrom lnqlib.__main__ import main\nmain()"
    done = python(status, "status")
    assert "core" in done.stdout and done.returncode == 0
