"""What the page on target networks says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from .. import stats
from ..answers import CONTRADICTED, SUPPORTED, TOO_FEW, Phrases, answer, phrases, unanswered, word
from ..findings import case, count, in_tasks, listed
from ..front_page import side
from ..stats import Interval
from ..target_statistics import MARGIN

RHO = "\N{GREEK SMALL LETTER RHO} with the return"
QUESTIONS: dict[str, Phrases] = {
    "shift": phrases(
        -1,
        0.0,
        "LN's best period is shorter than None's",
        "LN's best period is longer than None's",
        "whether LN's best period is shorter",
    ),
    "gain_none": phrases(
        1,
        0.0,
        "a target network raises None's return",
        "a target network lowers None's return",
        "what a target network does for None",
    ),
    "rest": phrases(
        1,
        0.0,
        "LN without a target network returns more than None with its best one",
        "LN without a target network returns less than None with its best one",
        "which of LN alone and a target network alone returns more",
    ),
    "share": phrases(
        1,
        1 - MARGIN,
        "LN alone brings at least four fifths of what the target network does",
        "LN alone brings less than four fifths of what the target network does",
        "what share of it LN alone brings",
    ),
    "gain_layer": phrases(
        1,
        0.0,
        "a target network raises LN's return as well",
        "a target network lowers LN's return",
        "what a target network adds to LN",
    ),
}
"""By statistic of `target_statistics`."""


def sentences(found: Mapping[str, Mapping[str, Interval]], sized: bool = False) -> dict[str, str]:
    """A sentence for each question of `QUESTIONS`.

    **Arguments** `found`: task -> statistic -> interval. `sized`: as for `answer`.
    """
    return {
        name: answer({task: values[name] for task, values in found.items()}, phrases, sized)
        for name, phrases in QUESTIONS.items()
    }


def in_short(
    found: Mapping[str, Mapping[str, Interval]],
    calm: Mapping[str, Mapping[str, Interval]],
    by_task: Mapping[str, pd.DataFrame],
) -> tuple[str, ...]:
    """Whether LN replaces the target network, what one brings, whether LN's period is shorter.

    **Arguments** `found`: as for `sentences`. `calm`: the same without the learning rates at
    which a run was clamped; a task without any left is missing. `by_task`: the runs.
    """
    if unanswered(values["rest"] for values in found.values()):
        return (TOO_FEW,)
    said = sentences(found)
    sign, against, _ = QUESTIONS["rest"]
    words = {task: word(values["rest"], sign, against) for task, values in calm.items()}
    less, more = (
        [task for task in words if words[task] == side] for side in (CONTRADICTED, SUPPORTED)
    )
    catch = case(
        (less, f"it returns less than None with its best one {in_tasks(less, len(found))}."),
        (more, f"it still returns more than None with its best one {in_tasks(more, len(found))}."),
        "which of the two returns more is not decided in any task.",
    )
    fair = [task for task in less if never_clamped(by_task[task])]
    unlike = f"At the rates left out in {listed(fair)} only runs without LN were clamped."
    return (
        said["rest"],
        f"Counting only learning rates at which no run was clamped, {catch}",
        case((fair, unlike), ""),
        said["gain_none"],
        said["gain_layer"],
        said["shift"],
    )


def never_clamped(runs: pd.DataFrame) -> bool:
    """Whether no run with LN was clamped, at any learning rate and period."""
    return not (runs.loc[runs["norm"] == "layer", "clamped_steps"] > 0).any()


def view(found: Mapping[str, Mapping[str, Interval]]) -> str:
    """The same questions by another average.

    **Arguments** `found`: as for `sentences`; it may hold no task.
    """
    if unanswered(values["rest"] for values in found.values()):
        return TOO_FEW if found else ""
    said = sentences(found, sized=True)
    return " ".join(said[name] for name in ("rest", "gain_none", "gain_layer", "shift"))


def rates_left(by_task: Mapping[str, pd.DataFrame], calm: Mapping[str, pd.DataFrame]) -> str:
    """How many learning rates are left in each task."""
    left = listed(f"{calm[env]['lr'].nunique()} in {env}" for env in calm)
    every = max(some["lr"].nunique() for some in by_task.values())
    largest = {env: some["lr"].max() for env, some in calm.items()}
    first = all(
        (lr := by_task[env]["lr"])[lr <= top].nunique() == calm[env]["lr"].nunique()
        for env, top in largest.items()
    )
    return f"Of the {every} learning rates there remain {'the smallest, ' * first}{left}."


HELD = {"sgi": -1, "sgi_target": -1, "gi2": 1, "gi2_target": 1}
"""Metrics with the online network and with the target held, and the side that LN moves them to."""
NAMES = {"sgi": "SGI", "gi2": "GI₂"} | {"sgi_target": "SGI, held", "gi2_target": "GI₂, held"}


def held(by_task: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """LN's effect on each metric of `HELD` and the metric's link with the return.

    **Returns** intervals, a row a task and period: columns ("lower with LN" or "higher with LN",
    metric), the share of learning rates, and ("rho with the return", metric).
    """
    rows = {}
    for env, runs in by_task.items():
        for period, at in runs[runs["target_period"] > 0].groupby("target_period"):
            rows[env, f"{period:,}"] = {
                (_effect(sign), metric): stats.sign_share(at, metric, sign)
                for metric, sign in HELD.items()
            } | {(RHO, metric): stats.spearman_interval(at, metric, "return") for metric in HELD}
    return pd.DataFrame.from_dict(rows, orient="index")


def named(found: pd.DataFrame) -> pd.DataFrame:
    """`held` with the metrics' names."""
    return found.rename(columns=NAMES, level=1)


