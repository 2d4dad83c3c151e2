"""Each network at its own best learning rate, in tables and words.

Chosen on one half of the seeds and scored on the other (`returns.crossfit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from . import returns
from .findings import case, in_tasks, listed
from .returns import Scores
from .stats import Interval, clear, in_order
from .tables import number


def at_best(runs: pd.DataFrame, networks: Mapping[str, str]) -> pd.DataFrame:
    """One row a task: each network's return at its own best rate, as an `Interval`, and the rate.

    **Arguments** `runs`: as for `returns.scores`, of several tasks. `networks`: networks and what
    the table calls them; with "LN" and "None" among the names their difference, too.
    """
    rows = {}
    for env in in_order(runs["env"]):
        found = returns.scores(runs[runs["env"] == env], tuple(networks), "best")
        assert found is not None  # without clamping to mind, some learning rate is left
        rows[env] = _row(found, list(networks.values()))
    return pd.DataFrame(rows).T


def chosen(runs: pd.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    """By task: the best learning rates of LN's halves of the seeds, and of None's.

    **Arguments** `runs`: one row a run, one optimizer, with norm.
    """
    found = {}
    for env in in_order(runs["env"]):
        scores = returns.scores(runs[runs["env"] == env], ("layer", "none"), "best")
        halves = scores.chosen if scores and scores.chosen else ((), ())
        found[env] = (list(halves[0]), list(halves[1]))
    return found


def from_clamped(runs: pd.DataFrame) -> pd.Series:
    """By task: the part of LN's averaged gain from rates at which every None run was clamped."""
    envs = in_order(runs["env"])
    shares = {env: returns.share_where_none_is_clamped(runs[runs["env"] == env]) for env in envs}
    return pd.Series(shares, dtype=object)


def gain_in_words(table: pd.DataFrame) -> str:
    """Where LN returns more than None when both have their own best rate.

    **Arguments** `table`: of `at_best`, with the column LN minus None.
    """
    if table["LN minus None"].map(lambda gain: np.isnan(gain.low)).any():
        return (
            "With so few seeds there is no half to choose a learning rate on and one to score it."
        )
    more, less = clear(table["LN minus None"])
    open_ = [env for env in table.index if env not in (*more, *less)]
    told = f"LN returns more than the network without LN {in_tasks(more, len(table))}."
    told += case((less, f" It returns less in {listed(less)}."), "")
    told += case((open_, f" The interval contains 0 in {listed(open_)}."), "")
    return f"Each network at its own best learning rate: {told}"


def clamped_in_words(shares: pd.Series) -> str:
    """How much of the averaged gain comes from rates at which None always diverged."""
    known = shares[[bool(np.isfinite(share.value)) for share in shares]]
    some = {env: share.value for env, share in known.items() if round(share.value, 2) > 0}
    parts = [f"{value:.0%} in {env}" for env, value in some.items()]
    beyond = [env for env, value in some.items() if value > 1]
    told = case(
        (not len(known), "LN gains nothing on average here, so there is no gain to take apart."),
        (
            not some,
            "No part of LN's gain, averaged over learning rates, comes from rates at which every "
            "network without LN was clamped.",
        ),
        "Averaged over learning rates, the rates at which every run without LN was "
        f"[clamped](glossary.md#term-clamped) account for {listed(parts)} of LN's gain.",
    )
    rest = f"over the other rates LN has the lower return in {listed(beyond)}"
    return told + case((beyond, f" A share above 100% means that {rest}."), "")


def shares_at_best(
    runs: pd.DataFrame, networks: Mapping[str, tuple[str, str]]
) -> dict[str, pd.DataFrame]:
    """What part of LN's gain a difference is, averaged over rates and at each one's best.

    **Arguments** `networks`: by the table's name a network and its baseline.

    **Returns** "average" and "best": one row a task, one column a name, `Interval`s.
    """
    envs = in_order(runs["env"])
    found = {}
    for over in ("average", "best"):
        rows = {
            env: {
                name: _interval(returns.share(runs[runs["env"] == env], network, base, over))
                for name, (network, base) in networks.items()
            }
            for env in envs
        }
        found[over] = pd.DataFrame(rows).T
    return found


def _row(found: Scores, names: Sequence[str]) -> dict[str, object]:
    row: dict[str, object] = {}
    for i, name in enumerate(names):
        row[name] = found.of(lambda *means, i=i: means[i]).interval
    if {"LN", "None"} <= set(names):
        ln, none = names.index("LN"), names.index("None")
        row["LN minus None"] = found.of(lambda *means: means[ln] - means[none]).interval
    for name, rates in zip(names, found.chosen, strict=False):
        row[f"{name}'s rate"] = " or ".join(number(rate, 1) for rate in sorted(rates))
    return row


def _interval(found: object) -> Interval:
    return found.interval if found is not None else Interval(np.nan, np.nan, np.nan, 0)
