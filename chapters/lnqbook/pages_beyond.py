"""What the pages on target networks and online replay answer first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from .answers import CONTRADICTED, NO_ANSWER, SUPPORTED, UNDECIDED, sentence, word
from .online_statistics import SETTINGS
from .stats import Interval
from .target_statistics import MARGIN

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


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
