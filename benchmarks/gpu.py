"""The GPU's kernels on a real card: first whether they are right, then how fast.

    PYTHONPATH=. python benchmarks/gpu.py --out benchmarks/gpu.txt --seconds 330

It needs an NVIDIA GPU with its driver, numba-cuda (with CUDA 13: pip install "numba-cuda[cu13]"),
torch and what the library imports; nothing is fetched. JAX is a peer where it is installed. Parts
that would overrun `--seconds` are left out or made smaller, and the report says so. It is written
after every part, so whatever ends the program leaves what was found; beside it, where the whole of
core was trained, its rows and its curves at step 0. The exit code is 1 where the card disagrees
with the reference. With NUMBA_ENABLE_CUDASIM=1 everything is tiny and simulated.

Times are of one run of the script on one card; of each launch the host's part is included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import numpy as np

os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # read when numba is imported
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")  # queues that 60 groups' streams share

from lnqlib.engine.fused import FusedLearner
from lnqlib.gpu.card import card, simulated
from lnqlib.gpu.courses import Courses, Seen
from lnqlib.gpu.shape import shape_of
from lnqlib.gpu.training import GROUP, Group, train
from lnqlib.networks import Params
from lnqlib.run import Progress, dataset_of, initial_params_of, looks
from lnqlib.spec import ENVS, OPTIMIZERS, RunSpec, grid
from lnqlib.training import TorchLearner

NORMS = ("none", "layer", "rms", "center")
CORE = {"optimizer": OPTIMIZERS, "env": ENVS, "norm": ("none", "layer")}
LEARNING_RATES = tuple(10.0 ** (-i / 2) for i in range(2, 11))
CORE_SECONDS_CPU = 1.8 * 3600  # of the study on two cores, data/README.md
SMALL = {"width": 4, "batch_size": 4, "dataset_size": 50} if simulated() else {}


class Report:
    """What was found so far, on the screen and in a file."""

    def __init__(self, path: Path | None, seconds: float):
        self.path, self.end = path, time.monotonic() + seconds
        self.lines: list[str] = []

    def say(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)
        if self.path:
            self.path.write_text("\n".join(self.lines) + "\n")

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def part(self, name: str, needs: float, function: Callable[[], None]) -> bool:
        """Runs a part where enough time is left; False where it failed, which the report says."""
        if self.left < needs:
            self.say(f"{name}: left out, {self.left:.0f} s left and about {needs:.0f} needed\n")
            return True
        started, succeeded = time.monotonic(), True
        try:
            function()
        except Exception as error:
            succeeded = False
            text = " ".join(str(error).split())[:600]
            self.say(f"{name}: failed, {type(error).__name__}: {text}")
        self.say(f"({name}: {time.monotonic() - started:.0f} s)\n")
        return succeeded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="file for the report")
    parser.add_argument("--seconds", type=float, default=330.0, help="of the whole script (330)")
    options = parser.parse_args()
    report = Report(options.out, options.seconds)
    report.say(f"{card()}\n")
    report.part("machine", 0, lambda: machine(report))
    if not report.part("agreement", 0, lambda: agreement(report)):
        report.say("The kernel does not agree with torch on this card; nothing is timed.")
        return 1
    speed: dict[str, float] = {}
    report.part("core, short", 30, lambda: core(report, speed, 20 if simulated() else 2_000))
    steps = 30 if simulated() else 200_000
    needs = 1.2 * steps * speed.get("core", np.inf) + 5
    report.part("core with metrics", 40, lambda: measured(report))
    report.part("core, steps alone", needs, lambda: core(report, speed, steps))
    report.part("peers", 50, lambda: peers_on_the_card(report))
    report.part("threads", 60, lambda: threads_of_a_network(report))
    return 0


def machine(report: Report) -> None:
    if simulated():
        return
    from numba import cuda

    device = cuda.get_current_device()
    fields = "name,driver_version,clocks.max.sm,memory.total"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    report.say(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    count, capability = device.MULTIPROCESSOR_COUNT, device.compute_capability
    report.say(f"{count} multiprocessors, compute capability {capability}")


def clock() -> float:
    """The highest clock of the multiprocessors in Hz."""
    command = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    return 1e6 * float(subprocess.run(command, capture_output=True, text=True).stdout.split()[0])


def agreement(report: Report) -> None:
    """Weights and measurements against torch's on the CPU.

    Weights after 1 and after 100 steps relative to the largest, interference each relative to
    itself, and how many of two returns are equal: sines and cosines differ in the last bit, which
    Acrobot makes larger until episodes part.

    **Raises** `ValueError` where weights or interference differ by more than rounding explains.
    """
    wrong = []
    many = 3 if simulated() else 100
    report.say(f"Largest difference from torch: weights after 1 and {many} steps, interference")
    for env, norm, optimizer in product(ENVS, NORMS, OPTIMIZERS):
        if report.left < 100 and not simulated():
            report.say(f"  {env} {norm} {optimizer} and what follows: left out")
            break
        lr, began = 1e-3, time.monotonic()
        fields = {"env": env, "norm": norm, "optimizer": optimizer, **SMALL}
        specs = grid(**fields, lr=lr if simulated() else (lr, lr / 10), seed=(0, 1))
        group = Group(specs, Courses(specs).theta())
        references = [reference(spec) for spec in specs]
        found = []
        for first, last, bound in ((0, 1, 1e-5), (1, many, 1e-3)):
            group.advance(first, last)
            for spec, (learner, rng), theta in zip(specs, references, group.theta(), strict=True):
                size = (last - first, spec.batch_size)
                batches = rng.integers(spec.dataset_size, size=size, dtype=np.int32)
                learner.advance(first, batches, np.full(last - first, spec.lr))
                found.append((distance(spec, theta, learner), bound))
        metrics, equal = measurements(group, specs[0], references[0][0])
        found.append((metrics, 1e-5))
        worst = [max(d for d, b in found[:-1] if b == bound) for bound in (1e-5, 1e-3)]
        name = f"{env} {norm} {optimizer}"
        if not all(d <= bound for d, bound in found):  # a NaN fails here, too
            wrong.append(name)
        seconds = time.monotonic() - began
        mark = "  WRONG" if name in wrong else ""
        report.say(
            f"  {name:24} {worst[0]:.1e} {worst[1]:.1e} {metrics:.1e}, {equal} of 2 returns equal"
            f"  ({seconds:.1f} s){mark}"
        )
    if wrong:
        raise ValueError(f"{len(wrong)} of 32 differ: {', '.join(wrong)}")


def measurements(group: Group, spec: RunSpec, learner: TorchLearner) -> tuple[float, int]:
    """The largest relative difference of the first network's interference; equal returns."""
    look = next(looks(spec, dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)))
    learner.q.load_params(params_of(spec, group.theta()[0]))
    theirs, seen = learner.measure(look.batch, {}, look.seed), group.look()
    pairs = [(seen.interference[name][0], value) for name, value in theirs.items()]
    distances = [abs(a - b) / max(abs(b), 1e-8) for a, b in pairs if a == a or b == b]
    returns = [(seen.returns[n][0], learner.greedy_return(s)) for n, s in look.starts.items()]
    return float(np.max(distances)), sum(abs(a - b) <= 1e-6 * abs(b) for a, b in returns)


