"""The statistics of target networks and online replay, on returns with answers known by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from lnqbook import frozen, mechanisms, online_statistics, target_statistics
from lnqbook.crossfit import chosen, crossfit, fixed, halves, interval, table
from lnqbook.online_statistics import SETTINGS, fate
from lnqbook.online_statistics import online_statistics as online
from lnqbook.target_statistics import PERIODS, best_period, calm
from lnqbook.target_statistics import target_statistics as statistics


def constant(scores: list[list[float]], seeds: int = 4) -> np.ndarray:
    """J of given (networks, periods), the same at one rate and for every seed."""
    return np.repeat(np.array(scores, float)[:, :, None, None], seeds, axis=-1)


def test_the_best_is_chosen_on_one_half_and_scored_on_the_other() -> None:
    # the first half chooses 1 and is scored 4, the second chooses 2 and is scored 2
    assert crossfit(np.array([1.0, 3.0, 2.0]), np.array([5.0, 4.0, 9.0])) == 3.0


def test_halves_are_the_even_and_the_odd_seeds() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]])
    even, odd = halves(values, resamples=50)
    np.testing.assert_allclose([even[0], odd[0]], [[2, 20], [3, 30]])
    np.testing.assert_allclose(even[1:, 1], 10 * even[1:, 0])  # the same seeds drawn for both
    assert set(np.round(even[1:, 0], 9)) == {1.0, 2.0, 3.0}
    values[1, 1] = np.nan  # seed 1 lacks a run, and seed 3 stays an odd one
    even, odd = halves(values, resamples=5)
    np.testing.assert_allclose([even[0], odd[0]], [[2, 20], [4, 40]])
    assert np.isfinite(even).all() and np.isnan(odd[1:]).all()  # one seed left
    even, odd = halves(values[:, :1], resamples=5)
    assert np.isfinite(even[0]).all() and np.isnan(odd).all() and odd.shape == (6, 2)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_few_seeds_have_no_interval_and_stop_nothing(seeds: int) -> None:
    rng = np.random.default_rng(0)
    found = statistics(rng.normal(size=(2, 5, 3, seeds)))
    assert all(np.isnan(value.low) for value in found.values())
    flat = online(rng.normal(size=(3, 2, 3, seeds)))
    assert all(np.isnan(value.low) for part in flat.values() for value in part.values())
    assert np.isnan(best_period(rng.normal(size=(2, 5, 3, 1))).low)


def test_scores_by_hand() -> None:
    first = np.array([[[1.0, 4.0], [3.0, 0.0]]])  # (1, arms, rates)
    second = np.array([[[5.0, 2.0], [6.0, 8.0]]])
    np.testing.assert_allclose(fixed((first, second), "average"), [[3.0, 4.25]])
    # arm 0: 2 scored for rate 1, 1 for rate 0; arm 1: 6 for rate 0, 0 for rate 1
    np.testing.assert_allclose(fixed((first, second), "best"), [[1.5, 3.0]])
    # by mean over rates the halves choose arms 0 (2.5) and 1 (7): 3.5 and 1.5
    np.testing.assert_allclose(chosen((first, second), "average"), [2.5])
    # of all four the halves choose (0, 1) and (1, 1): 2 and 0
    np.testing.assert_allclose(chosen((first, second), "best"), [1.0])


def test_a_choice_among_equals_gains_nothing_on_average() -> None:
    """On noise alone: the best of four periods looks good on its own seeds, not on others."""
    rng = np.random.default_rng(0)
    gains, naive = [], []
    for _ in range(300):
        J = rng.normal(size=(2, 5, 3, 10))
        gains.append(statistics(J, resamples=2)["gain_none"].value)
        scores = J[0].mean(axis=(1, 2))
        naive.append(scores[1:].max() - scores[0])
    assert abs(np.mean(gains)) < 3 * np.std(gains) / 300**0.5
    assert np.mean(naive) > 10 * np.std(naive) / 300**0.5


def test_target_statistics_by_hand() -> None:
    J = constant([[10, 20, 30, 25, 15], [25, 28, 27, 26, 5]])
    expected = {"gain_none": 20, "gain_layer": 3, "lift": 15, "share": 0.75, "rest": -5}
    expected |= {"together": -2, "interaction": -17}
    for over in ("average", "best"):
        found = statistics(J, over)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name][:4] == pytest.approx((value, value, value, 4)), name


def test_at_the_best_rate_period_and_rate_are_chosen_together() -> None:
    J = np.zeros((2, 5, 2, 4))
    J[0, 0] = [[8], [0]]  # without: the first rate is best
    J[0, 2] = [[0], [12]]  # with: the second rate, at the third period
    J[0, 3] = [[7], [7]]  # the best average
    assert statistics(J, "best")["gain_none"].value == pytest.approx(12 - 8)
    assert statistics(J, "average")["gain_none"].value == pytest.approx(7 - 4)


def test_there_is_no_share_of_no_gain() -> None:
    found = statistics(constant([[10, 9, 8, 7, 6], [25, 28, 27, 26, 5]]))
    assert np.isnan(found["share"].value) and np.isnan(found["share"].low)
    assert found["rest"].value == pytest.approx(25 - 9)


def test_intervals_are_percentiles_of_the_resampled() -> None:
    found = interval(np.array([5.0, *np.arange(1001)]), 7)
    assert found == pytest.approx((5.0, 25.0, 975.0, 7, 0))
    assert np.isnan(interval(np.array([5.0, *[np.nan] * 30, *[1.0] * 970]), 7).low)
    assert np.isnan(interval(np.array([5.0, 1.0, 2.0]), 1).low)


def test_best_periods_by_hand() -> None:
    J = np.zeros((2, 5, 1, 2))
    J[0, 3] = 1  # None: 1,000 for both seeds
    J[1, 1, 0, 0] = 1  # LN: 10 for seed 0, none for seed 1
    J[1, 0, 0, 1] = 1
    found = best_period(J)
    assert found.value == pytest.approx(((1 - 3) + (0 - 3)) / 2)
    assert (found.low, found.high, found.count) == (-3, -2, 2)
    assert best_period(np.zeros((2, 5, 1, 2))).value == 0  # of equal ones the shortest
    J[1, 4, 0, 1] = np.nan
    assert best_period(J)[:1] + best_period(J)[3:] == (-2.0, 1, 1)


def test_at_the_best_rate_the_other_seeds_choose_the_rate() -> None:
    J = np.zeros((2, 5, 2, 3))
    J[:, :, 0] = 1  # the first rate is best for all others, whatever a seed has at the second
    J[1, 2, 0] = 2  # LN's best period at it
    J[1, 4, 1, 0] = 5  # luck of one seed: sum 5 > 3 for seeds 1 and 2, which then score 0
    found = best_period(J, "best")
    # seed 0: others have (1, 1) against (0, 0): period 100; seeds 1, 2: period 100 as well
    assert found.value == pytest.approx(2.0)


def frame(**columns: list) -> pd.DataFrame:
    points = list(itertools.product(*columns.values()))
    runs = pd.DataFrame(points, columns=list(columns))
    return runs.assign(**{"return": np.arange(len(runs), dtype=float), "clamped_steps": 0})


def test_runs_without_a_target_have_period_one() -> None:
    periods = [1_000, 0, 10, 10_000, 100]
    runs = frame(norm=["layer", "none"], target_period=periods, lr=[0.1, 0.01], seed=[0, 1, 2])
    J = target_statistics.returns(runs)
    assert J.shape == (2, len(PERIODS), 2, 3)
    row = runs.query("norm == 'none' and target_period == 0 and lr == 0.1 and seed == 2")
    assert J[0, 0, 1, 2] == row["return"].item()  # rates rise
    row = runs.query("norm == 'layer' and target_period == 10000 and lr == 0.01 and seed == 1")
    assert J[1, 4, 0, 1] == row["return"].item()
    missing = target_statistics.returns(runs.drop(index=row.index))
    assert np.isnan(missing[1, 4, 0, 1]) and np.isfinite(missing).sum() == J.size - 1
    with pytest.raises(ValueError, match="several runs of one"):
        target_statistics.returns(pd.concat([runs, runs]))


def test_calm_rates_have_no_clamped_run() -> None:
    runs = frame(norm=["none", "layer"], target_period=[0], lr=[0.1, 0.01], seed=[0, 1])
    runs.loc[1, "clamped_steps"] = 3
    assert set(calm(runs)["lr"]) == set(runs["lr"]) - {runs.loc[1, "lr"]}


def test_online_statistics_by_hand() -> None:
    # (settings, networks): offline, online, online with a target network
    scores = np.array([[10.0, 15.0], [20.0, 22.0], [26.0, 23.0]])
    found = online(np.repeat(scores[:, :, None, None], 4, axis=-1))
    values = {name: {k: v.value for k, v in part.items()} for name, part in found.items()}
    assert values["gain"] == pytest.approx(dict(zip(SETTINGS, (5, 2, -3), strict=True)))
    assert values["change"] == pytest.approx(dict(zip(SETTINGS[1:], (-3, -8), strict=True)))
    assert values["target"] == pytest.approx({"none": 6, "layer": 1})
    assert values["none"][SETTINGS[1]] == pytest.approx(20)
    assert values["layer"][SETTINGS[2]] == pytest.approx(23)


def test_settings_are_read_from_data_and_period() -> None:
    runs = frame(norm=["none", "layer"], lr=[0.1], seed=[0, 1])
    parts = [("protocol", 0), ("online", 0), ("online", 1_000)]
    some = [runs.assign(data=d, target_period=p) for d, p in parts]
    for i, part in enumerate(some):
        part["return"] += 100 * i
    J = online_statistics.returns(pd.concat(some))
    assert J.shape == (3, 2, 1, 2)
    np.testing.assert_array_equal(J[:, 0, 0, 0], [0, 100, 200])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("supported", "supported", "kept"),
        ("contradicted", "contradicted", "kept"),
        ("supported", "contradicted", "turned"),
        ("contradicted", "supported", "turned"),
        ("supported", "no clear link", "lost"),
        ("supported", "undecided", "lost"),
        ("undecided", "supported", "new"),
        ("undecided", "no clear link", "open"),
    ],
)
def test_what_becomes_of_a_claim(before: str, after: str, expected: str) -> None:
    assert fate(before, after) == expected


def test_each_question_names_its_statistic() -> None:
    assert (
        set(target_statistics.QUESTIONS) - {"shift"} <= statistics(constant([[0] * 5] * 2)).keys()
    )
    flat = np.zeros((3, 2, 1, 4))
    assert set(online_statistics.QUESTIONS) - {"fate"} <= online(flat).keys()


def test_a_plan_is_printed_with_its_digest(capsys) -> None:
    frozen.main()
    text = capsys.readouterr().out
    assert f"target: {frozen.digest('target')}, 2,880 runs" in text
    assert f"online: {frozen.digest('online')}, 1,440 runs" in text
    assert f"mechanisms: {frozen.digest('mechanisms')}, 14,400 runs" in text
    for plan in (online_statistics, target_statistics, mechanisms):
        assert all(question in text for question in plan.QUESTIONS.values())


def test_a_changed_statistic_changes_the_digest(monkeypatch) -> None:
    before = frozen.digest("target")
    source = frozen.source
    for old, new, same in (("choice.argmax", "choice.argmin", False), ("The score of", "S", True)):
        edit = lambda module, a=old, b=new: source(module).replace(a, b)  # noqa: E731
        monkeypatch.setattr(frozen, "source", edit)
        assert (frozen.digest("target") == before) is same


@pytest.mark.parametrize("name", frozen.PLANS)
def test_the_plan_is_the_one_that_was_frozen(name: str) -> None:
    assert frozen.digest(name) == frozen.FROZEN[name]


def test_a_table_keeps_the_order_of_its_arms() -> None:
    runs = frame(norm=["none", "layer"], lr=[0.1], seed=[3, 1])
    np.testing.assert_array_equal(table(runs, {"norm": ["layer", "none"]})[:, 0], [[3, 2], [1, 0]])
