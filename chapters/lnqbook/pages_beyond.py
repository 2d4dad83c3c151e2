"""What the pages on target networks and online replay answer first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from .answers import CONTRADICTED, NO_ANSWER, SUPPORTED, UNDECIDED, sentence, word
from .claims import settings
from .claims.statements import CLAIMS
from .online_statistics import KEPT, SETTINGS, TURNED
from .stats import Interval
from .target_statistics import MARGIN

MOST_SEEDS = 1_000

Phrases = tuple[int, float, dict[str, str]]
"""The side and the number of a question, and what each answer says."""


def _phrases(sign: int, against: float, yes: str, no: str, topic: str) -> Phrases:
    texts = {SUPPORTED: yes, CONTRADICTED: no, UNDECIDED: f"{topic} is not decided"}
    return sign, against, texts | {NO_ANSWER: f"{topic} has no interval"}


TARGET: dict[str, Phrases] = {
    "shift": _phrases(
        -1,
        0.0,
        "LN's best period is shorter than None's",
        "LN's best period is longer than None's",
        "whether LN's best period is shorter",
    ),
    "gain_none": _phrases(
        1,
        0.0,
        "a target network raises None's return",
        "a target network lowers None's return",
        "what a target network does for None",
    ),
    "rest": _phrases(
        1,
        0.0,
        "LN without a target network returns more than None with its best one",
        "LN without a target network returns less than None with its best one",
        "which of LN alone and a target network alone returns more",
    ),
    "share": _phrases(
        1,
        1 - MARGIN,
        "LN alone brings at least four fifths of what the target network does",
        "LN alone brings less than four fifths of what the target network does",
        "what share of it LN alone brings",
    ),
    "gain_layer": _phrases(
        1,
        0.0,
        "a target network raises LN's return as well",
        "a target network lowers LN's return",
        "what a target network adds to LN",
    ),
}
"""By statistic of `target_statistics`."""

ONLINE: dict[str, Phrases] = {
    "gain": _phrases(
        1,
        0.0,
        "LN raises the return",
        "LN lowers the return",
        "what LN does for the return",
    ),
    "target": _phrases(
        1,
        0.0,
        "the target network raises the return",
        "the target network lowers the return",
        "what the target network does",
    ),
}
"""By statistic of `online_statistics`."""


def answer(intervals: Mapping[str, Interval], phrases: Phrases) -> str:
    """One sentence on one question.

    **Arguments** `intervals`: task -> the interval that answers it there.
    """
    sign, against, texts = phrases
    words = {task: word(interval, sign, against) for task, interval in intervals.items()}
    return sentence(pd.Series(words, dtype=object), texts)


def target_answers(found: Mapping[str, Mapping[str, Interval]]) -> str:
    """A list of sentences, one for each question of `TARGET`.

    **Arguments** `found`: task -> statistic -> interval.
    """
    return _list(
        answer({task: values[name] for task, values in found.items()}, phrases)
        for name, phrases in TARGET.items()
    )


def online_answers(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> str:
    """What LN does in each setting, and what the target network does online, as a list.

    **Arguments** `found`: task -> the values of `online_statistics`.
    """

    def told(statistic: str, key: str) -> str:
        by_task = {task: values[statistic][key] for task, values in found.items()}
        return answer(by_task, ONLINE[statistic])

    networks = {"none": "without LN", "layer": "with LN"}
    return _list(
        [f"*{setting}:* {told('gain', setting)}" for setting in SETTINGS]
        + [f"*online, {name}:* {told('target', norm)}" for norm, name in networks.items()]
    )


def would_change(interval: Interval, against: float = 0.0) -> str:
    """What would change the answer that an interval gives.

    A decided one: how far all seeds would have to move. An undecided one: how many seeds would
    decide it, were the value to stay; an interval's width falls with the root of their number.
    """
    value, low, high = (end - against for end in (interval.value, interval.low, interval.high))
    if not np.isfinite([value, low, high]).all():
        return "more seeds"
    if low > 0 or high < 0:
        return f"a shift by {-low if low > 0 else -high:+.2g}"
    towards = value - low if value > 0 else high - value
    needed = interval.count * (towards / abs(value)) ** 2 if value else np.inf
    return f"{round(needed):,} seeds" if needed <= MOST_SEEDS else f"over {MOST_SEEDS:,} seeds"


def changes(
    found: Mapping[str, Mapping[str, Interval]], questions: Mapping[str, Phrases]
) -> pd.DataFrame:
    """A row a question and task: the statistic, its interval, the answer, what would change it."""
    rows = {
        (name, task): {
            "value": f"{values[name]:.2f}",
            "against": f"{against:g}",
            "answer": word(values[name], sign, against),
            "would change it": would_change(values[name], against),
        }
        for name, (sign, against, _) in questions.items()
        for task, values in found.items()
    }
    return pd.DataFrame(rows).T.rename_axis(["statistic", "task"])


def named(by_claim: pd.DataFrame) -> pd.DataFrame:
    """The table with each claim's number and statement."""
    labels = [f"{number}. {CLAIMS[number - 1].statement}" for number in by_claim.index]
    return by_claim.set_axis(labels)


def claims_by_setting(words: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """In how many tasks each claim is supported, a column a setting.

    **Arguments** `words`: setting -> what `claims.settings.words` gives.
    """
    columns = {setting: settings.counts(some, SUPPORTED) for setting, some in words.items()}
    return named(pd.DataFrame(columns))


def fates_told(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """How many pairs of a claim and a task keep their word, and which claims turn."""
    fates = settings.fates(before, after).stack()
    fates = fates[fates != ""]
    kept, turned = (fates.index[fates == word] for word in (KEPT, TURNED))
    decided = fates.isin([KEPT, TURNED]).sum()
    if not decided:
        return "No claim is decided in both settings in any task."
    which = "; ".join(f"claim {number} in {task}" for number, task in turned)
    return (
        f"Of {decided} pairs of a claim and a task that both settings decide, {len(kept)} are "
        "decided alike. " + (f"Turned: {which}." if which else "None turns its sign.")
    )


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
