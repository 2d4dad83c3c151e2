"""How fast the engine is, against its peers and against the arithmetic: a report, never a test.

    python benchmarks/engine.py            everything, about ten minutes on two idle cores
    python benchmarks/engine.py --quick    fewer repeats and steps
    python benchmarks/engine.py --jax      without JAX; else with both versions named below

Every number is a median of repeats on one machine in one run; the ratios are what travels.
JAX differs by version, so that two are installed into temporary environments and measured.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import peers

from lnqlib import engine
from lnqlib.beyond import replay
from lnqlib.engine import fused
from lnqlib.run import _advance, dataset_of, initial_params_of, run
from lnqlib.spec import ENVS, OPTIMIZERS, RunSpec, study
from lnqlib.store import Store
from lnqlib.studies import STUDIES
from lnqlib.sweep import cores
from lnqlib.tasks import TASKS

BEYOND = {
    "target": {"target_period": 1_000},
    "online": {"data": "online"},
    "both": {"target_period": 1_000, "data": "online"},
}
NETS = [(env, norm) for env in ("CartPole", "Acrobot") for norm in ("none", "layer")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and steps")
    versions = ("0.6.2", "0.10.2")
    parser.add_argument("--jax", nargs="*", default=versions, help=f"versions of JAX {versions}")
    options = parser.parse_args()
    quick = options.quick
    repeats, steps = (3, 4_000) if quick else (7, 20_000)
    print(f"{cpu()}, {cores()} cores\n")
    compile_times()
    with tempfile.TemporaryDirectory() as folder:
        jax = {version: peers.with_jax(version, Path(folder)) for version in options.jax}
        rows = [peer_row(env, norm, repeats, steps, jax) for env, norm in NETS]
    print("\nMicroseconds per run and step, all cores at work")
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.1f}".format))
    scaling(repeats, steps)
    beyond(repeats, steps)
    shares()
    memory()
    costs(repeats)


def peer_row(env: str, norm: str, repeats: int, steps: int, jax: dict[str, str]) -> dict:
    """Ours and every peer's microseconds, alternating so that a noisy spell meets all of them.

    **Arguments** `jax`: versions of JAX and the interpreters that have them.
    """
    contenders = {
        "torch loop": lambda: peers.torch_loop(env, norm, 1, 1_000),
        "torch vmap": lambda: peers.torch_vmap(env, norm, 64, 60),
        "engine": lambda: engine_time(env, norm, steps, cores()),
    }
    for version, python in jax.items():
        contenders[f"jax {version}"] = partial(peers.jax_scan, python, env, norm, 64, 200)
    times = {name: [] for name in contenders}
    for _ in range(min(repeats, 3)):
        for name, measure in contenders.items():
            times[name].append(measure())
    row = {name: median(values) for name, values in times.items()}
    ours = row["engine"]
    peer, best = min(((n, v) for n, v in row.items() if n != "engine"), key=lambda item: item[1])
    floor = arithmetic_floor(env)
    return (
        {"net": f"{env} {norm}"}
        | row
        | {
            "floor": floor,
            "best peer": peer,
            "x best peer": best / ours,
            "x torch loop": row["torch loop"] / ours,
            "x floor": ours / floor,
        }
    )


def learner(env: str, norm: str, optimizer: str = "SGD", seed: int = 0) -> fused.FusedLearner:
    spec = RunSpec(env, norm=norm, optimizer=optimizer, seed=seed)
    dataset = dataset_of(env, seed, spec.data, spec.dataset_size)
    return fused.FusedLearner(spec, dataset, initial_params_of(spec))


def engine_time(env: str, norm: str, steps: int, workers: int, optimizer: str = "SGD") -> float:
    """Microseconds per run and step with one network a worker."""
    learners = [learner(env, norm, optimizer, seed) for seed in range(workers)]
    rng = np.random.default_rng(0)
    batches = rng.integers(10_000, size=(steps, 128), dtype=np.int32)
    lrs = np.full(steps, 1e-3)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda one: one.advance(0, batches[:50], lrs[:50]), learners))
        start = time.perf_counter()
        list(pool.map(lambda one: one.advance(0, batches, lrs), learners))
    return (time.perf_counter() - start) / (workers * steps) * 1e6


def arithmetic_floor(env: str) -> float:
    """The step's multiply-adds at the rate of a float32 matrix product, on all cores.

    Forward for s' and s, gates and gradients: n = obs_dim + 1 inputs, m actions, per unit and
    sample 2 n + m + 1 (forward), n + 3 (gates, V) and n (W).
    """
    n, m = TASKS[env].obs_dim + 1, TASKS[env].num_actions
    multiply_adds = 128 * 128 * (4 * n + m + 4)
    return multiply_adds / peak_multiply_adds() / cores() * 1e6


def peak_multiply_adds() -> float:
    """Float32 multiply-adds a second of one core, from a matrix product of one thread."""
    code = (
        "import numpy as np, time; a = np.ones((1024, 1024), np.float32); a @ a; t = []\n"
        "for _ in range(20): s = time.perf_counter(); a @ a; t.append(time.perf_counter() - s)\n"
        "print(1024**3 / min(t))"
    )
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return float(subprocess.check_output([sys.executable, "-c", code], env=os.environ | threads))


def compile_times() -> None:
    """First compilation of a specialisation, and loading it from the cache, in fresh processes."""
    code = (
        "import time; from lnqlib.engine import fused; "
        "start = time.perf_counter(); k = fused.kernel(4, 2, 128, 128, 'switched', True); "
        "import numpy as np; f = lambda *s: np.zeros(s, np.float32); "
        "k(f(898), f(2, 898), f(2, 128), f(9, 11), np.zeros((1, 128), np.int32), np.zeros(1), 0, "
        "np.float32(1), 0.1, True, True, False, 0, 1.0, np.zeros(1), np.zeros(3, int)); "
        "print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        seconds = [
            float(subprocess.check_output([sys.executable, "-c", code], env=environment))
            for _ in range(2)
        ]
    print(f"one kernel: {seconds[0]:.1f} s to compile, {seconds[1]:.2f} s from the cache")


def scaling(repeats: int, steps: int) -> None:
    print("\nThroughput of all cores against one")
    for env, norm in NETS:
        ratios = [
            engine_time(env, norm, steps, 1) / engine_time(env, norm, steps, cores())
            for _ in range(repeats)
        ]
        print(f"  {env} {norm}: {median(ratios):.2f}")


def beyond(repeats: int, steps: int) -> None:
    """A target network and online replay against neither, repeats alternating."""
    rows = []
    for env in ENVS:
        for norm in ("none", "layer"):
            kinds = {"plain": {}} | BEYOND
            times = {name: [] for name in kinds}
            for _ in range(repeats):
                for name, fields in kinds.items():
                    times[name].append(step_time(RunSpec(env, norm=norm, lr=1e-3, **fields), steps))
            plain = np.array(times["plain"])
            ratios = {f"x {name}": np.median(np.array(times[name]) / plain) for name in BEYOND}
            rows.append({"net": f"{env} {norm}", "offline": median(plain)} | ratios)
    print("\nMicroseconds a step on one core, and how many times as many with a target network,")
    print("with online replay and with both; random numbers are drawn within them (CPU time)")
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))


def step_time(spec: RunSpec, steps: int, first: int = 100_000) -> float:
    """Microseconds of CPU time a step from step `first`, where a full buffer is played greedily."""
    explorer = None
    if spec.data == "online":
        dataset, explorer = replay.begin(spec)
        task, missing = TASKS[spec.env], spec.dataset_size - len(dataset.filled.action)
        replay._play(task.index, task.time_limit, dataset, *explorer.moves(-missing, 0))
    else:
        dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    one = fused.FusedLearner(spec, dataset, initial_params_of(spec))
    rng = spec.rng("batches")
    _advance(spec, one, first - 1_000, first, rng, None, explorer)
    start = time.process_time()
    _advance(spec, one, first, first + steps, rng, None, explorer)
    return (time.process_time() - start) / steps * 1e6


def shares() -> None:
    """Where a full-protocol run's time goes."""
    print("\nA run of the full protocol: training against metrics, evaluation and storage")
    for env, norm in NETS:
        Timed.training = 0.0
        start = time.perf_counter()
        result = run(RunSpec(env, norm=norm), Timed)
        with tempfile.TemporaryDirectory() as folder:
            Store(folder).write([result])
            whole = time.perf_counter() - start
        print(f"  {env} {norm}: {whole:.2f} s, {1 - Timed.training / whole:.0%} not training")


