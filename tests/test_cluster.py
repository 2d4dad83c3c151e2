"""A sweep on a real dask scheduler and two worker processes, and what happens when they die."""

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module

import distributed
import nbformat
import pytest
import standin
from conftest import GOOD, tool

from lnqbook.notebook import ParameterError, parameters
from lnqlib import spec
from lnqlib.__main__ import main
from lnqlib.store import Store, cluster, shipped
from lnqlib.store.chunks import train_chunk
from lnqlib.store.cluster import SchedulerError, connected
from lnqlib.store.local import ROOT
from lnqlib.store.parquet import ENGINE_VERSION
from lnqlib.store.verify import spec_of
from lnqlib.studies import STUDIES
from lnqlib.sweep import SweepError, backend_store, sweep

SPECS = spec.grid(
    env=("CartPole", "Pendulum"), norm=("none", "layer"), gamma=(0.9, 0.95, 0.99),
    lr=(1e-1, 1e-2, 1e-3), seed=(0, 1), steps=1000, checkpoints=3,
)  # fmt: skip


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, log):
        self.log = log
        self.workers = []
        self.scheduler, self.address = None, ""

    def start(self, count=2):
        """Replaces what has died."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            self.address = f"tcp://127.0.0.1:{port}"
            self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", str(port))
            self.stop(self.workers)
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < count:
            options = ("--nthreads", "1", "--no-nanny")
            self.workers.append(self._run("worker", self.address, *options))
        with distributed.Client(self.address, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120) if count else client.nthreads()

    def stop(self, processes):
        for process in processes:
            process.kill()
            process.wait()

    def _run(self, what, *options):
        module = f"distributed.cli.dask_{what}"
        return subprocess.Popen(
            [sys.executable, "-m", module, *options, "--no-dashboard"],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            stdout=self.log,
            stderr=self.log,
        )


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    with open(tmp_path_factory.mktemp("dask") / "log", "w") as log:
        made = Cluster(log)
        yield made
        made.stop([*made.workers, made.scheduler])


@pytest.fixture
def workers(processes):
    processes.start()
    return processes


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    return standin.bits(sweep(SPECS, backend=standin.train, store=folder, progress=False))


def test_without_workers_it_says_so_and_ctrl_c_ends_thousands_of_chunks(processes, tmp_path):
    processes.start(0)
    code = (
        "import sys, runpy\n"
        "from lnqlib.studies import STUDIES\n"
        "STUDIES['core'] = [{'env': 'CartPole', 'gamma': [i / 3000 for i in range(3000)],\n"
        "    'steps': 10, 'checkpoints': 1}]\n"
        f"sys.argv[1:] = ['run', 'core', '--scheduler', {processes.address!r}]\n"
        "runpy.run_module('lnqlib', run_name='__main__')"
    )
    errors = tmp_path / "errors"
    with open(errors, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(ROOT), "LNQ_STORE": str(tmp_path / "store")},
            stderr=file,
            preexec_fn=standin.interruptible,
        )
    deadline = time.monotonic() + 90
    while "0/3000" not in (said := errors.read_text()) or ", no workers]" not in said:
        assert time.monotonic() < deadline and process.poll() is None, said
        time.sleep(0.05)
    assert said.startswith(f"{processes.address}: no workers yet; start them with dask worker ")
    claim = next((tmp_path / "store").glob("*.claim"))
    assert len(claim.read_text().split()) > 2000  # so many are waiting
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert time.monotonic() - start < 5
    said = errors.read_text()
    assert "Traceback" not in said and not claim.exists()
    assert said.splitlines()[-1] == (
        "Interrupted: 0 of 3000 runs are finished and kept; "
        f"continue with: python -m lnqlib run core --scheduler {processes.address}"
    )


def test_the_same_bits_as_here_and_progress_is_shown(workers, tmp_path, monkeypatch, expected):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with connected(workers.address) as executor:
        frame = sweep(SPECS, executor, backend=standin.train, store=tmp_path)
    assert standin.bits(frame) == expected
    said = stream.getvalue()
    assert f"{workers.address}: 2 workers, 2 threads" in said
    assert "72/72" in said and "run/s" in said


def test_the_engine_gives_the_same_bits_on_workers(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "RESULTS", tmp_path / "results")
    tiny = spec.grid(env="CartPole", lr=(1e-2, 1e3), seed=(0, 1), steps=300, checkpoints=2)
    here = sweep(tiny, store=tmp_path / "here", workers=1, progress=False)
    with connected(workers.address) as executor:
        there = sweep(tiny, executor, store=tmp_path / "there", progress=False)
    assert standin.bits(there) == standin.bits(here)
    assert (there["seconds"] != here["seconds"]).all()  # it was trained again


def test_the_command_line_uses_the_scheduler(workers, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("LNQ_STORE", str(tmp_path / "store"))
    axes = {"env": "CartPole", "seed": (0, 1), "steps": 200, "checkpoints": 1}
    monkeypatch.setitem(STUDIES, "core", [axes])
    assert main(["run", "core", "--scheduler", workers.address]) == 0
    printed = capsys.readouterr()
    assert "core: 2 of 2 runs are finished" in printed.out
    assert workers.address in printed.err and "2/2" in printed.err


def test_a_chapter_trains_on_a_cluster_what_it_trains_here(workers, tmp_path):
    values = "{env: MountainCar, steps: 200, learning_rates: [1.0e-2]}"
    chapter, there = ROOT / "chapters" / "setting.ipynb", tmp_path / "there"
    arguments = [chapter, tmp_path / "out.ipynb", "-y", values, "-p", "scheduler", workers.address]
    finished = tool("papermill", *arguments, LNQ_STORE=there)
    assert finished.returncode == 0, finished.stdout
    assert f"{workers.address}: 2 workers" in (tmp_path / "out.ipynb").read_text()
    rows = Store(there).results()
    specs = [spec_of(row) for _, row in rows.iterrows()]
    asked = spec.grid(env="MountainCar", norm=("none", "layer"), lr=1e-2, steps=200, checkpoints=10)
    assert set(specs) == set(asked)
    here = sweep(specs, store=tmp_path / "here", progress=False)
    assert standin.bits(rows) == standin.bits(here)


def test_a_worker_killed_in_the_middle_changes_nothing(workers, tmp_path, expected):
    folder = backend_store(tmp_path, standin.slow).path
    killed = []

    def kill():
        while not list(folder.glob("*.parquet")):
            time.sleep(0.005)
        workers.workers[0].send_signal(signal.SIGKILL)
        killed.append(len(Store(folder).keys()))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with connected(workers.address) as executor:
        frame = sweep(SPECS, executor, backend=standin.slow, store=tmp_path, progress=False)
    killer.join(10)
    assert 0 < killed[0] < len(SPECS)  # it died within the work
    assert workers.workers[0].wait(10) == -signal.SIGKILL
    assert standin.bits(frame) == expected
    assert len(Store(folder).results()) == len(SPECS)


def test_a_scheduler_that_dies_is_told_and_the_rest_kept(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 2.0)
    folder = backend_store(tmp_path, standin.slow).path

    def kill():
        while not list(folder.glob("*.parquet")):
            time.sleep(0.005)
        workers.scheduler.kill()

    threading.Thread(target=kill, daemon=True).start()
    start = time.monotonic()
    with (
        pytest.raises(SweepError, match=r"runs failed.* and the others are kept.*gave it up"),
        connected(workers.address) as executor,
    ):
        sweep(SPECS, executor, backend=standin.slow, store=tmp_path, progress=False)
    assert time.monotonic() - start < 20
    assert 0 < len(Store(folder).results()) < len(SPECS)
    assert not list(folder.glob("*.claim"))


@pytest.fixture
def silent():
    """The address of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("which", ["closed", "silent"])
