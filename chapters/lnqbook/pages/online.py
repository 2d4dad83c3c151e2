"""What the page on online replay says."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from .. import answers
from ..answers import TOO_FEW, Phrases, answer, phrases, unanswered
from ..findings import case, listed
from ..online_statistics import PERIOD, SETTINGS
from ..stats import Interval

QUESTIONS: dict[str, Phrases] = {
    "gain": phrases(
        1,
        0.0,
        "LN raises the return",
        "LN lowers the return",
        "what LN does for the return",
    ),
    "change": phrases(
        1,
        0.0,
        "LN's gain is larger than offline",
        "LN's gain is smaller than offline",
        "whether LN's gain is another than offline",
    ),
    "target": phrases(
        1,
        0.0,
        "the target network raises the return",
        "the target network lowers the return",
        "what the target network does",
    ),
}
"""By statistic of `online_statistics`."""
KEYS = {"gain": SETTINGS, "change": SETTINGS[1:], "target": ("none", "layer")}
"""What each statistic is of."""


def sentences(
    found: Mapping[str, Mapping[str, Mapping[str, Interval]]],
) -> dict[tuple[str, str], str]:
    """What LN does in each setting, how its gain changes, what the target network does online.

    **Arguments** `found`: task -> the values of `online_statistics`.

    **Returns** by statistic of `QUESTIONS` and its key.
    """
    return {
        (name, key): answer({env: values[name][key] for env, values in found.items()}, phrases)
        for name, phrases in QUESTIONS.items()
        for key in KEYS[name]
    }


def in_short(
    average: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    best: Mapping[str, Mapping[str, Mapping[str, Interval]]],
) -> tuple[str, ...]:
    """Whether LN helps online, against offline, beside a target network, and at the best rates.

    **Arguments** `average`, `best`: as for `sentences`, by the two averages of the plan.
    """
    if unanswered(values["gain"]["online"] for values in average.values()):
        return (TOO_FEW,)
    said, at_best = sentences(average), sentences(best)
    return (
        f"Online, averaged over learning rates: {said['gain', 'online']} "
        f"{said['change', 'online']}",
        "The same with each network at its own best learning rate: "
        f"{at_best['gain', 'online']} Beside a target network renewed every {PERIOD:,} steps, "
        f"there: {at_best['gain', 'online, target network']}",
    )


def beside_target(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> str:
    """What LN does beside a target network online, and what that does without LN and with it.

    **Arguments** `found`: as for `sentences`.
    """
    if unanswered(values["gain"]["online"] for values in found.values()):
        return TOO_FEW
    said = sentences(found)
    return (
        f"{said['gain', 'online, target network']} Without LN: {said['target', 'none']} "
        f"With LN: {said['target', 'layer']}"
    )


def changes(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> pd.DataFrame:
    """`answers.changes` of every question: a row a statistic, what it is of, and a task."""
    parts = {}
    for name, keys in KEYS.items():
        for key in keys:
            values = {env: {key: of[name][key]} for env, of in found.items()}
            parts[name, key] = answers.changes(values, {key: QUESTIONS[name]}).droplevel(0)
    return pd.concat(parts)


def unreached(runs: pd.DataFrame) -> str:
    """The tasks whose goal no online run reached: there is no reward to learn from."""
    online = runs[(runs["data"] == "online") & runs["env"].isin(["MountainCar", "Acrobot"])]
    most = online.groupby("env")["goal_transitions"].max()
    none = list(most.index[most == 0])
    return case(
        (
            none,
            f"In {listed(none)} no online run ever reached the goal: every reward is the same, and "
            "what a network returns it did not learn from rewards.",
        ),
        "",
    )
