"""What the page on GI2 finds, in sentences."""

from __future__ import annotations

import pandas as pd

from lnqlib.spec import ENVS

from . import front_page, rates, stats
from .findings import case, listed
from .rates import Sides

GI2 = "GI\N{SUBSCRIPT TWO}"


def sides(runs: pd.DataFrame, metric: str = "gi2") -> pd.DataFrame:
    """By task: at how many learning rates LN surely raises or lowers a metric, `rates.Sides`.

    **Returns** columns "all" and "calm", the latter over rates without a clamped run.
    """
    rows = {
        env: {
            name: rates.effect_sides(runs[runs["env"] == env], metric, clamped=clamped)
            for name, clamped in (("all", True), ("calm", False))
        }
        for env in ENVS
        if (runs["env"] == env).any()
    }
    return pd.DataFrame(rows, dtype=object).T


def at_fixed_rate(found: pd.DataFrame) -> str:
    """Where LN raises GI2 at most learning rates, and what is left where nothing was clamped.

    **Arguments** `found`: of `sides`.
    """
    raised = [env for env, side in found["all"].items() if side.sign > 0]
    lowered = [env for env, side in found["all"].items() if side.sign < 0]
    told = case(
        (
            raised and lowered,
            f"At most learning rates LN surely raises {GI2} in {listed(raised)}, and lowers it in "
            f"{listed(lowered)}.",
        ),
        (raised, f"At most learning rates LN surely raises {GI2} in {listed(raised)}."),
        (lowered, f"At most learning rates LN surely lowers {GI2} in {listed(lowered)}."),
        f"In no task does LN surely raise or lower {GI2} at most learning rates.",
    )
    parts = [_calm(env, side) for env, side in found["calm"].items()]
    return f"{told} Over the learning rates at which no run of either network was clamped: " + (
        f"{'; '.join(parts)}."
    )


def clamped_rates(runs: pd.DataFrame) -> str:
    """Where LN raises GI2 at exactly those rates at which every None run was clamped."""
    found = []
    for env in (env for env in ENVS if (runs["env"] == env).any()):
        some = runs[runs["env"] == env]
        effects = stats.paired_effect(some, "gi2")
        none = some[some["norm"] == "none"]
        every = (none["clamped_steps"] > 0).groupby(none["lr"]).all()
        raised = set(effects.loc[effects["low"] > 0, "lr"])
        if raised and raised == set(every.index[every]):
            found.append((env, len(raised)))
    tasks = [f"{env} ({number})" for env, number in found]
    return case(
        (
            found,
            f"The learning rates that raise it in {listed(tasks)} are exactly those at which every "
            "network without LN was clamped: there a run that exploded is compared with one that "
            "did not.",
        ),
        "",
    )


def verdict_on_correlation(rhos: pd.DataFrame) -> str:
    """How much of the link with the loss is diverged runs.

    **Arguments** `rhos`: of `front_page.correlations`.
    """
    all_, calm = rhos[GI2], rhos[f"{GI2}, without clamped"]
    below = [env for env in rhos.index if front_page.side(all_[env]) < 0]
    still = [env for env in rhos.index if front_page.side(calm[env]) < 0]
    above = [env for env in rhos.index if front_page.side(calm[env]) > 0]
    kept = f"without the clamped points in {listed(still)}"
    turned = case((above, f" (and clearly positive in {listed(above)})"), "")
    return case(
        (
            below,
            "Across learning rates the correlation that the paper claims is clear in "
            f"{listed(below)}, {kept}{turned}.",
        ),
        f"Across learning rates the correlation that the paper claims is clear in no task, {kept}"
        f"{turned}.",
    )


def prediction(same_sign: float, commoner: float) -> str:
    """Whether GI2 has the sign of what a step does.

    **Arguments**: shares of checkpoints: with the right sign; with the commoner sign.
    """
    return case(
        (
            same_sign > commoner,
            f"{GI2} does what its derivation says: at {same_sign:.1%} of the checkpoints it has "
            "the sign of what a step on one sample does to the loss of the others.",
        ),
        f"{GI2} has the sign of what a step on one sample does to the loss of the others at "
        f"{same_sign:.1%} of the checkpoints, no more than always naming the commoner sign.",
    )


def _calm(env: str, side: Sides) -> str:
    return case(
        (side.rates == 0, f"none left in {env}"),
        (
            side.minus == 0 and side.open == 0,
            f"raised at {side.plus} of {side.rates} in {env}",
        ),
        f"raised at {side.plus} of {side.rates} in {env}, lowered at {side.minus}",
    )
