"""The study's tables, as text to end a cell with."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...crossfit import interval as interval_of
from ...mechanisms import LEVEL, Scores, counted, interval, shares, unclamped
from ...mediators import MEDIATORS, moved_in
from ...numbers import interval as text
from ...numbers import number
from ...stats import Interval

ARMS = {
    "none": "None",
    "layer": "LN",
    "rms": "scaling (RMS)",
    "center": "centering",
    "forward": "F",
    "backward": "B",
    "bounded": "C",
    "decay": "D+",
    "projected": "D\N{MINUS SIGN}",
    "forward_projected": "FP",
    "overshoot": "S+",
    "overshoot_layer": "S\N{MINUS SIGN}",
    "isometry": "I+",
    "isometry_layer": "I\N{MINUS SIGN}",
    "random_isometry": "PI",
    "other_decay": "PD",
    "other_decay_layer": "PD\N{MINUS SIGN}",
}
"""What the page calls the networks of `spec.INTERVENTIONS`."""


def verdicts(found: pd.DataFrame, judged: bool) -> pd.DataFrame:
    """S, N and verdict of each mechanism and task; without verdict and interval unless `judged`."""
    spec = ".2f"

    def share(s: Interval | None) -> str:
        if s is None:
            return ""
        return text(s, spec) if judged else number(s.value, spec=spec)

    table = found.assign(S=found["S"].map(share), N=found["N"].map(share))
    table = table.rename(columns={"env": "task"}).set_index(["mechanism", "task"])
    return table[["S", "N", "verdict"] if judged else ["S", "N"]]


def moved(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """`mediators.moved_in` of every task: env, arm, lr, a share a mediator, unclean."""
    parts = []
    for env, mine in runs.groupby("env", sort=False):
        table = moved_in(mine, curves[curves["key"].isin(mine["key"])])
        parts.append(table.assign(env=env, arm=[ARMS[name] for name in table.index]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["unclean"])


def as_moved(table: pd.DataFrame) -> pd.DataFrame:
    """`moved` as text."""
    if table.empty:
        return table
    found = table.set_index(["env", "arm"])
    told = found[MEDIATORS].map(lambda x: number(x, spec=".2f"))
    told.insert(0, "rate", found["lr"].map(lambda lr: number(lr, 2)))
    return told.assign(clean=found["unclean"].map(lambda wrong: ", ".join(wrong) or "yes"))


def returns(scores: dict[str, Scores], runs: pd.DataFrame) -> pd.DataFrame:
    """Each network's return at its own best rate, the rates, and the share without a clamped seed.

    **Arguments** `scores`: of `mechanisms.scores`, by task.
    """
    calm = unclamped(runs)
    cells = {
        (env, column): {ARMS[name]: told(name) for name in ARMS if name in found.means}
        for env, found in scores.items()
        for column, told in {
            "return": lambda name, found=found: number(found.means[name], spec=".1f"),
            "rate": lambda name, found=found: " / ".join(
                number(lr, 2) for lr in dict.fromkeys(found.best[name])
            ),
            "unclamped": lambda name, env=env: f"{calm[env, name]:.0%}",
        }.items()
    }
    return pd.DataFrame(cells)


def anchors(scores: dict[str, Scores], judged: bool) -> pd.DataFrame:
    """The shares of LN's gain that scaling and centering alone bring, at 95%."""

    def found_of(value: float, draws: np.ndarray) -> Interval | float:
        return interval(value, draws, LEVEL) if judged else value

    return pd.DataFrame(
        {
            env: {
                ARMS[name]: found_of(*shares(found, name, False))
                for name in ("rms", "center")
                if name in found.means
            }
            for env, found in scores.items()
        }
    )


def astray(runs: pd.DataFrame) -> pd.DataFrame:
    """`mechanisms.counted` as text, the networks of which nothing went astray left out."""
    found = counted(runs)
    found = found[(found.drop(columns="runs") > 0).any(axis=1)].rename(index=ARMS, level="name")
    shares = found.drop(columns="runs").map(lambda x: f"{x:.0%}" if x == 0 or x > 0.005 else "<1%")
    return shares.assign(runs=found["runs"]).rename(columns={"no_return": "no return"})


def gains(scores: dict[str, Scores]) -> pd.Series:
    """LN's gain by task with a 95% interval."""

    def gain(found: Scores) -> Interval:
        values = found.draws["layer"] - found.draws["none"]
        value = found.means["layer"] - found.means["none"]
        return interval_of(np.append(value, values), len(values))

    return pd.Series({env: gain(found) for env, found in scores.items()})
