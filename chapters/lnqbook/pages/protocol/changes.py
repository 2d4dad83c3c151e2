"""Other readings of the paper's protocol: the defaults with one thing changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lnqlib.spec import ENVS

from ...numbers import interval, number
from ...stats import Interval

_DEFAULTS = {"terminal_mask": True, "data": "protocol", "gradient_scale": 1.0, "bias": True}


@dataclass(frozen=True)
class Change:
    """One change from the defaults.

    **Arguments**

    - `name`: as tables and figures call it.
    - `fields`: of `RunSpec`, with the values that the change gives them.
    - `envs`: where it makes a difference, among the book's tasks.
    - `others`: whether it makes a difference in a task by Gymnasium id.
    - `metric`: the column that holds its return; another column changes the evaluation alone.
    """

    name: str
    fields: dict[str, object] = field(default_factory=dict)
    envs: tuple[str, ...] = ENVS
    metric: str = "return"
    others: bool = True

    def applies(self, env: str) -> bool:
        """Whether it makes a difference in a task."""
        return env in self.envs if env in ENVS else self.others

    @property
    def bias(self) -> bool:
        """Whether the networks have biases under this change."""
        return bool((_DEFAULTS | self.fields)["bias"])


DEFAULTS = Change("defaults")
CHANGES = (
    DEFAULTS,
    Change("no terminal mask", {"terminal_mask": False}, ENVS[:3]),  # Pendulum never terminates
    # tasks by Gymnasium id have random episodes and the default reset as it is
    Change("rollout data", {"data": "rollout"}, ("MountainCar", "Pendulum"), others=False),
    Change("gradient factor 2", {"gradient_scale": 2.0}),
    Change("default starts", {}, ("MountainCar", "Pendulum"), "return_default_start", False),
    Change("as printed", {"bias": False}),
)
"""The defaults, then every single change; where one does not apply, it has the defaults' runs."""


def by_protocol(runs: pd.DataFrame, changes: Iterable[Change] = CHANGES) -> pd.DataFrame:
    """Each protocol's runs, the defaults' where the change does not apply.

    **Arguments** `runs`: one row a run, of all protocols, one optimizer.

    **Returns** the same columns, `return` as the protocol measures it, `gi2` of the SGD step that
    the protocol takes, and two more: protocol, the change's name, and changed, whether the run
    differs from the defaults.
    """
    parts = []
    for change in changes:
        here = runs["env"].map(change.applies).astype(bool)  # of no runs, too
        mine = runs[(here & _has(runs, change.fields)) | (~here & _has(runs, {}))]
        changed = mine["env"].map(change.applies).astype(bool) & (change != DEFAULTS)
        value = mine[change.metric].where(changed, mine["return"])
        part = {"return": value, "gi2": _gi2_of_step(mine)}
        part |= {"protocol": change.name, "changed": changed}
        parts.append(mine.assign(**part))
    return pd.concat(parts, ignore_index=True)


PAPERS_SEEDS = 20  # behind each cell of the paper's Table 1


def distances(
    seeds: pd.DataFrame,
    paper: pd.DataFrame,
    resamples: int = 20_000,
    theirs: int | None = PAPERS_SEEDS,
) -> pd.DataFrame:
    """How far each protocol's table lies from the paper's: the mean over cells of

        |ours - paper| / (paper's LN - paper's None),

    in units of what LN gains in the paper, over the cells that are certain there.

    **Arguments** `seeds`: columns env, protocol, norm, seed, return, as `table1.by_seed` gives
    them. `paper`: `table1.paper()`. `theirs`: the seeds behind the paper's cells; their sampling
    noise is drawn, too, with the spread of the nearest protocol's seeds. None takes the cells as
    exact.

    **Returns** one row a protocol: protocol, value, low, high (95% interval; the seeds that all
    protocols have, resampled jointly), cells (how many), nearest (the share of the resamples in
    which no other protocol is nearer). Without any cell or shared seed, no rows.
    """
    certain = paper[paper["norm"].isin(["none", "layer"]) & paper["note"].isna()]
    cells = certain.pivot(index="env", columns="norm", values="paper").dropna()
    cells = cells[cells.index.isin(seeds["env"])]
    names = list(dict.fromkeys(seeds["protocol"]))
    where = [(env, norm) for env in cells.index for norm in cells.columns]
    gain = cells["layer"] - cells["none"]
    table = seeds.pivot(index="seed", columns=["protocol", "env", "norm"], values="return")
    table = table[[(name, *cell) for name in names for cell in where]].dropna()  # seeds of all
    if table.empty:
        return pd.DataFrame(columns=["protocol", "value", "cells", "low", "high", "nearest"])
    ours = np.stack([table[name][where].to_numpy() for name in names])  # (P, seeds, cells)
    target = np.array([cells.loc[cell] for cell in where])
    unit = np.array([gain[env] for env, _ in where])
    draws = np.random.default_rng(0).integers(ours.shape[1], size=(resamples, ours.shape[1]))

    def distance(means: np.ndarray, target: np.ndarray = target) -> np.ndarray:
        return (np.abs(means - target) / unit).mean(axis=-1)

    # were the nearest protocol the paper's, its cells would have this spread
    best = ours[distance(ours.mean(axis=1)).argmin()]
    noise = np.random.default_rng(1).standard_normal((resamples, len(where)))
    if theirs is None or len(best) < 2:
        noise *= 0
    else:
        noise *= best.std(axis=0, ddof=1) / theirs**0.5
    drawn = distance(ours[:, draws].mean(axis=2), target + noise)  # (P, resamples)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    ends = {"low": low, "high": high, "nearest": (drawn == drawn.min(axis=0)).mean(axis=1)}
    if ours.shape[1] < 2:  # one seed says nothing about the spread over seeds
        ends = dict.fromkeys(ends, np.nan)
    value = {"value": distance(ours.mean(axis=1)), "cells": len(where)}
    return pd.DataFrame({"protocol": names} | value | ends)


def distance_table(away: pd.DataFrame) -> pd.DataFrame:
    """`distances` as text, a row a protocol.

    **Arguments** `away`: with a column within, how many of the paper's numbers our intervals hold.
    """
    if away.empty:
        return pd.DataFrame()
    rows = {
        row["protocol"]: {
            "distance": interval(Interval(*row[["value", "low", "high", "cells"]]), ".2f"),
            "nearest in": f"{number(100 * row['nearest'], spec='.1f')}%",
            "paper's numbers in our intervals": f"{row['within']} of {row['cells']}",
        }
        for _, row in away.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _gi2_of_step(runs: pd.DataFrame) -> pd.Series:
    """GI2 at the learning rate that SGD's step really has, gradient_scale times `lr`.

    Runs measure it at `lr`; its two terms grow with the first and second power of the factor.
    Adam divides the factor out.
    """
    factor = runs["gradient_scale"].where(runs["optimizer"] == "SGD", 1.0)
    first = 2 * runs["lr"] * runs["dgi"]
    return factor * first - factor**2 * (first - runs["gi2"])


def _has(runs: pd.DataFrame, fields: dict[str, object]) -> pd.Series:
    """Which runs have the defaults' fields, except for `fields`."""
    wanted = _DEFAULTS | fields
    return (runs[list(wanted)] == pd.Series(wanted)).all(axis=1)
