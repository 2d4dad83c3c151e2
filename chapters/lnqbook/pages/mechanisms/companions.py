"""What the companions foresee: the tables of `foresight` and `mediation` and their sentences."""

from __future__ import annotations

import pandas as pd
from IPython.display import HTML

from ...findings import case, folded
from ...foresight import LANDMARKS, at_risk, foresight
from ...mechanisms import LITTLE, MOST
from ...mediation import COMPARED, GROUPS, differences, mediation
from ...numbers import interval
from ...stats import Interval
from ...tables import shown
from .runs import Loaded

ONLY_THE_STUDY = "This is asked of the study's runs alone."
LABELS = {
    "seem": "SEEM index",
    "seem_scaled": "SEEM index / (tr K / B)",
    "lr x seem": "learning rate \N{MULTIPLICATION SIGN} SEEM index",
    "lr": "learning rate",
    "lr x grad_norm2": "learning rate \N{MULTIPLICATION SIGN} mean squared gradient norm",
    "gi2_scaled": "GI2 / loss",
    "iso_p": "ISO_p",
}

Foresight = dict[int, tuple[pd.DataFrame, pd.DataFrame]]
"""By landmark: `foresight` on all pairs, and on those of one learning rate."""


def foresight_of(study: Loaded) -> Foresight:
    """{} but for the study's runs."""
    if not study.judged or not study.envs:
        return {}
    tables = {step: at_risk(study.runs, study.curves, step) for step in LANDMARKS}
    return {step: (foresight(table), foresight(table, True)) for step, table in tables.items()}


def foresees(found: Foresight) -> list[str]:
    """Whether SEEM foretells clamping, better than the learning rate, and beyond it."""
    if not found:
        return [ONLY_THE_STUDY]
    all_pairs, one_rate = found[LANDMARKS[0]]
    if not all_pairs.size:
        return ["No run is clamped after the first checkpoints, so there is nothing to foresee."]
    index, lr = all_pairs.loc["seem", "mean"], all_pairs.loc["lr", "mean"]
    ahead = all_pairs.loc["seem", "ahead"]
    first = case(
        (
            index.low > 0.5,
            "The SEEM index foresees which runs come to be clamped, held out by task",
        ),
        (index.high < 0.5, "Held out by task, the SEEM index foretells the reverse"),
        "Whether the SEEM index foresees clamping, held out by task, is undecided",
    )
    rate = f"the learning rate alone has {interval(lr, '.2f')}"
    second = case(
        (ahead.low > 0, f"{rate}, which is less."),
        (ahead.high < 0, f"{rate}, which is more."),
        f"{rate}, and which of the two is better is undecided.",
    )
    told = [f"{first}: AUROC {interval(index, '.2f')}; {second}"]
    if one_rate.size:
        within = one_rate.loc["seem", "mean"]
        lead = case(
            (within.low > 0.5, "Among runs of one learning rate it still tells them apart"),
            (within.high < 0.5, "Among runs of one learning rate it misleads"),
            "Whether it tells runs of one learning rate apart is undecided",
        )
        told.append(f"{lead}: AUROC {interval(within, '.2f')}.")
    return told


def foresight_tables(found: Foresight) -> HTML:
    """Every predictor at every landmark, folded."""
    parts: list[str | pd.DataFrame] = []
    for step, tables in found.items():
        for table, which in zip(tables, ("all pairs", "pairs of one learning rate"), strict=True):
            if table.size:
                parts += [f"Step {step:,}, {which}", shown(table.rename(index=LABELS), ".2f")]
    return folded("AUROC of every predictor", *parts)


def mediation_of(study: Loaded) -> pd.DataFrame:
    """Empty but for the study's runs of several tasks: with one there is none to learn from."""
    if not study.judged or len(study.envs) < 2:
        return pd.DataFrame()
    return mediation(differences(study.runs, study.curves))


def foretells(found: pd.DataFrame) -> list[str]:
    """How much of the later gain early metrics foretell: together, and the best one alone."""
    if found.empty:
        return [ONLY_THE_STUDY]
    means = found["mean"]
    alone = means.drop(index=[*GROUPS, *COMPARED])
    best = alone.map(lambda r: r.value).idxmax()
    of = {name: interval(means[name], ".2f") for name in ("all metrics", best, *COMPARED)}
    return [
        f"By all metrics together {_much(means['all metrics'])}: held out by task, "
        f"R² = {of['all metrics']}.",
        f"By the best one alone, `{best}`, picked after the fact, {_much(alone[best])}: "
        f"{of[best]}.",
        f"For comparison, the return so far has {of['early return']} and the learning rate "
        f"{of['lr']}.",
    ]


def mediation_table(found: pd.DataFrame) -> HTML:
    """Every regression, folded."""
    return folded("R² of every metric", None if found.empty else shown(found, ".2f"))


def _much(r2: Interval) -> str:
    return case(
        (r2.low > MOST, "most of LN's later gain is foretold"),
        (r2.low > 0, "some of LN's later gain is foretold"),
        (r2.high < LITTLE, "little of LN's later gain is foretold"),
        "how much of LN's later gain is foretold is undecided",
    )
