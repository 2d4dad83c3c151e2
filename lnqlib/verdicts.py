"""Verdicts: what the runs say of each claim, and what to type for runs that are not there.

A check whose runs are not all finished is missing, and has no runs where no study trains them. A
claim fails where one check fails that counts, holds where all hold, and is otherwise without runs,
missing or undecided; it is not tested where none of its checks is about a task at hand. Every claim
is judged under two readings of the paper, the defaults and "as printed" (no biases); it is robust
where both decide, and alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from .baselines import random_returns
from .checks import FAILS, HOLDS, MISSING, NO_RUNS, UNDECIDED, UNTESTED, VIEWS, Check
from .claims import CLAIMS, Claim
from .spec import ENVS, FIELDS, LEARNING_RATES, RunSpec, study, usual_checkpoints
from .stats import Interval

STUDIES = ("core", "as_printed", "table1", "variants", "lr_decay")
"""The studies that hold the claims' runs."""


class Verdict(NamedTuple):
    """What the runs say of a claim.

    `rows` has one row a check and environment: check, optimizer, env, interval, against, counts,
    verdict; for each of `checks.VIEWS`, such as unclamped, the interval under it and
    unclamped_verdict, where it differs from the first; and commands, what to type to train the
    missing runs.
    """

    claim: Claim
    verdict: str
    rows: pd.DataFrame


def judge(
    claim: Claim,
    runs: pd.DataFrame,
    optimizer: str = "SGD",
    bias: bool = True,
    views: Iterable[str] = tuple(VIEWS),
) -> Verdict:
    """The verdict on a claim from `runs` alone.

    **Arguments** `runs`: as `frame` makes them. `optimizer`: of checks that name none. `bias`: the
    reading, True for the defaults, False for the network as printed. `views`: those of
    `checks.VIEWS` to take rank correlations under, too.
    """
    shown = [env for env in ENVS if (runs["env"] == env).any()]
    rows = []
    for check in claim.checks:
        used = check.optimizer or optimizer
        mine = runs[
            (runs["bias"] == bias) & (runs["optimizer"] == used) & runs["arm"].isin(check.networks)
        ]
        envs = [(env, [env]) for env in check.envs if env in shown]
        for name, group in [("all", shown)] if check.pooled else envs:
            row = {"check": check.text, "optimizer": used if check.arms else "", "env": name}
            row |= {"against": check.against, "counts": name not in check.excepted}
            rows.append(row | _test(check, mine[mine["env"].isin(group)], views))
    return Verdict(claim, _overall([row["verdict"] for row in rows if row["counts"]]), _table(rows))


def judge_all(runs: pd.DataFrame, optimizer: str = "SGD") -> list[tuple[Verdict, Verdict]]:
    """Every claim of `CLAIMS` under both readings, the defaults first and with `checks.VIEWS`."""
    pairs = []
    for claim in CLAIMS:
        first = judge(claim, runs, optimizer)
        same = not any(check.arms for check in claim.checks)  # a theorem has no readings
        pairs.append((first, first if same else judge(claim, runs, optimizer, False, views=())))
    return pairs


def board(pairs: list[tuple[Verdict, Verdict]]) -> pd.DataFrame:
    """One row a claim: number, statement, where; its verdicts defaults, unclamped, medians,
    printed; robust; held and alike of counted.

    `unclamped` and `medians` are the defaults' verdicts under `checks.VIEWS`, "" where nothing
    changes; `robust` is yes, no or open; `printed` and `robust` are "" for a claim without
    networks; `held` is how many of the `counted` checks hold under the defaults, `alike` how many
    are decided alike in both.
    """
    rows = []
    for first, second in pairs:
        claim, both = first.claim, (first.verdict, second.verdict)
        printed = both[1]
        robust = "yes" if both in ((HOLDS, HOLDS), (FAILS, FAILS)) else "no"
        if {MISSING, NO_RUNS, UNTESTED} & set(both):
            robust = "open"
        if not any(check.arms for check in claim.checks):
            robust = printed = ""
        row = {"number": claim.number, "statement": claim.statement, "where": claim.where}
        row |= {"defaults": both[0]} | {view: under(first, view) for view in VIEWS}
        votes = [verdict.rows.loc[verdict.rows["counts"], "verdict"] for verdict in (first, second)]
        row |= {"held": int((votes[0] == HOLDS).sum()), "counted": len(votes[0])}
        alike = votes[0].isin([HOLDS, FAILS]) & (votes[0] == votes[1])
        rows.append(row | {"alike": int(alike.sum()), "printed": printed, "robust": robust})
    return pd.DataFrame(rows)


