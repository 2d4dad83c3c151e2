"""The runs of the study that a reader's parameters ask for: looked up, or short ones trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lnqlib.spec import FIELDS, LEARNING_RATES, RunSpec, study
from lnqlib.store import Store
from lnqlib.store.shipped import Shipped
from lnqlib.studies import MECHANISM_SEEDS, PAPER_ENVS
from lnqlib.sweep import lookup

from ...figures.layout import provenance
from ...mechanisms import answers, named
from ...mediators import kept
from ...notebook import Parameters, usual_checkpoints

STEPS = 200_000
FEWEST, MOST = 2, 20  # seeds: the halves of the plan are the even and the odd ones


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

    @property
    def note(self) -> str:
        """The runs behind a figure."""
        return provenance(self.runs)


def answered(runs: pd.DataFrame, bias: bool = True, over: str = "best") -> pd.DataFrame:
    """`mechanisms.answers`, with its columns where there is no run."""
    columns = ["mechanism", "kind", "env", "S", "N", "verdict"]
    return answers(runs, bias, over) if len(runs) else pd.DataFrame(columns=columns)


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
    judged = full and p.seeds >= MOST
    return Loaded(runs, printed, _curves(p, runs), judged, _caution(p, envs, asked, found, judged))


def shortened(asked: Sequence[RunSpec], p: Parameters) -> list[RunSpec]:
    """The networks with biases at the reader's steps and learning rates."""
    one_rate = [spec for spec in asked if spec.bias and spec.lr == LEARNING_RATES[0]]
    return [
        replace(spec, lr=lr, steps=p.steps, checkpoints=usual_checkpoints(p.steps))
        for spec in one_rate
        for lr in p.learning_rates
    ]


def _whole(asked: Sequence[RunSpec], found: pd.DataFrame) -> pd.DataFrame:
    """The rows of those (task, reading) of which no run is missing."""
    there = set(found["key"])
    lacking = {(spec.env, spec.bias) for spec in asked if spec.key not in there}
    readings = zip(found["env"], found["bias"], strict=True)
    keep = [reading not in lacking for reading in readings]
    return found.loc[keep].reset_index(drop=True)


def _curves(p: Parameters, runs: pd.DataFrame) -> pd.DataFrame:
    """Task by task, for all checkpoints at once are large."""
    parts = []
    for _, mine in runs.groupby("env", sort=False):
        specs = [RunSpec(**row) for row in mine[list(FIELDS)].to_dict("records")]
        parts.append(kept(mine, p.curves(specs)).drop(columns="steps"))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["key", "step"])


def _caution(
    p: Parameters, envs: list[str], asked: Sequence[RunSpec], found: pd.DataFrame, judged: bool
) -> str:
    if not envs:
        return (
            "Interventions are defined for the library's own tasks alone, so there is nothing to "
            "show here; write for example -p env Pendulum."
        )
    if len(found) < len({spec.key for spec in asked}):
        return (
            f"Of the {len(asked):,} runs of the study that this page reads, {len(found):,} are "
            "finished; `python -m lnqlib run mechanisms` trains the others, in about a day of one "
            "core."
        )
    sgd = p.optimizer == "SGD"
    adam = "" if sgd else "Interventions act on the step of SGD, which these runs have. "
    seeds = min(max(p.seeds, FEWEST), MOST)
    short = (
        f"These are {seeds} seeds of {p.steps:,} steps and not the study: the numbers show how it "
        "is made, and nothing is judged by them."
    )
    return adam.strip() if judged else adam + short
