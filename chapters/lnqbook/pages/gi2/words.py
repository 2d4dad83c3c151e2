"""What the page on GI2 finds, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ... import front_page, link_words, paper_figures, ranks, rates, stats
from ...findings import case, listed, sided
from ...link_words import on_sides
from ...ranks import enough, side
from ...stats import NBSP

GI2 = "GI\N{SUBSCRIPT TWO}"
CATCH = (
    f"**The catch is the scale of the loss.** {GI2} has the units of the loss: a run whose loss "
    f"explodes while its steps overshoot has a large loss and a {GI2} far below 0, whatever its "
    "gradients have in common."
)
SHARES = (
    "The share of the learning rates at which the mean paired difference has the sign that the "
    "paper claims, with 95% intervals from resampled seeds."
)


def answer(rhos: pd.DataFrame, found: pd.DataFrame, cautions: str = "") -> list[str]:
    """The page's first sentences.

    **Arguments** `rhos`: of `front_page.correlations`. `found`: of `sides`.
    """
    return [CATCH, across_rates(rhos), at_most_rates(found), cautions]


def across_rates(rhos: pd.DataFrame) -> str:
    """Whether more GI2 goes with a lower loss, and whether that needs the clamped points."""
    all_, calm = rhos[GI2], rhos[f"{GI2}, without clamped"]
    if max(rho.count for rho in all_) < ranks.MIN_POINTS:
        return "There are too few learning rates here for a correlation with the loss."
    below, still, above = (
        [env for env in rhos.index if side(some[env]) == sign]
        for some, sign in ((all_, -1), (calm, -1), (calm, 1))
    )
    lost = [env for env in below if env not in still]
    calm_told = "without the points at which a run was clamped,"
    told = case(
        (
            below,
            f"Across learning rates more {GI2} clearly goes with a lower loss in {listed(below)}",
        ),
        f"In no task does more {GI2} clearly go with a lower loss across learning rates",
    )
    if _counts(calm) == _counts(all_):
        return f"{told}; no run was clamped."
    told += case(
        (below and not lost, f", also {calm_told[:-1]}"),
        (below and len(lost) == len(below), f"; {calm_told} in none of these"),
        (below, f"; {calm_told} no longer in {listed(lost)}"),
        "",
    )
    higher = f"with a higher loss in {listed(above)}"
    few = [env for env in lost if not enough(calm[env])]
    told += case((above and lost, f", and {higher}."), (above, f"; {calm_told} {higher}."), ".")
    return told + front_page.left_few(few)


def at_most_rates(found: pd.DataFrame) -> str:
    """Where LN moves GI2 at over half of the rates, of all and of those without a clamped run."""
    way = {"up": "raises it", "down": "lowers it"}
    all_, calm = (found[name].map(lambda share: share.sign) for name in ("all", "calm"))
    told = case(
        (all_.any(), f"At over half of the learning rates LN {sided(all_, **way)}"),
        "In no task does LN clearly move it at over half of the learning rates",
    )
    return told + case(
        (calm.equals(all_), "."),
        (calm.any(), f"; at over half of those without a clamped run it {sided(calm, **way)}."),
        "; at those without a clamped run it clearly does neither.",
    )


def sides(runs: pd.DataFrame, metric: str = "gi2") -> pd.DataFrame:
    """By task: at how many learning rates LN clearly raises or lowers a metric, `rates.Sides`.

    **Returns** columns "all" and "calm", the latter over rates without a clamped run.
    """
    rows = {
        env: {
            name: rates.effect_sides(runs[runs["env"] == env], metric, clamped=clamped)
            for name, clamped in (("all", True), ("calm", False))
        }
        for env in stats.in_order(runs["env"])
    }
    return pd.DataFrame(rows, dtype=object).T


def rate_by_rate(found: pd.DataFrame) -> str:
    """At how many learning rates LN clearly raises GI2, and how many without a clamped run.

    **Arguments** `found`: of `sides`.
    """
    all_, calm = (
        listed(f"{share.plus} of {share.rates} in {env}" for env, share in found[name].items())
        for name in ("all", "calm")
    )
    told = f"Learning rates at which the interval of the difference lies above 0: {all_}"
    return told + case(
        (calm == all_, "; no run was clamped."),
        f"; of those at which no run of either network was clamped, {calm}.",
    )


def clamped_rates(runs: pd.DataFrame) -> str:
    """Where LN raises GI2 at exactly those rates at which every None run was clamped."""
    found = []
    for env in stats.in_order(runs["env"]):
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
            f"The learning rates at which LN raises it in {listed(tasks)} are exactly those at "
            "which every run without LN was clamped: there a run that exploded is compared with "
            "one that did not.",
        ),
        "",
    )


def mean_shares(means: Mapping[str, float], envs: tuple[str, ...]) -> str:
    """How often LN moves GI2, loss and return as the paper says.

    **Arguments** `means`: shares of the learning rates: gi2, loss, return and opposite.
    """
    where = case((len(envs) > 1, "Averaged over the tasks"), f"In {envs[0]}")
    return (
        f"{where}, by the mean difference LN minus **None**, LN raises {GI2} at "
        f"{means['gi2']:.0%} of the learning rates, lowers the loss at {means['loss']:.0%} and "
        f"raises the return at {means['return']:.0%}; {GI2} and loss move in opposite directions "
        f"at {means['opposite']:.0%}."
    )


def correlations(rho: pd.DataFrame) -> list[str]:
    """On which side of 0 rho(GI2, loss) lies with all points, without clamped ones, with medians.

    **Arguments** `rho`: intervals by task, the columns loss, without clamped, medians and return.
    """
    told = {column: on_sides(rho[column]) for column in rho}
    left = listed(f"{env}{NBSP}{rho.count}" for env, rho in rho["without clamped"].items())
    calm = f"Points at which no seed was clamped ({left}): {told['without clamped']}."
    same = _counts(rho["loss"]) == _counts(rho["without clamped"])
    return [
        f"All points: {told['loss']}.",
        case((same, "No point has a clamped seed."), calm),
        f"Medians over seeds in place of means: {told['medians']}.",
        f"With the return, where the paper claims a positive \u03c1: {told['return']}.",
    ]


def diverged(rho: pd.DataFrame) -> str:
    """What it means where the clamped points decide a side."""
    calm = rho["without clamped"]
    hangs = [
        env
        for env in rho.index
        if enough(calm[env]) and side(rho.loc[env, "loss"]) not in (0, side(calm[env]))
    ]
    return case(
        (
            hangs,
            f"In {listed(hangs)} the correlation depends on clamped runs: it says that a run "
            "whose loss exploded overshot, and little about the runs that learned.",
        ),
        "",
    )


def scaled(rho: pd.DataFrame, raised: float, opposite: float, plain: Mapping[str, float]) -> str:
    """What is left of GI2 once it is divided by the loss.

    **Arguments** `rho`: as for `correlations`. `raised`, `opposite`: shares of the learning rates
    at which LN raises GI2 / loss, and moves it against the loss; `plain`: the same of GI2.
    """
    told = {column: on_sides(rho[column]) for column in ("scaled", "scaled without clamped")}
    values = rho[["scaled", "loss"]].map(lambda interval: interval.value)
    change = (values["scaled"] - values["loss"]).mean()
    moved = case(
        (np.isfinite(change), f"Dividing by the loss moves \u03c1 by {change:+.2f} on average. "),
        "",
    )
    calm = f"; without clamped points it is {told['scaled without clamped']}"
    same = _counts(rho["scaled"]) == _counts(rho["scaled without clamped"])
    return (
        f"{moved}\u03c1({GI2} / loss, loss) is {told['scaled']}{calm * (not same)}. "
        f"LN raises {GI2} / loss at {raised:.0%} of the learning rates ({GI2}: "
        f"{plain['gi2']:.0%}) and moves it against the loss at {opposite:.0%} "
        f"({plain['opposite']:.0%})."
    )


def other(optimizer: str, rho: Mapping[str, pd.Series]) -> str:
    """What the link of GI2 is with the optimizer that the page is not about.

    **Arguments** `rho`: with loss and return, intervals by task.
    """
    loss, gained = (on_sides(rho[y]) for y in ("loss", "return"))
    return f"With {optimizer}, \u03c1({GI2}, loss) is {loss}; \u03c1({GI2}, return) is {gained}."


def paper_beside(
    runs: Mapping[str, pd.DataFrame], rhos: Mapping[str, pd.DataFrame]
) -> dict[str, str]:
    """What is seen here of each of the paper's figures.

    **Arguments** `runs`: one row a run, by optimizer. `rhos`: with its columns loss and return,
    intervals by task; Adam or SGD may be missing.
    """
    adam, rho = rhos.get("Adam"), rhos.get("SGD")
    loss = [None if some is None else some["loss"] for some in (adam, rho)]
    rows = {"Fig. 8, Adam": paper_figures.alike(GI2, "loss", *loss)}
    if rho is None:
        return rows
    moved = at_most_rates(sides(runs["SGD"]))
    fixed = link_words.fixed_rates(runs["SGD"], "gi2", "loss", -1)
    across = paper_figures.signs(GI2, "loss", rho["loss"])
    calm = on_sides(rho["without clamped"])
    same = link_words.fixed_rates(runs["SGD"], "gi2", "loss", 1)
    outlier = case(("MountainCar" in same, "In MountainCar it moves them the same way."), "")
    return {
        "Fig. 1, second row": f"{across} Without clamped points it is {calm}. {moved}",
        f"Fig. 2, {GI2}": f"{link_words.at_single_rates(fixed, 'loss', -1, GI2)} {outlier}",
        **rows,
        f"Fig. 9, {GI2}": paper_figures.signs(GI2, "return", rho["return"]),
    }


def _counts(rhos: pd.Series) -> list[int]:
    return [rho.count for rho in rhos]
