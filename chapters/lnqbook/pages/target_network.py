"""What the page on target networks says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from .. import ranks, stats
from ..answers import (
    CONTRADICTED,
    SUPPORTED,
    TOO_FEW,
    Phrases,
    agreed,
    answer,
    phrases,
    unanswered,
    word,
)
from ..findings import case, count, in_tasks, led, listed
from ..ranks import side
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
        "LN alone brings at least four fifths of what a target network brings to None",
        "LN alone brings less than four fifths of what a target network brings to None",
        "what share of a target network's gain LN alone brings",
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
    average: Mapping[str, Mapping[str, Interval]],
    best: Mapping[str, Mapping[str, Interval]],
    calm: Mapping[str, Mapping[str, Interval]],
    by_task: Mapping[str, pd.DataFrame],
) -> tuple[str, ...]:
    """Whether LN replaces the target network, what one brings, whether LN's period is shorter.

    **Arguments** `average`, `best`: as for `sentences`, by the two averages of the plan. `calm`:
    without the learning rates at which a run was clamped; a task without any left is missing.
    `by_task`: the runs.
    """
    if unanswered(values["rest"] for values in average.values()):
        return (TOO_FEW,)
    views = (average, best, calm)
    answers = [
        agreed([{env: found[env][name] for env in found} for found in views], QUESTIONS[name])
        for name in ("gain_none", "gain_layer", "shift")
    ]
    return (
        led("Averaged over learning rates,", sentences(average, sized=True)["rest"]),
        led("With each at its own best learning rate,", sentences(best, sized=True)["rest"]),
        catch(calm, by_task),
        led("By these three averages,", " ".join(answers)),
    )


def catch(calm: Mapping[str, Mapping[str, Interval]], by_task: Mapping[str, pd.DataFrame]) -> str:
    """Which of the two returns more where no run was clamped.

    **Arguments** as for `in_short`.
    """
    sign, against, _ = QUESTIONS["rest"]
    words = {task: word(values["rest"], sign, against) for task, values in calm.items()}
    less, more = (
        [task for task in words if words[task] == side] for side in (CONTRADICTED, SUPPORTED)
    )
    lower, higher = (in_tasks(some, len(by_task)) for some in (less, more))
    found = case(
        (not words, "there is nothing to compare, for no learning rate is left."),
        (
            less and more,
            f"it returns less than None with its best one {lower}, and still more {higher}.",
        ),
        (less, f"it returns less than None with its best one {lower}."),
        (more, f"it still returns more than None with its best one {higher}."),
        "it is undecided in every task which of the two returns more.",
    )
    fair = [task for task in less if only_none_clamped(by_task[task])]
    unlike = f" At the rates left out in {listed(fair)} only runs without LN were clamped."
    start = "Counting only learning rates at which no run was clamped,"
    return f"{start} {found}{case((fair, unlike), '')}"


def never_renewed(periods: Sequence[int], steps: int) -> str:
    """Which periods are too long for runs of so many steps."""
    long = [f"{period:,}" for period in periods if period >= steps]
    which = f"a period of {listed(long)}"
    return case(
        (long, f"In {steps:,} steps a target network with {which} keeps its initial weights."), ""
    )


def only_none_clamped(runs: pd.DataFrame) -> bool:
    """Whether runs without LN were clamped, and none with it, at any learning rate and period."""
    return set(runs.loc[runs["clamped_steps"] > 0, "norm"]) == {"none"}


def view(found: Mapping[str, Mapping[str, Interval]]) -> str:
    """The questions by one average; "" where there is no answer.

    **Arguments** `found`: as for `sentences`; it may hold no task.
    """
    if unanswered(values["rest"] for values in found.values()):
        return ""
    said = sentences(found, sized=True)
    return " ".join(said[name] for name in ("rest", "gain_none", "gain_layer", "shift"))


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


def fresh_periods(by_task: Mapping[str, pd.DataFrame]) -> list[int]:
    """The periods at which every checkpoint finds a target just renewed, and SGI the same."""
    runs = pd.concat(by_task.values())
    runs = runs[runs["target_period"] > 0]
    same = (runs["sgi"] == runs["sgi_target"]) | (runs["sgi"].isna() & runs["sgi_target"].isna())
    fresh = same.groupby(runs["target_period"]).all()
    return fresh.index[fresh].tolist()


def renewed(fresh: Sequence[int]) -> str:
    """What cannot be seen at the periods of `fresh_periods`."""
    periods = f"{'period' if len(fresh) == 1 else 'periods'} {listed(map('{:,}'.format, fresh))}"
    return case(
        (
            fresh,
            f"At the {periods} every checkpoint is a multiple of the period and finds a target "
            "that has just been updated: SGI is the same both ways, and of GI₂ only the gradient "
            "of h differs. A target that has grown old is measured at the other periods alone.",
        ),
        "",
    )


def held_told(found: pd.DataFrame, fresh: Sequence[int] = ()) -> tuple[str, ...]:
    """In how many pairs of a task and a period LN moves a metric, and it goes with the return.

    **Arguments** `found`: of `held`. `fresh`: periods that say nothing of SGI with the target held.
    """
    told = []
    for metric in ("sgi", "gi2"):
        known = ~found.index.get_level_values(1).isin([f"{period:,}" for period in fresh])
        aged = found[known] if metric == "sgi" else found
        side_told = f"is {_effect(HELD[metric])} at clearly over half of the learning rates"
        told.append(
            f"{NAMES[metric]} {side_told} in {_moved(found, metric)} of task and period"
            + case((len(aged), f"; with the target held in {_moved(aged, f'{metric}_target')}"), "")
            + "."
        )
        told.append(
            f"The rank correlation of {NAMES[metric]} with the return is {_linked(found, metric)}"
            + case((len(aged), f"; with the target held {_linked(aged, f'{metric}_target')}"), "")
            + "."
        )
    return tuple(told)


def bar(found: pd.DataFrame) -> str:
    """How far from 0 a correlation counts.

    **Arguments** `found`: of `held`.
    """
    points = {rho.count for metric in HELD for rho in found[RHO, metric]}
    bounds = {
        f"{ranks.chance_bound(n):.2f} for {n} points" for n in points if n >= ranks.MIN_POINTS
    }
    return case(
        (
            bounds,
            "A correlation counts as above or below 0 where its interval is and where it is "
            "further from 0 than points in random order get in 5% of cases: "
            f"{listed(sorted(bounds))}.",
        ),
        f"From fewer than {ranks.MIN_POINTS} points no correlation counts.",
    )


def _moved(found: pd.DataFrame, metric: str) -> str:
    shares = found[_effect(HELD[metric]), metric]
    return f"{sum(share.low > 0.5 for share in shares)} of {count(len(shares), 'pair')}"


def _linked(found: pd.DataFrame, metric: str) -> str:
    signs = [side(rho) for rho in found[RHO, metric]]
    pairs = count(len(signs), "pair")
    return f"above 0 in {signs.count(1)} and below 0 in {signs.count(-1)} of {pairs}"


def _effect(sign: int) -> str:
    return "higher with LN" if sign > 0 else "lower with LN"