def reference(spec: RunSpec) -> tuple[TorchLearner, np.random.Generator]:
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    return TorchLearner(spec, dataset, initial_params_of(spec)), spec.rng("batches")


def params_of(spec: RunSpec, theta: np.ndarray) -> Params:
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    learner = FusedLearner(spec, dataset, initial_params_of(spec))
    learner.theta[:] = theta
    return learner.params()


def distance(spec: RunSpec, theta: np.ndarray, learner: TorchLearner) -> float:
    ours = params_of(spec, theta)
    pairs = [(ours[name], learner.params()[name]) for name in "WbVc"]
    largest = max(np.abs(theirs).max() for _, theirs in pairs)
    return float(max(np.abs(a.astype(float) - b).max() for a, b in pairs) / largest)


def threads_of_a_network(report: Report) -> None:
    """Other ways to divide the card, on one kind of network at a time, enough to fill it."""
    report.say("Microseconds per run and step by threads of a network, registers of a thread")
    ways = ((32, 0), (32, 168), (64, 0), (64, 104), (128, 0))
    steps, copies, seeds = (2, 1, 2) if simulated() else (500, 40, 30)
    for env, norm in (("Acrobot", "layer"), ("CartPole", "none")):
        specs = grid(env=env, norm=norm, lr=(1e-3,) * copies, seed=range(seeds), **SMALL)
        for threads, registers in ((4, 0),) if simulated() else ways:
            if report.left < 30:
                return
            theta = Courses(specs[:1]).theta().repeat(len(specs), 0)
            group = Group(specs, theta, threads=threads, registers=registers)
            group.advance(0, steps)
            started = time.perf_counter()
            group.advance(steps, 2 * steps)
            each = (time.perf_counter() - started) / (steps * len(specs)) * 1e6
            report.say(f"  {env} {norm}, {threads} threads, {registers or 'any'}: {each:.4f}")


