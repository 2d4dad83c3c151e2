"""What the page on the learning-rate decay says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...findings import case, in_tasks, listed
from ...numbers import number

AVERAGE, BEST = "averaged over learning rates", "at each network's own best learning rate"


def whole_gain(shares: Mapping[str, pd.DataFrame]) -> str:
    """Whether the decay is all of LN's gain.

    **Arguments** `shares`: "average" and "best" of `best_rates.shares_at_best`, the first column
    what projection loses.
    """
    average, best = shares["average"], shares["best"]
    on_average, at_best = both_ways(average), both_ways(best)
    both = "without it LN loses more than its whole gain, and None given a decay gains more "
    told = case(
        (not _known(average).any(), "LN has no clear gain here that a decay could account for."),
        (
            on_average,
            "Averaged over learning rates, the decay could explain all of LN's gain "
            f"{in_tasks(on_average, len(average))}: {both}than LN does. At each network's own best "
            f"learning rate it could explain all of it {in_tasks(at_best, len(best))}.",
        ),
        (
            at_best,
            "At each network's own best learning rate, the decay could explain all of LN's gain "
            f"{in_tasks(at_best, len(best))}: {both}than LN does. Averaged over learning "
            "rates it could explain all of it in no task.",
        ),
        "The decay is not shown to be all of LN's gain in any task, neither averaged over learning "
        "rates nor at each network's own best one: in no task does LN lose its whole gain without "
        "the decay and the network without LN reach all of it when given one.",
    )
    envs = list(shares["average"].index)
    part = [env for env in envs if _is_part(shares, env)]
    less = f" By every test here it is less than all of the gain {in_tasks(part, len(envs))}."
    return told + case((part, less), "")


def both_ways(table: pd.DataFrame) -> list[str]:
    """The tasks in which LN loses all of its gain without the decay, and None gains it with one."""
    lost, *brought = [table[name].map(lambda share: share.low > 1) for name in table]
    fully = lost & pd.concat(brought, axis=1).any(axis=1)
    return list(fully.index[fully.astype(bool)])


def beyond(table: pd.DataFrame, over: str) -> str:
    """Which of the shares are clearly more than all of LN's gain.

    **Arguments** `table`: intervals; what they are shares of is said by their names.
    """
    above = [
        f"{name} {number(share.value, spec='.2f')} of it in {env}"
        for name in table
        for env, share in table[name].items()
        if share.low > 1
    ]
    return case(
        (above, f"{_upper(over)}, these are clearly more than all of LN's gain: {listed(above)}."),
        f"{_upper(over)}, nothing is clearly more than all of LN's gain.",
    )


def harm(table: pd.DataFrame, over: str) -> str:
    """Where a decay clearly harms the network without LN: its share lies below 0."""
    parts = [
        f"{name.removesuffix(' brings')} in {listed(envs)}"
        for name in list(table)[1:]
        if (envs := [env for env, share in table[name].items() if share.high < 0])
    ]
    return case((parts, f"{_upper(over)}, a decay clearly harms: {listed(parts)}."), "")


def exactness(env: str, gradient_gap: float, by_lr: pd.DataFrame) -> str:
    """How exact Lemma 5 is in its own setting.

    **Arguments** `gradient_gap`: of f's gradient and training's, relative. `by_lr`: of
    `lemma5.residuals`, the exact case first.
    """
    exact = by_lr[by_lr["case"] == by_lr["case"].iloc[0]].sort_values("lr")
    large = exact[exact["lr"] >= 0.01 - 1e-9]  # below, rounding shows beside the growth
    length = (exact["direction"] / exact["expected"] - 1).abs().max()
    return (
        f"On {env} this $f$ has the training gradient up to a relative error of "
        f"{number(gradient_gap, 1)}. "
        "Without $\\epsilon$ the growth of $\\|(W, b)\\|^2$ is the lemma's up to a relative "
        f"error of {number(large['norm'].abs().max(), 1)} "
        f"($\\eta \\ge 0.01$; at smaller ones rounding "
        f"shows), the direction's error falls with order {order(exact):.2f}, and its length is "
        f"$\\sqrt{{1 + \\rho^2}} - 1$ up to a relative error of {number(length, 1)}."
    )


def departures(by_lr: pd.DataFrame) -> pd.DataFrame:
    """For each case at lr = 0.001: the cosine of weights and step, the norm's error; the order."""
    at = by_lr[np.isclose(by_lr["lr"], 1e-3)].set_index("case")
    orders = {case_: order(rows) for case_, rows in by_lr.groupby("case", sort=False)}
    table = {"cos(w, step)": -at["radial"], "error of the norm": at["norm"].abs()}
    return pd.DataFrame(table | {"order of the direction's error": pd.Series(orders)})


def order(rows: pd.DataFrame) -> float:
    """By what power of the learning rate a case's direction error falls, over the first decade."""
    errors = rows.sort_values("lr")["direction"].to_numpy()
    return float(np.log10(errors[2] / errors[0]))