class Timed(fused.FusedLearner):
    """The engine's learner with a clock on its gradient steps."""

    training = 0.0

    def advance(self, *arguments):
        start = time.perf_counter()
        progress = super().advance(*arguments)
        Timed.training += time.perf_counter() - start
        return progress


def memory() -> None:
    """Peak memory of a process that sweeps few and many runs."""
    code = (
        "import resource, tempfile; from lnqlib.spec import grid; from lnqlib.sweep import sweep\n"
        "sweep(grid(env='MountainCar', norm=('none', 'layer'), seed=range({}), steps=200), "
        "store=tempfile.mkdtemp(), progress=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)"
    )
    print("\nPeak memory of a sweep")
    for runs in (20, 400):
        mib = subprocess.check_output([sys.executable, "-c", code.format(runs // 2)])
        print(f"  {runs} runs: {float(mib):.0f} MiB")


def costs(repeats: int) -> None:
    """Seconds by runs and steps, and by study, from this machine's measured cost of each part."""
    step = {
        (env, norm, optimizer): median(
            engine_time(env, norm, 2_000, 1, optimizer) for _ in range(min(repeats, 3))
        )
        for env in ENVS
        for norm in ("none", "layer")
        for optimizer in OPTIMIZERS
    }
    fixed, checkpoint = run_parts()
    print(f"\na run: {fixed * 1e3:.0f} ms + {checkpoint * 1e3:.1f} ms a checkpoint + its steps")

    def seconds(spec: RunSpec, steps: int | None = None) -> float:
        steps = steps or spec.steps
        norm = "none" if spec.norm == "none" else "layer"  # the other norms cost about as much
        rate = step[spec.env, norm, spec.optimizer] * 1e-6
        learners = 2 if spec.lr_control == "paired_decay" else 1  # the LN run is trained as well
        return fixed + len(spec.checkpoint_steps) * checkpoint + learners * steps * rate

    one = RunSpec("CartPole", norm="layer")
    table = pd.DataFrame(
        {
            f"{steps:,} steps": {f"{n:,} runs": n * seconds(one, steps) / cores() for n in RUNS}
            for steps in (10**3, 10**4, 10**5, 10**6)
        }
    )
    print(f"\nSeconds on {cores()} cores, CartPole with LN, 100 checkpoints")
    print(table.to_string(float_format="{:,.1f}".format))
    print("\nHours by study (second_order without its Hessian terms)")
    for name in STUDIES:
        total = sum(seconds(spec) for spec in study(name)) / 3600
        print(f"  {name:13} {total / cores():6.2f} on {cores()} cores, {total / 16:6.2f} on 16")


RUNS = (1, 10, 100, 1_000)


def run_parts() -> tuple[float, float]:
    """Seconds of a run without its steps: for itself and for each checkpoint, mean over tasks."""
    times = []
    for count in (1, 1, 41):  # the first compiles
        start = time.perf_counter()
        for env in TASKS:
            engine.train(RunSpec(env, norm="layer", steps=count, checkpoints=count))
        times.append((time.perf_counter() - start) / len(TASKS))
    checkpoint = (times[2] - times[1]) / 40
    return times[1] - checkpoint, checkpoint


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line
    ]
    return names[0] if names else "unknown CPU"


if __name__ == "__main__":
    main()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"\nthis report's own peak memory: {peak:.0f} MiB", file=sys.stderr)
