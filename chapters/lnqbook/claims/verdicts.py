"""Verdicts: what the runs say of each claim.

A claim is judged over units, mostly tasks. In each unit its checks are put together; over the units
the first of these that is true is the verdict, with s supported, c contradicted and u undecided
among n:

    no runs · fails c > n/2 · mixed s >= 1 and c >= 1 · holds s = n · mostly s > n/2 ·
    undecided u >= n/2 · partly s >= 1 · not supported

Contradictions are Holm-corrected within a claim: of its many intervals some miss by chance. A
verdict is firm where there is at least one view of its statistics and none changes a unit. Every
claim is judged under two readings of the paper, the defaults and "as printed" (no biases).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import pandas as pd

from .checks import (
    CONTRADICTED,
    COUNTED,
    FEWER,
    NO_LINK,
    NO_RUNS,
    SUPPORTED,
    UNDECIDED,
    VIEWS,
    Check,
    Draws,
    Evidence,
)
from .runs import Runs
from .statements import CLAIMS, Claim

HOLDS, MOSTLY, PARTLY, MIXED, FAILS = "holds", "mostly", "partly", "mixed", "fails"
NOT_SUPPORTED, UNTESTED = "not supported", "not tested"
SCALE = (HOLDS, MOSTLY, PARTLY, MIXED, UNDECIDED, NOT_SUPPORTED, FAILS, NO_RUNS, UNTESTED)
"""Every verdict, the best first."""
DECIDED = (HOLDS, MOSTLY, FAILS)
LEVEL = 0.05


class Row(NamedTuple):
    """One check in one task: what the primary statistic says, and what the views say.

    `elsewhere`: whether it need not hold here, since another check of its group does.
    """

    check: Check
    env: str
    optimizer: str
    evidence: Evidence
    views: dict[str, Evidence]
    counts: bool = True
    claim: int = 0
    elsewhere: bool = False


class Unit(NamedTuple):
    """One of the things that a verdict counts, with the rows that decide it.

    `under`: its word under each view that there is. `verdict`: where the unit is a claim.
    """

    name: str
    word: str
    counts: bool
    rows: tuple[Row, ...]
    under: dict[str, str]
    verdict: str = ""

    @property
    def turned(self) -> list[str]:
        """The views under which it would be supported and is not, or contradicted, or no more."""
        return [view for view, word in self.under.items() if _side(word) != _side(self.word)]


class Verdict(NamedTuple):
    """What the runs say of a claim: the word, and the units that it counts."""

    claim: Claim
    word: str
    units: tuple[Unit, ...]

    @property
    def counted(self) -> list[Unit]:
        """The units that count, without those the paper excepts."""
        return [unit for unit in self.units if unit.counts]

    def names(self, word: str) -> list[str]:
        """The counted units with this word."""
        return [unit.name for unit in self.counted if unit.word == word]

    @property
    def firm(self) -> bool | None:
        """Whether no view changes a unit.

        None where there is no view, nothing to change, or where no view does and one that counts
        pairs without a gradient was not measured.
        """
        rows = [row for unit in self.counted for row in unit.rows if row.views]
        if self.word in (NO_RUNS, UNTESTED) or not rows:
            return None
        unmeasured = any(COUNTED in row.check.views and COUNTED not in row.views for row in rows)
        return False if self.turned else None if unmeasured else True

    @property
    def turned(self) -> list[str]:
        """The views that change a unit, as in "medians (Pendulum)"."""
        found = {view: [u.name for u in self.counted if view in u.turned] for view in VIEWS}
        return [f"{view} ({', '.join(names)})" for view, names in found.items() if names]

    @property
    def rows(self) -> pd.DataFrame:
        """One row a check and task: check, optimizer, env, value, word, counts."""
        columns = ["check", "optimizer", "env", "value", "word", "counts"]
        rows = [
            (r.check.text, r.optimizer, r.env, r.evidence.value, r.evidence.word, r.counts)
            for unit in self.units
            for r in unit.rows
        ]
        return pd.DataFrame(rows, columns=columns)


def judge(
    claim: Claim,
    runs: Runs | pd.DataFrame,
    optimizer: str = "SGD",
    bias: bool = True,
    views: bool = True,
) -> Verdict:
    """The verdict on a claim from `runs` alone.

    **Arguments** `runs`: as `runs.frame` makes them, or cut once for many claims.
    `optimizer`: of checks that name none. `bias`: the reading, True for the defaults, False for the
    network as printed. `views`: whether to take the views, too.
    """
    runs = runs if isinstance(runs, Runs) else Runs(runs)
    parts = [CLAIMS[number - 1] for number in claim.repeats] or [claim]
    used = claim.optimizer or optimizer
    rows = [row for part in parts for row in _rows(part, claim.number, runs, used, bias, views)]
    corrected = _corrected(rows)
    taken = {name: _corrected(_under(rows, name)) for name in VIEWS}
    if claim.repeats:
        units = tuple(_claim_unit(part, corrected, taken) for part in parts)
    else:
        units = tuple(_units(claim, corrected, taken))
    return Verdict(claim, scale([unit.word for unit in units if unit.counts]), units)


def judge_all(runs: pd.DataFrame, optimizer: str = "SGD") -> list[tuple[Verdict, Verdict]]:
    """Every claim of `CLAIMS` under both readings, the defaults first."""
    parts = Runs(runs)
    return [both(claim, parts, optimizer) for claim in CLAIMS]


def both(
    claim: Claim, runs: Runs | pd.DataFrame, optimizer: str = "SGD", views: bool = True
) -> tuple[Verdict, Verdict]:
    """A claim's verdicts under both readings; the same one twice where it is about no network."""
    first = judge(claim, runs, optimizer, views=views)
    if not claim.repeats and not any(check.networks for check in claim.checks):
        return first, first
    return first, judge(claim, runs, optimizer, False, views)


