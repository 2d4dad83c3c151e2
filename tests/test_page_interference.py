"""Runs split by what their datasets hold, on a made-up task whose answer is known."""

import pandas as pd
import pytest

from lnqbook.pages.interference import tables as interference
from lnqbook.pages.interference import words
from lnqbook.pages.interference.words import gain_without_goal
from lnqbook.stats import NBSP, Interval

SEEDS = 12


@pytest.fixture
def runs() -> pd.DataFrame:
    """A third of the seeds has goals: there LN gains 5, elsewhere 1, and GI2 turns its sign."""
    rows = []
    for seed in range(SEEDS):
        goal = seed % 3 == 0
        for norm in ("none", "layer"):
            for i in range(4):
                point = i + 4 * (norm == "layer")
                rows.append(
                    {"env": "Acrobot", "norm": norm, "lr": 10.0**-i, "seed": seed}
                    | {"return": (norm == "layer") * (5 if goal else 1) + 0.01 * seed}
                    | {"loss": point, "sgi": point, "gi2": -point if goal else point}
                    | {"goal_transitions": 2 * goal, "clamped_steps": 0}
                )
    return pd.DataFrame(rows)


def test_the_two_kinds_of_dataset_are_told_apart(runs):
    table = interference.split_by_goal(runs)
    assert table["seeds"].to_dict() == {
        interference.WITH: SEEDS // 3,
        interference.WITHOUT: 2 * SEEDS // 3,
    }
    gains = table["LN's gain in return"].map(lambda gain: gain.value)
    assert gains.to_dict() == pytest.approx({interference.WITH: 5, interference.WITHOUT: 1})
    assert [rho.value for rho in table[interference.CORRELATIONS["sgi"]]] == pytest.approx([1, 1])
    assert [rho.value for rho in table[interference.CORRELATIONS["gi2"]]] == pytest.approx([-1, 1])
    rho = f"{interference.RHO}(GI₂, loss)"
    assert words.goals_compared(table) == (
        f"The two kinds of dataset differ in LN's gain in return and {rho}: their intervals lie "
        f"apart, on opposite sides of 0 in {rho}."
    )


def test_datasets_of_one_kind(runs):
    table = interference.split_by_goal(runs[runs["goal_transitions"] == 0])
    assert list(table.index) == [interference.WITHOUT]
    assert "nothing to compare" in words.goals_compared(table)


def test_no_dataset_is_shown(runs):
    assert words.goals_compared(interference.split_by_goal(runs[:0])).startswith(
        "Acrobot is not among the tasks"
    )


def test_nothing_differs():
    row = {"seeds": 3, "a": Interval(1, 0.5, 2, 3), "b": Interval(-1, -2, 0.5, 3)}
    assert words.goals_compared(pd.DataFrame([row, row])) == (
        "The two kinds of dataset do not clearly differ: all intervals overlap."
    )


def test_a_gain_without_a_goal_is_told(runs):
    table = interference.split_by_goal
    assert "cannot come from learning the rewards better" in gain_without_goal(table(runs))
    one = (runs["goal_transitions"] > 0) | (runs["seed"] == 1)  # of eight seeds without a goal
    some = runs.assign(**{"return": runs["return"].where(one, 0.0)})
    assert gain_without_goal(table(some)).endswith("not shown to be above 0.")  # the mean is
    assert gain_without_goal(table(runs[runs["goal_transitions"] > 0])) == ""
    assert gain_without_goal(table(runs[:0])) == ""


ABOVE, BELOW, AROUND = (
    Interval(0.6, 0.5, 0.7, 18),
    Interval(-0.6, -0.7, -0.5, 18),
    Interval(0, -1, 1, 18),
)


def rho(**metrics) -> pd.DataFrame:
    """`sgi=[(loss, loss without clamped, return), ...]` for CartPole and Pendulum."""
    names = {"sgi": "SGI", "qgi": "QGI₊", "mgi": "MGI"}
    columns = ["loss", "loss, without clamped", "return"]
    rows = {(names[k], e): v for k, x in metrics.items() for e, v in zip(TASKS, x, strict=True)}
    index = pd.MultiIndex.from_tuples(rows, names=["metric", "task"])
    return pd.DataFrame(list(rows.values()), index, columns, dtype=object)


TASKS = ("CartPole", "Pendulum")


def test_what_clamped_points_do_to_the_link(runs):
    table = rho(sgi=[(ABOVE, BELOW, ABOVE)] * 2, qgi=[(AROUND, ABOVE, BELOW)] * 2)
    assert words.clamped_points(runs, table) == "No run of the 8 points was clamped."
    hit = (runs["lr"] == 1) & (runs["norm"] == "none")
    said = words.clamped_points(runs.assign(clamped_steps=1.0 * hit), table)
    assert said.startswith("At 1 of the 8 points a seed was clamped. ")
    assert (
        "\u03c1(QGI₊, loss) by +0.60 in CartPole and +0.60 in Pendulum; \u03c1(SGI, loss) by -1.20"
        in said
    )
    assert said.endswith(
        "Acrobot keeps 7, and \u03c1 of so many ranks in random order has a standard "
        "deviation of 0.41 around 0."
    )  # 1 / sqrt(6)


def test_the_links_beside_the_errata():
    table = rho(
        sgi=[(ABOVE, ABOVE, BELOW), (BELOW, AROUND, ABOVE)],
        qgi=[(AROUND, ABOVE, BELOW), (AROUND, ABOVE, BELOW)],
        mgi=[(ABOVE, ABOVE, BELOW), (ABOVE, AROUND, AROUND)],
    )
    assert words.weaker(table).endswith("its \u03c1 is smaller in CartPole.")
    said = words.cartpole(table, "Adam").replace(NBSP, " ").replace("\N{MINUS SIGN}", "-")
    assert said.startswith(
        "In CartPole, with Adam, \u03c1 of SGI is 0.60 [0.50, 0.70] with the loss"
    )
    assert words.cartpole(table.drop("CartPole", level="task"), "Adam") == ""
    assert words.mgi(table) == (
        "\u03c1(MGI, loss) is above 0 in all 2 tasks; \u03c1(MGI, return) is below 0 in CartPole."
    )
