"""What LN does to a metric, and whether the metric goes with an outcome, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from . import front_page, ranks, rates, stats
from .findings import case, listed, sided

_VERBS = {1: "raise", -1: "lower"}


def moved(runs: pd.DataFrame, metrics: Mapping[str, str], sign: int) -> str:
    """Where LN moves each metric the claimed way at over half of the learning rates, clearly.

    **Arguments** `metrics`: columns of the runs and what the sentence calls them.
    """
    where = {name: _tasks(runs, rates.effect_sides, x, sign=sign) for x, name in metrics.items()}
    parts = [f"{name} in {listed(some)}" for name, some in where.items() if some]
    rest = [name for name, some in where.items() if not some]
    return case(
        (
            not parts,
            f"In no task does LN clearly {_VERBS[sign]} {' or '.join(rest)} at over half of the "
            "learning rates.",
        ),
        f"At over half of the learning rates LN clearly {_VERBS[sign]}s {'; '.join(parts)}"
        + case((rest, f"; {listed(rest)} in none."), "."),
    )


def linked(runs: pd.DataFrame, x: str, y: str, sign: int, name: str) -> str:
    """Whether a metric goes with an outcome, across learning rates and at each of them.

    **Arguments** `sign`: of the link that the paper claims. `name`: what to call the metric.
    """
    rho, calm_rho = (
        stats.by_env(runs, stats.spearman_interval, x, y, clamped=clamped)
        for clamped in (True, False)
    )
    if max(found.count for found in rho) < ranks.MIN_POINTS:
        return f"There are too few learning rates here for a correlation of {name} and {y}."
    clear, calm = (
        [env for env, found in some.items() if ranks.side(found) == sign]
        for some in (rho, calm_rho)
    )
    fixed = fixed_rates(runs, x, y, sign)
    every = [env for env in clear if env in calm and env in fixed]
    without = "without the points at which a run was clamped,"
    level = {1: "higher", -1: "lower"}[sign]
    across = case(
        (clear, f"Across learning rates, runs with more {name} have a clearly {level} {y} in "),
        f"In no task do runs with more {name} have a clearly {level} {y} across learning rates",
    ) + listed(clear, "")
    across += case(
        (calm == clear != [], f", also {without[:-1]}."),
        (calm, f"; {without} in {listed(calm)}."),
        (clear, f"; {without} in none."),
        ".",
    )
    together = case(
        (every, f" All three statements hold in {listed(every)}."),
        (clear or calm or fixed, " In no task do all three statements hold."),
        "",
    )
    few = [env for env in clear if not ranks.enough(calm_rho[env])]
    return f"{across}{front_page.left_few(few)} {at_single_rates(fixed, y, sign, name)}{together}"


def fixed_rates(runs: pd.DataFrame, x: str, y: str, sign: int) -> list[str]:
    """The tasks in which LN clearly moves both so at over half of the learning rates."""
    return _tasks(runs, rates.joint_sides, x, y, sign=sign)


def at_single_rates(fixed: list[str], y: str, sign: int, name: str) -> str:
    """The sentence on what `fixed_rates` finds."""
    way = {1: "in the same direction", -1: "in opposite directions"}[sign]
    return case(
        (
            fixed,
            f"At over half of the learning rates LN clearly moves {name} and {y} "
            f"{way} in {listed(fixed)}.",
        ),
        f"In no task does LN clearly move {name} and {y} {way} at over half of the learning rates.",
    )


def correlations(rho: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """One sentence a metric: on which side of 0 its correlations lie.

    **Arguments** `rho`: intervals by (metric, task), as `summaries.by_metric` gives them.
    `columns`: of it, each with the words that come before its sides.
    """
    return [
        f"**{name}**: "
        + "; ".join(f"{said}{on_sides(rho.loc[name, column])}" for column, said in columns.items())
        + "."
        for name in rho.index.unique("metric")
    ]


def on_sides(rho: pd.Series) -> str:
    """`above 0 in CartPole`: the sides of `ranks.side`, which chance seldom reaches.

    **Arguments** `rho`: intervals by task.
    """
    return sided(rho.map(ranks.side), neither="nowhere clear of 0 and beyond chance")


def none_finished(optimizer: str) -> str:
    """How to have the runs with the optimizer that a page is not about."""
    return (
        f"With {optimizer} there are no finished runs for these parameters; "
        f"`-p optimizer {optimizer}` trains them."
    )


def before_training(gains: pd.Series, name: str) -> str:
    """Where LN raises a metric before any training, by the interval of the paired difference."""
    signs = gains.map(lambda gain: gain.sign)
    if not signs.any():
        return f"Before any training LN clearly moves {name} in no task."
    return f"Before any training LN {sided(signs, f'raises {name}', f'lowers {name}')}."


def _tasks(runs: pd.DataFrame, sides, *metrics: str, sign: int) -> list[str]:
    return [
        env
        for env in stats.in_order(runs["env"])
        if sides(runs[runs["env"] == env], *metrics, sign=sign).sign > 0
    ]
