"""The paper's claims about None and LN in another setting, word by word as the ledger judges them.

A setting is a set of runs of None and LN: online, or with a target network of some period. Claims
that need other networks or another optimizer have no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lnqlib.spec import RunSpec

from ..answers import SUPPORTED
from ..findings import case, count, listed
from ..online_statistics import KEPT, LOST, NEW, TURNED, fate
from ..stats import NBSP
from . import runs as claim_runs
from .statements import CLAIMS, Claim
from .verdicts import judge, together

NETWORKS = {"none", "layer"}
NUMBERS = (*range(1, 12), 13, 14, 15, 18, 19, 20, 24, 26)
"""The claims about None and LN with SGD."""
HELD = {"sgi": "sgi_target", "mgi": "sgi_target", "dgi": "dgi_target", "gi2": "gi2_target"}
"""The columns of metrics with the target held, under which MGI is SGI; QGI+ has no target in it."""
INJECTED = (11,)
"""Claims about LN injected for the measurement, which is not made with the target held."""


def words(
    specs: Sequence[RunSpec],
    results: pd.DataFrame,
    optimizer: str = "SGD",
    numbers: Iterable[int] = NUMBERS,
    held: bool = False,
) -> pd.DataFrame:
    """What the runs of one setting say of each claim, task by task.

    **Arguments** `specs`: the setting's runs, and `results` their rows. `held`: whether metrics are
    those with the target held, which leaves out the claims of `INJECTED`.

    **Returns** a row a claim, a column a task: "supported", "contradicted", "undecided", "no clear
    link" or "no runs"; "" where the claim is not about the task, or excepts it.
    """
    if held:
        there = {name: column for name, column in HELD.items() if column in results}
        results = results.assign(**{name: results[column] for name, column in there.items()})
        numbers = [number for number in numbers if number not in INJECTED]
    claims = [_about_none_and_layer(CLAIMS[number - 1], optimizer) for number in numbers]
    policies = any(set(check.networks) - NETWORKS for claim in claims for check in claim.checks)
    runs = claim_runs.Runs(claim_runs.frame({"core": list(specs)}, results, policies))
    return pd.DataFrame(
        {claim.number: _by_task(claim, runs, optimizer) for claim in claims},
        index=runs.envs,
        dtype=object,
    ).T.fillna("")


def counts(words: pd.DataFrame, word: str) -> pd.Series:
    """In how many tasks a claim has this word, as "2 of 3"; by claim."""
    judged = (words != "").sum(axis=1)
    found = (words == word).sum(axis=1)
    return found.astype(str) + " of " + judged.astype(str)


def fates(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """`online_statistics.fate` of each claim and task; "" where one of them has no word."""

    def told(first: str, second: str) -> str:
        return fate(first, second) if first and second else ""

    return before.combine(after, lambda a, b: a.combine(b, told))


def named(by_claim: pd.DataFrame, optimizer: str = "SGD") -> pd.DataFrame:
    """The table with each claim's number and statement, and what of it was judged."""
    labels = []
    for number in by_claim.index:
        claim = CLAIMS[number - 1]
        part = len(_about_none_and_layer(claim, optimizer).checks) < len(claim.checks)
        part_told = case((part, f" (Judged here: what it says of {optimizer}.)"), "")
        trends_told = case((claim.units == "trend", " (Judged here: all of the trends.)"), "")
        labels.append(f"{number}. {_plain(claim.statement)}{part_told}{trends_told}")
    return by_claim.set_axis(labels)


def by_setting(words: Mapping[str, pd.DataFrame], optimizer: str = "SGD") -> pd.DataFrame:
    """In how many tasks each claim is supported, a column a setting.

    **Arguments** `words`: setting -> what `words` gives.
    """
    columns = {setting: counts(some, SUPPORTED) for setting, some in words.items()}
    return named(pd.DataFrame(columns).replace(" ", NBSP, regex=True).fillna(""), optimizer)


def fates_told(
    before: pd.DataFrame, after: pd.DataFrame, names: tuple[str, str] = ("offline", "online")
) -> str:
    """How many pairs of a claim and a task keep their word, and what becomes of the others.

    **Arguments** `names`: of the two settings, as "3 only online".
    """
    found = fates(before, after).stack()
    kept, turned, lost, new = (found.index[found == fate] for fate in (KEPT, TURNED, LOST, NEW))
    both = len(kept) + len(turned)
    decided = both + len(lost) + len(new)
    alone = ", ".join(
        f"{len(pairs)} only {setting}"
        for pairs, setting in ((lost, names[0]), (new, names[1]))
        if len(pairs)
    )
    which = listed(f"[claim {n}](claims.ipynb#claim-{n}) in {task}" for n, task in turned)
    return case(
        (not decided, "No claim of the paper is decided in any task."),
        "Each claim of the paper is judged in each of its tasks. Of the "
        f"{count(decided, 'combination')} of claim and task decided (supported or contradicted) "
        "in at least one setting, "
        + case(
            (not both, "none is decided in both"),
            (not len(turned), f"{both} are decided in both, all with the same result"),
            f"{both} are decided in both, {len(kept)} of them with the same result, but not "
            f"{which}",
        )
        + case((alone, f"; {alone}."), "."),
    )


def _plain(statement: str) -> str:
    """Metrics' names as text without markup has them."""
    for name, sign in (
        ("GI2", "GI₂"),
        ("QGI+", "QGI₊"),
        ("ISO_p", "ISO\N{LATIN SUBSCRIPT SMALL LETTER P}"),
    ):
        statement = statement.replace(name, sign)
    return statement


def _about_none_and_layer(claim: Claim, optimizer: str) -> Claim:
    kept = [
        check
        for check in claim.checks
        if check.trained <= NETWORKS and check.optimizer in ("", optimizer)
    ]
    return replace(claim, checks=tuple(kept))


def _by_task(claim: Claim, runs: claim_runs.Runs, optimizer: str) -> dict[str, str]:
    """The word of each task; of a claim about trends, its counted checks together."""
    verdict = judge(claim, runs, optimizer, views=False)
    if claim.units == "task":
        return {unit.name: unit.word for unit in verdict.counted}
    rows = verdict.rows
    return {
        env: together(list(some["word"]))
        for env, some in rows[rows["counts"].astype(bool)].groupby("env", sort=False)
    }
