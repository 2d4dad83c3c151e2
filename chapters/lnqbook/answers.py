"""Sentences that the data choose: what a question's intervals say, task by task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .findings import in_tasks
from .stats import Interval

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NO_ANSWER = "no interval"


def word(interval: Interval, sign: int, against: float = 0.0) -> str:
    """What an interval says of "it lies on the `sign` side of `against`"."""
    if not np.isfinite([interval.low, interval.high]).all():
        return NO_ANSWER
    side = int(interval.low > against) - int(interval.high < against)
    return {1: SUPPORTED, -1: CONTRADICTED, 0: UNDECIDED}[sign * side]


def sentence(words: pd.Series, phrases: Mapping[str, str]) -> str:
    """One sentence from the tasks' words, as in "It rises in Acrobot; it falls in CartPole."

    **Arguments** `words`: by task. `phrases`: word -> a phrase that "in TASKS" can follow, in the
    order in which they are to come; a word that no task has is left out.

    **Raises** `KeyError` for a word without a phrase.
    """
    missing = set(words) - set(phrases)
    if missing:
        raise KeyError(f"no phrase for {', '.join(sorted(missing))}")
    parts = [
        f"{phrase} {in_tasks(list(words.index[words == name]), len(words))}"
        for name, phrase in phrases.items()
        if (words == name).any()
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""
