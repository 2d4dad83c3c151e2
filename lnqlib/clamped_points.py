"""What networks return where every one of their runs hit the bound of the weights."""

from __future__ import annotations

import pandas as pd

from .stats import point_summary


def all_clamped(runs: pd.DataFrame) -> pd.DataFrame:
    """The (task, norm, lr) points at which every run was clamped, by rising learning rate.

    **Arguments** `runs`: one row a run, one optimizer.

    **Returns** columns env, norm, lr, value (the mean return), free (that of the norm's best
    learning rate without a clamped run, NaN where there is none) and kept (value >= free).
    """
    points = point_summary(runs, "return")
    every = (runs["clamped_steps"] > 0).groupby([runs[name] for name in _POINT]).all()
    points = points.merge(every.rename("every").reset_index(), on=_POINT)
    best = points[~points["clamped"]].groupby(["env", "norm"])["value"].max().rename("free")
    found = points[points["every"]].merge(best.reset_index(), on=["env", "norm"], how="left")
    return found.assign(kept=found["value"] >= found["free"])[[*_POINT, "value", "free", "kept"]]


def kept(points: pd.DataFrame, names: dict[str, str]) -> str:
    """Where the return is no lower for it, as in "LN in CartPole (at 0.001 and 0.003)".

    **Arguments** `points`: as `all_clamped` gives them. `names`: what the text calls a norm.
    """
    told = [
        f"{names[norm]} in {env} (at {' and '.join(f'{lr:.1g}' for lr in group['lr'])})"
        for (env, norm), group in points[points["kept"]].groupby(["env", "norm"], sort=False)
    ]
    return ", ".join(told) or "no network"


_POINT = ["env", "norm", "lr"]
