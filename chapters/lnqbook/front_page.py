"""What the front page says of the finding, in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from . import ranks, stats
from .best_rates import gain_in_words
from .findings import case, listed
from .placebos import NAMES, Case
from .stats import Interval, clear

SIDES = {1: "above 0", -1: "below 0", 0: "contains 0, or is within chance"}


def side(rho: Interval) -> int:
    """1 or -1 where rho is clear of 0 and further from it than random order gets, else 0."""
    if rho.count < ranks.MIN_POINTS or abs(rho.value) < ranks.chance_bound(rho.count):
        return 0
    return rho.sign


def correlations(runs: pd.DataFrame) -> pd.DataFrame:
    """rho with the loss by task: of SGI, of GI2, and of GI2 without clamped points."""
    by_env = stats.by_env
    return pd.DataFrame(
        {
            "SGI": by_env(runs, stats.spearman_interval, "sgi", "loss"),
            "GI\u2082": by_env(runs, stats.spearman_interval, "gi2", "loss"),
            "GI\u2082, without clamped": by_env(
                runs, stats.spearman_interval, "gi2", "loss", clamped=False
            ),
        }
    )


def helps(best: pd.DataFrame, clamped: str) -> str:
    """Whether LN helps.

    **Arguments** `best`: of `best_rates.at_best`. `clamped`: of `best_rates.clamped_in_words`.
    """
    more, less = clear(best["LN minus None"])
    title = case(
        (more and len(more) == len(best), "LN helps."),
        (more and not less, "LN helps in some of the tasks."),
        (more, "LN helps in some of the tasks and harms in others."),
        "LN is not shown to help.",
    )
    return f"**{title}** {gain_in_words(best)} {clamped}"


def about_the_task(cases: Sequence[Case], optimizer: str) -> str:
    """Whether GI2 tells more about its own task's loss than about others', under each reading.

    **Arguments** `cases`: of `placebos.measure`; those of GI2 and this optimizer are told.
    """
    told = []
    for one in cases:
        if (one.pair.x, one.optimizer) != ("gi2", optimizer):
            continue
        side = one.found.difference.sign * one.pair.sign
        word = {1: "stronger", -1: "weaker", 0: "not shown to be stronger"}[side]
        numbers = f"(\u03c1 {one.found.own.value:.2f} and {one.found.others.value:.2f})"
        link = f"{NAMES['gi2']}'s link with its own task's loss is {word} than with other tasks' "
        start = "With the defaults" if one.reading == "defaults" else one.reading.capitalize()
        told.append(
            f"{start[0].lower()}{start[1:]} it is {word} {numbers}"
            if told
            else f"{start} {link}losses {numbers}"
        )
    return f"{'; '.join(told)}." if told else ""


def first_order(rhos: pd.DataFrame) -> str:
    """What SGI does."""
    plus, minus = _sides(rhos["SGI"])
    return case(
        (
            plus and not minus,
            "**First order.** Where the steps on two transitions agree more, the loss is higher, "
            f"clearly so in {listed(plus)}.",
        ),
        (
            plus,
            "**First order.** Where the steps on two transitions agree more, the loss is higher in "
            f"{listed(plus)}, and lower in {listed(minus)}.",
        ),
        (
            minus,
            "**First order.** Where the steps on two transitions agree more, the loss is lower in "
            f"{listed(minus)}.",
        ),
        "**First order.** How much the steps on two transitions agree has no clear link with the "
        "loss in the tasks shown.",
    )


def second_order(rhos: pd.DataFrame) -> str:
    """What the second-order term does, and what is left of it without clamped points."""
    plus, minus = _sides(rhos["GI\u2082"])
    calm_plus, calm_minus = _sides(rhos["GI\u2082, without clamped"])
    start = f"**Second order.** More {NAMES['gi2']} goes with"
    told = case(
        (
            minus and plus,
            f"{start} a lower loss in {listed(minus)}, a higher one in {listed(plus)}.",
        ),
        (minus, f"{start} a lower loss, clearly so in {listed(minus)}."),
        (plus, f"{start} a higher loss, clearly so in {listed(plus)}."),
        f"{start} neither a lower nor a higher loss in the tasks shown.",
    )
    calm = " Without the points at which a run was clamped it goes with"
    left = case(
        (
            calm_minus and calm_plus,
            f"{calm} a lower loss in {listed(calm_minus)}, a higher one in {listed(calm_plus)}.",
        ),
        (calm_minus, f"{calm} a lower loss in {listed(calm_minus)}."),
        (
            calm_plus,
            f"{calm} a lower loss in no task, and with a higher one in {listed(calm_plus)}.",
        ),
        " Without the points at which a run was clamped there is no clear link.",
    )
    apart = case(
        (
            minus and not calm_minus,
            " What it tells apart is runs that diverged from runs that did not.",
        ),
        "",
    )
    return told + left + apart


def sides_table(rhos: pd.DataFrame) -> pd.DataFrame:
    """Which tasks lie on which side, for each of the correlations."""
    rows = {
        f"\u03c1({name}, loss)" if "," not in name else "the same without clamped points": {
            word: listed((env for env in rhos.index if side(rho[env]) == sign), "\N{EN DASH}")
            for sign, word in SIDES.items()
        }
        for name, rho in rhos.items()
    }
    return pd.DataFrame(rows).T


def _sides(rho: pd.Series) -> tuple[list[str], list[str]]:
    signs = {env: side(rho[env]) for env in rho.index}
    plus, minus = ([env for env, sign in signs.items() if sign == s] for s in (1, -1))
    return plus, minus