def core_by_kind() -> list[list[RunSpec]]:
    """The study's runs by task, norm and optimizer; on the simulator four of them."""
    points = [dict(zip(CORE, point, strict=True)) for point in product(*CORE.values())]
    if simulated():
        return [grid(**point, seed=range(2), **SMALL) for point in points[:2]]
    # runs of a seed follow one another, so that its dataset is made once
    return [grid(**point, seed=range(30), lr=LEARNING_RATES) for point in points]


def core(report: Report, speed: dict[str, float], steps: int) -> None:
    """All runs of the study at once, gradient steps alone, a launch every 2,000 steps."""
    kinds = core_by_kind()
    groups = [Group(kind, Courses(kind).theta()) for kind in kinds]
    with ThreadPoolExecutor(1 if simulated() else len(groups)) as pool:
        list(pool.map(lambda group: group.advance(0, 10), groups))  # compiled by now
        list(pool.map(Group.look, groups))
        started = time.perf_counter()
        list(pool.map(lambda group: group.advance(10, 10 + steps), groups))
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        seen = list(pool.map(Group.look, groups))
        looking = time.perf_counter() - started
    speed["rest"] = rest_of(kinds[0][:GROUP], seen[0])
    runs = sum(map(len, kinds))
    speed["core"] = seconds / steps
    whole = seconds * 200_000 / steps
    extrapolated = "" if steps == 200_000 else f", so 200,000 in {whole:.1f} s (extrapolated)"
    report.say(f"{runs} runs of core, {steps:,} steps each, without metrics: {seconds:.2f} s")
    report.say(
        f"  {seconds / (runs * steps) * 1e6:.4f} microseconds per run and step{extrapolated}"
    )
    report.say(f"  two cores, with metrics: {CORE_SECONDS_CPU:.0f} s")
    cores, rest = os.cpu_count() or 1, 100 * runs * speed["rest"]
    report.say(f"  100 checkpoints' interference and episodes on the card: {100 * looking:.1f} s")
    report.say(f"  what is left of them on {cores} cores of the host: {rest / cores:.1f} s")
    if simulated():
        return
    from numba import cuda

    count = cuda.get_current_device().MULTIPROCESSOR_COUNT
    peak = count * 128 * clock()
    useful = sum(len(kind) * multiply_adds(kind[0]) for kind in kinds) * steps / seconds
    report.say(
        f"  {useful / 1e12:.2f}e12 multiply-adds a second, {useful / peak:.0%} of the peak of "
        f"{count} x 128 at {clock() / 1e9:.2f} GHz, by (3 n + m + 3) B d of a step"
    )


