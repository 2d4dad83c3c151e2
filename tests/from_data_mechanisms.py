"""The study of mechanisms from its rows, by pandas, numpy and scipy: no line of the project's code.

Sums over seeds, learning rates and pairs are written out, where the plan has arrays of draws.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from from_data import RESULTS, TASKS
from scipy.stats import mannwhitneyu, rankdata

NETWORKS = {  # norm, arm, lr_control
    "none": ("none", "none", "none"),
    "layer": ("layer", "none", "none"),
    "rms": ("rms", "none", "none"),
    "center": ("center", "none", "none"),
    "F": ("none", "forward", "none"),
    "B": ("none", "backward", "none"),
    "C": ("none", "bounded", "none"),
    "D+": ("none", "decay", "none"),
    "D-": ("layer", "none", "project"),
    "FP": ("none", "forward", "project"),
    "S+": ("none", "overshoot", "none"),
    "S-": ("layer", "overshoot", "none"),
    "I+": ("none", "isometry", "none"),
    "I-": ("layer", "isometry", "none"),
    "PI": ("none", "random_isometry", "none"),
    "PD": ("none", "other_decay", "none"),
    "PD-": ("layer", "other_decay", "none"),
}
SIDES = {  # by the book's name of the mechanism: the arm that adds it, the one that takes it
    "forward pass": ("F", "B"),
    "learning-rate decay": ("D+", "D-"),
    "less overshoot": ("S+", "S-"),
    "isometry": ("I+", "I-"),
    "bounded features": ("C", ""),
    "forward pass without decay": ("FP", ""),
    "isometry in random directions": ("PI", ""),
    "decay of another task": ("PD", "PD-"),
}
METRICS = ("qgi_plus", "sgi", "mgi", "dgi", "gi2", "gi2_scaled", "iso_o", "iso_p", "iso_t", "iso_3")
"""The paper's."""


@cache
def shipped(kind: str = "runs") -> pd.DataFrame:
    """Every row of the study, or of its checkpoints."""
    files = sorted((RESULTS / "mechanisms").glob(f"*.{kind}.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files]) if files else pd.DataFrame()


def network(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    norm, arm, control = NETWORKS[name]
    at = (runs["norm"] == norm) & (runs["arm"] == arm) & (runs["lr_control"] == control)
    return runs[at]


def at_best(runs: pd.DataFrame, seeds: list[int]) -> float:
    """A network's return at the rate that the other half of the seeds likes best.

    **Arguments** `runs`: one network on one task. `seeds`: with repetitions, as drawn.
    """
    scores = []
    for parity in (0, 1):
        chooses = [s for s in seeds if s % 2 == parity]
        scored = [s for s in seeds if s % 2 != parity]
        table = runs.pivot(index="seed", columns="lr", values="return")
        best = table.loc[chooses].mean().idxmax()
        scores.append(table.loc[scored, best].mean())
    return sum(scores) / 2


def share(runs: pd.DataFrame, mechanism: str, side: str, seeds: list[int]) -> float:
    """S or N of a mechanism on one task; NaN where LN gains nothing."""
    none, layer = (at_best(network(runs, name), seeds) for name in ("none", "layer"))
    arm = at_best(network(runs, SIDES[mechanism][side == "N"]), seeds)
    part = layer - arm if side == "N" else arm - none
    return part / (layer - none) if layer > none else np.nan


def drawn(runs: pd.DataFrame, rng: np.random.Generator) -> list[int]:
    """As many seeds as there are, drawn within the even and the odd ones."""
    seeds = sorted(runs["seed"].unique())
    halves = [[s for s in seeds if s % 2 == parity] for parity in (0, 1)]
    return [s for half in halves for s in rng.choice(half, len(half))]


def spread(runs: pd.DataFrame, mechanism: str, side: str, draws: int = 300) -> np.ndarray:
    """Sorted draws of a share."""
    rng = np.random.default_rng(5)
    return np.sort([share(runs, mechanism, side, drawn(runs, rng)) for _ in range(draws)])


def auroc(runs: pd.DataFrame, curves: pd.DataFrame, env: str, metric: str, step: int) -> float:
    """How well a metric's high values foretell clamping after `step`, on the four anchors."""
    anchors = pd.concat([network(runs, n) for n in ("none", "layer", "rms", "center")])
    mine = anchors[(anchors["env"] == env) & ~anchors["first_clamp"].between(0, step - 1)]
    now = curves[curves["step"] == step].set_index("key")[metric].reindex(mine["key"]).to_numpy()
    later = mine["first_clamp"].to_numpy() >= step
    wins = mannwhitneyu(now[later], now[~later]).statistic
    return wins / (later.sum() * (~later).sum())


def paired(runs: pd.DataFrame, curves: pd.DataFrame, env: str, names: tuple[str, ...]) -> tuple:
    """Standardised ranks of early differences (n, p), and the standardised late ones of return."""
    tables = []
    for name in ("layer", "none"):
        mine = network(runs[runs["env"] == env], name).sort_values(["seed", "lr"])
        told = curves[curves["key"].isin(mine["key"])]
        early = told[told["step"] <= 32_000].groupby("key")[list(names)].mean()
        late = told[told["step"] > 32_000].groupby("key")["return"].mean()
        tables.append((early.loc[mine["key"]].to_numpy(), late.loc[mine["key"]].to_numpy()))
    (x1, y1), (x0, y0) = tables
    x = rankdata(x1 - x0, axis=0)
    y = y1 - y0
    return (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()


def r_squared(runs: pd.DataFrame, curves: pd.DataFrame, env: str, names: tuple[str, ...]) -> float:
    """R^2 on a task of a ridge regression, penalty .1, on the others, all of one weight."""
    X, y = paired(runs, curves, env, names)
    rows, aims = [], []
    for other in (task for task in TASKS if task != env):
        a, b = paired(runs, curves, other, names)
        rows.append(a / np.sqrt(3 * len(a)))
        aims.append(b / np.sqrt(3 * len(b)))
    rows.append(np.sqrt(0.1) * np.eye(len(names)))
    aims.append(np.zeros(len(names)))
    w = np.linalg.lstsq(np.concatenate(rows), np.concatenate(aims), rcond=None)[0]
    return float(1 - np.sum((y - X @ w) ** 2) / np.sum(y**2))
