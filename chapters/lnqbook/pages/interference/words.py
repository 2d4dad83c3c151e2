"""What the page on first-order interference finds, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ... import link_words, paper_figures
from ...findings import case, count, listed
from ...link_words import on_sides
from ...numbers import interval
from ...stats import NBSP, Interval
from .tables import GAIN, WITHOUT


def clamped_points(runs: pd.DataFrame, rho: pd.DataFrame) -> str:
    """How many points have a clamped seed, and what leaving them out does to rho with the loss.

    **Arguments** `runs`: one row a run, one optimizer. `rho`: intervals by (metric, task) with the
    columns "loss" and "loss, without clamped".
    """
    hit = runs.groupby(["env", "lr", "norm"])["clamped_steps"].max() > 0
    if not hit.any():
        return f"No run of the {count(len(hit), 'point')} was clamped."
    free = (~hit).groupby("env").sum()
    value = rho.map(lambda x: x.value)
    shift = value["loss, without clamped"].round(2) - value["loss"].round(2)
    moved = "; ".join(f"\u03c1({name}, loss) by {_changes(shift.loc[name])}" for name in _SHIFTED)
    few = max(free.min() - 1, 1)
    return (
        f"At {hit.sum()} of the {count(len(hit), 'point')} a seed was clamped. Leaving these out "
        f"moves {moved}. The intervals resample seeds and do not show how few points are left: "
        f"{free.idxmin()} keeps {free.min()}, and \u03c1 of so many ranks in random order has a "
        f"standard deviation of {few**-0.5:.2f} around 0."
    )


def weaker(rho: pd.DataFrame) -> str:
    """Where the link of QGI+ with the loss is weaker than SGI's.

    **Arguments** as for `clamped_points`.
    """
    value = rho["loss"].map(lambda x: x.value)
    lower = value.loc["QGI\u208a"] < value.loc["SGI"]
    return (
        "The paper calls the link of QGI\u208a with the loss weaker than SGI's: its \u03c1 is "
        f"smaller in {listed(lower.index[lower])}."
    )


def cartpole(rho: pd.DataFrame, optimizer: str) -> str:
    """What SGI's correlations are in CartPole, beside erratum 14; "" where it is not shown."""
    if ("SGI", "CartPole") not in rho.index:
        return ""
    loss, gained = (_said(rho.loc[("SGI", "CartPole"), y]) for y in ("loss", "return"))
    return (
        f"In CartPole, with {optimizer}, \u03c1 of SGI is {loss} with the loss and {gained} with "
        "the return."
    )


def mgi(rho: pd.DataFrame) -> str:
    """Whether MGI goes with the loss or with the return, beside erratum 15."""
    loss, gained = (on_sides(rho.loc["MGI", y]) for y in ("loss", "return"))
    return f"\u03c1(MGI, loss) is {loss}; \u03c1(MGI, return) is {gained}."


def goals_compared(table: pd.DataFrame) -> str:
    """Whether Acrobot's datasets with a goal and those without say the same.

    **Arguments** `table`: as `tables.split_by_goal` gives it.
    """
    if table.empty:
        return "Acrobot is not among the tasks shown here."
    if len(table) < 2:
        return "All datasets shown here are of one kind, so there is nothing to compare."
    pairs = list(table.drop(columns="seeds").items())
    apart = [name for name, (a, b) in pairs if a.high < b.low or b.high < a.low]
    turned = [name for name, (a, b) in pairs if a.sign * b.sign < 0]
    told = case(
        (apart, f"The two kinds of dataset differ in {listed(apart)}: their intervals lie apart"),
        "The two kinds of dataset do not clearly differ: all intervals overlap",
    )
    return told + case((turned, f", on opposite sides of 0 in {listed(turned)}."), ".")


def gain_without_goal(table: pd.DataFrame) -> str:
    """Whether LN also gains with the same reward everywhere; "" without such a dataset."""
    if table.empty or WITHOUT not in table.index:
        return ""
    return case(
        (
            table.loc[WITHOUT, GAIN].sign > 0,
            "LN's gain is above 0 even without a goal in the data. That part cannot come from "
            "learning the rewards better.",
        ),
        "Without a goal in the data LN's gain is not shown to be above 0.",
    )


def paper_beside(
    runs: Mapping[str, pd.DataFrame], rhos: Mapping[str, pd.DataFrame]
) -> dict[str, str]:
    """What is seen here of each of the paper's figures.

    **Arguments** `runs`, `rhos`: by optimizer, as for `clamped_points`; Adam or SGD may be missing.
    """
    adam, rho = rhos.get("Adam"), rhos.get("SGD")
    sgi = [None if some is None else some.loc["SGI", "loss"] for some in (adam, rho)]
    rows = {"Fig. 8, Adam": paper_figures.alike("SGI", "loss", *sgi)}
    if rho is None:
        return rows
    link = paper_figures.signs
    value, some = rho["loss"].map(lambda x: x.value), runs["SGD"]
    smaller = value.loc["QGI₊"] < value.loc["SGI"]
    calm = on_sides(rho.loc["QGI₊", "loss, without clamped"])
    fixed = link_words.fixed_rates(some, "sgi", "loss", 1)
    said = [cartpole(some, name) for name, some in rhos.items()]
    cart = " ".join(filter(None, said)) or "CartPole is not shown here."
    return {
        "Fig. 1, first row": f"{link('SGI', 'loss', rho.loc['SGI', 'loss'])} "
        + link_words.moved(some, {"sgi": "SGI"}, -1),
        "Fig. 2, first order": f"{link('QGI₊', 'loss', rho.loc['QGI₊', 'loss'])} It is "
        f"smaller than SGI's in {listed(smaller.index[smaller])}; without clamped points it is "
        f"{calm}. {link_words.at_single_rates(fixed, 'loss', 1, 'SGI')}",
        "Fig. 7": f"{mgi(rho)} {link('DGI', 'loss', rho.loc['DGI', 'loss'])}",
        **rows,
        "Fig. 9, SGI": cart,
    }


_SHIFTED = ("QGI₊", "SGI")


def _changes(by_task: pd.Series) -> str:
    return listed(f"{x:+.2f} in {env}" for env, x in by_task.items())


def _said(x: Interval) -> str:
    """`-0.83 [-0.90, -0.71]`, without a line break inside."""
    return interval(x, ".2f").replace(" ", NBSP)
