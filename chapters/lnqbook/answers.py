"""Sentences that the data choose: what a question's intervals say, task by task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from . import numbers
from .findings import case, in_tasks, listed
from .stats import Interval

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
DEPENDS = "depends on the average"
NO_ANSWER = "no interval"
TOO_FEW = (
    "From so few seeds there is no answer: choices are made on one half of them and scored on the "
    "other, and each half needs two."
)
MOST_SEEDS = 1_000

Phrases = tuple[int, float, dict[str, str]]
"""The side and the number of a question, and what each answer says."""


def word(interval: Interval, sign: int, against: float = 0.0) -> str:
    """What an interval says of "it lies on the `sign` side of `against`"."""
    if not np.isfinite([interval.low, interval.high]).all():
        return NO_ANSWER
    side = int(interval.low > against) - int(interval.high < against)
    return {1: SUPPORTED, -1: CONTRADICTED, 0: UNDECIDED}[sign * side]


def sentence(words: pd.Series, phrases: Mapping[str, str], every: bool = True) -> str:
    """One sentence from the tasks' words, as in "It rises in Acrobot; it falls in CartPole."

    **Arguments** `words`: by task. `phrases`: word -> a phrase that "in TASKS" can follow, in the
    order in which they are to come; a word that no task has is left out. `every`: whether all tasks
    are "all 4 tasks" and not named.

    **Raises** `KeyError` for a word without a phrase.
    """
    missing = set(words) - set(phrases)
    if missing:
        raise KeyError(f"no phrase for {', '.join(sorted(missing))}")
    parts = [
        f"{phrase} {in_tasks(list(words.index[words == name]), len(words) * every)}"
        for name, phrase in phrases.items()
        if (words == name).any()
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def phrases(sign: int, against: float, yes: str, no: str, topic: str) -> Phrases:
    """What is said where an interval is on the asked side, on the other, on neither."""
    texts = {SUPPORTED: yes, CONTRADICTED: no, DEPENDS: f"{topic} depends on the average"}
    texts |= {UNDECIDED: f"{topic} is undecided", NO_ANSWER: f"{topic} has no interval"}
    return sign, against, texts


def answer(intervals: Mapping[str, Interval], phrases: Phrases, sized: bool = False) -> str:
    """One sentence on one question.

    **Arguments** `intervals`: task -> the interval that answers it there. `sized`: whether to put
    the value behind each task, which may be decided and tiny.
    """
    sign, against, texts = phrases
    words = pd.Series(
        {task: word(interval, sign, against) for task, interval in intervals.items()}, dtype=object
    )
    if sized:
        values = [numbers.number(interval.value, 2) for interval in intervals.values()]
        words.index = [f"{task} ({value})" for task, value in zip(words.index, values, strict=True)]
    return sentence(words, texts, every=not sized)


def agreed(views: Iterable[Mapping[str, Interval]], phrases: Phrases) -> str:
    """One sentence on one question that several averages answer.

    A task has their common answer, or it depends on the average.

    **Arguments** `views`: by average, task -> the interval that answers it; a later one may lack
    tasks.
    """
    sign, against, texts = phrases
    words: dict[str, set[str]] = {}
    for view in views:
        for task, interval in view.items():
            words.setdefault(task, set()).add(word(interval, sign, against))
    common = {}
    for task, found in words.items():
        answers = found - {NO_ANSWER} or found
        common[task] = answers.pop() if len(answers) == 1 else DEPENDS
    return sentence(pd.Series(common, dtype=object), texts)


def coverage(seeds: int) -> float:
    """How often a 95% interval from two resampled halves of normally distributed seeds holds.

    The resampled variance of a half of n is (n - 1) / n of what it estimates, and is estimated with
    n - 1 degrees of freedom: P(|t| < 1.96 sqrt((n - 1) / n)), t with 2 (n - 1) degrees.
    """
    half = seeds / 2
    return float(1 - 2 * t.sf(norm.ppf(0.975) * np.sqrt(1 - 1 / half), 2 * (half - 1)))


def rates_left(runs: pd.DataFrame, calm: pd.DataFrame) -> str:
    """How many learning rates are left in each task.

    **Arguments** `calm`: the runs that are left.
    """
    rates, left = (some.groupby("env", sort=False)["lr"].unique() for some in (runs, calm))
    if not len(left):
        return "No learning rate is left in any task."
    most = max(map(len, rates))
    first = all(set(some) == set(np.sort(rates[env])[: len(some)]) for env, some in left.items())
    counts = listed(f"{len(some)} in {env}" for env, some in left.items())
    return case(
        (all(len(some) == most for some in left), f"All {most} learning rates are left."),
        (first, f"Of {most} learning rates the smallest are left: {counts}."),
        f"Of {most} learning rates are left: {counts}.",
    )


def narrow(seeds: int) -> str:
    """That intervals from two halves of the seeds are too narrow; "" for fewer than 4."""
    return case(
        (
            seeds >= 4,
            f"Intervals here resample the two halves of {seeds} seeds and are too narrow: of "
            f"normally distributed values they would contain the mean in {coverage(seeds):.0%} of "
            "cases, not in 95%. An answer whose interval ends close to 0 is less certain than it "
            "appears.",
        ),
        "",
    )


def unanswered(intervals: Iterable[Interval]) -> bool:
    """Whether none of the intervals has ends."""
    return not np.isfinite([interval.low for interval in intervals]).any()


def table(found: Mapping[str, Mapping[str, object]], names: Mapping[str, str]) -> pd.DataFrame:
    """A row a task, a column a statistic.

    **Arguments** `names`: what the statistics are called in the table.
    """
    return pd.DataFrame(found, dtype=object).T[list(names)].rename(columns=names)


def would_change(interval: Interval, against: float = 0.0) -> str:
    """What would change the answer that an interval gives.

    A decided one: how far all seeds would have to move, at least. An undecided one: how many seeds
    would decide it, were the value to stay; an interval's width falls with the root of their
    number. One without ends: seeds where it has less than two in each half, else a dash.
    """
    value, low, high = (end - against for end in (interval.value, interval.low, interval.high))
    if not np.isfinite([value, low, high]).all():
        return "more seeds" if interval.count < 4 else numbers.DASH
    if low > 0 or high < 0:
        moved = -low if low > 0 else -high
        return f"a shift by {'+' if moved > 0 else '-'}{numbers.number(_upwards(abs(moved)))}"
    towards = value - low if value > 0 else high - value
    needed = interval.count * (towards / abs(value)) ** 2 if value else np.inf
    needed = max(np.ceil(needed - 1e-9), interval.count + 1)  # so many do not decide it
    return f"{needed:,.0f} seeds" if needed <= MOST_SEEDS else f"over {MOST_SEEDS:,} seeds"


def _upwards(x: float) -> float:
    """The next number from x on that has two digits."""
    unit = 10.0 ** (np.floor(np.log10(x)) - 1)
    return float(np.ceil(x / unit - 1e-9) * unit)


def changes(
    found: Mapping[str, Mapping[str, Interval]],
    questions: Mapping[str, Phrases],
    names: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """A row a question and task: the statistic, its interval, the answer, what would change it.

    **Arguments** `names`: what the statistics are called in the table.
    """
    rows = {
        (names.get(name, name), task): {
            "value": numbers.interval(values[name]),
            "against": f"{against:g}",
            "answer": word(values[name], sign, against),
            "would change it": would_change(values[name], against),
        }
        for name, (sign, against, _) in questions.items()
        for task, values in found.items()
    }
    return pd.DataFrame(rows).T.rename_axis(["statistic", "task"])
