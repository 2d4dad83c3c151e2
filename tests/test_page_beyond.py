"""The pages on target networks and on online replay: sentences, tables, figures."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from lnqbook import online_statistics, target_statistics
from lnqbook.answers import TOO_FEW, answer, changes, rates_left, table, would_change
from lnqbook.claims.settings import by_setting, fates_told
from lnqbook.figures import beyond as figures
from lnqbook.pages import online, target_network
from lnqbook.stats import Interval


@pytest.mark.parametrize(
    "phrases", [*target_network.QUESTIONS.values(), *online.QUESTIONS.values()]
)
def test_every_question_has_a_sentence_for_every_answer(phrases) -> None:
    ends = {"Low": (-9.0, -8.0), "Wide": (-9.0, 9.0), "High": (8.0, 9.0), "None": (np.nan, np.nan)}
    text = answer({task: Interval(0.0, *both, 4) for task, both in ends.items()}, phrases)
    sign, _, said = phrases
    up, down = ("High", "Low") if sign > 0 else ("Low", "High")
    assert f"{said['supported']} in {up}".lower() in text.lower()
    assert f"{said['contradicted']} in {down}".lower() in text.lower()
    assert "undecided in Wide" in text and "no interval in None" in text
    assert text[0].isupper() and text.endswith(".")


def test_answers_by_statistic() -> None:
    J = np.repeat(np.array([[10.0, 20, 30, 25, 15], [25, 28, 27, 26, 5]])[..., None, None], 4, -1)
    found = {"Pendulum": target_statistics.every_statistic(J)}
    found["Acrobot"] = found["Pendulum"]
    said = target_network.sentences(found)
    assert said["shift"] == "LN's best period is shorter than None's in all 2 tasks."
    assert said["share"].startswith("LN alone brings less than four fifths")
    assert said["gain_layer"] == "A target network raises LN's return as well in all 2 tasks."
    names = {"gain_none": "gain", "rest": "rest"}
    gains = table(found, names)
    assert list(gains) == ["gain", "rest"] and list(gains.index) == ["Pendulum", "Acrobot"]
    assert gains.loc["Acrobot", "gain"].value == 20 and gains.loc["Acrobot", "rest"].value == -5


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (
            {"Pendulum": (-2.0, -1.0), "Acrobot": (1.0, 2.0)},
            "less than None with its best one in Pendulum, and still more in Acrobot.",
        ),
        ({"Pendulum": (-2.0, 1.0), "Acrobot": (1.0, 2.0)}, "still returns more than None with its"),
        ({"Pendulum": (-2.0, 1.0)}, "undecided in every task which of the two returns more."),
        ({}, "there is nothing to compare, for no learning rate is left."),
    ],
)
def test_the_answer_names_where_the_calm_learning_rates_disagree(rest, expected) -> None:
    above = dict.fromkeys(target_network.QUESTIONS, Interval(1.5, 1.0, 2.0, 4))
    calm = {env: {"rest": Interval(0.0, *ends, 4)} for env, ends in rest.items()}
    hit = {"none": 3, "layer": 0}
    runs = pd.DataFrame({"norm": hit.keys(), "clamped_steps": hit.values()})
    found = {"Pendulum": above, "Acrobot": above}
    said = target_network.catch(calm, dict.fromkeys(found, runs))
    assert expected in said
    lost = "less" in expected  # by LN, of which no run was clamped there
    unlike = "At the rates left out in Pendulum only runs without LN were clamped."
    assert said.endswith(unlike) == lost
    runs["clamped_steps"] = 1
    assert unlike not in target_network.catch(calm, dict.fromkeys(found, runs))


def test_the_answers_of_three_averages_come_together() -> None:
    above, below = Interval(1.5, 1.0, 2.0, 4), Interval(-1.5, -2.0, -1.0, 4)
    one = {env: dict.fromkeys(target_network.QUESTIONS, above) for env in ("Acrobot", "Pendulum")}
    other = one | {"Pendulum": dict.fromkeys(target_network.QUESTIONS, below)}
    runs = pd.DataFrame({"norm": ["none"], "clamped_steps": [0]})
    averaged, best, _, agreed = target_network.in_short(one, other, {}, dict.fromkeys(one, runs))
    assert averaged.startswith("Averaged over learning rates, LN without a target network returns")
    assert averaged.endswith("in Acrobot (1.5) and Pendulum (1.5).")
    assert best.endswith("less than None with its best one in Pendulum (\N{MINUS SIGN}1.5).")
    assert "a target network raises None's return in Acrobot; what a target network does for " in (
        agreed
    )
    assert "for None depends on the average in Pendulum." in agreed


def test_periods_as_long_as_the_run_are_named() -> None:
    assert target_network.never_renewed((1, 10, 100), 101) == ""
    assert target_network.never_renewed((1, 10, 100, 1_000), 100) == (
        "In 100 steps a target network with a period of 100 and 1,000 keeps its initial weights."
    )


def test_how_many_learning_rates_are_left_and_whether_the_smallest() -> None:
    runs = pd.DataFrame({"env": "Pendulum", "lr": [0.1, 0.2, 0.2]})
    assert rates_left(runs, runs[1:]) == "Of 2 learning rates are left: 1 in Pendulum."
    smallest = "Of 2 learning rates the smallest are left: 1 in Pendulum."
    assert rates_left(runs, runs[:1]) == smallest
    assert rates_left(runs, runs) == "All 2 learning rates are left."
    assert rates_left(runs, runs[:0]) == "No learning rate is left in any task."


def test_a_view_says_how_large_each_effect_is() -> None:
    values = {"Pendulum": Interval(0.0123, 0.01, 0.02, 4), "Acrobot": Interval(300, 200, 400, 4)}
    found = {env: dict.fromkeys(target_network.QUESTIONS, value) for env, value in values.items()}
    assert "raises None's return in Pendulum (0.012) and Acrobot (300)." in (
        target_network.view(found)
    )


def test_checkpoints_that_always_find_a_fresh_target_are_named() -> None:
    runs = pd.DataFrame(
        {
            "target_period": [0, 10, 10, 1_000, 10_000, 10_000],
            "sgi": [0.1, 0.2, np.nan, 0.4, 0.5, 0.6],
            "sgi_target": [np.nan, 0.2, np.nan, 0.4, 0.5, 0.7],
        }
    )
    fresh = target_network.fresh_periods({"Pendulum": runs})
    assert fresh == [10, 1_000]
    said = target_network.renewed(fresh)
    assert said.startswith("At the periods 10 and 1,000 every checkpoint")
    assert target_network.renewed([10]).startswith("At the period 10 every checkpoint")
    assert target_network.fresh_periods({"Pendulum": runs[-1:]}) == []
    assert target_network.renewed([]) == ""


def test_too_few_seeds_have_no_answer() -> None:
    J = np.ones((2, 5, 9, 2))
    found = {"Pendulum": target_statistics.every_statistic(J)}
    assert target_network.in_short(found, found, found, {}) == (TOO_FEW,)
    assert target_network.view(found) == target_network.view({}) == ""
    some = {"Pendulum": online_statistics.online_statistics(np.ones((3, 2, 9, 2)))}
    assert online.in_short(some, some, some) == (TOO_FEW,)
    assert online.view(some) == online.view({}) == online.beside_target(some) == ""


def test_metrics_with_the_target_held_are_counted_beside_the_usual_ones() -> None:
    """LN lowers SGI everywhere and raises GI2 with the online network alone; ranks by hand."""
    rng = np.random.default_rng(0)
    rows = []
    for period in (0, 10):
        for i, lr in enumerate((1e-4, 1e-3, 1e-2, 1e-1)):
            for norm in ("none", "layer"):
                for seed in range(6):
                    up, score = norm == "layer", i + 10 * (norm == "layer")
                    wiggle = 1e-3 * rng.random()
                    rows.append(
                        {"lr": lr, "norm": norm, "seed": seed, "target_period": period}
                        | {"sgi": -up + wiggle, "sgi_target": -up + wiggle, "clamped_steps": 0}
                        | {"gi2": score + wiggle, "gi2_target": -score - wiggle, "return": score}
                    )
    found = target_network.held({"Pendulum": pd.DataFrame(rows)})
    assert list(found.index) == [("Pendulum", "10")]
    assert found["higher with LN", "gi2"].iloc[0].value == 1
    assert found["higher with LN", "gi2_target"].iloc[0].value == 0
    assert found[target_network.RHO, "gi2"].iloc[0].value == pytest.approx(1)
    assert found[target_network.RHO, "gi2_target"].iloc[0].value == pytest.approx(-1)
    sgi, _, gi2, linked = target_network.held_told(found)
    assert sgi.endswith(
        "learning rates in 1 of 1 pair of task and period; with the target held in 1 of 1 pair."
    )
    assert gi2.endswith(
        "learning rates in 1 of 1 pair of task and period; with the target held in 0 of 1 pair."
    )
    assert linked.endswith(
        "above 0 in 1 and below 0 in 0 of 1 pair; with the target held above 0 in 0 and below 0 "
        "in 1 of 1 pair."
    )
    assert target_network.held_told(found, [10])[0].endswith(
        "learning rates in 1 of 1 pair of task and period."
    )
    assert target_network.held_told(found, [10])[2] == gi2
    assert target_network.bar(found).endswith("5% of cases: 0.74 for 8 points.")


def test_half_of_the_learning_rates_is_not_over_half() -> None:
    share, rho = Interval(0.7, 0.4, 0.9, 9), Interval(0.2, -0.1, 0.4, 18)
    signs = {"lower with LN": ("sgi", "sgi_target"), "higher with LN": ("gi2", "gi2_target")}
    row = {(side, name): share for side, names in signs.items() for name in names}
    row |= {(target_network.RHO, name): rho for names in signs.values() for name in names}
    row["lower with LN", "sgi_target"] = Interval(0.8, 0.6, 0.9, 9)
    found = pd.DataFrame.from_dict({("Pendulum", "10"): row}, orient="index")
    sgi, _, gi2, _ = target_network.held_told(found)
    assert sgi.endswith(
        "learning rates in 0 of 1 pair of task and period; with the target held in 1 of 1 pair."
    )
    assert gi2.endswith(
        "learning rates in 0 of 1 pair of task and period; with the target held in 0 of 1 pair."
    )


def test_answers_by_setting() -> None:
    scores = np.array([[10.0, 15.0], [20.0, 22.0], [26.0, 23.0]])
    J = np.repeat(scores[:, :, None, None], 4, axis=-1)
    found = {"Pendulum": online_statistics.online_statistics(J)}
    assert list(online.sentences(found).values()) == [
        "LN raises the return in Pendulum.",
        "LN raises the return in Pendulum.",
        "LN lowers the return in Pendulum.",
        "LN's gain is smaller than offline in Pendulum.",
        "LN's gain is smaller than offline in Pendulum.",
        "The target network raises the return in Pendulum.",
        "The target network raises the return in Pendulum.",
    ]
    replayed, at_best, free, change = online.in_short(found, found, {})
    assert replayed.endswith("learning rates, LN raises the return in Pendulum.") and not free
    assert change == (
        "Compared with offline, averaged over learning rates and at the best ones, LN's gain is "
        "smaller both times in Pendulum."
    )
    assert "best learning rate, LN raises the return in Pendulum." in at_best
    assert at_best.endswith("1,000 steps, LN lowers the return in Pendulum.")
    mirrored = {"Pendulum": online_statistics.online_statistics(J[:, ::-1])}
    replayed, at_best, free, change = online.in_short(found, mirrored, mirrored)
    assert replayed.endswith("learning rates, LN raises the return in Pendulum.")
    assert free.endswith("no run was clamped, LN lowers the return in Pendulum.")
    assert change == (
        "Compared with offline, averaged over learning rates and at the best ones, LN's gain is "
        "larger once and smaller once in Pendulum."
    )
    assert online.view(found) == (
        "LN raises the return in Pendulum. LN's gain is smaller than offline in Pendulum."
    )
    assert "best learning rate, LN lowers the return in Pendulum." in at_best
    assert at_best.endswith("1,000 steps, LN raises the return in Pendulum.")
    assert online.beside_target(found).endswith(
        "With LN, the target network raises the return in Pendulum."
    )
    table = online.changes(found)
    assert len(table) == 7
    assert table.loc[("that, minus offline", "online", "Pendulum"), "answer"] == "contradicted"


def test_online_runs_that_never_saw_the_goal_are_counted() -> None:
    """Acrobot: one of two without LN; offline and with a target network they do not count."""
    runs = pd.DataFrame(
        {
            "env": ["Acrobot"] * 5 + ["MountainCar", "Pendulum"],
            "norm": ["none", "none", "layer", "layer", "none", "none", "none"],
            "data": ["online", "online", "online", "online", "protocol", "online", "online"],
            "target_period": [0, 0, 0, 1_000, 0, 0, 0],
            "goal_transitions": [0, 2, 1, 0, 0, 5, 0],
            "clamped_steps": [0, 9, 0, 0, 0, 0, 0],
            "lr": [0.1, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1],
        }
    )
    assert online.unreached(runs).startswith(
        "Online runs that never reached the goal: in Acrobot 1 of 2 without LN and 0 with it."
    )
    assert online.unreached(runs[runs["env"] != "Acrobot"]) == ""
    assert list(online.settings_of(runs)[:5]) == [
        *("online", "online", "online", "online, target network", "offline")
    ]
    shares = online.clamped(runs)
    assert list(shares) == ["offline", "online", "online, target network"]
    assert shares.loc[("Acrobot", "none"), "online"] == 0.5
    assert list(online.calm(runs)["lr"]) == [0.1] * 6


def test_return_by_period_draws_means_over_rates_and_the_best_of_them() -> None:
    J = np.arange(2 * 3 * 2 * 4, dtype=float).reshape(2, 3, 2, 4)
    figure = figures.return_by_period({"Pendulum": J}, ("none", "layer"), (1, 10, 100))
    (ax,) = figure.axes
    solid, dotted = ax.lines[::2], ax.lines[1::2]
    for network in (0, 1):
        np.testing.assert_allclose(solid[network].get_xdata(), [1, 10, 100])
        np.testing.assert_allclose(solid[network].get_ydata(), J[network].mean(axis=(1, 2)))
        np.testing.assert_allclose(dotted[network].get_ydata(), J[network, :, 1].mean(axis=-1))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["none", "10", "100"]
    rings = [mark.get_offsets()[0] for mark in ax.collections if isinstance(mark, PathCollection)]
    np.testing.assert_allclose(rings, [(100, J[network, 2].mean()) for network in (0, 1)])
    assert ax.get_title() == "Pendulum"


def test_scores_by_setting_draws_values_and_intervals() -> None:
    settings = {"offline": Interval(3.0, 2.0, 5.0, 4), "online": Interval(7.0, 6.0, 9.0, 4)}
    higher = {name: Interval(*(x + 1 for x in i[:3]), 4) for name, i in settings.items()}
    figure = figures.scores_by_setting(
        {"Acrobot": {"none": settings, "layer": higher}},
        ("none", "layer"),
        pd.DataFrame({"untrained": [1.0], "uniform": [2.0]}, ["Acrobot"]),
    )
    (ax,) = figure.axes
    levels = [line.get_ydata()[0] for line in ax.lines if line.get_xdata()[1] == 1]
    assert levels[:2] == [1, 2]
    for container, offset in zip(ax.containers, (0, 1), strict=True):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_ydata(), [3 + offset, 7 + offset])
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [[2 + offset, 5 + offset], [6 + offset, 9 + offset]])


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval(2.0, 1.0, 3.0, 10), "a shift by -1"),
        (Interval(-2.0, -3.0, -0.5, 10), "a shift by +0.5"),
        (Interval(1.0, -1.0, 3.0, 10), "40 seeds"),  # half width 2, twice the value
        (Interval(-1.0, -2.0, 2.0, 10), "90 seeds"),  # its upper half is 3
        (Interval(1.0, -2.0, 2.0, 10), "90 seeds"),  # its lower half is 3
        (Interval(-0.2, -0.5, 0.0, 10), "11 seeds"),  # ten do not decide it
        (Interval(0.01, -1.0, 1.0, 10), "over 1,000 seeds"),
        (Interval(0.0, -1.0, 1.0, 10), "over 1,000 seeds"),
        (Interval(2.0, 0.871, 3.0, 10), "a shift by -0.88"),  # less would not do
        (Interval(1.0, np.nan, np.nan, 1), "more seeds"),
        (Interval(np.nan, np.nan, np.nan, 10), "\N{EN DASH}"),  # however many
    ],
)
def test_what_would_change_an_answer(interval: Interval, expected: str) -> None:
    assert would_change(interval) == expected
    assert would_change(Interval(*(end + 5 for end in interval[:3]), interval.count), 5) == expected


def test_changes_have_a_row_a_question_and_task() -> None:
    found = {
        task: dict.fromkeys(target_network.QUESTIONS, Interval(2.0, 1.0, 3.0, 10))
        for task in ("A", "B")
    }
    rows = changes(found, target_network.QUESTIONS)
    assert len(rows) == 2 * len(target_network.QUESTIONS)
    assert rows.loc[("shift", "A"), "answer"] == "contradicted"
    assert rows.loc[("share", "B"), "would change it"] == "a shift by -0.2"


def test_what_becomes_of_the_claims_is_told() -> None:
    before = pd.DataFrame({"A": ["supported", "supported"], "B": ["undecided", ""]}, index=[3, 6])
    after = pd.DataFrame({"A": ["supported", "contradicted"], "B": ["supported", ""]}, index=[3, 6])
    text = fates_told(before, after)
    assert text == (
        "Each claim of the paper is judged in each of its tasks. Of the 3 combinations of claim "
        "and task decided (supported or contradicted) in at least one setting, 2 are decided in "
        "both, 1 of them with the same "
        "result, but not [claim 6](claims.ipynb#claim-6) in A; 1 only online."
    )
    assert fates_told(before, before) == (
        "Each claim of the paper is judged in each of its tasks. Of the 2 combinations of claim "
        "and task decided (supported or contradicted) in at least one setting, 2 are decided in "
        "both, all with the same result."
    )
    assert "none is decided in both; 1 only online." in fates_told(before[["B"]], after[["B"]])
    assert fates_told(before[["B"]], before[["B"]]) == (
        "No claim of the paper is decided in any task."
    )
    table = by_setting({"none": before, "10": after})
    assert [c.split() for c in table["none"]] == [
        ["1", "of", "2"],
        ["1", "of", "1"],
    ] and table.index[0].startswith("3. ")
