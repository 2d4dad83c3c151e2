"""What the page on LN switched for the measurement finds: shares of learning rates, sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .. import rates, stats
from ..findings import case, count, listed, tasks
from ..numbers import number

CAR = "MountainCar"
MEASURES = {"gi2": "GI\N{SUBSCRIPT TWO}", "gi2_scaled": "GI\N{SUBSCRIPT TWO} / loss"}
BASELINES = {"injected": "none", "removed": "layer"}
SIGNS = {"injected": 1, "removed": -1}
"""The sign that the paper claims for GI2; the batch loss goes the other way."""
NOTE = (
    "The share of the learning rates at which the mean paired difference has the stated sign, with "
    "95% intervals from resampled seeds."
)
RUNS = "The share of single runs in which injecting LN raises the run's average:"


def table(four: pd.DataFrame, kind: str) -> pd.DataFrame:
    """At which share of the learning rates switching LN moves GI2, GI2 / loss and the loss.

    **Arguments** `four`: of `stats.with_switched`. `kind`: "injected" or "removed".

    **Returns** intervals by task: gi2, gi2_scaled, td_loss.
    """
    sign, pair = SIGNS[kind], {"norm": kind, "baseline": BASELINES[kind]}
    signs = {"gi2": sign, "gi2_scaled": sign, "td_loss": -sign}
    columns = {x: stats.by_env(four, stats.sign_share, x, s, **pair) for x, s in signs.items()}
    heads = MEASURES | {"td_loss": "batch loss"}
    ways = {1: "raised", -1: "lowered"}
    found = pd.DataFrame(columns)
    return found.rename(columns={x: f"{heads[x]} {ways[s]}" for x, s in signs.items()})


def by_run(runs: pd.DataFrame) -> pd.DataFrame:
    """The share of single runs without LN in which injecting it raises the run's average."""
    plain = runs[runs["norm"] == "none"]
    found = {}
    for x, name in MEASURES.items():
        raised = plain.assign(raised=(plain[f"injected_{x}"] > plain[x]).astype(float))
        found[f"{name} raised"] = stats.by_env(raised, stats.table_cell, "raised")
    return pd.DataFrame(found)


def sides(four: pd.DataFrame) -> dict[str, pd.Series]:
    """Whether LN switched moves a metric as claimed, task by task, by the rule of `rates.Sides`.

    **Returns** `raised` and `scaled`, of LN injected, and `lowered`, of LN removed, by task.
    """
    asked = {"raised": ("gi2", "injected"), "scaled": ("gi2_scaled", "injected")}
    asked |= {"lowered": ("gi2", "removed")}
    return {name: _sides(four, *what).map(lambda s: s.sign > 0) for name, what in asked.items()}


def answer(found: Mapping[str, pd.Series], optimizer: str) -> list[str]:
    """The page's first sentences.

    **Arguments** `found`: of `sides`.
    """
    raised, scaled, lowered = (found[name] for name in ("raised", "scaled", "lowered"))
    both = raised & lowered
    gi2, ratio = MEASURES.values()
    return [
        f"Injected without any training, with {optimizer}, LN clearly raises {gi2} at over half of "
        f"the learning rates in {tasks(raised)}, and {ratio} in {tasks(scaled)}.",
        f"Removing LN from networks that were trained with it lowers {gi2} in {tasks(lowered)}.",
        case(
            (
                both.any(),
                f"Both happen in {tasks(both)}: there LN by itself is enough, whether the weights "
                "were trained with it or without.",
            ),
            "",
        ),
        f"An experiment without training cannot say whether a higher {gi2} is why training goes "
        "better.",
    ]


def shares(four: pd.DataFrame, kind: str, optimizer: str = "") -> str:
    """At which share of the learning rates switching LN moves what it should, mean over tasks.

    **Arguments** `optimizer`: named where it is not the page's.
    """
    gi2, scaled, loss = _means(table(four, kind))
    verbs = {"injected": ("raises", "lowers"), "removed": ("lowers", "raises")}[kind]
    what = {"injected": "injecting LN", "removed": "removing LN"}[kind]
    where = _where(four)
    where = f"With {optimizer}, {where[0].lower()}{where[1:]}" if optimizer else where
    return (
        f"{where} {what} {verbs[0]} GI\u2082 at {gi2:.0%} of the learning rates "
        f"and GI\u2082 / loss at {scaled:.0%}, and {verbs[1]} the batch loss at {loss:.0%}."
    )


def trained_shares(four: pd.DataFrame) -> str:
    """The same of networks trained with LN against those trained without."""
    gi2, scaled = (
        np.mean([share.value for share in stats.by_env(four, stats.sign_share, x, 1)])
        for x in MEASURES
    )
    return (
        f"Networks trained with LN have the higher GI\u2082 at {gi2:.0%} and the higher GI\u2082 / "
        f"loss at {scaled:.0%}."
    )


def run_by_run(runs: pd.DataFrame) -> str:
    """How often injecting LN raises a single run's average, mean over tasks."""
    gi2, scaled = _means(by_run(runs))
    return (
        f"{_where(runs)} injecting LN raises GI\u2082 in {gi2:.0%} of the single runs and "
        f"GI\u2082 / loss in {scaled:.0%}."
    )


