"""The pages on target networks and on online replay: sentences, tables, figures."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from lnqbook import online_statistics, target_statistics
from lnqbook.answers import TOO_FEW, answer, changes, table, would_change
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
    assert "not decided in Wide" in text and "no interval in None" in text
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
        ({"Pendulum": (-2.0, -1.0), "Acrobot": (1.0, 2.0)}, "returns less than None with its best"),
        ({"Pendulum": (-2.0, 1.0), "Acrobot": (1.0, 2.0)}, "still returns more than None with its"),
        ({"Pendulum": (-2.0, 1.0)}, "not decided in any task."),
        ({}, "not decided in any task."),
    ],
)
def test_the_answer_names_where_the_calm_learning_rates_disagree(rest, expected) -> None:
    above = dict.fromkeys(target_network.QUESTIONS, Interval(1.5, 1.0, 2.0, 4))
    calm = {env: {"rest": Interval(0.0, *ends, 4)} for env, ends in rest.items()}
    hit = {"none": 3, "layer": 0}
    runs = pd.DataFrame({"norm": hit.keys(), "clamped_steps": hit.values()})
    found = {"Pendulum": above, "Acrobot": above}
    first, catch, unlike, *_ = target_network.in_short(found, calm, dict.fromkeys(found, runs))
    assert first.startswith("LN without a target network returns more") and expected in catch
    lost = "less" in expected  # by LN, of which no run was clamped there
    assert unlike == "At the rates left out in Pendulum only runs without LN were clamped." * lost
    runs["clamped_steps"] = 1
    assert target_network.in_short(found, calm, dict.fromkeys(found, runs))[2] == ""


def test_how_many_learning_rates_are_left_and_whether_the_smallest() -> None:
    runs = {"Pendulum": pd.DataFrame({"lr": [0.1, 0.2, 0.2]})}
    left = {"Pendulum": runs["Pendulum"][1:]}
    said = "Of the 2 learning rates there remain "
    assert target_network.rates_left(runs, left) == f"{said}1 in Pendulum."
    left = {"Pendulum": runs["Pendulum"][:1]}
    assert target_network.rates_left(runs, left) == f"{said}the smallest, 1 in Pendulum."


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
    said = target_network.renewed({"Pendulum": runs})
    assert said.startswith("At the periods 10 and 1,000 every checkpoint")
    assert target_network.renewed({"Pendulum": runs[-1:]}) == ""


def test_too_few_seeds_have_no_answer() -> None:
    J = np.ones((2, 5, 9, 2))
    found = {"Pendulum": target_statistics.every_statistic(J)}
    assert target_network.in_short(found, found, {}) == (TOO_FEW,)
    assert target_network.view(found) == TOO_FEW and target_network.view({}) == ""
    some = {"Pendulum": online_statistics.online_statistics(np.ones((3, 2, 9, 2)))}
    assert online.in_short(some, some) == (online.beside_target(some),) == (TOO_FEW,)
    assert online.view(some) == TOO_FEW and online.view({}) == ""


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
    sgi, gi2, _, linked = target_network.held_told(found)
    assert sgi.endswith("learning rates in 1, and with the target held in 1.")
    assert gi2.endswith("learning rates in 1, and with the target held in 0.")
    assert linked.endswith("below 0 in 1 and 0, and with the target held in 0 and 1.")


def test_half_of_the_learning_rates_is_not_over_half() -> None:
    share, rho = Interval(0.7, 0.4, 0.9, 9), Interval(0.2, -0.1, 0.4, 18)
    signs = {"lower with LN": ("sgi", "sgi_target"), "higher with LN": ("gi2", "gi2_target")}
    row = {(side, name): share for side, names in signs.items() for name in names}
    row |= {(target_network.RHO, name): rho for names in signs.values() for name in names}
    row["lower with LN", "sgi_target"] = Interval(0.8, 0.6, 0.9, 9)
    found = pd.DataFrame.from_dict({("Pendulum", "10"): row}, orient="index")
    sgi, gi2, *_ = target_network.held_told(found)
    assert sgi.endswith("learning rates in 0, and with the target held in 1.")
    assert gi2.endswith("learning rates in 0, and with the target held in 0.")


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
    replayed, at_best, change = online.in_short(found, found)
    assert replayed.endswith("learning rates: LN raises the return in Pendulum.")
    assert change == "LN's gain against that offline: smaller by both in Pendulum."
    assert "best learning rate: LN raises the return in Pendulum." in at_best
    assert at_best.endswith("1,000 steps, there: LN lowers the return in Pendulum.")
    mirrored = {"Pendulum": online_statistics.online_statistics(J[:, ::-1])}
    replayed, at_best, change = online.in_short(found, mirrored)
    assert replayed.endswith("learning rates: LN raises the return in Pendulum.")
    assert change == (
        "LN's gain against that offline: larger by one and smaller by the other in Pendulum."
    )
    assert online.view(found) == (
        "LN raises the return in Pendulum. LN's gain is smaller than offline in Pendulum."
    )
    assert "best learning rate: LN lowers the return in Pendulum." in at_best
    assert at_best.endswith("1,000 steps, there: LN raises the return in Pendulum.")
    assert online.beside_target(found).endswith(
        "With LN: The target network raises the return in Pendulum."
    )
    table = online.changes(found)
    assert len(table) == 7
    assert table.loc[("change", "online", "Pendulum"), "answer"] == "contradicted"


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
        {"Acrobot": {"none": settings, "layer": higher}}, ("none", "layer")
    )
    (ax,) = figure.axes
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
        (Interval(1.0, np.nan, np.nan, 1), "more seeds"),
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
        "Of 2 pairs of a claim and a task that both settings decide, 1 are decided alike; the "
        "other way: claim 6 in A. Further ones are decided online alone (1)."
    )
    assert fates_told(before, before) == (
        "Both settings decide 2 pairs of a claim and a task, all alike."
    )
    assert "No claim is decided" in fates_told(before[["B"]], after[["B"]])
    table = by_setting({"none": before, "10": after})
    assert [c.split() for c in table["none"]] == [
        ["1", "of", "2"],
        ["1", "of", "1"],
    ] and table.index[0].startswith("3. ")
