"""What the board, the front page and the chapters show, against a second route to each number."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from from_data import RESULTS, TASKS
from from_data_verdicts import (
    effect,
    of,
    pair,
    placebo,
    rho_interval,
    share_from_clamped,
    statistic,
)

from lnqbook import best_rates, placebos, power
from lnqbook.claims import chapter, verdicts
from lnqbook.claims import runs as claim_runs
from lnqbook.claims.checks import CONTRADICTED, NO_LINK, NO_RUNS, SUPPORTED, UNDECIDED
from lnqbook.notebook import Parameters
from lnqbook.rates import Sides
from lnqlib.spec import ENVS, LEARNING_RATES

P = Parameters(ENVS, "SGD", 30, 200_000, LEARNING_RATES, 0, False, "")


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return chapter.looked_up(claim_runs.specs(ENVS, 30, 200_000, LEARNING_RATES))


@pytest.fixture(scope="module")
def pairs(runs):
    return verdicts.judge_all(runs)


@pytest.fixture(scope="module")
def shown(pairs) -> list[tuple]:
    """Every number that the board's evidence shows: claim, formula, view, where, what."""
    found = []
    for first, second in pairs:
        for verdict, bias in ((first, True), (second, False))[: 1 + (second is not first)]:
            for row in (row for unit in verdict.units for row in unit.rows):
                at = (row.env, row.optimizer, bias)
                if row.check.networks and not {"untrained", "uniform"} & set(row.check.networks):
                    each = {"": row.evidence} | row.views
                    found += [
                        (first.claim.number, row.check.text, view, *at, evidence)
                        for view, evidence in each.items()
                        if evidence.word != NO_RUNS and evidence.value is not None
                    ]
    return found


def test_every_number_of_the_board_by_another_route(shown):
    """Values to rounding; counts of learning rates to one, since other draws decide the closest."""
    assert len(shown) > 1000
    compared = set()
    for number, text, view, env, optimizer, bias, evidence in shown:
        if view in ("zeros counted", "untrained net"):
            continue
        ours = evidence.value
        theirs = statistic(text, view, env, optimizer, bias)
        where = (number, text, view, env, optimizer, bias)
        if isinstance(ours, Sides):
            assert abs(ours.plus - theirs[0]) <= 1 and abs(ours.minus - theirs[1]) <= 1, where
        elif np.isnan(ours.value):  # no share where LN gains nothing
            assert "(LN - None)" in text, where
        else:
            assert ours.value == pytest.approx(theirs, rel=1e-6, abs=1e-9), where
        compared.add((number, text, view))
    assert len({number for number, *_ in compared}) >= 24


def test_the_intervals_of_correlations_and_what_they_decide(pairs):
    bar = scipy.stats.t.ppf(0.975, 16)
    bar = bar / np.sqrt(16 + bar**2)  # 0.468: rho of 18 points in random order, approximately
    words = []
    for number in (3, 4, 5, 6, 26):
        for verdict, bias in zip(pairs[number - 1], (True, False), strict=True):
            for row in (row for unit in verdict.units for row in unit.rows):
                x, y = row.check.text[4:].partition(")")[0].split(", ")
                ours, sign = row.evidence.value, 1 if row.check.text.endswith("> 0") else -1
                low, high = rho_interval(x, y, pair(row.env, row.optimizer, bias))
                width = max(high - low, 0.05)
                assert abs(ours.low - low) < 0.4 * width and abs(ours.high - high) < 0.4 * width
                if min(abs(low), abs(high), abs(abs(ours.value) - bar)) < 0.02:
                    continue  # too close to call for another bootstrap
                side = sign * (int(low > 0) - int(high < 0))
                strong = abs(ours.value) > bar
                expected = {1: SUPPORTED if strong else NO_LINK, 0: UNDECIDED}
                expected[-1] = CONTRADICTED if strong else NO_LINK
                words.append(row.evidence.word == expected[side])
    assert np.mean(words) > 0.95 and len(words) > 20


def test_the_first_order_term_is_that_of_the_second_order_study():
    """Claim 27 takes 2 lr DGI from all runs; the study of the expansion measured it as such."""
    files = sorted((RESULTS / "second_order").glob("*.runs.parquet"))
    runs = pd.concat([pd.read_parquet(file) for file in files])
    finite = np.isfinite(runs["first_order"]) & np.isfinite(runs["dgi"])
    ratio = runs["first_order"][finite] / (2 * runs["lr"] * runs["dgi"])[finite]
    assert np.allclose(ratio.dropna(), 1, rtol=1e-9)


LINKS = [("gi2", "loss"), ("gi2_scaled", "loss"), ("iso_p", "return"), ("iso_o", "return")]
LINKS += [("sgi", "loss"), ("qgi_plus", "loss"), ("mgi", "loss")]


@pytest.mark.parametrize(("x", "y"), LINKS)
def test_the_placebos_by_pandas(x, y):
    cases = placebos.measure(P, [placebos.Pair(x, y, 1)])
    assert len(cases) == 4
    for case in cases:
        own, others = placebo(x, y, case.optimizer, case.reading == "defaults")
        assert case.found.own.value == pytest.approx(own)
        assert case.found.others.value == pytest.approx(others)
        assert case.found.difference.value == pytest.approx(own - others)
        text = placebos.sentences([case])[0]
        assert f"is {own:.2f} with the same" in text and f"and {others:.2f} with the other" in text


def test_the_best_rates_by_pandas(runs):
    core = runs[(runs["study"] == "core") & (runs["optimizer"] == "SGD")]
    table = best_rates.at_best(core, {"layer": "LN", "none": "None"})
    for env in TASKS:
        some = of(env, "SGD", True).query("network in ('none', 'layer')")
        for network, name in (("layer", "LN"), ("none", "None")):
            wide = some[some["network"] == network].pivot(
                index="seed", columns="lr", values="return"
            )
            halves = [wide[wide.index % 2 == half].mean() for half in (0, 1)]
            best = [half.idxmax() for half in halves]
            expected = (halves[1][best[0]] + halves[0][best[1]]) / 2
            assert table.loc[env, name].value == pytest.approx(expected)
            assert set(best_rates.chosen(core)[env][name == "None"]) == set(best)
    # found by an independent analysis of the same runs
    means = table[["LN", "None"]].map(lambda interval: round(interval.value))
    assert means.loc["CartPole"].tolist() == [291, 104]
    assert means.loc["MountainCar"].tolist() == [-86, -120]
    assert means.loc["Acrobot"].tolist() == [-95, -137]
    assert means.loc["Pendulum", "LN"] == -144


def test_the_share_of_the_gain_from_diverged_networks_by_pandas(runs):
    core = runs[(runs["study"] == "core") & (runs["optimizer"] == "SGD")]
    shares = best_rates.from_clamped(core)
    for env in TASKS:
        assert shares[env].value == pytest.approx(share_from_clamped(env))
    assert f"{shares['CartPole'].value:.0%} {shares['Pendulum'].value:.0%}" == "72% 151%"


def test_the_power_table_by_pandas(runs):
    core = runs[(runs["study"] == "core") & (runs["optimizer"] == "SGD")]
    seen = power.differences_seen(core, [20])
    for env in TASKS:
        gain = effect(pair(env, "SGD", True), "return").mean(axis=1)
        assert seen.loc[env, "gain"] == pytest.approx(gain.mean())
        wanted = (scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)) * gain.std() / 20**0.5
        assert seen.loc[env, 20] == pytest.approx(wanted / gain.mean())