def scale(words: Sequence[str]) -> str:
    """The verdict over the words of a claim's units; see the module."""
    n = len(words)
    s, c, u = (list(words).count(word) for word in (SUPPORTED, CONTRADICTED, UNDECIDED))
    rules = (
        (n == 0, UNTESTED),
        (NO_RUNS in words, NO_RUNS),
        (c > n / 2, FAILS),
        (s >= 1 and c >= 1, MIXED),
        (s == n, HOLDS),
        (s > n / 2, MOSTLY),
        (u >= n / 2, UNDECIDED),
        (s >= 1, PARTLY),
    )
    return next((verdict for true, verdict in rules if true), NOT_SUPPORTED)


def together(words: Sequence[str]) -> str:
    """Several statistics of one task: all have to support a claim, one can contradict it."""
    if NO_RUNS in words:
        return NO_RUNS
    if all(word == SUPPORTED for word in words):
        return SUPPORTED
    return next((word for word in (CONTRADICTED, UNDECIDED) if word in words), NO_LINK)


def holm(levels: Sequence[float], tests: int, level: float = LEVEL) -> list[bool]:
    """Which of the `levels` stand when the smallest is held against level / tests, and so on.

    **Arguments** `levels`: p-values of the contradictions. `tests`: how many statistics the claim
    has; the others count as the largest p-values.
    """
    order = sorted(range(len(levels)), key=levels.__getitem__)
    stands, going = [False] * len(levels), True
    for place, index in enumerate(order):
        going = going and levels[index] <= level / (tests - place)
        stands[index] = going
    return stands


def _rows(
    claim: Claim, told: int, runs: Runs, optimizer: str, bias: bool, views: bool
) -> Iterable[Row]:
    """The rows of a claim's checks; `told` is the claim in whose name they are taken."""
    for check in claim.checks:
        if bias not in check.readings:
            continue
        used = check.optimizer or optimizer
        if not check.networks:
            yield Row(
                check, "", "", check.primary(pd.DataFrame(), Draws(0)), {}, claim=claim.number
            )
        for env in check.envs if check.networks else ():
            if env in runs.envs:
                stream = f"{told} {check.text} {env} {used} {bias}"
                here = runs.of(env, used, bias, check.trained)
                evidence, others = _taken(check, here, stream, views)
                counts = env not in check.excepted
                yield Row(check, env, used, evidence, others, counts, claim.number)


