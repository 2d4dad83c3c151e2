"""What LN's gain is made of: the plan of the study, committed before the runs that it judges.

R is the return averaged over training, each network at its own best learning rate. By task

    S = (R_+ - R_None) / (R_LN - R_None),   N = (R_LN - R_-) / (R_LN - R_None),

how much of LN's gain a mechanism brings to a network without LN, and how much of it LN loses
without the mechanism. `arms.definition` says what each arm does, `mediators` whether it does that
alone, `foresight` and `mediation` what the companions are asked. `python -m lnqbook.frozen` prints
the plan with a digest of these modules' code and of the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from lnqlib.spec import ENVS
from lnqlib.studies import INTERVENTIONS, PAPER_ENVS

from . import crossfit
from .stats import Interval

QUESTIONS = {
    "two-sided": "Added and removed: a mechanism accounts for the gain where both lower bounds, of "
    "S and of N, lie above .5, does not where either upper bound lies below .2, accounts for it in "
    "part where both lower bounds lie above 0, else undecided; the first that fits.",
    "one-sided": "Added alone, or removed alone: sufficient, or necessary, where the lower bound "
    "lies above .5, not so where the upper one lies below .2, else undecided; ranked apart.",
    "placebo": "A placebo passes where its interval lies within -.2 to .2, else it fails, and the "
    "page begins with that.",
    "ranking": "The two-sided mechanisms by the mean over tasks of min(S, N), the one-sided by "
    "that of S, with the contrast between neighbours at 95%; over the tasks that have a gain to "
    "share.",
    "clean": "An arm is not clean where its own mediator is more than 10% of the difference "
    "between LN and None from where the arm is to bring it, or another is moved by more than 20% "
    "of it: medians over seeds at the arm's best learning rate.",
    "foresight": "Does the SEEM index foresee, held out by task, which of the four anchors' runs "
    "come to be clamped? AUROC at step 2,000 of the runs not clamped before, above 1/2; better "
    "than the learning rate where `ahead` lies above 0; beyond the learning rate where it is above "
    "1/2 on pairs of one rate. Steps 0 and 32,000 are views.",
    "mediation": "Do early metrics foretell LN's gain, held out by task? R^2 of the late paired "
    "difference in return from early ones, the mean over tasks: most of it where the lower bound "
    "lies above .5, some where it lies above 0, little where the upper one lies below .2, else "
    "undecided; the first that fits.",
}
PLAN = (
    "Runs: study mechanisms, SGD, 200,000 steps; 20 seeds from 100 on, for Acrobot the first 20 "
    "whose dataset holds a goal; as printed (no biases) 10 seeds and six networks.",
    "Return: greedy, from the protocol's start states, averaged over the 100 checkpoints. One that "
    "is not finite counts as the lowest of its task in the study.",
    "Primary: each network at its own best learning rate, chosen on the even seeds and scored on "
    "the odd ones, and the reverse. Views: averaged over learning rates; the best rate; the share "
    "of rates at which no seed was clamped.",
    "Intervals: percentiles of 10,000 draws of seeds within halves, rates chosen anew in each; at "
    "5% over the 40 cells mechanism x task x (S or N), as printed over its 16. No shares where the "
    "gain is <= 0, or is so in more than 2.5% of draws; other such draws count against every "
    "decision. Companions: 95%, unadjusted, 1,000 draws; they decide nothing above.",
    "No arm, rate or seed is left out afterwards; what diverges, and each arm's fallbacks and "
    "bounds, is counted.",
    "Pilots have seeds 200 to 203 and are no part of the results.",
    "Beyond the design: overshoot is removed by the twin's eta B / A, too (`arms.definition`), for "
    "the loss share alone makes LN follow None's small steps to the far root of the decrement, "
    "20 to 50 eta; a step that only learns slowly is no overshoot. Mediators are averages over "
    "training of the 12 checkpoints that are shipped.",
)

DRAWS = 10_000  # bootstrap draws
LEVEL = 0.05  # divided by the number of cells (Bonferroni)
MOST = 0.5  # of the gain
LITTLE = 0.2
NO_GAIN = 0.025  # share of draws without a gain, from which on there are no shares

ACCOUNTS, PART, NOT = "accounts for the gain", "in part", "does not"
SUFFICIENT, NECESSARY = "sufficient", "necessary"
UNDECIDED, NO_SHARE = "undecided", "no gain to share"
PASSES, FAILS = "passes", "fails"

Array = np.ndarray


@dataclass(frozen=True)
class Mechanism:
    """What LN may owe its gain to: the arm that adds it to None, the one that takes it from LN."""

    name: str
    added: str = ""
    removed: str = ""


TWO_SIDED = (
    Mechanism("forward pass", "forward", "backward"),
    Mechanism("learning-rate decay", "decay", "projected"),
    Mechanism("less overshoot", "overshoot", "overshoot_layer"),
    Mechanism("isometry", "isometry", "isometry_layer"),
)
ONE_SIDED = (
    Mechanism("bounded features", "bounded"),
    Mechanism("forward pass without decay", "forward_projected"),
)
PRINTED = (
    Mechanism("forward pass", "forward"),
    Mechanism("forward pass without decay", "forward_projected"),
    Mechanism("learning-rate decay", removed="projected"),
    Mechanism("less overshoot", "overshoot"),
)
"""The second reading, networks without biases: one arm each, judged as the one-sided ones are."""
PLACEBOS = (
    Mechanism("isometry in random directions", "random_isometry"),
    Mechanism("decay of another task", "other_decay", "other_decay_layer"),
)


class Scores(NamedTuple):
    """Mean returns of the networks of one task, with joint bootstrap draws.

    `means`: by name. `draws`: by name, (DRAWS,). `best`: the rate that each half of the seeds
    chooses, by name.
    """

    means: dict[str, float]
    draws: dict[str, Array]
    best: dict[str, tuple[float, float]]


def named(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with a column `name`, that of `studies.INTERVENTIONS`."""
    blank = {"norm": "none", "arm": "none", "lr_control": "none"}
    names = {tuple((blank | fields).values()): name for name, fields in INTERVENTIONS.items()}
    keys = zip(*(runs[field] for field in blank), strict=True)
    return runs.assign(name=[names.get(key, "") for key in keys])


