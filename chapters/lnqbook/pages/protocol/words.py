"""What the page on the protocol says: whether LN's gain survives, and what moves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...figures.style import NAMES
from ...findings import case, in_tasks, listed
from ...numbers import number
from .changes import DEFAULTS

LEVEL = 0.95


def survival(gained: pd.DataFrame) -> str:
    """Whether LN's gain survives each protocol.

    **Arguments** `gained`: columns env, protocol, low, high of LN minus None.
    """
    sure = gained.dropna(subset=["low", "high"])
    if sure.empty:
        return "Whether LN's gain survives other readings cannot be said: one seed has no interval."
    fails, open_ = sure[sure["high"] < 0], sure[(sure["low"] <= 0) & (sure["high"] >= 0)]
    envs = sure["env"].nunique()
    if fails.empty and open_.empty:
        return (
            "LN's gain survives what the paper leaves open: under every protocol LN returns more "
            f"than the network without LN {in_tasks(list(sure['env'].unique()), envs)}."
        )
    held = len(sure) - len(fails) - len(open_)
    told = (
        f"LN returns more than the network without LN in {held} of {len(sure)} combinations of "
        "protocol and task."
    )
    told += case((len(fails), f" It returns less {_combined(fails)}."), "")
    return told + case((len(open_), f" The interval contains 0 {_combined(open_)}."), "")


def sizes(gained: pd.DataFrame) -> str:
    """How much the gain depends on the protocol: the task in which it varies most.

    **Arguments** `gained`: columns env, protocol, value, of more than one protocol a task.
    """
    some = gained.groupby("env", sort=False).filter(lambda rows: len(rows) > 1)
    if some.empty:
        return ""
    scale = some.groupby("env")["value"].transform(lambda gain: gain.abs().max())
    spread = (some["value"] / scale).groupby(some["env"]).agg(np.ptp)
    mine = some[some["env"] == spread.idxmax()]
    low, high = mine.loc[mine["value"].idxmin()], mine.loc[mine["value"].idxmax()]
    return (
        f"The size of its gain depends on the choice, most of all in {mine['env'].iloc[0]}: from "
        f"{number(low['value'], spec='.0f')} ({low['protocol']}) to "
        f"{number(high['value'], spec='.0f')} ({high['protocol']})."
    )


def shifts_in_words(shifts: pd.DataFrame, half: pd.Series) -> str:
    """How many cells move, and the largest shift of each task.

    **Arguments** `shifts`: columns env, norm, protocol, value, low, high. `half`: by (env, norm),
    half the width of the default cell's interval.
    """
    clear = int(((shifts["low"] > 0) | (shifts["high"] < 0)).sum())
    width = half.reindex(pd.MultiIndex.from_frame(shifts[["env", "norm"]])).to_numpy()
    beyond = int((shifts["value"].abs() > width).sum())
    largest = shifts.loc[shifts["value"].abs().groupby(shifts["env"], sort=False).idxmax()]
    parts = [
        f"{number(row.value, spec='+.0f')} in {row.env} ({_network(row.norm)}, {row.protocol})"
        for row in largest.itertuples()
    ]
    return (
        f"**How far?** Of {len(shifts)} returns under a change, {_differ(clear)} clearly from "
        f"the defaults', and {beyond or 'none'} by more than half the width of the defaults' own "
        f"interval. The largest shifts: {listed(parts)}."
    )


def without_end(datasets: pd.DataFrame) -> str:
    """In how many datasets the mask has nothing to mask.

    **Arguments** `datasets`: one row a dataset: env, goal_transitions.
    """
    none = datasets["goal_transitions"] == 0
    each = none.groupby(datasets["env"], sort=False).agg(["sum", "size"])
    parts = [
        f"{row['sum']} of {row['size']} in {env}" for env, row in each.iterrows() if row["sum"]
    ]
    return case(
        (
            parts,
            "**Where does the mask make no difference?** Where a dataset holds no terminated "
            f"transition: {listed(parts)}.",
        ),
        "**Where does the mask make no difference?** Every dataset here holds a terminated "
        "transition.",
    )


def flips(board: pd.DataFrame) -> str:
    """How many verdicts a change turns.

    **Arguments** `board`: a row a protocol, the defaults first, and a column a claim.
    """
    turned = int((board != board.iloc[0]).to_numpy().sum())
    judged = int(board.iloc[1:].size)
    return case(
        (
            turned,
            f"Of {judged} verdicts under a change, {_differ(turned)} from the defaults'.",
        ),
        (judged, f"None of the {judged} verdicts under a change differs from the defaults'."),
        "No change applies here.",
    )


def nearest(away: pd.DataFrame) -> str:
    """Which protocol gives the table nearest to the paper's, and whether that is sure.

    **Arguments** `away`: of `protocol.distances`.
    """
    if away.empty:
        return (
            "None of the tasks shown has both numbers in the paper, so no protocol can be said to "
            "be nearest to its table."
        )
    best = away.loc[away["value"].idxmin()]
    usual = away.loc[away["protocol"] == DEFAULTS.name, "value"].iloc[0]
    rival = f" (at a distance of {best['value']:.2f}, the defaults at {usual:.2f})"
    name = "that of the defaults" if best["protocol"] == DEFAULTS.name else best["protocol"]
    told = f"The protocol whose table is nearest to the paper's Table 1 is {name}"
    told += rival if name == best["protocol"] else ""
    return told + case(
        (np.isnan(best["nearest"]), "; one seed cannot say how clearly."),
        (
            best["nearest"] >= LEVEL,
            f", in {best['nearest']:.1%} of the resamples. That is past the {LEVEL:.0%} asked for "
            "here, and says so only of the protocols on this list.",
        ),
        f", in {best['nearest']:.1%} of the resamples. That is short of the {LEVEL:.0%} asked for "
        "here: which protocol the paper used is undecided.",
    )


def _differ(number: int) -> str:
    return f"{number or 'none'} {'differ' if number > 1 else 'differs'}"


def _network(norm: str) -> str:
    return "without LN" if norm == "none" else NAMES[norm]


def _combined(rows: pd.DataFrame) -> str:
    """`with rollout data in MountainCar and as printed in CartPole`."""
    parts = [
        f"{'with' if name != 'as printed' else ''} {name} in {listed(mine['env'])}".strip()
        for name, mine in rows.groupby("protocol", sort=False)
    ]
    return listed(parts)
