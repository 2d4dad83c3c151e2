"""Each fault that storage must survive, really done: kills, damage, company, refusing disks."""

import fcntl
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import standin

from lnqlib import spec as spec_module
from lnqlib.results import CURVES
from lnqlib.spec import grid
from lnqlib.store import Store, StoreError
from lnqlib.store import local as store_module
from lnqlib.store.local import ROOT
from lnqlib.store.parquet import Damaged
from lnqlib.store.ship import ship
from lnqlib.store.shipped import Shipped
from lnqlib.sweep import SweepError, backend_store, sweep

# thirty groups of six like runs: a sweep makes one chunk of about 0.12 s from each
SPECS = grid(
    env=("CartPole", "Acrobot", "Pendulum"), norm=("none", "layer"),
    gamma=(0.9, 0.95, 0.97, 0.98, 0.99), lr=(1e-1, 1e-2, 1e-3), seed=(0, 1),
    steps=1000, checkpoints=3,
)  # fmt: skip
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["lnqlib.sweep", "standin"])


def _sweep(specs, folder, started=None, workers=2):
    if started is not None:
        started.set()
    sweep(specs, backend=standin.slow, store=folder, workers=workers, progress=False)


def _sweep_some(specs, folder, started):
    """A sweep that stalls within its twelfth run: it finishes one chunk, however fast it is."""
    left, draw = threading.Semaphore(11), spec_module.generator
    # nothing that standin names, for its digest would see that
    spec_module.generator = lambda *about: draw(*about) if left.acquire(timeout=600) else None
    _sweep(specs, folder, started)


def _all_bits(folder):
    made = backend_store(folder, standin.slow)
    return standin.bits(made.results(SPECS)), standin.bits(made.curves(SPECS))


def _rows_in_files(folder):
    files = list(backend_store(folder, standin.slow).path.glob("*.parquet"))
    return Counter(key for file in files for key in pq.read_table(file)["key"].to_pylist())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    sweep(SPECS, backend=standin.train, store=folder, progress=False)
    made = backend_store(folder, standin.train)
    return standin.bits(made.results(SPECS)), standin.bits(made.curves(SPECS))


def test_twenty_kills_lose_nothing_that_was_finished(tmp_path, uninterrupted):
    rng = random.Random(0)
    grown = [0]
    for kill in range(20):
        started = PROCESSES.Event()
        process = PROCESSES.Process(target=_sweep_some, args=(SPECS, tmp_path, started))
        process.start()
        assert started.wait(60)
        deadline = time.monotonic() + 60  # a busy machine starts late
        while kill % 3 == 1 and len(_rows_in_files(tmp_path)) == grown[-1]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.2))  # a chunk takes 0.12
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        rows = _rows_in_files(tmp_path)
        assert len(rows) >= grown[-1]
        grown.append(len(rows))
    assert len(set(grown)) > 5 and grown[-1] < len(SPECS)  # the kills fell within the work
    _sweep(SPECS, tmp_path)
    rows = _rows_in_files(tmp_path)
    assert rows == Counter(spec.key for spec in SPECS)  # none missing, none twice
    assert _all_bits(tmp_path) == uninterrupted
    assert not list(tmp_path.rglob("*.claim"))


