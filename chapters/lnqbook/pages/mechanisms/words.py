"""What the study says, in sentences that its numbers choose."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ...findings import case, listed
from ...mechanisms import (
    ACCOUNTS,
    FAILS,
    NECESSARY,
    NO_SHARE,
    NOT,
    PART,
    SUFFICIENT,
    UNDECIDED,
)
from ...numbers import interval

BEARING = {
    ACCOUNTS: ACCOUNTS,
    PART: "accounts for part of the gain",
    NOT: "does not account for the gain",
    UNDECIDED: UNDECIDED,
}


def in_tasks(envs: Iterable[str], every: int) -> str:
    """`in all 4 tasks`, `in CartPole and Pendulum`."""
    envs = list(envs)
    return f"in all {every} tasks" if len(envs) == every > 1 else f"in {listed(envs)}"


def answer(found: pd.DataFrame) -> list[str]:
    """The page's answer: a placebo that does not pass comes first, then three sentences.

    **Arguments** `found`: as `mechanisms.answers` gives it, over each network's best rate.
    """
    two = found[found["kind"] == "two-sided"]
    return [s for s in (placebo_first(found), main(two), excluded(two), rest(found)) if s]


def main(two: pd.DataFrame) -> str:
    """Which mechanisms account for the gain."""
    tasks = two["env"].nunique()
    by = {name: list(rows["env"]) for name, rows in two[two["verdict"] == ACCOUNTS].groupby(
        "mechanism", sort=False)}  # fmt: skip
    judged = two[two["verdict"] != NO_SHARE]
    everywhere = [name for name, envs in by.items() if len(envs) == judged["env"].nunique()]
    told = "; ".join(f"the {name} {in_tasks(envs, tasks)}" for name, envs in by.items())
    one = next(iter(by), "")
    mine = two[(two["mechanism"] == one) & (two["verdict"] == ACCOUNTS)]
    return case(
        (
            judged.empty,
            "LN's gain is not clear of zero in any task shown, so there is none to be shared out.",
        ),
        (
            len(by) == 1,
            f"{'' if everywhere else 'In some tasks '}LN's gain is made of its {one}: added to a "
            f"network without LN it brings {_sizes(mine['S'])} of the gain, and taken from LN it "
            f"costs {_sizes(mine['N'])}, each surely more than half, "
            f"{in_tasks(by.get(one, ()), tasks)}.",
        ),
        (
            bool(by),
            "Several mechanisms account for LN's gain, each of which brings more than half of it "
            f"when added and costs more than half when removed: {told}.",
        ),
        "No mechanism studied here accounts for LN's gain in any task: none surely brings more "
        "than half of it when added and costs more than half when removed.",
    )


def _sizes(shares: pd.Series) -> str:
    """`86%` or `86% to 92%`; nothing for none."""
    ends = dict.fromkeys(f"{end(s.value for s in shares):.0%}" for end in (min, max) if len(shares))
    return " to ".join(ends)


def excluded(two: pd.DataFrame) -> str:
    """Which mechanisms are not what the gain is made of."""
    out = two[two["verdict"] == NOT]
    every = two["env"].nunique()
    told = "; ".join(
        f"{name} {in_tasks(rows['env'], every)}"
        for name, rows in out.groupby("mechanism", sort=False)
    )
    return case(
        ((two["verdict"] == NO_SHARE).all(), ""),
        (out.empty, "None of the mechanisms can be ruled out in any task."),
        "Not what the gain is made of, for adding it brings or removing it costs less than a "
        f"fifth: {told}.",
    )


def rest(found: pd.DataFrame) -> str:
    """What is in part or open, and whether the placebos pass."""
    two = found[(found["kind"] == "two-sided") & (found["verdict"] != NO_SHARE)]
    if two.empty:
        return ""
    words = {
        PART: ("accounts", "account", " for part of the gain"),
        UNDECIDED: ("is", "are", " undecided"),
    }
    counts = {word: int((two["verdict"] == word).sum()) for word in words}
    told = " and ".join(
        f"{n} {one if n == 1 else more}{rest}"
        for (one, more, rest), n in zip(words.values(), counts.values(), strict=True)
        if n
    )
    left = case(
        (told, f"Of the {len(two)} combinations of mechanism and task, {told}"),
        "No combination of mechanism and task stays open",
    )
    kept = found[found["kind"] == "placebo"]
    passes = case(
        (kept.empty or (kept["verdict"] == FAILS).any(), "."),
        ((kept["verdict"] == NO_SHARE).all(), "."),
        "; the placebos pass.",
    )
    return left + passes


def placebo_first(found: pd.DataFrame) -> str:
    """The sentence on placebos that fail; "" where none does."""
    mine = found[found["kind"] == "placebo"]
    failed = mine[mine["verdict"] == FAILS]
    moved = failed[[any(s and s.sign for s in (row.S, row.N)) for row in failed.itertuples()]]
    number = f"{len(moved) or len(failed)} of {len(mine)} combinations of placebo and task"
    return case(
        (failed.empty, ""),
        (
            len(moved),
            f"In {number} the placebo moves the return, which it should not, most of all "
            f"{_worst(moved)}. What the mechanism with the same form does there is not all due to "
            "its content.",
        ),
        f"In {number} the placebo does not pass, because its interval leaves the fifth of LN's "
        f"gain that the rule allows, most of all {_worst(failed)}.",
    )


def _worst(rows: pd.DataFrame) -> str:
    """The placebo and task whose interval reaches furthest from 0; nothing for no rows."""
    told = {
        max(abs(s.low), abs(s.high)): f"{row.mechanism} in {row.env}, {interval(s, '.2f')}"
        for row in rows.itertuples()
        for s in (row.S, row.N)
        if s
    }
    return told[max(told)] if told else ""


def one_sided(found: pd.DataFrame) -> list[str]:
    """A sentence for each mechanism that was added, or removed, alone."""
    mine = found[(found["kind"] == "one-sided") & (found["verdict"] != NO_SHARE)]
    told = []
    for name, rows in mine.groupby("mechanism", sort=False):
        every = rows["env"].nunique()
        word = SUFFICIENT if rows["S"].notna().any() else NECESSARY
        parts = [
            f"{verdict} {in_tasks(rows.loc[rows['verdict'] == verdict, 'env'], every)}"
            for verdict in (word, f"not {word}", UNDECIDED)
            if (rows["verdict"] == verdict).any()
        ]
        told.append(f"**{name[0].upper()}{name[1:]}**: {'; '.join(parts)}.")
    return told


def changed(best: pd.DataFrame, average: pd.DataFrame) -> str:
    """Which verdicts another way of averaging changes."""
    both = best.merge(average, on=["mechanism", "kind", "env"], suffixes=("", "_average"))
    both = both[both["kind"] != "placebo"]
    other = both[both["verdict"] != both["verdict_average"]]
    told = "; ".join(
        f"{row.mechanism} in {row.env}: {row.verdict}, averaged {row.verdict_average}"
        for row in other.itertuples()
    )
    return case(
        (both.empty, ""),
        (
            other.empty,
            "Averaged over the learning rates, as in Table 1, every verdict is the same.",
        ),
        f"Averaged over the learning rates, as in Table 1, {len(other)} of {len(both)} verdicts "
        f"change: {told}.",
    )


def cleanness(moved: pd.DataFrame) -> str:
    """Which arms did what they say and nothing else.

    **Arguments** `moved`: rows of `mediators.moved_in` with columns env and arm.
    """
    clean = moved[moved["unclean"].map(len) == 0]
    told = listed(f"{row.arm} ({row.env})" for row in clean.itertuples())
    return case(
        (moved.empty, ""),
        (
            clean.empty,
            f"None of the {len(moved)} combinations of arm and task is clean: each misses its own "
            "mediator or moves another, so a share says what the arm does, not what its mediator "
            "does alone.",
        ),
        (len(clean) == len(moved), f"All {len(moved)} combinations of arm and task are clean."),
        f"{len(clean)} of {len(moved)} combinations of arm and task are clean: {told}. The others "
        "miss their own mediator or move another, as the table shows.",
    )


def order(ranked: pd.DataFrame) -> str:
    """The ranking of the two-sided mechanisms and what its contrasts say."""
    two = ranked[ranked["kind"] == "two-sided"]
    there = two[np.isfinite([score.value for score in two["score"]])]
    if there.empty:
        return "There is no gain to rank the mechanisms by."
    names = [f"{row.mechanism} ({interval(row.score, '.2f')})" for row in there.itertuples()]
    clear = [
        f"{row.mechanism} before {following}"
        for row, following in zip(there.itertuples(), there["mechanism"][1:], strict=False)
        if row.ahead and row.ahead.low > 0
    ]
    contrasts = case(
        (not clear, "no mechanism is surely ahead of the next"),
        f"surely ahead of the next: {'; '.join(clear)}",
    )
    return f"By the mean over tasks of the smaller share: {', '.join(names)}; {contrasts}."


def placebos(found: pd.DataFrame) -> str:
    """How many placebos pass, and which do not."""
    mine = found[(found["kind"] == "placebo") & (found["verdict"] != NO_SHARE)]
    failed = mine[mine["verdict"] == FAILS]
    every = f"{len(mine)} combinations of placebo and task"
    return case(
        (mine.empty, "There is no gain of LN against which a placebo could be held."),
        (failed.empty, f"All {every} pass."),
        f"{len(mine) - len(failed)} of {every} pass. Furthest from passing is {_worst(failed)}.",
    )


def printed(found: pd.DataFrame, judged: bool) -> str:
    """The second reading: networks without biases."""
    return case(
        (found.empty, "The networks without biases are read from the study's results alone."),
        (judged, " ".join(one_sided(found)) or "LN's gain is not clear of 0 in any task."),
        "",
    )


def bearing(found: pd.DataFrame) -> list[str]:
    """What the study says of the mechanisms that the paper names, a sentence each."""
    paper = {
        "learning-rate decay": "Decay of the learning rate (App. D, claim 22)",
        "less overshoot": "Less overshoot, which GI2 is to measure (claim 9)",
        "isometry": "Isometry (claim 20)",
    }
    told = []
    for name, label in paper.items():
        rows = found[(found["mechanism"] == name) & (found["verdict"] != NO_SHARE)]
        every = len(rows)
        parts = [
            f"{says} {in_tasks(rows.loc[rows['verdict'] == verdict, 'env'], every)}"
            for verdict, says in BEARING.items()
            if (rows["verdict"] == verdict).any()
        ]
        told.append(f"{label}: {'; '.join(parts)}." if parts else "")
    return [text for text in told if text]
