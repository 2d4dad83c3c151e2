"""A trainer for the tests of storage: instant, deterministic, with nothing learned."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from lnqlib.results import COUNTS, CURVES, Result, make_result
from lnqlib.spec import RunSpec


def train(spec: RunSpec) -> Result:
    """Numbers drawn from the spec's own generator, scaled by its learning rate."""
    rng = spec.rng("metrics")
    count = len(spec.checkpoint_steps)
    curves = {name: rng.standard_normal(count) * spec.lr for name in CURVES if name != "iso_3"}
    counts = {name: float(rng.integers(100)) for name in COUNTS} | {"seconds": time.process_time()}
    return make_result(spec, curves, float(rng.random()), counts)


def slow(spec: RunSpec) -> Result:
    """The same after 20 ms; logs each run where LNQ_TEST_LOG says."""
    if log := os.environ.get("LNQ_TEST_LOG"):
        with open(log, "a") as file:
            file.write(spec.key + "\n")
    time.sleep(0.02)
    return train(spec)


def endless(spec: RunSpec) -> Result:
    """A run that no test waits for."""
    time.sleep(60)
    return train(spec)


def deadly(spec: RunSpec) -> Result:
    """Takes its process along on one kind of run."""
    if spec.env == "Acrobot" and spec.gamma == 0.99:
        os._exit(1)
    return slow(spec)


def picky(spec: RunSpec) -> Result:
    """Fails on seed 3."""
    if spec.seed == 3:
        raise FloatingPointError("seed 3 is not for me")
    return train(spec)


def bits(frame):
    """A frame's numbers as exact text, without the time that they took."""
    frame = frame.drop(columns="seconds", errors="ignore")
    return [
        tuple(float(v).hex() if isinstance(v, float | np.floating) else v for v in row)
        for row in frame.itertuples(index=False, name=None)
    ]


def interruptible() -> None:
    """For a child process: a job started in the background is born deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