@pytest.mark.parametrize("count", [2, 4])
def test_processes_at_once_share_the_work(tmp_path, uninterrupted, monkeypatch, count):
    logs, processes, together = [], [], PROCESSES.Barrier(count)
    for i in range(count):
        part = SPECS if i % 2 else SPECS[::-1][: 2 * len(SPECS) // 3]
        logs.append(tmp_path / f"log{i}")
        processes.append(
            PROCESSES.Process(
                target=_logged, args=(part, tmp_path / "store", str(logs[-1]), together)
            )
        )
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    assert _all_bits(tmp_path / "store") == uninterrupted
    trained = [log.read_text().split() if log.exists() else [] for log in logs]
    assert sum(map(bool, trained)) >= 2  # more than one had a share
    assert Counter(key for log in trained for key in log) == Counter(s.key for s in SPECS)


def _logged(specs, folder, log, together):
    os.environ["LNQ_TEST_LOG"] = log
    together.wait(60)
    _sweep(specs, folder)


def test_a_killed_process_holds_nothing_up(tmp_path):
    started = PROCESSES.Event()
    process = PROCESSES.Process(target=_sweep, args=(SPECS, tmp_path, started, 1))
    process.start()
    folder = backend_store(tmp_path, standin.slow).path
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.glob("*.claim")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    assert list(folder.glob("*.claim"))
    process = PROCESSES.Process(target=_sweep, args=(SPECS[:12], tmp_path))
    process.start()
    process.join(60)
    process.kill()
    assert process.exitcode == 0


def test_a_sweep_that_ends_within_the_look_of_another_leaves_it_nothing(tmp_path, monkeypatch):
    made, keys, log = backend_store(tmp_path, standin.slow), Store.keys, tmp_path / "log"
    monkeypatch.setenv("LNQ_TEST_LOG", str(log))

    def look(store):
        found = keys(store)
        if len(list(made.path.glob("*.claim"))) == 2:  # the other's and that of the sweep below
            made.write([standin.train(spec) for spec in SPECS[:6]])
            other.close()
        return found

    with made.reserve() as other:
        other.reserve(spec.key for spec in SPECS[:6])
        monkeypatch.setattr(Store, "keys", look)
        sweep(SPECS[:6], backend=standin.slow, store=tmp_path, progress=False)
    assert not log.exists()


def test_a_reservation_of_another_machine_counts_while_its_lock_is_held(tmp_path):
    made = Store(tmp_path)
    with made.reserve() as mine:
        path = tmp_path / "elsewhere.1.00.claim"
        with open(path, "w") as file:
            file.write("a b")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
            assert mine.others() == {"a", "b"}
        assert mine.others() == set() and not path.exists()


def truncated(data):
    return data[: len(data) // 2]


def empty(data):
    return b""


def flipped(data):
    i = random.Random(1).randrange(len(data))
    return data[:i] + bytes([data[i] ^ 16]) + data[i + 1 :]


def text(data):
    return b"key,return\n1,2\n"


def foreign(data):
    return _parquet(pd.DataFrame({"key": ["a"], "return": [1.0]}))


def other_engine(data):
    table = pq.read_table(pa.BufferReader(data))
    metadata = {**table.schema.metadata, b"lnqlib.engine_version": b"0"}
    return _parquet(table.replace_schema_metadata(metadata))


def other_columns(data):
    table = pq.read_table(pa.BufferReader(data))
    return _parquet(table.append_column("reward", [[1.0] * len(table)]))


def _parquet(table):
    sink = pa.BufferOutputStream()
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table)
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


DAMAGE = [
    (truncated, "is damaged"),
    (flipped, "is damaged"),
    (empty, "is empty"),
    (text, "is not a readable Parquet file"),
    (foreign, "was not written by this library"),
    (other_engine, 'was made by engine version "0" while this is "1"'),
    (other_columns, "holds other columns"),
]
LEFT = (other_engine, other_columns)  # another version may be at work in the same folder
RENAMED = (text, foreign, other_engine, other_columns)  # whole files, under names that fit them


@pytest.fixture
def four_files(tmp_path):
    made = backend_store(tmp_path, standin.slow)
    for i in range(0, 12, 3):
        made.write([standin.train(spec) for spec in SPECS[i : i + 3]])
    return made


@pytest.mark.parametrize("catalogued", [False, True])
@pytest.mark.parametrize("damage, reason", DAMAGE, ids=lambda x: getattr(x, "__name__", None))
def test_a_bad_file_is_named_set_aside_and_its_runs_trained_again(
    four_files, tmp_path, monkeypatch, damage, reason, catalogued
):
    before = standin.bits(four_files.results(SPECS[:12]))
    if catalogued:
        four_files._save_catalogue()
    path = sorted(four_files.path.glob("*.parquet"))[1]
    lost = set(pq.read_table(path)["key"].to_pylist())
    bad = damage(path.read_bytes())
    path.unlink()
    if damage in RENAMED:
        digest = hashlib.sha256(bad).hexdigest()[:32]
        path = path.with_name(f"{path.name[:16]}-{digest}.parquet")
    path.write_bytes(bad)

    with pytest.warns(UserWarning) as said:
        rest = Store(four_files.path).results(SPECS[:12])
    assert len(said) == 1 and path.name in str(said[0].message)
    aside = "left there" if damage in LEFT else "moved to its set_aside folder"
    assert reason in str(said[0].message) and aside in str(said[0].message)
    assert set(rest["key"]) == {spec.key for spec in SPECS[:12]} - lost
    kept = path if damage in LEFT else path.parent / "set_aside" / path.name
    assert path.exists() == (damage in LEFT) and kept.read_bytes() == bad

    log = tmp_path / "log"
    monkeypatch.setenv("LNQ_TEST_LOG", str(log))
    with warnings.catch_warnings():
        # said once is enough, of what is left once a process
        warnings.simplefilter("ignore" if damage in LEFT else "error")
        again = sweep(SPECS[:12], backend=standin.slow, store=tmp_path, progress=False)
    assert set(log.read_text().split()) == lost
    assert standin.bits(again) == before


def test_a_file_that_only_cannot_be_read_is_left_where_it_is(four_files, monkeypatch):
    path = next(four_files.path.glob("*.parquet"))
    read = store_module.Path.read_bytes

    def failing(self):
        if self == path:
            raise OSError(5, "Input/output error")
        return read(self)

    monkeypatch.setattr(store_module.Path, "read_bytes", failing)
    with pytest.warns(UserWarning, match=f"{path.name}.*Input/output error; left there"):
        assert len(Store(four_files.path).results()) == 9
    monkeypatch.undo()
    assert len(Store(four_files.path).results()) == 12


def test_every_single_flipped_bit_is_seen(four_files):
    path = next(four_files.path.glob("*.parquet"))
    data = path.read_bytes()
    rng = random.Random(2)
    for _ in range(200):
        i, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        path.write_bytes(data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :])
        with pytest.raises(Damaged):
            four_files._read(path.name, ["key"])


