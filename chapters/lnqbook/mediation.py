"""How much of LN's gain do early metrics foretell, task by task, by what the other tasks teach?

A pair is the LN and the None run of one task, learning rate and seed. x is the difference, LN minus
None, of a metric's mean over the checkpoints up to step 32,000; y that of the return over the later
ones. Within a task, x becomes its rank over the pairs, and both are standardised, for metrics span
many orders and each task has returns of its own size. On three tasks

    w = argmin mean (y - w x)^2 + RIDGE |w|^2,

and on the fourth R^2 = 1 - sum (y - w x)^2 / sum y^2, which is below 0 where the other tasks
mislead. A difference that is not a number, of two overflows, stands at the mean of its task.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .crossfit import interval
from .mediators import kept

EARLY = 32_000  # the last step that counts as early
RIDGE = 0.1  # of standardised columns
DRAWS = 1_000
PAPER = ("qgi_plus", "sgi", "mgi", "dgi", "gi2", "gi2_scaled", "iso_o", "iso_p", "iso_t", "iso_3")
OTHERS = (
    *("td_loss", "grad_norm2", "weight_norm", "seem", "seem_scaled", "stable_rank", "dormant"),
    *("feature_norm", "churn", "switched_actions"),
)
COMPARED = ("early return", "lr")
"""What a metric should do better than: the return so far, and the learning rate."""
GROUPS = {"the paper's metrics": PAPER, "the other metrics": OTHERS, "all metrics": PAPER + OTHERS}
MODELS = {name: (name,) for name in (*PAPER, *OTHERS, *COMPARED)} | GROUPS
"""What is regressed on: each alone, then together."""

Array = np.ndarray


def differences(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """LN minus None of each pair: env, seed, lr, each metric and "early return", "late return".

    **Arguments** `runs`: as `mechanisms.named` gives them, biases on. `curves`: their checkpoints.

    **Raises** `ValueError` where a run has no pair.
    """
    mine = runs.loc[runs["name"].isin(("none", "layer")), ["key", "name", "env", "seed", "lr"]]
    told = kept(runs, curves).merge(mine[["key"]], on="key")
    early = told[told["step"] <= EARLY].groupby("key")[[*PAPER, *OTHERS, "return"]].mean()
    late = told[told["step"] > EARLY].groupby("key")["return"].mean()
    table = early.rename(columns={"return": "early return"}).assign(**{"late return": late})
    table = mine.join(table, on="key").set_index(["env", "seed", "lr"]).drop(columns="key")
    none, layer = (table[table["name"] == n].drop(columns="name") for n in ("none", "layer"))
    if not none.index.sort_values().equals(layer.index.sort_values()):
        raise ValueError("a run of None has no run of LN beside it, or the reverse; train both")
    with np.errstate(invalid="ignore"):
        return (layer - none.reindex(layer.index)).reset_index()


def standardised(x: Array, ranked: bool) -> Array:
    """Columns (n, p) with mean 0 and variance 1, of their ranks where `ranked`.

    What is not a number is 0, and so is a column without spread.
    """
    x = np.asarray(x, float)
    there = ~np.isnan(x)
    x = pd.DataFrame(x).rank().to_numpy() if ranked else x  # of equals, their mean rank
    count = np.maximum(there.sum(axis=0), 1)
    x = np.where(there, x, 0.0)
    x = np.where(there, x - x.sum(axis=0) / count, 0.0)
    spread = np.sqrt(np.mean(x**2, axis=0))
    return x / np.where(spread > 0, spread, 1.0)


def r_squared(grams: Array, held: int, columns: list[int]) -> Array:
    """R^2 on one task of the ridge regression that the others fit.

    **Arguments** `grams`: mean of (x, y) (x, y)^T over a task's pairs, y last: (..., tasks, p + 1,
    p + 1). `columns`: which of x.

    **Returns** (...), NaN where y is the same in all pairs of the task.
    """
    others = np.delete(grams, held, axis=-3).mean(axis=-3)
    mine = grams[..., held, :, :]
    at = (..., *np.ix_(columns, columns))
    along = others[..., columns, -1][..., None]  # (..., columns, 1)
    w = np.linalg.solve(others[at] + RIDGE * np.eye(len(columns)), along)[..., 0]
    square = mine[..., -1, -1]
    explained = 2 * np.sum(w * mine[..., columns, -1], axis=-1)
    explained -= np.einsum("...i,...ij,...j->...", w, mine[at], w)
    return explained / np.where(square > 0, square, np.nan)


def mediation(table: pd.DataFrame) -> pd.DataFrame:
    """R^2 of each of `MODELS`, with 95% intervals over seeds.

    Seeds are drawn within a task, with all learning rates of theirs; ranks, standardisation and
    regression are made anew in every draw.

    **Arguments** `table`: as `differences` gives it.

    **Returns** one row a model: a column for each task and `mean` over them.
    """
    envs = list(dict.fromkeys(table["env"]))
    names = [*PAPER, *OTHERS, *COMPARED]
    tasks = []
    for env in envs:
        mine = table[table["env"] == env].sort_values(["seed", "lr"])
        values = mine[[*names, "late return"]].to_numpy(float)
        tasks.append(values.reshape(mine["seed"].nunique(), -1, len(names) + 1))
    rng = np.random.default_rng(0)
    grams = np.empty((1 + DRAWS, len(tasks), len(names) + 1, len(names) + 1))
    for draw in range(1 + DRAWS):
        for place, task in enumerate(tasks):
            seeds = rng.integers(len(task), size=len(task)) if draw else np.arange(len(task))
            of = task[seeds].reshape(-1, len(names) + 1)
            z = np.column_stack([standardised(of[:, :-1], True), standardised(of[:, -1:], False)])
            grams[draw, place] = z.T @ z / len(z)
    rows = {}
    for model, columns in MODELS.items():
        at = [names.index(name) for name in columns]
        found = [r_squared(grams, held, at) for held in range(len(envs))]
        count = min(map(len, tasks))
        cells = {env: interval(values, count) for env, values in zip(envs, found, strict=True)}
        rows[model] = cells | {"mean": interval(np.mean(found, axis=0), count)}
    return pd.DataFrame.from_dict(rows, orient="index")