def scores(runs: pd.DataFrame, env: str, over: str = "best") -> Scores:
    """Every network's return on one task: at its own best learning rate, or averaged over rates.

    Halves are the even and the odd seeds. The rate that one half returns most at is scored on the
    other, both ways round; each draw draws seeds within the halves, the same ones for every
    network, and chooses anew.

    **Arguments** `runs`: as `named` gives them. `over`: "best" or "average".

    A return that is not finite counts as the lowest one of the task.

    **Raises** `ValueError` where a run is missing.
    """
    mine = runs[runs["env"] == env]
    finite = np.isfinite(mine["return"])
    mine = mine.assign(**{"return": mine["return"].where(finite, mine["return"][finite].min())})
    table = mine.pivot(index="seed", columns=["name", "lr"], values="return").sort_index(axis=1)
    names = list(table.columns.unique("name"))
    rates = np.sort(mine["lr"].unique())
    values = table.to_numpy(float)
    if values.shape[1] != len(names) * len(rates) or not np.isfinite(values).all():
        raise ValueError(f"runs of {env} are missing or none has a finite return; train the study")
    parity = table.index.to_numpy() % 2
    rng = np.random.default_rng(ENVS.index(env))
    halves, drawn = [], []
    for half in (values[parity == 0], values[parity == 1]):
        seeds = len(half)
        counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
        halves.append((half.mean(0)).reshape(1, len(names), len(rates)))
        drawn.append((counts @ half / seeds).reshape(DRAWS, len(names), len(rates)))
    if over == "best":
        means, draws = crossfit.crossfit(*halves)[0], crossfit.crossfit(*drawn)
    else:  # over seeds, not over halves
        odd = parity.mean()
        means, draws = (((1 - odd) * a + odd * b).mean(-1) for a, b in (halves, drawn))
        means = means[0]
    best = [rates[half[0].argmax(-1)] for half in halves]
    return Scores(
        dict(zip(names, means.tolist(), strict=True)),
        dict(zip(names, draws.T, strict=True)),
        {name: (float(best[0][i]), float(best[1][i])) for i, name in enumerate(names)},
    )


def shares(found: Scores, arm: str, removed: bool) -> tuple[float, Array]:
    """S of an arm, or N where it is `removed`: value and draws, NaN where LN gains nothing."""

    def share(score: dict) -> Array:
        none, layer = np.asarray(score["none"]), np.asarray(score["layer"])
        part = layer - score[arm] if removed else score[arm] - none
        return part / np.where(layer > none, layer - none, np.nan)

    return float(share(found.means)), share(found.draws)


def interval(value: float, draws: Array, level: float) -> Interval:
    """The percentile interval at 1 - `level`; a draw without a gain speaks against every decision.

    There is none where the gain is <= 0, or is in more than `NO_GAIN` of the draws.
    """
    lost = np.isnan(draws)
    if np.isnan(value) or lost.mean() > NO_GAIN:
        return Interval(np.nan, np.nan, np.nan, 0)
    low = np.quantile(np.where(lost, -np.inf, draws), level / 2, method="lower")
    high = np.quantile(np.where(lost, np.inf, draws), 1 - level / 2, method="higher")
    return Interval(value, float(low), float(high), len(draws), int(lost.sum()))


def two_sided(S: Interval, N: Interval) -> str:
    """The verdict on a mechanism that was both added and removed; the first that fits."""
    if np.isnan(S.value) or np.isnan(N.value):
        return NO_SHARE
    if S.low > MOST and N.low > MOST:
        return ACCOUNTS
    if S.high < LITTLE or N.high < LITTLE:
        return NOT
    return PART if S.low > 0 and N.low > 0 else UNDECIDED


def one_sided(share: Interval, word: str = SUFFICIENT) -> str:
    """The verdict on a mechanism that was only added, or only removed (`word` is NECESSARY)."""
    if np.isnan(share.value):
        return NO_SHARE
    if share.low > MOST:
        return word
    return f"not {word}" if share.high < LITTLE else UNDECIDED


