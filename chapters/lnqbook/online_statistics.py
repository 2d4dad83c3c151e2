"""Online replay beside offline: questions and statistics, written before the runs.

J(setting, network, rate, seed) is a run's return, averaged over training; the settings are offline
(core's runs of the same ten seeds), online, and online with a target network.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .crossfit import Over, fixed, halves, interval, table
from .stats import RESAMPLES, Interval

SETTINGS = ("offline", "online", "online, target network")
PERIOD = 1_000  # of the target network
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"

QUESTIONS = {
    "gain": "Does LN raise the return online? Supported where LN minus None, paired by seed, lies "
    "above 0 in the setting.",
    "change": "Is that gain another than offline? The setting's gain minus the offline gain.",
    "target": "Does the target network raise the return online, without LN and with it?",
    "fate": "Which of the paper's claims keep their sign? A claim's word in a task, offline and "
    "online, by the same rule; see `fate`.",
}
PLAN = (
    "Runs: study online, and core's of the same seeds; SGD.",
    "Return: greedy, from the protocol's start states, averaged over the 100 checkpoints; view: "
    "from Gymnasium's default reset, where online episodes start.",
    "Primary: learning rates averaged within a seed (average), as in Table 1. View: each network "
    "at its own best learning rate, chosen on the other half of the seeds (best).",
    "A statement is supported where the 95% interval over seeds lies on its side of the number, "
    "contradicted where it lies on the other, else undecided.",
    "A task whose goal no online run of either network reached (goal_transitions 0 in MountainCar "
    "or Acrobot) has the same reward in every transition; it is counted, and named as such.",
    "Pilots have seeds 200 to 203 and are no part of the results.",
    "Claims: those about None and LN with SGD, 1 to 11, 13 to 15, 18 to 20, 24, 26, in each task "
    "of their scope; the primary setting is online without a target network.",
)
KEPT, LOST, TURNED, NEW, OPEN = "kept", "lost", "turned", "new", "open"


def returns(runs: pd.DataFrame, metric: str = "return") -> np.ndarray:
    """J of one task's runs: (3 settings, 2 networks, rates, seeds), NaN where a run is missing."""
    online = np.where(runs["target_period"] == PERIOD, SETTINGS[2], SETTINGS[1])
    setting = np.where(runs["data"] == "online", online, SETTINGS[0])
    arms = {"setting": list(SETTINGS), "norm": ["none", "layer"]}
    return table(runs.assign(setting=setting), arms, metric)


def online_statistics(
    J: np.ndarray, over: Over = "average", resamples: int = RESAMPLES
) -> dict[str, dict[str, Interval]]:
    """Table 1 in each setting, what LN gains there, and what a target network gains online.

    - `none`, `layer`: the network's score, by setting
    - `gain`: layer - none, by setting
    - `change`: gain minus the offline gain, by online setting
    - `target`: what the target network adds online, by network

    **Arguments** `J`: as `returns` gives it; a seed that lacks a run is left out.
    """
    scores = fixed(halves(J, resamples), over)  # (1 + resamples, settings, networks)
    gain = scores[..., 1] - scores[..., 0]
    seeds = int(np.isfinite(J).all(axis=(0, 1, 2)).sum())

    def by(names: tuple[str, ...], values: np.ndarray) -> dict[str, Interval]:
        return {name: interval(values[:, i], seeds) for i, name in enumerate(names)}

    return {
        "none": by(SETTINGS, scores[..., 0]),
        "layer": by(SETTINGS, scores[..., 1]),
        "gain": by(SETTINGS, gain),
        "change": by(SETTINGS[1:], gain[:, 1:] - gain[:, :1]),
        "target": by(("none", "layer"), scores[:, 2] - scores[:, 1]),
    }


def fate(offline: str, online: str) -> str:
    """What becomes of a claim in one task, from its words offline and online.

    kept: decided alike; turned: decided both times, and otherwise; lost: decided offline alone;
    new: decided online alone; open: decided in neither.
    """
    decided = (SUPPORTED, CONTRADICTED)
    if offline in decided and online in decided:
        return KEPT if offline == online else TURNED
    if offline in decided:
        return LOST
    return NEW if online in decided else OPEN
