"""The scale, the combination of statistics, Holm's correction, views and firmness."""

import statistics
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lnqbook.claims import checks, verdicts
from lnqbook.claims.checks import (
    CALM,
    CONTRADICTED,
    COUNTED,
    MEDIANS,
    NO_LINK,
    NO_RUNS,
    SUPPORTED,
    UNDECIDED,
    Check,
    Evidence,
)
from lnqbook.claims.statements import CLAIMS, Claim, checks_of
from lnqbook.claims.verdicts import (
    FAILS,
    HOLDS,
    MIXED,
    MOSTLY,
    NOT_SUPPORTED,
    PARTLY,
    UNTESTED,
    holm,
    scale,
    together,
)

S, C, U, L, N = SUPPORTED, CONTRADICTED, UNDECIDED, NO_LINK, NO_RUNS


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ([], UNTESTED),
        ([S, S, N], NO_RUNS),
        ([C, C, C, N], NO_RUNS),
        ([C, C, S], FAILS),
        ([C, C, S, S], MIXED),
        ([C, S, S, S], MIXED),
        ([S], HOLDS),
        ([S, S, S], HOLDS),
        ([S, S, L], MOSTLY),
        ([S, S, U, L, S], MOSTLY),
        ([S, U, L], PARTLY),
        ([S, U, U], verdicts.UNDECIDED),
        ([S, S, U, U], verdicts.UNDECIDED),
        ([C, U, U, L], verdicts.UNDECIDED),
        ([C, U, L, L], NOT_SUPPORTED),
        ([L, L, L, L], NOT_SUPPORTED),
        ([C, C, L, L], NOT_SUPPORTED),
        ([C], FAILS),
    ],
)
def test_the_scale(words, verdict):
    assert scale(words) == verdict


@pytest.mark.parametrize(
    ("words", "word"),
    [([S, S], S), ([S, C, U], C), ([S, U, L], U), ([S, L], L), ([S, C, N], N), ([L], L)],
)
def test_several_statistics_of_one_task(words, word):
    assert together(words) == word


def test_holm_by_hand():
    # 0.01 <= 0.05/4, 0.014 <= 0.05/3, 0.03 > 0.05/2: that one falls, and so does what follows
    assert holm([0.03, 0.01, 0.014, 0.04], 4) == [False, True, True, False]
    assert holm([0.01], 4) == [True]
    assert holm([0.02], 4) == [False]
    assert holm([0.02, 0.013], 4) == [False, False]
    assert holm([], 9) == []


def test_the_draws_are_enough_to_stand_the_correction():
    """No draw on the other side of a number is the surest that a contradiction can be."""
    for claim in CLAIMS:
        tests = sum(env not in check.excepted for check in checks_of(claim) for env in check.envs)
        for draws in (checks.RESAMPLES, checks.FEWER):
            assert tests == 0 or holm([2 / (1 + draws)], tests) == [True], claim.number


def check(word: str, p: float = 0.0, **more) -> Check:
    """A check that says the same in every task."""
    return Check(f"{word} {p}", lambda runs, draws: Evidence(word, None, p), **more)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return pd.DataFrame(
        {"env": env, "norm": norm, "network": norm, "optimizer": "SGD", "bias": bias}
        | {"lr": 0.1, "seed": seed, "seconds": 1.0, "clamped_steps": 0.0}
        for env in ("CartPole", "Pendulum")
        for norm in ("none", "layer")
        for bias in (True, False)
        for seed in range(3)
    )


def judged(runs, *checks_, **how) -> verdicts.Verdict:
    return verdicts.judge(Claim(99, "", "", checks_), runs, **how)


def test_a_contradiction_that_chance_could_be_is_undecided(runs):
    assert judged(runs, check(C, 0.001), check(S)).word == FAILS
    # two tasks and two checks: 4 statistics, and 0.02 > 0.05 / 4
    assert judged(runs, check(C, 0.02), check(S)).word == verdicts.UNDECIDED
    assert judged(runs, check(C, 0.02)).word == FAILS  # 2 statistics: 0.02 < 0.05 / 2


def test_an_excepted_task_is_shown_and_not_counted(runs):
    found = judged(runs, check(C, envs=("CartPole", "Pendulum"), excepted=("CartPole",)))
    assert [(unit.name, unit.counts) for unit in found.units] == [
        ("CartPole", False),
        ("Pendulum", True),
    ]
    assert found.word == FAILS
    nothing = judged(runs, check(C, excepted=("CartPole", "Pendulum")))
    assert (nothing.word, nothing.firm) == (UNTESTED, None)


def test_a_missing_or_unfinished_run_is_no_run(runs):
    assert judged(runs, check(S, networks=("none", "batch"))).word == NO_RUNS
    open_ = runs.assign(seconds=np.where(runs["env"] == "Pendulum", np.nan, 1.0))
    found = judged(open_, check(S))
    assert found.word == NO_RUNS
    assert found.names(S) == ["CartPole"]


def test_views_and_firmness(runs):
    def with_views(**views):
        ways = {
            n: (lambda runs, draws, w=w: w and Evidence(w, None, 0.0)) for n, w in views.items()
        }
        return replace(check(S), views=ways)

    firm = judged(runs, with_views(**{MEDIANS: S, CALM: S}))
    assert (firm.firm, firm.turned) == (True, [])
    loose = judged(runs, with_views(**{MEDIANS: S, CALM: U}))
    assert (loose.firm, loose.turned) == (False, [f"{CALM} (CartPole, Pendulum)"])
    assert judged(runs, check(S)).firm is None  # no view
    unmeasured = with_views(**{CALM: S, COUNTED: None})
    assert judged(runs, unmeasured).firm is None  # it might change a unit
    assert judged(runs, with_views(**{CALM: U, COUNTED: None})).firm is False
    assert judged(runs, with_views(**{CALM: None})).firm is None  # none that has a statistic
    assert judged(runs, with_views(**{CALM: U}), views=False).firm is None
    between = replace(check(U), views={CALM: lambda runs, draws: Evidence(L)})
    assert judged(runs, between).firm is True  # neither is support nor contradiction


def test_a_view_replaces_the_statistics_that_have_it(runs):
    turning = replace(check(L), views={CALM: lambda runs, draws: Evidence(S, None, 0.0)})
    both = judged(runs, turning, check(S))
    assert both.units[0].under == {CALM: S}
    beside = judged(runs, turning, check(U))
    assert beside.units[0].under == {CALM: U}
    assert beside.firm is True


def test_every_statistic_has_draws_of_its_own(runs):
    seen = []

    def way(runs, draws):
        seen.append(draws.seed)
        return Evidence(S)

    two = Check("one", way, {CALM: way}), Check("two", way)
    judged(runs, *two)
    judged(runs, *two, bias=False)
    assert len(seen) == 12 == len(set(seen))
    again = list(seen)
    seen.clear()
    judged(runs, *two)
    assert seen == again[:6]
    assert statistics.stdev(again) > 1e8  # spread over all seeds


def test_a_claim_without_networks_has_one_reading(runs):
    sure = checks.Check("theorem", lambda runs, draws: Evidence(S), networks=())
    first, second = verdicts.both(Claim(1, "", "", (sure,)), runs)
    assert first is second
    first, second = verdicts.both(Claim(1, "", "", (check(S),)), runs)
    assert first is not second