def test_curves_of_a_file_that_broke_after_its_rows_were_read(four_files):
    rows = four_files.results(SPECS[:12])
    path = four_files.path / four_files._frame([SPECS[0]])["file"].iloc[0]
    lost = set(pq.read_table(path)["key"].to_pylist())
    time_of = path.stat()
    path.write_bytes(flipped(path.read_bytes()))
    os.utime(path, ns=(time_of.st_atime_ns, time_of.st_mtime_ns))  # as a failing disk would
    with pytest.warns(UserWarning, match=path.name):
        there = four_files.curves(SPECS[:12])
    assert set(there["key"]) == set(rows["key"]) - lost
    assert len(four_files.results()) == 9


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    made = Store(folder / "store")
    made.write([standin.train(spec) for spec in SPECS])
    ship(SPECS, folder / "results" / "tiny", made)
    return folder / "results"


@pytest.mark.parametrize("which", ["runs", "curves"])
@pytest.mark.parametrize("damage, reason", DAMAGE, ids=lambda x: getattr(x, "__name__", None))
def test_a_bad_shipped_file_is_named_ignored_and_left(results, tmp_path, damage, reason, which):
    shutil.copytree(results, tmp_path / "results")
    path = tmp_path / "results" / "tiny" / f"Acrobot.{which}.parquet"
    bad = damage(path.read_bytes())
    if damage in RENAMED:  # whole files, with a digest that fits
        sums = path.with_name("SHA256SUMS")
        old, new = (hashlib.sha256(x).hexdigest() for x in (path.read_bytes(), bad))
        sums.write_text(sums.read_text().replace(old, new))
    else:
        reason = "does not match its digest"
    path.write_bytes(bad)
    with pytest.warns(UserWarning) as said:
        shipped = Shipped(tmp_path / "results")
        rows, curves = shipped.results(SPECS), shipped.curves(SPECS)
    assert len(said) == 1 and str(path) in str(said[0].message)
    assert reason in str(said[0].message)
    others = {spec.key for spec in SPECS if spec.env != "Acrobot"}
    assert set(curves["key"]) == others
    assert set(rows["key"]) == (others if which == "runs" else {spec.key for spec in SPECS})
    assert path.read_bytes() == bad


