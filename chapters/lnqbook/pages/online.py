"""What the page on online replay says."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from .. import answers
from ..answers import TOO_FEW, Phrases, answer, phrases, unanswered
from ..findings import case, in_tasks, led
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
        "whether LN's gain differs from that offline",
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

TITLES = {"gain": "LN minus None", "change": "that, minus offline", "target": "target network"}
"""What each statistic is called in a table."""


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
    calm: Mapping[str, Mapping[str, Mapping[str, Interval]]],
) -> tuple[str, ...]:
    """Whether LN helps online, against offline, beside a target network, and at the best rates.

    **Arguments** `average`, `best`: as for `sentences`, by the two averages of the plan. `calm`:
    without the learning rates at which a run was clamped; a task without any left is missing.
    """
    if unanswered(values["gain"]["online"] for values in average.values()):
        return (TOO_FEW,)
    said, at_best, free = (
        sentences(found)["gain", "online"] if found else "" for found in (average, best, calm)
    )
    beside = sentences(best)["gain", "online, target network"]
    return (
        led("Online, averaged over learning rates,", said),
        led("Online, with each network at its own best learning rate,", at_best)
        + led(f" With a target network updated every {PERIOD:,} steps,", beside),
        case((free, led("Counting only learning rates at which no run was clamped,", free)), ""),
        against_offline(average, best),
    )


def against_offline(
    average: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    best: Mapping[str, Mapping[str, Mapping[str, Interval]]],
) -> str:
    """Whether LN gains more online than offline, where both averages decide it.

    **Arguments** as for `in_short`.
    """
    pairs = {
        env: [found[env]["change"]["online"].sign for found in (average, best)] for env in average
    }
    ways = {
        "larger both times": [e for e, s in pairs.items() if s == [1, 1]],
        "smaller both times": [env for env, signs in pairs.items() if signs == [-1, -1]],
        "larger once and smaller once": [e for e, (a, b) in pairs.items() if a * b < 0],
    }
    parts = [f"{way} {in_tasks(some, len(pairs))}" for way, some in ways.items() if some]
    return case(
        (
            parts,
            "Compared with offline, averaged over learning rates and at the best ones, LN's gain "
            f"is {'; '.join(parts)}.",
        ),
        "",
    )


def beside_target(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> str:
    """What LN and the target network do online, each beside the other; "" without an answer.

    **Arguments** `found`: as for `sentences`.
    """
    if unanswered(values["gain"]["online"] for values in found.values()):
        return ""
    said = sentences(found)
    return " ".join(
        (
            said["gain", "online, target network"],
            led("Without LN,", said["target", "none"]),
            led("With LN,", said["target", "layer"]),
        )
    )


def view(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> str:
    """LN's gain online, and whether it is another than offline; "" where there is no answer.

    **Arguments** `found`: as for `sentences`; it may hold no task.
    """
    if unanswered(values["gain"]["online"] for values in found.values()):
        return ""
    said = sentences(found)
    return f"{said['gain', 'online']} {said['change', 'online']}"


def calm(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at those learning rates at which no run of the task was clamped in any setting."""
    return runs[runs.groupby(["env", "lr"])["clamped_steps"].transform("max") == 0]


def clamped(runs: pd.DataFrame) -> pd.DataFrame:
    """The share of runs with a clamped step: a row a task and network, a column a setting."""
    hit = (runs["clamped_steps"] > 0).rename("clamped")
    shares = hit.groupby([runs["env"], runs["norm"], settings_of(runs)], sort=False).mean()
    return shares.unstack().reindex(columns=[s for s in SETTINGS if s in set(settings_of(runs))])


def settings_of(runs: pd.DataFrame) -> pd.Series:
    """The setting of `SETTINGS` that each run belongs to."""
    online = (runs["target_period"] == PERIOD).map({True: SETTINGS[2], False: SETTINGS[1]})
    return online.where(runs["data"] == "online", SETTINGS[0]).rename("setting")


def changes(found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> pd.DataFrame:
    """`answers.changes` of every question: a row a statistic, what it is of, and a task."""
    parts = {}
    for name, keys in KEYS.items():
        for key in keys:
            values = {env: {key: of[name][key]} for env, of in found.items()}
            rows = answers.changes(values, {key: QUESTIONS[name]}).droplevel(0)
            parts[TITLES[name], key] = rows
    return pd.concat(parts)


def unreached(runs: pd.DataFrame) -> str:
    """How many online runs never reached the goal of Acrobot or MountainCar, by network."""
    online = runs[(settings_of(runs) == SETTINGS[1]) & runs["env"].isin(["MountainCar", "Acrobot"])]
    never = (online["goal_transitions"] == 0).groupby([online["env"], online["norm"]])
    found = never.agg(["sum", "size"])
    parts = [
        f"in {env} {some.loc[(env, 'none'), 'sum']} of {some.loc[(env, 'none'), 'size']} without "
        f"LN and {some.loc[(env, 'layer'), 'sum']} with it"
        for env, some in found.groupby("env")
        if some["sum"].any()
    ]
    return case(
        (
            parts,
            f"Online runs that never reached the goal: {'; '.join(parts)}. In these every reward "
            "is the same, so whatever return the network reaches was not learned from rewards.",
        ),
        "",
    )