def under(verdict: Verdict, view: str) -> str:
    """The verdict with every rank correlation taken under a view; "" if it changes none of them.

    Checks of other kinds keep theirs.
    """
    rows, name = verdict.rows, f"{view}_verdict"
    if rows[name].isna().all():
        return ""
    voted = rows[rows["counts"]]
    return _overall(list(voted[name].fillna(voted["verdict"])))


def specs(
    envs: Iterable[str], seeds: int, steps: int, learning_rates: Iterable[float]
) -> dict[str, list[RunSpec]]:
    """The runs that the claims need, by study, with these steps and learning rates.

    Each study has the seeds that it has, below `seeds`.
    """
    own = {"steps": steps, "checkpoints": usual_checkpoints(steps)}
    return {
        name: [
            replace(spec, lr=lr, **own)
            for spec in study(name)
            if spec.lr == LEARNING_RATES[0] and spec.env in envs and spec.seed < seeds
            for lr in learning_rates
        ]
        for name in STUDIES
    }


def frame(
    asked: dict[str, list[RunSpec]], results: pd.DataFrame, policies: bool = True
) -> pd.DataFrame:
    """One row for each run asked for; where it is not finished, its results are NaN.

    **Arguments** `asked`: as `specs` gives them. `results`: rows of the finished ones. `policies`:
    whether to play the `baselines.POLICIES`, too, which takes a second.

    **Returns** the fields of `RunSpec`, study, arm (the norm, or the control of the learning rate),
    the results, and with `policies` their returns, untrained_return and uniform_return.
    """
    rows = [{"study": name, "key": s.key} | vars(s) for name, some in asked.items() for s in some]
    table = pd.DataFrame(rows).merge(results.drop(columns=list(FIELDS)), on="key", how="left")
    table["arm"] = table["norm"].where(table["lr_control"] == "none", table["lr_control"])
    if policies:
        table = table.merge(_random(table), on=["env", "bias", "seed"], how="left")
    return table


def commands(runs: pd.DataFrame) -> list[str]:
    """What to type to train the unfinished ones among `runs`, one command a study and optimizer."""
    missing = runs[runs["seconds"].isna()]
    own = (missing["steps"] != RunSpec(ENVS[0]).steps) | ~missing["lr"].isin(LEARNING_RATES)
    lines = ["add -p refresh True to this page's parameters"] if own.any() else []
    for (name, optimizer), group in missing[~own].groupby(["study", "optimizer"], sort=False):
        envs = [env for env in ENVS if (group["env"] == env).any()]
        only = f" --env {' '.join(envs)}" if len(envs) < len(ENVS) else ""
        lines.append(f"python -m lnqlib run {name} --optimizer {optimizer}{only}")
    return lines


def _test(check: Check, runs: pd.DataFrame, views: Iterable[str]) -> dict:
    """A check's verdict on the runs of one environment."""
    if check.networks - set(runs["arm"]):
        return {"verdict": NO_RUNS}
    if runs["seconds"].isna().any():
        return {"verdict": MISSING, "commands": commands(runs)}
    row = {"interval": check.statistic(runs)}
    for view in views if check.ranks else ():
        if view != "unclamped" or (runs["clamped_steps"] > 0).any():
            row[view] = check.statistic(runs, **VIEWS[view])
            row[f"{view}_verdict"] = check.verdict(row[view])
    return row | {"verdict": check.verdict(row["interval"])}


def _random(runs: pd.DataFrame) -> pd.DataFrame:
    """The returns without training: env, bias, seed, and a column for each policy."""
    parts = [
        random_returns([env], group["seed"].unique(), bias=bias).assign(bias=bias)
        for (env, bias), group in runs.groupby(["env", "bias"])
    ]
    table = pd.concat(parts).pivot(index=["env", "bias", "seed"], columns="policy", values="return")
    return table.add_suffix("_return").reset_index()


def _overall(verdicts: list[str]) -> str:
    """One failure refutes; then a gap, then a doubt, leave it open; else it holds."""
    worst = [verdict for verdict in (FAILS, NO_RUNS, MISSING, UNDECIDED) if verdict in verdicts]
    return (worst or [HOLDS if verdicts else UNTESTED])[0]


def _table(rows: list[dict]) -> pd.DataFrame:
    empty = {"interval": Interval(np.nan, np.nan, np.nan, 0), "commands": []}
    empty |= {"check": "", "counts": False, "verdict": UNTESTED}
    empty |= {name: None for view in VIEWS for name in (view, f"{view}_verdict")}
    return pd.DataFrame([empty | row for row in rows], columns=None if rows else list(empty))
