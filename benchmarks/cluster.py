"""How a sweep scales over a dask cluster, and where it stops: a report, never a test.

    python benchmarks/cluster.py            some minutes on two idle cores
    python benchmarks/cluster.py --quick    fewer repeats and runs

The driver, the one process that hands chunks out and stores them, is what ends the scaling. Its
cost is measured with training that takes no time and with stores of several sizes; with the time
that a run takes, the hours of larger sweeps follow. They rest on CPU time, which other work on the
machine changes little; seconds and runs a second need idle cores, and the first line says how idle
they were. Needs dask: pip install -e '.[cluster]'.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import psutil
from distributed import Client, LocalCluster

from lnqlib import engine
from lnqlib.results import COUNTS, CURVES, Result, make_result
from lnqlib.spec import RunSpec, grid
from lnqlib.store import Store
from lnqlib.store.chunks import CHUNK_SECONDS, predicted_seconds
from lnqlib.store.parquet import place
from lnqlib.sweep import cores, sweep

RUN = RunSpec("CartPole", norm="layer")  # the full protocol
RUNS_A_CHUNK = int(CHUNK_SECONDS // predicted_seconds(RUN))
LOOK_EVERY = 512  # chunks: a quarter of the window that sweep gives a cluster
COUNTS_OF_WORKERS = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and runs")
    quick = parser.parse_args().quick
    busy = psutil.cpu_percent(interval=2)
    print(f"{cores()} cores, {busy:.0f}% of them at work for other processes when this began")
    per_chunk = chunk_costs(chunks=150 if quick else 400, repeats=1 if quick else 3)
    look, bytes_a_run = store_growth((64, 256) if quick else (128, 512, 2048))
    forecast(per_chunk, look, bytes_a_run)
    throughput(runs=16 if quick else 32, repeats=1 if quick else 3)


def throughput(runs: int, repeats: int) -> None:
    """Runs a second by workers, on local threads and on dask processes."""
    specs = grid(env="CartPole", norm="layer", seed=range(runs), steps=4_000, checkpoints=5)
    engine.train(specs[0])  # compiled before any worker starts
    rows = []
    with workers(max(COUNTS_OF_WORKERS)) as client:
        client.run(engine.train, specs[0])  # each worker loads the compiled code
        addresses = list(client.nthreads())
        for count in COUNTS_OF_WORKERS:
            some = client.get_executor(workers=addresses[:count])
            costs = [
                (*cost(specs, client, workers=count), *cost(specs, client, some, workers=count))
                for _ in range(repeats)
            ]
            wall, cpu, dask_wall, dask_cpu = (median(part) for part in zip(*costs, strict=True))
            row = {"workers": count, "threads": runs / wall, "dask": runs / dask_wall}
            row |= {"threads, CPU ms": 1e3 * cpu / runs, "dask, CPU ms": 1e3 * dask_cpu / runs}
            rows.append(row)
    print(f"\nRuns a second and CPU time a run, {specs[0].steps:,} steps and 5 checkpoints each,")
    print(f"median of {repeats} sweeps of {runs} runs")
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.1f}".format))


def chunk_costs(chunks: int, repeats: int) -> float:
    """Seconds that scheduler and driver spend on a chunk; training takes none."""
    gammas = np.linspace(0.5, 0.99, chunks).tolist()  # runs of different gamma share no chunk
    lrs = [10.0**-i for i in range(RUNS_A_CHUNK)]
    specs = grid(env="CartPole", gamma=gammas, lr=lrs)
    costs: dict[str, list[tuple[float, float]]] = {"local threads": [], "dask": []}
    with workers(2) as client:
        client.run(instant, specs[0])
        for _ in range(repeats):
            costs["local threads"].append(cost(specs, None, backend=instant, workers=2))
            costs["dask"].append(cost(specs, None, client.get_executor(), backend=instant))
    disk = median(timed(write_once) for _ in range(50))
    print("\nMilliseconds for a chunk beside its training: handed out, brought back, stored")
    print(f"({RUNS_A_CHUNK} runs with {RUN.checkpoints} checkpoints, median of {repeats} sweeps)")
    for name, values in costs.items():
        wall, cpu = (1e3 * median(part) / chunks for part in zip(*values, strict=True))
        print(f"  {name:14} {wall:6.1f}, CPU time of scheduler and driver {cpu:.1f}")
    print(f"  {'disk':14} {1e3 * disk:6.1f}, of it, for one file written and synced")
    return cpu / 1e3 + disk


def store_growth(sizes: tuple[int, ...]) -> tuple[float, float]:
    """Seconds a file that one look for finished runs takes, and bytes a run that it holds."""
    times, template = [], instant(RUN)
    with tempfile.TemporaryDirectory() as folder:
        store, written = Store(folder), 0
        for size in sizes:
            for i in range(written, size):
                seeds = range(RUNS_A_CHUNK * i, RUNS_A_CHUNK * (i + 1))
                specs = grid(env="CartPole", seed=seeds)
                store.write([template._replace(spec=spec) for spec in specs])
                if i == 0:
                    store.keys()
            written = size
            store.keys()
            times.append(median(timed(store.keys, time.process_time) for _ in range(9)))
        held = store.results().memory_usage().sum() / (RUNS_A_CHUNK * written)
    print("\nMilliseconds of CPU time of one look for finished runs, by files in the store")
    for size, spent in zip(sizes, times, strict=True):
        print(f"  {size:6,} {1e3 * spent:8.1f}")
    return times[-1] / sizes[-1], held


def forecast(per_chunk: float, look: float, bytes_a_run: float) -> None:
    """Hours of large sweeps: the workers' time or the driver's, whichever is longer."""
    run = predicted_seconds(RUN)
    rows = []
    for runs, count in product((10**5, 10**6), (100, 1_000)):
        chunks = runs / RUNS_A_CHUNK
        looks = chunks / LOOK_EVERY * look * chunks / 2  # at a store that grows from none
        work, driver = runs * run / count / 3600, (chunks * per_chunk + looks) / 3600
        row = {"runs": f"{runs:,}", "cores": f"{count:,}", "workers": work, "driver": driver}
        rows.append(row | {"of it looks": looks / 3600, "expected": max(work, driver)})
    print(f"\nHours for runs of the full protocol, {run:.1f} s each, {RUNS_A_CHUNK} a chunk")
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))
    limit = RUNS_A_CHUNK * run / per_chunk
    print(f"\nOne driver feeds about {limit:,.0f} cores: a chunk costs it {1e3 * per_chunk:.1f} ms")
    print(f"and a core {RUNS_A_CHUNK * run:.1f} s. More cores would wait for the driver; use a")
    print("second one, with a scheduler of its own, for another task or optimizer.")
    print(
        f"A driver holds {bytes_a_run:,.0f} bytes a run, {bytes_a_run / 1e3:.1f} GB for 10^6 runs."
    )


def instant(spec: RunSpec) -> Result:
    """A run's result without the training."""
    rng = np.random.default_rng(spec.seed)
    curves = {name: rng.random(len(spec.checkpoint_steps)) for name in CURVES}
    return make_result(spec, curves, 0.0, dict.fromkeys(COUNTS, 0.0))


@contextmanager
def workers(count: int) -> Iterator[Client]:
    """A local dask cluster of `count` processes with one thread each, its scheduler in this one."""
    options = dict(threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL)
    with LocalCluster(count, **options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def cost(
    specs: list[RunSpec], client: Client | None, executor: Executor | None = None, **options
) -> tuple[float, float]:
    """Seconds and CPU seconds of a sweep of `specs` into a new store, `client`'s workers' too."""

    def cpu() -> float:
        there = client.run(time.process_time).values() if client else ()
        return time.process_time() + sum(there)

    before = cpu()
    with tempfile.TemporaryDirectory() as folder:
        wall = timed(lambda: sweep(specs, executor, False, store=Path(folder), **options))
    return wall, cpu() - before


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def write_once() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place(bytes(60_000), Path(folder) / "file")


if __name__ == "__main__":
    main()
