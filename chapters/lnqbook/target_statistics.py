"""A target network without LN and with it: questions and statistics, written before the runs.

J(network, period, rate, seed) is a run's return, averaged over training. A period of 1 is no target
network, so its runs are those of core with the same ten seeds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .crossfit import Over, chosen, fixed, halves, interval, table
from .stats import RESAMPLES, Interval, bootstrap_interval

NETWORKS = ("none", "layer")
PERIODS = (1, 10, 100, 1_000, 10_000)  # 1: none
MARGIN = 0.2  # of a target network's gain: two returns closer than this are about the same

QUESTIONS = {
    "shift": "Is LN's best period shorter than None's? Supported where `best_period`'s mean "
    "difference of log10 periods lies below 0.",
    "share": "Does LN replace the target network? Supported where LN without one returns at least "
    "what None with its best one does, to within a fifth of what the target network gains: where "
    f"`share` lies above {1 - MARGIN}. Where None gains nothing from a target network there is "
    "nothing to replace, and no share.",
    "rest": "The same in returns, which exist wherever the share does not: LN without a target "
    "network minus None with its best one.",
    "gain_layer": "Do they add? Supported where LN's own best target network gains it something: "
    "where `gain_layer` lies above 0.",
    "interaction": "How much of it is left: LN's gain from a target network minus None's; below 0 "
    "the two overlap, at 0 they add in full.",
}
"""By the name of the statistic that answers it, task by task."""
PLAN = (
    "Runs: study target, and core's of the same seeds as period 1; SGD.",
    "Return: greedy, from the protocol's start states, averaged over the 100 checkpoints.",
    "Primary: learning rates averaged within a seed (average). View: each network at its own best "
    "learning rate (best), the period and the rate chosen on other seeds.",
    "View: without the learning rates at which any of the task's runs was clamped (`calm`).",
    "A statement is supported where the 95% interval over seeds lies on its side of the number, "
    "contradicted where it lies on the other, else undecided.",
    "Pilots have seeds 200 to 203 and are no part of the results.",
    "The paper's claims at each period: by the book's rule for claims, on the runs of that period.",
)


def returns(runs: pd.DataFrame) -> np.ndarray:
    """J of one task's runs: (2 networks, 5 periods, rates, seeds), NaN where a run is missing."""
    period = runs["target_period"].replace(0, 1)
    arms = {"norm": list(NETWORKS), "target_period": list(PERIODS)}
    return table(runs.assign(target_period=period), arms)


def calm(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at those learning rates at which no run of the task was clamped."""
    return runs[runs.groupby("lr")["clamped_steps"].transform("max") == 0]


def best_period(J: np.ndarray, over: Over = "average", resamples: int = RESAMPLES) -> Interval:
    """mean over seeds of log10 p*(LN, seed) - log10 p*(None, seed), p* = argmax_p J(., p, seed).

    Of equal periods the shortest counts. With "average" J is the mean over learning rates; with
    "best" it is J at the rate that is best for (network, period) on all the other seeds.

    **Arguments** `J`: as `returns` gives it; a seed that lacks a run is left out.
    """
    whole = np.isfinite(J).all(axis=(0, 1, 2))
    J = J[..., whole]
    if over == "average":
        scores = J.mean(axis=2)  # (networks, periods, seeds)
    else:
        others = J.sum(axis=-1, keepdims=True) - J
        scores = np.take_along_axis(J, others.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    exponents = np.log10(PERIODS)[scores.argmax(axis=1)]  # (networks, seeds)
    found = bootstrap_interval(exponents[1] - exponents[0], resamples=resamples)
    return found._replace(left_out=int((~whole).sum()))


def target_statistics(
    J: np.ndarray, over: Over = "average", resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """What a target network and LN bring, alone and together, in returns.

    With W(network) the score without a target network and T(network) that at its best period:

    - `gain_none`, `gain_layer`: T - W of each, what its best target network brings
    - `lift`: W(LN) - W(None), what LN brings without one
    - `share`: lift / gain_none, where gain_none > 0
    - `rest`: W(LN) - T(None)
    - `together`: T(LN) - T(None), what LN brings beside the best target networks
    - `interaction`: gain_layer - gain_none

    T is the score of the best of the four periods from 10, chosen on the other half of the seeds;
    with `over` "best" so are the learning rates of T and W.

    **Arguments** `J`: as `returns` gives it; a seed that lacks a run is left out.
    """
    means = halves(J, resamples)  # (1 + resamples, networks, periods, rates) each
    without = fixed(tuple(half[:, :, 0] for half in means), over)  # (1 + resamples, networks)
    with_best = chosen(tuple(half[:, :, 1:] for half in means), over)
    none, layer = np.moveaxis(with_best - without, -1, 0)
    lift = without[:, 1] - without[:, 0]
    found = {
        "gain_none": none,
        "gain_layer": layer,
        "lift": lift,
        "share": lift / np.where(none > 0, none, np.nan),
        "rest": without[:, 1] - with_best[:, 0],
        "together": with_best[:, 1] - with_best[:, 0],
        "interaction": layer - none,
    }
    seeds = int(np.isfinite(J).all(axis=(0, 1, 2)).sum())
    return {name: interval(values, seeds) for name, values in found.items()}


def every_statistic(
    J: np.ndarray, over: Over = "average", resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """`target_statistics` and, as `shift`, `best_period`."""
    return target_statistics(J, over, resamples) | {"shift": best_period(J, over, resamples)}
