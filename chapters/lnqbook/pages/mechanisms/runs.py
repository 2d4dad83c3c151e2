"""The runs of the study that a reader's parameters ask for: looked up, or short ones trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lnqlib.spec import LEARNING_RATES, RunSpec, study
from lnqlib.store import Store
from lnqlib.store.shipped import Shipped
from lnqlib.studies import MECHANISM_SEEDS, PAPER_ENVS
from lnqlib.sweep import lookup

from ...mechanisms import named
from ...mediators import kept
from ...notebook import Parameters

STEPS = 200_000
FEWEST = 2  # seeds: the halves of the plan are the even and the odd ones


@dataclass(frozen=True)
class Loaded:
    """What the chapter is made of.

    - `runs`: with biases, as `mechanisms.named` gives them; every task whole.
    - `printed`: without biases, likewise.
    - `curves`: of `runs`, at the checkpoints that decide.
    - `judged`: whether these are the study's runs, for which alone the rules were made.
    - `caution`: what the reader has to know first, in a sentence; "" for nothing.
    """

    runs: pd.DataFrame
    printed: pd.DataFrame
    curves: pd.DataFrame
    judged: bool
    caution: str

    @property
    def envs(self) -> list[str]:
        return [env for env in PAPER_ENVS if (self.runs["env"] == env).any()]


def seeds_of(env: str, count: int) -> tuple[int, ...]:
    """The first `count` of the study's seeds of a task, an even and an odd one by turns."""
    even, odd = ([s for s in MECHANISM_SEEDS[env] if s % 2 == parity] for parity in (0, 1))
    turns = [seed for pair in zip(even, odd, strict=False) for seed in pair]
    rest = [seed for seed in MECHANISM_SEEDS[env] if seed not in turns]
    return tuple([*turns, *rest][:count])


def load(p: Parameters) -> Loaded:
    """The study's runs of these parameters; with other steps or learning rates, runs like them.

    Those of 200,000 steps are looked up and not trained, for that takes a day of a core, unless the
    reader asks for it with `refresh`.
    """
    envs = [env for env in p.envs if env in PAPER_ENVS]
    full = p.steps == STEPS and set(p.learning_rates) == set(LEARNING_RATES)
    count = max(p.seeds, FEWEST)
    asked = [
        spec
        for spec in study("mechanisms")
        if spec.env in envs and spec.seed in seeds_of(spec.env, count)
    ]
    if full and not p.refresh:
        found = lookup(asked, Store(), Shipped())
    else:
        asked = asked if full else shortened(asked, p)
        found = p.sweep(asked)
    whole = _whole(asked, found)
    runs, printed = (named(whole[whole["bias"] == bias]) for bias in (True, False))
    judged = full and p.seeds >= 20
    return Loaded(runs, printed, _curves(p, runs), judged, _caution(p, envs, asked, found, judged))


def shortened(asked: Sequence[RunSpec], p: Parameters) -> list[RunSpec]:
    """The networks with biases at the reader's steps and learning rates."""
    checkpoints = p.specs()[0].checkpoints
    one_rate = [spec for spec in asked if spec.bias and spec.lr == LEARNING_RATES[0]]
    return [
        replace(spec, lr=lr, steps=p.steps, checkpoints=checkpoints)
        for spec in one_rate
        for lr in p.learning_rates
    ]


def _whole(asked: Sequence[RunSpec], found: pd.DataFrame) -> pd.DataFrame:
    """The rows of those (task, reading) of which no run is missing."""
    there = set(found["key"])
    lacking = {(spec.env, spec.bias) for spec in asked if spec.key not in there}
    keep = [(env, bias) not in lacking for env, bias in zip(found["env"], found["bias"], strict=True)]
    return found[keep].reset_index(drop=True)


def _curves(p: Parameters, runs: pd.DataFrame) -> pd.DataFrame:
    """Task by task, for all checkpoints at once are large."""
    parts = []
    for _, mine in runs.groupby("env", sort=False):
        fields = RunSpec.__dataclass_fields__
        specs = [RunSpec(**row) for row in mine[list(fields)].to_dict("records")]
        parts.append(kept(mine, p.curves(specs)))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["key", "step"])


def _caution(
    p: Parameters, envs: list[str], asked: Sequence[RunSpec], found: pd.DataFrame, judged: bool
) -> str:
    if not envs:
        return "Interventions are defined for the library's own tasks alone: CartPole, Acrobot, " \
            "MountainCar and Pendulum; there is nothing to show here."
    if len(found) < len({spec.key for spec in asked}):
        return (
            f"Of the {len(asked):,} runs of the study that this page reads, {len(found):,} are "
            "finished; `python -m lnqlib run mechanisms` trains the others, in about a day of one "
            "core."
        )
    adam = "Interventions act on the step of SGD, which these runs have. " if p.optimizer != "SGD" else ""
    if judged:
        return adam.strip()
    seeds = max(p.seeds, FEWEST)
    return (
        f"{adam}These are {seeds} seeds of {p.steps:,} steps and not the study: the numbers show how "
        "it is made, and nothing is judged by them."
    )
