"""How long the book's commands take, each started once: a report, never a test.

    python benchmarks/commands.py > benchmarks/commands.txt    about 15 minutes on two idle cores
    python benchmarks/commands.py status papermill             those that contain one of the words

The first lines say how busy and how fast the machine was: a virtual machine can be slow while it is
idle, so compare the engine's step with that in engine.txt. Run it in the project's environment,
with the shipped results and an empty store; what is built and trained goes into a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from lnqlib import engine
from lnqlib.spec import RunSpec
from lnqlib.store.local import ROOT
from lnqlib.sweep import cores

LIVE = "-p env Pendulum -p seeds 3 -p steps 2000"
COMMANDS = (
    "jupyter-book build . --all -W --keep-going --path-output OUT",
    *(
        f"papermill chapters/{chapter}.ipynb OUT/out.ipynb{options}"
        for chapter, options in (
            ("index", ""),
            ("interference", ""),
            ("interference", " -p optimizer Adam"),
            ("gi2", ""),
            ("gi2", " -p env Pendulum"),
            ("gi2", f" {LIVE}"),  # trains
            ("injection", ""),
            ("isometry", ""),
            ("normalizations", ""),
            ("linear_regression", ""),  # trains, as the next
            ("own_network", ""),
        )
    ),
    "python -m lnqlib status",
    "python -m lnqlib verify --sample 20",
    "python -m pytest -n auto --dist loadfile",  # the longest
)


def seconds(command: str, out: str) -> float:
    """The wall-clock seconds of one start of `command`. **Raises** where it fails."""
    program, *options = command.replace("OUT", out).split()
    words = [str(Path(sys.executable).with_name(program)), *options]
    start = time.perf_counter()
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=os.environ | {"LNQ_STORE": f"{out}/store"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout[-3000:]}")
    return time.perf_counter() - start


def step_microseconds() -> float:
    """What a gradient step costs the engine on one core now: CartPole without normalization."""
    spec = RunSpec("CartPole", lr=1e-4, steps=40_000, checkpoints=1, eval_episodes=0)
    times = []
    for _ in range(6):  # the first compiles
        start = time.perf_counter()
        engine.train(spec)
        times.append(time.perf_counter() - start)
    return min(times) / spec.steps * 1e6


def main(wanted: list[str]) -> None:
    busy = psutil.cpu_percent(interval=2)
    print(f"{cores()} cores, {busy:.0f}% of them at work for other processes when this began")
    print(
        f"{step_microseconds():.1f} us for a step of the engine, CartPole without normalization\n"
    )
    print("seconds  command")
    for command in COMMANDS:
        if not wanted or any(word in command for word in wanted):
            with tempfile.TemporaryDirectory() as out:
                taken = seconds(command, out)
            print(f"{taken:7.0f}  {command.replace(' --path-output OUT', '').replace('OUT/', '')}")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