def checks(first: pd.DataFrame, by_hand: float, task: str, lr: float) -> str:
    """Whether the first checkpoints hold what was computed by hand, and one another's numbers.

    **Arguments** `first`: the first checkpoints at one learning rate, with env, norm and seed.
    `by_hand`: GI2 of that task's seed 0 with LN injected.
    """
    at = first.set_index(["env", "seed"])
    none, layer = (at[at["norm"] == norm] for norm in ("none", "layer"))
    hand = abs(none.loc[(task, 0), "injected_gi2"] / by_hand - 1)
    injected = (none["injected_gi2"] / layer["gi2"] - 1).abs().max()
    removed = (layer["injected_gi2"] / none["gi2"] - 1).abs().max()
    return (
        f"For {task}, \u03b7 = {number(lr, 2)} and seed 0 the first checkpoint differs from the "
        f"number above by {number(hand, 1)} of its size. Over "
        f"{count(len(none), 'pair')} of runs the largest relative difference is "
        f"{number(injected, 1)}, and {number(removed, 1)} for LN removed."
    )


def exceptions(by_optimizer: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Whether injection raises the mean in all other tasks and not in MountainCar.

    **Arguments** `by_optimizer`: one row a run each; empty ones are left out.

    **Returns** by (optimizer, measure): at how many learning rates the interval is above 0, below
    it, or on both sides; others raised; exception, "yes", "no", or "undecided".
    Empty without MountainCar.
    """
    rows = {}
    for optimizer, runs in by_optimizer.items():
        if CAR not in set(runs.get("env", ())):
            continue
        four = stats.with_switched(runs)
        for x, name in MEASURES.items():
            found = _sides(four, x, "injected")
            plus, minus, left, _ = found[CAR]
            others = found.drop(CAR).map(lambda s: s.sign > 0)
            rows[optimizer, name] = {"raised": plus, "lowered": minus, "both sides": left}
            rows[optimizer, name] |= {
                "others raised": f"{others.sum()} of {len(others)}",
                "exception": exception(found),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def exception(found: pd.Series) -> str:
    """ "yes" where LN raises the mean in every task but MountainCar, and there it does not.

    "no" where it does there, too, or does not in another task, else
    "undecided": in a task with more than half of its learning rates undecided, it is not known.

    **Arguments** `found`: `rates.Sides` by task.
    """
    raised = found.map(lambda s: s.sign > 0).astype(bool)
    not_raised = ~raised & found.map(lambda s: s.open <= s.rates / 2).astype(bool)
    if raised[CAR] or not_raised.drop(CAR).any():
        return "no"
    alone = len(found) > 1 and raised.drop(CAR).all() and not_raised[CAR]
    return "yes" if alone else "undecided"


def exceptions_in_words(cases: pd.DataFrame) -> str:
    """Which measures and optimizers make MountainCar an exception.

    **Arguments** `cases`: of `exceptions`.
    """
    if cases.empty:
        return "MountainCar is not shown here."
    yes, no, left = (
        [f"{name} with {optimizer}" for optimizer, name in cases.index[cases["exception"] == word]]
        for word in ("yes", "no", "undecided")
    )
    rest = case((left, f" By {listed(left)} this is undecided."), "")
    return case(
        (yes and no, f"It is an exception by {listed(yes)}, but not by {listed(no)}.{rest}"),
        (yes, f"It is an exception by {listed(yes)}.{rest}"),
        (no, f"By {listed(no)} it is no exception.{rest}"),
        "With these runs the rule decides nothing.",
    )


def paper_beside(found: Mapping[str, pd.Series], cases: pd.DataFrame) -> dict[str, str]:
    """What is seen here of the paper's Fig. 3.

    **Arguments** `found`: by optimizer, `raised` of `sides`. `cases`: of `exceptions`.
    """
    parts = [f"in {tasks(raised)} with {optimizer}" for optimizer, raised in found.items()]
    moved = f"Injected, LN raises {MEASURES['gi2']} at over half of the learning rates "
    car = "Is MountainCar an exception? " * (len(cases) > 0) + exceptions_in_words(cases)
    return {"Fig. 3": f"{moved}{listed(parts)}. {car}"}


def _where(frame: pd.DataFrame) -> str:
    envs = frame["env"].unique()
    return f"In {envs[0]}" if len(envs) == 1 else "Averaged over the tasks,"


def _means(found: pd.DataFrame) -> list[float]:
    return [np.mean([share.value for share in column]) for _, column in found.items()]


def _sides(four: pd.DataFrame, metric: str, kind: str) -> pd.Series:
    """By task, at how many learning rates switching LN moves a metric as the paper says."""
    pair = {"norm": kind, "baseline": BASELINES[kind]}
    return pd.Series(
        {
            env: rates.effect_sides(some, metric, SIGNS[kind], **pair)
            for env, some in four.groupby("env", sort=False)
        },
        dtype=object,
    )
