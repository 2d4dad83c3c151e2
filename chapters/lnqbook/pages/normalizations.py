"""Returns at the learning rates where every run hit the bound of the weights."""

from __future__ import annotations

import pandas as pd

from ..sentences import listed
from ..stats import point_summary


def all_clamped(runs: pd.DataFrame) -> pd.DataFrame:
    """The (task, norm, lr) points at which every run was clamped, by rising learning rate.

    **Arguments** `runs`: one row a run, one optimizer.

    **Returns** columns env, norm, lr, value (the mean return), low, high, and as_good: whether the
    interval reaches that of the learning rate at which the norm returns most in this task.
    """
    points = point_summary(runs, "return")
    every = (runs["clamped_steps"] > 0).groupby([runs[name] for name in _POINT]).all()
    best = points.loc[points.groupby(["env", "norm"])["value"].idxmax()]
    best = best.set_index(["env", "norm"])["low"].rename("best").reset_index()
    points = points.merge(best, on=["env", "norm"]).merge(every.rename("every").reset_index())
    found = points[points["every"].astype(bool)]
    return found.assign(as_good=found["high"] >= found["best"])[[*_POINT, *_VALUE, "as_good"]]


def as_good(points: pd.DataFrame, names: dict[str, str]) -> str:
    """The points without a worse return, as in "LN in CartPole (at 0.001, 0.003)".

    **Arguments** `points`: as `all_clamped` gives them. `names`: of the norms in the text.
    """
    points_of = [
        f"{names[norm]} in {env} (at {', '.join(f'{lr:.1g}' for lr in group['lr'])})"
        for (env, norm), group in points[points["as_good"]].groupby(["env", "norm"], sort=False)
    ]
    return listed(points_of, "no network")


_POINT, _VALUE = ["env", "norm", "lr"], ["value", "low", "high"]
