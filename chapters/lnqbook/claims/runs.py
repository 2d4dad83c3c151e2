"""The runs behind the claims: which they are, one row each, and what to type for missing ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from lnqlib.spec import ENVS, FIELDS, LEARNING_RATES, RunSpec, study

from ..baselines import random_returns
from ..notebook import usual_checkpoints

STUDIES = ("core", "as_printed", "table1", "variants", "lr_decay", "zero_gradients")
"""The studies that hold the claims' runs."""
MOMENTUM = 0.1  # a new batch's weight in running statistics, PyTorch's default
MEASURED = ("qgi_plus_zero", "sgi_zero", "sgi_off_zero", "mgi_zero")
"""Columns that the first results lack; the study zero_gradients measures them in the same runs."""
_SAME = ["env", "norm", "optimizer", "bias", "lr", "seed"]


def specs(
    envs: Iterable[str], seeds: int, steps: int, learning_rates: Iterable[float]
) -> dict[str, list[RunSpec]]:
    """The runs that the claims need, by study, with these steps and learning rates.

    Each study has the seeds that it has, below `seeds`.
    """
    usual = usual_checkpoints(steps)
    return {
        name: [
            replace(spec, lr=lr, steps=steps, checkpoints=min(usual, spec.checkpoints))
            for spec in study(name)
            if spec.lr == LEARNING_RATES[0] and spec.env in envs and spec.seed < seeds
            for lr in learning_rates
        ]
        for name in STUDIES
    }


def frame(
    asked: dict[str, list[RunSpec]],
    results: pd.DataFrame,
    policies: bool = True,
    curves: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row for each run asked for; where it is not finished, its results are NaN.

    **Arguments** `asked`: as `specs` gives them. `results`: rows of the finished ones. `policies`:
    whether to play the `baselines.POLICIES`, too, which takes a second. `curves`: checkpoints of
    the runs whose weights' growth is asked for.

    **Returns** the fields of `RunSpec`; study; network, which is what is compared (the norm, the
    control of the learning rate, or the norm with a momentum of its own); the results;
    first_order = 2 lr DGI; log_growth of the first layer's squared norm; and with `policies`
    untrained_return and uniform_return.
    """
    rows = [
        {"study": name, "key": spec.key} | vars(spec) | {"network": network_of(spec)}
        for name, some in asked.items()
        for spec in some
    ]
    # a run may belong to two studies, as short runs of core and zero_gradients do
    results = results.drop(columns=list(FIELDS)).drop_duplicates("key")
    table = pd.DataFrame(rows).merge(results, on="key", how="left")
    table = _whole_seeds(table)
    if "dgi" in table:
        table["first_order"] = 2 * table["lr"] * table["dgi"]
    growth = log_growth(curves) if curves is not None else {}
    table["log_growth"] = table["key"].map(growth).astype(float)
    table = _with_zeros(table)
    if policies:
        table = table.merge(_random(table), on=["env", "bias", "seed"], how="left")
    return table


def network_of(spec: RunSpec) -> str:
    """The norm, or the control of the learning rate; CrossQ with a momentum that is not usual."""
    if spec.lr_control != "none":
        return spec.lr_control
    momentum = getattr(spec, "momentum", MOMENTUM)
    own = spec.norm == "crossq" and momentum != MOMENTUM
    return f"crossq_{momentum:g}" if own else spec.norm


def log_growth(curves: pd.DataFrame) -> pd.Series:
    """log(|w_T|^2 / |w_0|^2) of the first layer from a run's checkpoints, by key."""
    by_run = curves.sort_values("step").groupby("key")["weight_norm"]
    return 2 * np.log(by_run.last() / by_run.first())


def weights_watched(asked: dict[str, list[RunSpec]]) -> list[RunSpec]:
    """The runs whose first layers' growth the claims compare: LN's and WN's."""
    return [
        spec
        for some in asked.values()
        for spec in some
        if (spec.norm, spec.lr_control, spec.optimizer) in _WATCHED
    ]


def commands(runs: pd.DataFrame) -> list[str]:
    """What to type to train the unfinished ones among `runs`, one command a study and optimizer."""
    missing = runs[runs["seconds"].isna()]
    own = (missing["steps"] != RunSpec(ENVS[0]).steps) | ~missing["lr"].isin(LEARNING_RATES)
    lines = ["add -p refresh True to this page's parameters"] if own.any() else []
    for (name, optimizer), group in missing[~own].groupby(["study", "optimizer"], sort=False):
        envs = [env for env in ENVS if (group["env"] == env).any()]
        only = f" --env {' '.join(envs)}" if len(envs) < len(ENVS) else ""
        lines.append(f"python -m lnqlib run {name} --optimizer {optimizer}{only}")
    return lines


class Runs:
    """The runs that verdicts are about, handed out task by task; each part is cut out once.

    **Arguments** `frame`: one row a run; `network`, what is compared, is its norm where it has no
    such column.
    """

    def __init__(self, frame: pd.DataFrame):
        if "network" not in frame:
            frame = frame.assign(network=frame["norm"])
        lent = frame["study"] == "zero_gradients" if "study" in frame else False
        self.envs = [env for env in ENVS if (frame["env"] == env).any()]
        self._parts = dict(iter(frame[~np.broadcast_to(lent, len(frame))].groupby(_PART)))
        self._nothing = frame[:0]
        self._cut: dict[tuple, pd.DataFrame] = {}

    def of(self, env: str, optimizer: str, bias: bool, networks: Iterable[str]) -> pd.DataFrame:
        """One row a run of these networks."""
        at = (env, optimizer, bias, frozenset(networks))
        if at not in self._cut:
            part = self._parts.get((env, optimizer, bias), self._nothing)
            self._cut[at] = part[part["network"].isin(at[-1])]
        return self._cut[at]


def _with_zeros(table: pd.DataFrame) -> pd.DataFrame:
    """Fills `MEASURED` in where another study trained the same run once more to measure them.

    What a run measures does not change how it trains, so both have the same loss.
    """
    names = [name for name in MEASURED if name in table]
    again = table[table["study"] == "zero_gradients"]
    if not names or again.empty:
        return table
    other = again.set_index(_SAME)[names]
    lent = other.reindex(pd.MultiIndex.from_frame(table[_SAME])).set_axis(table.index)
    plain = table["network"].isin(["none", "layer"])
    filled = {name: table[name].where(table[name].notna() | ~plain, lent[name]) for name in names}
    return table.assign(**filled)


def _whole_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Without the seeds that a study still lacks, where it has others: it counts with those."""
    by = [table[name] for name in ("study", "env", "optimizer", "bias", "network", "seed")]
    whole = table["seconds"].notna().groupby(by).transform("all")
    begun = whole.groupby(by[:-1]).transform("any")
    return table[whole | ~begun].reset_index(drop=True)


def _random(runs: pd.DataFrame) -> pd.DataFrame:
    """The returns without training: env, bias, seed, and a column for each policy."""
    parts = [
        random_returns([env], group["seed"].unique(), bias=bias).assign(bias=bias)
        for (env, bias), group in runs.groupby(["env", "bias"])
    ]
    table = pd.concat(parts).pivot(index=["env", "bias", "seed"], columns="policy", values="return")
    return table.add_suffix("_return").reset_index()


_PART = ["env", "optimizer", "bias"]
_WATCHED = {("layer", "none", "SGD"), ("weight", "none", "SGD")}
