"""Frames of runs whose statistics are plain to see."""

import numpy as np
import pandas as pd

RATES = tuple(10.0 ** (-i / 2) for i in range(2, 11))


def runs(env: str = "Pendulum", seeds: int = 6, rates=RATES, **columns) -> pd.DataFrame:
    """One row a run of None and LN; a column is a function of (lr, norm, seed)."""
    rows = [
        {"env": env, "norm": norm, "network": norm, "lr": lr, "seed": seed, "clamped_steps": 0.0}
        | {name: value(lr, norm, seed) for name, value in columns.items()}
        for lr in rates
        for norm in ("none", "layer")
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def noise(seed: int):
    """A function of a run that is normal noise, the same for the same run."""

    def draw(lr: float, norm: str, run: int) -> float:
        key = [seed, round(-2 * np.log10(lr)), norm == "layer", run]
        return float(np.random.default_rng(key).standard_normal())

    return draw