def test_an_unreachable_scheduler_is_named_within_ten_seconds(which, silent, capsys, monkeypatch):
    address = silent if which == "silent" else "tcp://127.0.0.1:1"
    if which == "silent":
        monkeypatch.setattr(cluster, "TIMEOUT", 1.0)
    start = time.monotonic()
    assert main(["run", "core", "--scheduler", address]) == 2
    assert time.monotonic() - start < 10
    said = capsys.readouterr().err
    assert said.startswith(f"error: no dask scheduler answers at {address}; ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "address", ["localhost", "tcp://localhost", "http://a:80", "tcp://a:0", "tcp://a:65536", "8786"]
)
def test_what_is_no_address_is_refused_at_once(address, capsys):
    assert main(["run", "core", "--scheduler", address]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: scheduler is '{address}'; it must be tcp://HOST:PORT; write ")


def test_a_chapter_names_its_scheduler(monkeypatch):
    assert parameters(**GOOD).scheduler == ""
    with pytest.raises(ParameterError, match=r"scheduler is 'here'.* -p scheduler tcp://localhost"):
        parameters(**GOOD | {"scheduler": "here"})
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    chapter = parameters(**GOOD | {"scheduler": "tcp://127.0.0.1:1"})
    with pytest.raises(ParameterError, match=r"answers at tcp://127.0.0.1:1; .* dask scheduler"):
        chapter.sweep(chapter.specs()[:1])


def test_dask_that_is_not_installed_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SchedulerError, match=r"pip install 'lnqlib\[cluster\]'"):
        connected("tcp://127.0.0.1:1").__enter__()


def test_without_a_scheduler_there_is_no_executor():
    with connected("") as executor:
        assert executor is None


def test_a_worker_of_another_engine_version_trains_nothing():
    with pytest.raises(RuntimeError, match=f"has engine version {ENGINE_VERSION}, the sweep 0"):
        train_chunk(SPECS[:1], standin.train, 0)


def page_blocks(language):
    """The code blocks in the section on clusters of the page on reproducing."""
    cells = nbformat.read(ROOT / "chapters" / "reproduce.ipynb", as_version=4).cells
    text = next(cell.source for cell in cells if "## A cluster" in cell.source)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_command_lines_on_the_page_are_ones_that_dask_takes():
    for line in "".join(page_blocks("bash")).splitlines():
        program, *options = shlex.split(line)
        if program == "dask":
            command = import_module(f"distributed.cli.dask_{options[0]}").main
            command.make_context(line, options[1:])  # parses, and raises where an option is wrong
        else:
            assert program == "papermill" and options[-1] == cluster.EXAMPLE


def test_slurm_as_on_the_page_gets_a_job_script():
    (code,) = page_blocks("python")
    names = {}
    exec(code.partition("cluster.scale")[0], names)  # what follows asks SLURM
    with names["cluster"] as slurm:
        script = slurm.job_script()
    assert "#SBATCH --cpus-per-task=32" in script and "#SBATCH -t 04:00:00" in script
    assert "--nthreads 4" in script and "--nworkers 8" in script