def renewed(by_task: Mapping[str, pd.DataFrame]) -> str:
    """At which periods every checkpoint finds a target just renewed, and SGI the same both ways."""
    runs = pd.concat(by_task.values())
    runs = runs[runs["target_period"] > 0]
    same = (runs["sgi"] == runs["sgi_target"]) | (runs["sgi"].isna() & runs["sgi_target"].isna())
    fresh = same.groupby(runs["target_period"]).all()
    return case(
        (
            fresh.any(),
            f"At the periods {listed(f'{period:,}' for period in fresh.index[fresh])} every "
            "checkpoint is a multiple of the period and finds a target that has just been renewed: "
            "SGI is the same both ways, and of GI₂ only the gradient of h differs. A target that "
            "has grown old is measured at the other periods alone.",
        ),
        "",
    )


def held_told(found: pd.DataFrame) -> tuple[str, ...]:
    """In how many pairs of a task and a period LN moves a metric, and it goes with the return.

    **Arguments** `found`: of `held`.
    """
    pairs = f"Of {count(len(found), 'pair')} of a task and a period"

    def both(counted: Callable[[str], str], metric: str) -> str:
        return f"in {counted(metric)}, and with the target held in {counted(metric + '_target')}"

    def moved(metric: str) -> str:
        shares = found[_effect(HELD[metric]), metric]
        return f"{sum(share.low > 0.5 for share in shares)}"

    def linked(metric: str) -> str:
        signs = [side(rho) for rho in found[RHO, metric]]
        return f"{signs.count(1)} and {signs.count(-1)}"

    return (
        *(
            f"{pairs}, {NAMES[metric]} is {_effect(HELD[metric])} at surely over half of the "
            f"learning rates {both(moved, metric)}."
            for metric in ("sgi", "gi2")
        ),
        *(
            f"{pairs}, the rank correlation of {NAMES[metric]} with the return is clearly, and "
            f"beyond chance, above 0 and below 0 {both(linked, metric)}."
            for metric in ("sgi", "gi2")
        ),
    )


def _effect(sign: int) -> str:
    return "higher with LN" if sign > 0 else "lower with LN"