def _taken(
    check: Check, runs: pd.DataFrame, stream: str, views: bool
) -> tuple[Evidence, dict[str, Evidence]]:
    """The primary statistic and the views, each with a bootstrap stream of its own."""
    if check.trained - set(runs["network"]) or runs["seconds"].isna().any():
        return Evidence(NO_RUNS), {}
    primary = check.primary(runs, Draws(crc32(stream.encode()))) or Evidence(UNDECIDED)
    found = {
        name: way(runs, Draws(crc32(f"{stream} {name}".encode()), FEWER))
        for name, way in (check.views if views else {}).items()
    }
    return primary, {name: evidence for name, evidence in found.items() if evidence}


def _under(rows: Sequence[Row], view: str) -> list[Row]:
    """The rows with a view's evidence in place of the primary one, where there is such a view."""
    return [row._replace(evidence=row.views.get(view, row.evidence)) for row in rows]


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """The rows; contradictions that do not stand Holm's correction are undecided."""
    against = [i for i, r in enumerate(rows) if r.counts and r.evidence.word == CONTRADICTED]
    tests = sum(row.counts for row in rows)
    stands = holm([rows[i].evidence.p for i in against], tests)
    fallen = {i for i, stand in zip(against, stands, strict=True) if not stand}
    return [
        row._replace(evidence=row.evidence._replace(word=UNDECIDED)) if i in fallen else row
        for i, row in enumerate(rows)
    ]


def _words(rows: Sequence[Row]) -> list[str]:
    """Each row's word; one group of checks that need hold somewhere holds everywhere if it does."""
    somewhere = {
        row.check.anywhere for row in rows if row.counts and row.evidence.word == SUPPORTED
    } - {""}
    return [SUPPORTED if r.check.anywhere in somewhere else r.evidence.word for r in rows]


def _units(claim: Claim, rows: list[Row], taken: dict[str, list[Row]]) -> Iterable[Unit]:
    """A unit for each task, or for each check where these are what the claim counts."""
    words = _words(rows)
    under = {view: _words(some) for view, some in taken.items()}
    by_check = claim.units in ("trend", "theorem")
    keys = [row.check.text if by_check else row.env for row in rows]
    for key in dict.fromkeys(keys):
        at = [i for i, k in enumerate(keys) if k == key]
        counted = [i for i in at if rows[i].counts]
        word = together([words[i] for i in counted or at])
        seen = {
            view: together([under[view][i] for i in counted or at])
            for view in VIEWS
            if any(view in rows[i].views for i in counted or at)
        }
        told = (rows[i]._replace(elsewhere=words[i] != rows[i].evidence.word) for i in at)
        yield Unit(key, word, bool(counted), tuple(told), seen)


def _claim_unit(part: Claim, rows: list[Row], taken: dict[str, list[Row]]) -> Unit:
    """A claim as a unit of one that repeats it."""
    at = [i for i, row in enumerate(rows) if row.claim == part.number]
    mine = [rows[i] for i in at]
    units = list(_units(part, mine, {view: [some[i] for i in at] for view, some in taken.items()}))
    verdict = scale([unit.word for unit in units if unit.counts])
    words = {HOLDS: SUPPORTED, MOSTLY: SUPPORTED, FAILS: CONTRADICTED}
    words |= {UNDECIDED: UNDECIDED, NO_RUNS: NO_RUNS}
    under = {}
    for view in VIEWS:
        if any(view in unit.under for unit in units):
            seen = [unit.under.get(view, unit.word) for unit in units if unit.counts]
            under[view] = words.get(scale(seen), NO_LINK)
    word = words.get(verdict, NO_LINK)
    return Unit(str(part.number), word, verdict != UNTESTED, tuple(mine), under, verdict)


def _side(word: str) -> int:
    return {SUPPORTED: 1, CONTRADICTED: -1}.get(word, 0)
