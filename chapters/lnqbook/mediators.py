"""Was an arm what it says? What each arm of the study of mechanisms moved, and what it left alone.

A mediator's share in an arm is (arm - None) / (LN - None), of medians over seeds at the arm's best
learning rate: 0 where the arm left it as None has it, 1 where it is LN's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

KEPT = (0, 1, 2, 4, 8, 16, 25, 37, 50, 62, 75, 87)
"""Those of a full-length run's 100 checkpoints that decide; its shipped curves have no others."""
OWN_WITHIN = 0.1  # of the share that an arm is to give its own mediator
OTHERS_WITHIN = 0.2
MEDIATORS = ["feature norm", "decay", "overshoot", "isometry"]
OWN = {
    "forward": "feature norm",
    "backward": "feature norm",
    "bounded": "feature norm",
    "forward_projected": "feature norm",
    "decay": "decay",
    "projected": "decay",
    "overshoot": "overshoot",
    "overshoot_layer": "overshoot",
    "isometry": "isometry",
    "isometry_layer": "isometry",
}
"""What each arm is about. A placebo is about none."""
REMOVING = ("backward", "projected", "overshoot_layer", "isometry_layer")
"""The arms that take their mediator back to None's and are to leave the others at LN's."""


def kept(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The curves at `KEPT`, with a run's steps; of runs with other than 100 checkpoints, all.

    **Arguments** `curves`: whole, or as they are shipped.
    """
    told = curves.merge(runs[["key", "steps", "checkpoints"]], on="key")
    at = -(-100 * told["step"] // told["steps"])  # checkpoint i is at step i * steps // 100
    return told[(told["checkpoints"] != 100) | at.isin(KEPT)].drop(columns="checkpoints")


def mediators(curves: pd.DataFrame) -> pd.DataFrame:
    """The mediators of each run, averages over training in which a checkpoint holds until the next.

    - feature norm: asinh of the mean norm of a state's features,
    - decay: log of the rate of (W, b) over that of the output layer; where the function does not
      depend on the size of (W, b), the rate of its direction, |W_0|^2 / |W_t|^2 times as much,
    - overshoot: asinh of the share that a step takes off the loss, GI2 of a minibatch over it,
    - isometry: ISO_p as the output layer's steps see the features.

    **Arguments** `curves`: one row a run and checkpoint, ordered by step within a run, with key,
    steps and name (of `studies.INTERVENTIONS`). What is not finite there is left out.

    **Returns** one row a run, by key, a column for each of `MEDIATORS`.
    """
    norm = curves["weight_norm"]
    shrunk = (norm.groupby(curves["key"]).transform("first") / norm) ** 2  # Lemma 5
    invariant = curves["name"].isin(["layer", "projected", "forward", "forward_projected"])
    invariant |= curves["name"].str.endswith("_layer")
    rate = curves["arm_setting"].where(curves["name"].str.contains("decay"), 1.0)
    rate = rate * shrunk.where(invariant, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pd.DataFrame(
            {
                "feature norm": np.arcsinh(curves["feature_norm"]),
                "decay": np.log(rate),
                "overshoot": np.arcsinh(curves["gi2_minibatch_used"] / curves["td_loss"]),
                "isometry": curves["iso_p_used"],
            }
        )
    ends = curves.groupby("key")["step"].shift(-1).fillna(curves["steps"])
    length = (ends - curves["step"]).to_numpy(float)[:, None]
    there = np.isfinite(table)
    sums = table.where(there, 0.0).mul(length).groupby(curves["key"], sort=False).sum()
    return sums / there.mul(length).groupby(curves["key"], sort=False).sum()


def moved(arm: pd.DataFrame, none: pd.DataFrame, layer: pd.DataFrame) -> pd.Series:
    """Each mediator's share in an arm, by mediator; NaN where None and LN are alike.

    **Arguments**: `mediators` of the runs at the arm's best learning rate, of the arm and of both
    anchors.
    """
    of_arm, of_none, of_layer = (table.median() for table in (arm, none, layer))
    gap = of_layer - of_none
    return (of_arm - of_none) / gap.where(gap != 0)


def unclean(name: str, shares: pd.Series) -> list[str]:
    """The mediators that speak against the arm being what it says; none if it is clean.

    Its own is to be LN's, or None's where the arm removes it, within `OWN_WITHIN`; the others are
    to stay where they are within `OTHERS_WITHIN`. A share that is not defined speaks against none.
    """
    removing = name in REMOVING
    wrong = []
    for mediator in MEDIATORS:
        own = mediator == OWN[name]
        goal = float(own != removing)
        if abs(shares[mediator] - goal) > (OWN_WITHIN if own else OTHERS_WITHIN):
            wrong.append(mediator)
    return wrong


def moved_in(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """What each arm of one task moved at its best learning rate, that of the highest mean return.

    **Arguments** `runs`: one task and reading, as `mechanisms.named` gives them. `curves`: their
    checkpoints.

    **Returns** one row an arm of `OWN` that is there, by name: lr, each mediator's share, unclean.
    """
    columns = ["name", "lr"]
    told = kept(runs, curves).drop(columns=columns, errors="ignore")
    told = told.join(runs.set_index("key")[columns], on="key")
    measured = mediators(told).join(runs.set_index("key")[columns])
    rows = {}
    for name in (name for name in OWN if (runs["name"] == name).any()):
        best = runs[runs["name"] == name].groupby("lr")["return"].mean().idxmax()
        at_best = measured[measured["lr"] == best]
        tables = (at_best.loc[at_best["name"] == n, MEDIATORS] for n in (name, "none", "layer"))
        shares = moved(*tables)
        rows[name] = {"lr": best, **shares, "unclean": unclean(name, shares)}
    return pd.DataFrame.from_dict(rows, orient="index")
