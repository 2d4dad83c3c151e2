"""What a page says of a metric at its end: where LN moves it, and what it goes with."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lnqlib.spec import ENVS

from . import front_page, rates, stats
from .findings import case, listed

VERBS = {1: "raises", -1: "lowers"}


def moved(runs: pd.DataFrame, metrics: Mapping[str, str], sign: int) -> str:
    """Where LN moves each metric the claimed way at most learning rates, surely.

    **Arguments** `metrics`: columns of the runs and what the sentence calls them.
    """
    tasks = {name: _tasks(runs, rates.effect_sides, x, sign=sign) for x, name in metrics.items()}
    return (
        f"At most learning rates LN surely {VERBS[sign]} "
        + listed(f"{name} in {_all(runs, where)}" for name, where in tasks.items())
        + "."
    )


def linked(runs: pd.DataFrame, x: str, y: str, sign: int, name: str) -> str:
    """Whether a metric goes with an outcome, across learning rates and at each of them.

    **Arguments** `sign`: of the link that the paper claims. `name`: what to call the metric.
    """
    side = {1: "above", -1: "below"}[sign]
    way = {1: "together", -1: "apart"}[sign]
    clear, calm = (
        [
            env
            for env, rho in stats.by_env(
                runs, stats.spearman_interval, x, y, clamped=clamped
            ).items()
            if front_page.side(rho) == sign
        ]
        for clamped in (True, False)
    )
    fixed = _tasks(runs, rates.joint_sides, x, y, sign=sign)
    every = [env for env in clear if env in calm and env in fixed]
    told = (
        f"Across learning rates \u03c1({name}, {y}) is clearly {side} 0 in {_all(runs, clear)}, "
        f"and without clamped points in {_all(runs, calm)}; at most learning rates LN surely moves "
        f"the two {way} in {_all(runs, fixed)}."
    )
    return f"{told} " + case(
        (every, f"All three are so in {_all(runs, every)}."), "In no task are all three so."
    )


def _tasks(runs: pd.DataFrame, sides, *metrics: str, sign: int) -> list[str]:
    envs = [env for env in ENVS if (runs["env"] == env).any()]
    return [env for env in envs if sides(runs[runs["env"] == env], *metrics, sign=sign).sign > 0]


def _all(runs: pd.DataFrame, tasks: list[str]) -> str:
    """The tasks, or that it is all of them."""
    count = runs["env"].nunique()
    return f"all {count} tasks" if count > 1 and len(tasks) == count else listed(tasks)


def before_training(gains: pd.Series, name: str) -> str:
    """Where LN raises a metric before any training, by the interval of the paired difference."""
    up = [env for env, gain in gains.items() if gain.sign > 0]
    down = [env for env, gain in gains.items() if gain.sign < 0]
    return case(
        (
            up and down,
            f"Before any training LN raises {name} in {listed(up)}, and lowers it in "
            f"{listed(down)}.",
        ),
        (up, f"Before any training LN raises {name} in {listed(up)}."),
        (down, f"Before any training LN lowers {name} in {listed(down)}."),
        f"Before any training LN surely moves {name} in no task.",
    )