def rest_of(specs: list[RunSpec], seen: Seen) -> float:
    """Seconds of a core for each run and checkpoint after what the card measures of it."""
    rest, reports = Courses(specs), [[Progress(0.0, 0, -1, -1)]] * len(specs)
    few = Seen(
        seen.theta[: len(specs)],
        *({name: of[: len(specs)] for name, of in values.items()} for values in seen[1:]),
    )
    rest.go_on([], few)  # compiled by now
    started = time.process_time()
    rest.go_on(reports, few)
    return (time.process_time() - started) / len(specs)


def multiply_adds(spec: RunSpec) -> int:
    """Multiply-adds and additions of a step's two passes, as lnqlib/gpu/README.md counts them."""
    shape = shape_of(spec)
    each = 3 * shape.n + shape.m + 3 + 2 * shape.scale
    return each * spec.batch_size * spec.width


def peers_on_the_card(report: Report) -> None:
    """What a reader would write: vmap over networks of the gradient, in torch and in JAX."""
    sys.path.insert(0, str(Path(__file__).parent))
    import peers

    if simulated():
        return
    runs, steps = 1_080, 100
    for env, norm in (("CartPole", "none"), ("Acrobot", "layer")):
        each = peers.torch_vmap(env, norm, runs, steps, device="cuda")
        report.say(f"torch.func.vmap, {env} {norm}, {runs} runs: {each:.3f} microseconds")
        try:
            each = peers.jax_scan(sys.executable, env, norm, runs, steps)
            report.say(f"JAX vmap + scan, {env} {norm}, {runs} runs: {each:.3f} microseconds")
        except Exception as error:
            report.say(f"JAX: not measured ({type(error).__name__})")


def measured(report: Report) -> None:
    """Core with metrics and evaluation: whole if it fits, else fewer steps and checkpoints."""
    specs = list(chain(*core_by_kind()))
    if simulated():
        short = [replace(spec, steps=4, checkpoints=2, eval_episodes=1) for spec in specs]
        train(short, apart=False)
        return
    # a part first: the processes start, and the time of a checkpoint becomes known
    seconds = {}
    for checkpoints in (1, 4):
        short = [replace(s, steps=2_000 * checkpoints, checkpoints=checkpoints) for s in specs]
        started = time.perf_counter()
        train(short)
        seconds[checkpoints] = time.perf_counter() - started
        report.say(f"{checkpoints} checkpoints, 2,000 steps each: {seconds[checkpoints]:.1f} s")
    checkpoint = (seconds[4] - seconds[1]) / 3
    fixed = max(seconds[1] - checkpoint, 0.0)
    predicted = fixed + 100 * checkpoint
    report.say(f"  fixed {fixed:.1f} s, a checkpoint of all runs with its steps {checkpoint:.2f} s")
    report.say(f"  core with 100 checkpoints, predicted: {predicted:.0f} s")
    if report.left < 1.2 * predicted + 10:
        report.say(f"  not run: {report.left:.0f} s left")
        return
    started = time.perf_counter()
    results = train(specs)
    report.say(f"core, whole, metrics and evaluation: {time.perf_counter() - started:.1f} s")
    report.part("comparison", 0, lambda: compare(report, results))


def compare(report: Report, results: list) -> None:
    """The rows against the shipped ones, over seeds; the curves at step 0. Rows are kept, too."""
    import pandas as pd  # here, for it may be missing or of another version

    rows = pd.DataFrame([{"key": r.spec.key} | vars(r.spec) | r.row for r in results])
    first = [
        {"key": r.spec.key} | {name: curve[0] for name, curve in r.curves.items()} for r in results
    ]
    if report.path:
        rows.to_csv(report.path.with_suffix(".rows.csv"))
        pd.DataFrame(first).to_csv(report.path.with_suffix(".start.csv"))

    from lnqlib.store.agreement import compared
    from lnqlib.store.shipped import Shipped

    lines, _ = compared(rows, pd.DataFrame(first), Shipped())
    for line in lines:
        report.say(line)


if __name__ == "__main__":
    raise SystemExit(main())
