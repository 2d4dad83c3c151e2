"""Which runs come to be clamped, and what foresees it: the SEEM index against simpler numbers.

A landmark is a step. At risk are the runs of which no weight was clamped before it; the question
is which of them are clamped later, and what is measured at the checkpoint of that step answers.

    AUROC = share of pairs (a run that is clamped later, one that is not) in which the first has the
            higher value, a tie and a value that was not measured counting one half

within a task. Whether high or low values foretell is read off the other three tasks (a mean AUROC
of at least 1/2 means high): held out by task. All pairs of a task say whether the learning rate
alone would do; the pairs of one learning rate what there is to know beyond it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from .crossfit import interval

LANDMARKS = (2_000, 0, 32_000)  # the first decides, the others are views
NETWORKS = ("none", "layer", "rms", "center")
"""The anchors: what an arm changes is not in K, and their steps are semi-gradients."""
SEEM = ("seem", "seem_scaled", "lr x seem")
OTHERS = ("lr", "lr x grad_norm2", "gi2_scaled", "iso_p")
DRAWS = 1_000

Array = np.ndarray


class Pairs(NamedTuple):
    """A task's pairs by the seeds of their two runs: how many, and in how many the first is higher.

    `count`: (seeds, seeds). `wins`: by predictor, (seeds, seeds).
    """

    count: Array
    wins: dict[str, Array]


def at_risk(runs: pd.DataFrame, curves: pd.DataFrame, landmark: int) -> pd.DataFrame:
    """The runs that are not clamped before a landmark: env, lr, seed, clamped, each predictor.

    **Arguments** `runs`: as `mechanisms.named` gives them, biases on. `curves`: their checkpoints.
    """
    first = runs["first_clamp"]
    there = runs["name"].isin(NETWORKS) & ((first < 0) | (first >= landmark))
    table = runs.loc[there, ["key", "env", "lr", "seed"]].assign(clamped=first[there] >= landmark)
    columns = ["key", "seem", "seem_scaled", "grad_norm2", "gi2_scaled", "iso_p"]
    table = table.merge(curves.loc[curves["step"] == landmark, columns], on="key", how="left")
    for name in ("seem", "grad_norm2"):
        table[f"lr x {name}"] = table["lr"] * table[name]
    return table.drop(columns="grad_norm2")


def pairs(table: pd.DataFrame, within_rate: bool = False) -> Pairs:
    """The pairs of one task of `at_risk`, of one learning rate each where `within_rate`."""
    seeds, of = np.unique(table["seed"], return_inverse=True)
    clamped = table["clamped"].to_numpy(bool)
    by_seed = np.eye(len(seeds))[of]
    lr = table["lr"].to_numpy()
    meet = np.ones((clamped.sum(), (~clamped).sum()), bool)
    if within_rate:
        meet = lr[clamped, None] == lr[~clamped]

    def summed(values: Array) -> Array:
        return by_seed[clamped].T @ (values * meet) @ by_seed[~clamped]

    wins = {}
    for name in (*SEEM, *OTHERS):
        x = table[name].to_numpy(float)
        first, second = x[clamped, None], x[~clamped]
        higher = np.where(first > second, 1.0, np.where(first < second, 0.0, 0.5))
        wins[name] = summed(higher)
    return Pairs(summed(np.ones(meet.shape)), wins)


def auroc(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """AUROC by predictor, high values foretelling; NaN where there is no pair.

    **Arguments** `weights`: how often each seed was drawn, (draws, seeds).

    **Returns** (draws,) each.
    """

    def total(matrix: Array) -> Array:
        return np.einsum("ds,st,dt->d", weights, matrix, weights)

    count = total(pairs.count)
    count = np.where(count > 0, count, np.nan)
    return {name: total(wins) / count for name, wins in pairs.wins.items()}


def held_out(values: Array) -> Array:
    """AUROC of each task by the direction that the others show: (tasks, draws) of high values.

    A task without pairs is NaN and shows nothing.
    """
    there = np.isfinite(values)
    excess = np.where(there, values - 0.5, 0.0)
    others = excess.sum(axis=0) - excess
    return np.where(others >= 0, values, 1 - values)


def foresight(table: pd.DataFrame, within_rate: bool = False) -> pd.DataFrame:
    """How well each predictor foresees clamping, with 95% intervals over seeds.

    Seeds are drawn within a task, for all networks, learning rates and predictors together.

    **Arguments** `table`: as `at_risk` gives it.

    **Returns** one row a predictor: a column for each task with pairs, `mean` over these tasks, and
    `ahead`, the mean minus that of lr.
    """
    envs = list(dict.fromkeys(table["env"]))
    found = []
    for place, env in enumerate(envs):
        mine = table[table["env"] == env]
        seeds = mine["seed"].nunique()
        rng = np.random.default_rng(place)
        drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
        weights = np.concatenate([np.ones((1, seeds)), drawn])
        found.append(auroc(pairs(mine, within_rate), weights))
    rows, means = {}, {}
    with_pairs = [i for i, of_task in enumerate(found) if np.isfinite(of_task["lr"][0])]
    if not with_pairs:
        return pd.DataFrame(index=[*SEEM, *OTHERS])
    count = table.groupby("env")["seed"].nunique()[[envs[i] for i in with_pairs]].min()
    for name in (*SEEM, *OTHERS):
        values = held_out(np.stack([found[i][name] for i in with_pairs]))
        means[name] = values.mean(axis=0)  # a draw that leaves a task without pairs has none
        cells = {envs[i]: interval(row, count) for i, row in zip(with_pairs, values, strict=True)}
        rows[name] = cells | {"mean": interval(means[name], count)}
    for name, row in rows.items():
        row["ahead"] = interval(means[name] - means["lr"], count)
    return pd.DataFrame.from_dict(rows, orient="index")