def placebo(share: Interval) -> str:
    """A placebo passes where its interval lies within +-LITTLE."""
    if np.isnan(share.value):
        return NO_SHARE
    return PASSES if max(-share.low, share.high) <= LITTLE else FAILS


def answers(runs: pd.DataFrame, bias: bool = True, over: str = "best") -> pd.DataFrame:
    """One row a mechanism and task: mechanism, kind, env, S, N, verdict.

    **Arguments** `runs`: the study's. `bias`: the reading. `over`: as for `scores`.

    **Returns** S and N as an `Interval`, None where the mechanism has no such arm.
    """
    runs = named(runs[runs["bias"] == bias])
    kinds = {"two-sided": TWO_SIDED, "one-sided": ONE_SIDED} if bias else {"one-sided": PRINTED}
    cells = sum(bool(m.added) + bool(m.removed) for ms in kinds.values() for m in ms)
    level = LEVEL / (cells * len(PAPER_ENVS))
    kinds |= {"placebo": PLACEBOS} if bias else {}
    rows = []
    for env in (env for env in PAPER_ENVS if (runs["env"] == env).any()):
        found = scores(runs, env, over)
        for kind, mechanisms in kinds.items():
            for mechanism in mechanisms:
                sides = ((mechanism.added, False), (mechanism.removed, True))
                S, N = (
                    interval(*shares(found, arm, removed), level) if arm else None
                    for arm, removed in sides
                )
                row = {"mechanism": mechanism.name, "kind": kind, "env": env, "S": S, "N": N}
                rows.append(row | {"verdict": verdict(kind, S, N)})
    return pd.DataFrame(rows)


def verdict(kind: str, S: Interval | None, N: Interval | None) -> str:
    """The verdict of a row of `answers`; a placebo with two arms passes where both do."""
    if kind == "two-sided":
        return two_sided(S, N)
    if kind == "one-sided":
        return one_sided(S) if S else one_sided(N, NECESSARY)
    found = [placebo(share) for share in (S, N) if share]
    return next((word for word in (FAILS, NO_SHARE) if word in found), PASSES)


def ranking(runs: pd.DataFrame) -> pd.DataFrame:
    """The two-sided mechanisms by the task mean of min(S, N), best first, then the one-sided by S.

    Tasks without a gain to share have no part. `ahead` is the contrast with the next of the same
    kind, from the same draws, at 95%.

    **Returns** columns mechanism, kind, score, ahead (None in the last of its kind).
    """
    runs = named(runs[runs["bias"]])
    found = {env: scores(runs, env) for env in PAPER_ENVS if (runs["env"] == env).any()}
    gains = {env: interval(*shares(f, "layer", False), LEVEL) for env, f in found.items()}
    there = [found[env] for env, gain in gains.items() if not np.isnan(gain.value)]
    rows = []
    for kind, mechanisms in {"two-sided": TWO_SIDED, "one-sided": ONE_SIDED}.items():
        totals = [_total(mechanism, there) for mechanism in mechanisms]
        order = sorted(range(len(totals)), key=lambda i: -totals[i][0])
        for i, following in zip(order, [*order[1:], None], strict=True):
            row = {"mechanism": mechanisms[i].name, "kind": kind}
            row["score"] = interval(*totals[i], LEVEL)
            gap = None
            if following is not None:
                gap = tuple(a - b for a, b in zip(totals[i], totals[following], strict=True))
            rows.append(row | {"ahead": gap and interval(*gap, LEVEL)})
    return pd.DataFrame(rows)


def _total(mechanism: Mechanism, tasks: list[Scores]) -> tuple[float, Array]:
    """The mean over tasks of min(S, N), or of S: value and draws."""
    sides = ((mechanism.added, False), (mechanism.removed, True))
    each = [[shares(f, arm, removed) for arm, removed in sides if arm] for f in tasks]
    values = [min(value for value, _ in of_task) for of_task in each]
    draws = [np.min([draws for _, draws in of_task], axis=0) for of_task in each]
    if not values:
        return np.nan, np.full(DRAWS, np.nan)
    return float(np.mean(values)), np.mean(draws, axis=0)


def unclamped(runs: pd.DataFrame) -> pd.Series:
    """The share of learning rates at which no seed was clamped, by task and name."""
    worst = named(runs).groupby(["env", "name", "lr"])["clamped_steps"].max()
    return (worst == 0).groupby(["env", "name"]).mean()


def counted(runs: pd.DataFrame) -> pd.DataFrame:
    """What went astray, by task and name: shares of runs, then of steps.

    **Returns** columns runs (a number), clamped, diverged, no_return; fallbacks, bounds.
    """
    told = pd.DataFrame(
        {
            "clamped": runs["clamped_steps"] > 0,
            "diverged": runs["diverged_step"] >= 0,
            "no_return": ~np.isfinite(runs["return"]),
            "fallbacks": runs["arm_fallbacks"] / runs["steps"],
            "bounds": runs["arm_bounds"] / runs["steps"],
        }
    )
    groups = told.groupby([runs["env"], named(runs)["name"]], sort=False)
    return groups.mean().assign(runs=groups.size())