def role_of_eps(radial: float, slope: float, by_lr: pd.DataFrame) -> str:
    """The identity of eps, checked; and how wrong the lemma is at the smallest learning rate.

    **Arguments** `radial`: <w, grad f>. `slope`: -2 eps df/deps. `by_lr`: of `lemma5.residuals`,
    PyTorch's eps the second case.
    """
    default = by_lr[by_lr["case"] == by_lr["case"].unique()[1]].sort_values("lr").iloc[0]
    return (
        "For this batch $\\langle w, \\nabla f_\\epsilon(w) \\rangle$ is "
        f"{number(radial, 4)} by automatic differentiation, and $-2 \\epsilon\\, \\partial "
        f"f_\\epsilon / \\partial \\epsilon$ is {number(slope, 4)} by finite differences. At "
        f"$\\eta$ = {number(default['lr'], 1)} the lemma's growth of the norm is off by "
        f"{number(abs(default['norm']), 2)} times itself."
    )


def invariance(changes: pd.DataFrame) -> str:
    """What scaling does to Q, in the worst of the tasks shown, and when a first step shortens.

    **Arguments** `changes`: of `measured.scalings`.
    """
    most = changes.max()
    first = changes["turning"].idxmax()
    turning = case(
        (
            most["turning"] > 0,
            f"The first step shortens $(W, b)$ at $\\eta$ below {number(most['turning'], 1)} in "
            f"{first}, at smaller ones elsewhere."
            if len(changes) > 1
            else f"The first step shortens $(W, b)$ at $\\eta$ below {number(most['turning'], 1)}.",
        ),
        "No first step shortens $(W, b)$.",
    )
    return (
        "Measured in untrained networks, as the largest change of $Q$ in a batch relative to the "
        f"largest $|Q|$: {number(most['longer'], 1)} when $(W, b)$ is 100 times as long, "
        f"{number(most['shorter'], 2)} when it is a hundredth as long, "
        f"{number(most['weights'], 2)} when $W$ alone is 100 times as long, "
        f"{number(most['rows'], 2)} when every other row is. {turning}"
    )


def norms(grown: pd.DataFrame, fell: pd.Series) -> str:
    """How the weights grow in training.

    **Arguments** `grown`, `fell`: of `measured.growth` and `measured.falls`.
    """
    if grown.isna().any(axis=None):
        return "Without LN, or with it, every run was clamped, so their growth is not compared."
    ends = {
        norm: f"between {number(row['min'])} and {number(row['max'])}"
        for norm, row in grown.iterrows()
    }
    told = (
        "In the runs that were never clamped the weights end "
        f"{ends['layer']} times as long with LN (the median run of a learning rate, all tasks "
        f"together), and {ends['none']} times without; only with LN does this slow the layer down."
    )
    return f"{told} " + case(
        (
            fell.max() > 0,
            "The norm does not always rise: with LN it falls in "
            f"{fell.iloc[0]:.1%} of the stretches between checkpoints at $\\eta$ = "
            f"{number(fell.index[0], 1)}, and in {fell.mean():.1%} of them on average over "
            "learning rates.",
        ),
        "With LN it falls in no stretch between checkpoints.",
    )


def checked(strays: Mapping[str, float], lr: float) -> str:
    """Whether the controls do what they say, from `measured.strays`."""
    return (
        f"At $\\eta$ = {number(lr, 2)} the norm of projected LN strays from its start by at most "
        f"{number(strays['norm'], 1)} of it (float32's rounding), the own decay is "
        f"$\\|w_0\\|^2 / \\|w_t\\|^2$ up to {number(strays['own'], 1)}, and LN's decay is that of "
        f"the LN run up to {number(strays['paired'], 1)}, at {strays['compared']:,} checkpoints "
        "that both have."
    )


def counted(counts: pd.DataFrame, points: int) -> str:
    """At how many learning rates a decay helps or harms.

    **Arguments** `counts`: columns (arm, raised or lowered), a row a task. `points`: of a task and
    a learning rate.
    """
    n = {f"{arm} {side}": int(sum_) for (arm, side), sum_ in counts.sum().items()}
    return (
        f"Over {points} pairs of a task and a learning rate, the return of the network without LN "
        f"is clearly raised by its own decay at {n['own_decay raised']} and lowered at "
        f"{n['own_decay lowered']}; LN's decay raises it at {n['paired_decay raised']} and lowers "
        f"it at {n['paired_decay lowered']}. LN without its decay returns clearly more at "
        f"{n['project raised']} and less at {n['project lowered']}."
    )


def _is_part(shares: Mapping[str, pd.DataFrame], env: str) -> bool:
    """Whether every share of a task is clearly less than all of LN's gain, under both averages."""
    return all(share.high < 1 for table in shares.values() for share in table.loc[env])


def _known(table: pd.DataFrame) -> pd.Series:
    """The tasks in which some share has an interval."""
    return table.map(lambda share: bool(np.isfinite([share.low, share.high]).all())).any(axis=1)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
