"""What the front page says of the finding, in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from . import stats
from .best_rates import gain_in_words
from .findings import case, listed
from .placebos import NAMES, Case, compared
from .ranks import MIN_POINTS, enough, side
from .stats import Interval, clear

SIDES = {1: "above 0", -1: "below 0", 0: "contains 0, or is within chance"}
TOO_FEW = f"fewer than {MIN_POINTS} points"


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
        word = compared(one)
        numbers = f"(mean \u03c1 {one.found.own.value:.2f} and {one.found.others.value:.2f})"
        link = f"{NAMES['gi2']}'s correlation with its own task's loss is {word} than those "
        link += "with other tasks' "
        start = "With the defaults" if one.reading == "defaults" else one.reading.capitalize()
        told.append(
            f"{start[0].lower()}{start[1:]} it is {word} {numbers}"
            if told
            else f"{start} {link}losses {numbers}"
        )
    return f"{'; '.join(told)}." if told else ""


def first_order(rhos: pd.DataFrame) -> str:
    """What SGI does."""
    return (
        "**First order.** Where the steps on two transitions agree more (more "
        "[SGI](glossary.md#term-sgi)), the loss is "
        f"{_where(rhos['SGI'], 'higher', 'lower')}."
    )


def second_order(rhos: pd.DataFrame) -> str:
    """What the second-order term does, and what is left of it without clamped points."""
    gi2, calm = rhos["GI\u2082"], rhos["GI\u2082, without clamped"]
    told = (
        f"**Second order.** With more [{NAMES['gi2']}](glossary.md#term-gi2) the loss is "
        f"{_where(gi2, 'higher', 'lower')}. "
        f"Without the points at which a run was clamped it is {_where(calm, 'higher', 'lower')}."
    )
    known = [env for env in gi2.index if enough(calm[env])]
    gone = [env for env in known if side(gi2[env]) and not side(calm[env])]
    return told + case(
        (gone, f" So in {listed(gone)} the correlation depends on clamped runs."), ""
    )


def left_few(envs: Sequence[str]) -> str:
    """That in these tasks no correlation without clamped points can be had."""
    return case((envs, f" In {listed(envs)} too few points are left without them."), "")


def _where(rho: pd.Series, up: str, down: str) -> str:
    """`higher in Acrobot; neither clearly higher nor lower in CartPole`: rho in each task."""
    signs = {env: side(rho[env]) if enough(rho[env]) else None for env in rho.index}
    ways = {
        1: up,
        -1: down,
        0: f"neither clearly {up} nor {down}",
        None: "undecided (too few points)",
    }
    found = {way: [env for env, sign in signs.items() if sign == key] for key, way in ways.items()}
    return "; ".join(f"{way} in {listed(envs)}" for way, envs in found.items() if envs)


def sides_table(rhos: pd.DataFrame) -> pd.DataFrame:
    """Which tasks lie on which side, for each of the correlations."""

    def column(rho: Interval) -> str:
        return SIDES[side(rho)] if enough(rho) else TOO_FEW

    rows = {
        f"\u03c1({name}, loss)" if "," not in name else "the same without clamped points": {
            word: listed((env for env in rho.index if column(rho[env]) == word), "\N{EN DASH}")
            for word in (*SIDES.values(), TOO_FEW)
        }
        for name, rho in rhos.items()
    }
    return pd.DataFrame(rows).T
