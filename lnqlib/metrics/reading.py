"""How to read each metric: its range, what a large value says, and what this book's networks have.

The networks of the book are looked up in `data/results`, never typed in: of each task and
optimizer those at the learning rate of the highest mean return, and networks before training. What
the study core did not measure comes from the study references, its best runs once more.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..results import ROOT

RESULTS = ROOT / "data" / "results"
GROUPS = ("untrained", "trained None", "trained LN")
QUANTILES = {"10%": 0.1, "median": 0.5, "90%": 0.9}
COLUMNS = tuple(f"{group} {name}" for group in GROUPS for name in QUANTILES)


class Reading(NamedTuple):
    """What a reader needs beside a value."""

    range: str
    says: str
    unit: str = ""  # of values that cannot be compared between tasks


READINGS = {
    "qgi_plus": Reading("0 to 1", "high: every update moves every other value, up or down"),
    "sgi": Reading("0 to 1", "high: updates of different transitions point the same way"),
    "sgi_off": Reading("-1 to 1", "positive: updates agree; negative: they undo one another"),
    "mgi": Reading("-1 to 1", "positive: an update lowers other errors; negative: raises them"),
    "dgi": Reading("any", "as mgi, weighted by the size of gradients", "squared reward"),
    "gi2": Reading(
        "any",
        "how much one SGD step at lr lowers the loss; negative: it raises it",
        "squared reward",
    ),
    "gi2_scaled": Reading(
        "-inf to 1", "gi2 as a share of the loss; 1 removes it all; far below 0: lr overshoots"
    ),
    "gi2_minibatch": Reading("any", "the same for one step on the whole batch", "squared reward"),
    "td_loss": Reading("0 up", "mean squared TD error", "squared reward"),
    "qgi_plus_zero": Reading("0 to 1", "qgi_plus with pairs of a zero gradient counted as 0"),
    "sgi_zero": Reading("0 to 1", "sgi with pairs of a zero gradient counted as 0"),
    "sgi_off_zero": Reading("-1 to 1", "sgi_off with pairs of a zero gradient counted as 0"),
    "mgi_zero": Reading("-1 to 1", "mgi with pairs of a zero gradient counted as 0"),
    "grad_norm2": Reading("0 up", "mean squared gradient of Q; with lr, the size of a step", "Q's"),
    "zero_gradients": Reading("0 to B^2", "pairs that no cosine exists for", "pairs"),
    "seem": Reading("any", "positive: TD errors of this batch grow under its own updates", "Q's"),
    "seem_scaled": Reading("any", "seem over the mean squared gradient"),
    "iso_3": Reading("0 to 1", "1: features of three states are orthogonal and of equal length"),
    "iso_p": Reading("0 to 1", "the same of as many states as observation size plus actions"),
    "stable_rank": Reading("1 to width", "directions the features use; 1: they have collapsed"),
    "dormant": Reading("0 to 1", "share of units that hardly ever fire (tau = 0.025)"),
    "feature_norm": Reading("0 up", "mean length of the features"),
}


def reading(name: str) -> Reading:
    """What is known of a metric; nothing of one that has been added since."""
    return READINGS.get(name, Reading("", ""))


@cache
def references() -> pd.DataFrame:
    """Quantiles of this book's networks: one row a metric, `COLUMNS` such as "trained LN 90%".

    Runs in which a weight was clamped are left out; a step of SGD is read from runs with SGD alone.
    Empty where the results are not there, as in an installation without the repository.
    """
    tables = [_quantiles(RESULTS / study) for study in ("core", "references")]
    found = pd.concat(tables)
    return found[~found.index.duplicated()]  # core's, which are of more seeds, go first


def _quantiles(study: Path) -> pd.DataFrame:
    """The rows of `references` that one study measured."""
    runs, curves = (
        pd.concat([pd.read_parquet(path) for path in paths]) if paths else pd.DataFrame()
        for paths in (sorted(study.glob(f"*.{kind}.parquet")) for kind in ("runs", "curves"))
    )
    if runs.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    names = [name for name, about in READINGS.items() if not about.unit and name in curves]
    runs = runs[runs["clamped_steps"] == 0]
    by = ["env", "optimizer", "norm"]
    means = runs.groupby([*by, "lr"])["return"].mean().reset_index()
    best = means.loc[means.groupby(by)["return"].idxmax(), [*by, "lr"]]
    curves = curves.merge(runs[["key", *by, "lr"]], on="key")
    adam = curves["optimizer"] != "SGD"
    curves.loc[adam, "gi2_scaled"] = float("nan")  # its lr is no step of SGD
    first = curves[(curves["step"] == 0) & (curves["norm"] == "none")]
    last = curves[curves["step"] == curves["step"].max()].merge(best, on=[*by, "lr"])
    group = last["norm"].map({"none": "trained None", "layer": "trained LN"})
    groups = pd.concat([first.assign(group="untrained"), last.assign(group=group)]).groupby("group")
    found = {
        f"{group} {name}": groups.get_group(group)[names].quantile(share)
        for group in GROUPS
        for name, share in QUANTILES.items()
    }
    return pd.DataFrame(found)[list(COLUMNS)].dropna()