def interrupted(folder, seconds: float) -> list[int]:
    """A sweep that gets Ctrl-C some time after its first chunk: how many runs each file holds."""
    code = (
        "import sys, standin, test_faults\n"
        "print('ready', flush=True)\n"
        f"test_faults._sweep(test_faults.SPECS, {str(folder)!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=standin.interruptible,
    )
    process.stdout.readline()
    while not list(folder.rglob("*.parquet")):
        time.sleep(0.02)
    time.sleep(seconds)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert process.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
    kept = len(backend_store(folder, standin.slow).results(SPECS))
    assert f"Interrupted: {kept} of {len(SPECS)} runs are finished and kept" in errors
    assert 0 < kept < len(SPECS) and not list(folder.rglob("*.claim"))
    return [pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet")]


def test_ctrl_c_ends_within_five_seconds_and_says_how_to_continue(tmp_path):
    """The finished runs of the chunks in hand are kept too: some file holds less than a chunk.

    On a busy machine one signal can come between two chunks; three do not.
    """
    delays = (0.05, 0.08, 0.11)
    assert any(min(interrupted(tmp_path / str(delay), delay)) < 6 for delay in delays)


@pytest.fixture
def tmpfs(tmp_path):
    """A file system of half a megabyte, where this user may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user cannot mount a tmpfs")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_full_disk_is_named_and_what_was_finished_kept(tmpfs, uninterrupted):
    with pytest.raises(StoreError, match=f"{tmpfs}.*No space left.*what was finished"):
        _sweep(SPECS, tmpfs)
    kept = backend_store(tmpfs, standin.slow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = kept.results(SPECS)
    assert 0 < len(rows) < len(SPECS)
    assert set(standin.bits(rows)) <= set(uninterrupted[0])
    assert not list(kept.path.glob(".*.tmp"))


def test_a_read_only_folder_is_named_and_still_read(tmpfs):
    _sweep(SPECS[:6], tmpfs)
    remount = ["mount", "-o", "remount,ro", tmpfs]
    subprocess.run(remount, check=True, capture_output=True)
    with pytest.raises(StoreError, match=f"{tmpfs}.*Read-only.*LNQ_STORE"):
        _sweep(SPECS, tmpfs)
    frame = sweep(SPECS[:6], backend=standin.slow, store=tmpfs)
    assert len(frame) == 6


def _limited(folder, result):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        _sweep(SPECS, folder)
    except StoreError as error:
        result.put(str(error))


def test_a_refused_write_leaves_no_half_file(tmp_path):
    """The same without mounting anything: the process may write no file over 20 kB."""
    result = PROCESSES.Queue()
    process = PROCESSES.Process(target=_limited, args=(tmp_path, result))
    process.start()
    assert "File too large" in result.get(timeout=30)
    process.join()
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("*.tmp"))


def test_a_worker_that_dies_is_told_and_the_rest_kept(tmp_path):
    told = pytest.raises(SweepError, match=r"the others are kept.*BrokenProcessPool")
    with ProcessPoolExecutor(2, PROCESSES) as pool, told:
        sweep(SPECS, pool, backend=standin.deadly, store=tmp_path, progress=False)
    kept = backend_store(tmp_path, standin.deadly).results(SPECS)
    assert 0 < len(kept) < len(SPECS)


def test_an_executor_shut_down_in_the_middle_is_told_and_the_rest_kept(tmp_path):
    pool = ThreadPoolExecutor(1)
    folder = backend_store(tmp_path, standin.slow).path

    def shut_down():
        while not list(folder.glob("*.parquet")):
            time.sleep(0.005)
        pool.shutdown(wait=False, cancel_futures=True)

    stop = threading.Thread(target=shut_down, daemon=True)
    stop.start()
    with pytest.raises(SweepError, match=r"the others are kept.*gave it up"):
        # so many workers that every chunk is submitted before
        sweep(SPECS, pool, backend=standin.slow, store=tmp_path, workers=200, progress=False)
    stop.join()
    assert 0 < len(backend_store(tmp_path, standin.slow).results(SPECS)) < len(SPECS)


def test_a_diverged_run_comes_back_as_it_was(tmp_path):
    result = standin.train(SPECS[0])
    nan, inf = float("nan"), float("inf")
    values = {"gi2": inf, "dgi": -inf, "sgi": nan, "td_loss": 1e300, "diverged_step": 7.0}
    result.row.update(values)
    for name in values.keys() & set(CURVES):
        result.curves[name][1:] = values[name]
    made = Store(tmp_path / "store")
    made.write([result])
    ship(SPECS[:1], tmp_path / "results" / "tiny", made)
    for source in (made, Shipped(tmp_path / "results")):
        row, curves = source.results(SPECS[:1]).iloc[0], source.curves(SPECS[:1])
        for name, value in values.items():
            assert repr(float(row[name])) == repr(value)
            if name in CURVES:
                found = curves[name].to_numpy()[1:]
                assert found == pytest.approx([value] * 2, rel=1e-7, nan_ok=True)
