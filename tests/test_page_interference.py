"""Runs split by what their datasets hold, on a made-up task whose answer is known."""

import pandas as pd
import pytest

from lnqbook.pages import interference
from lnqbook.pages.interference import gain_without_goal
from lnqbook.stats import Interval

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
    assert interference.kinds_compared(table) == (
        f"The two intervals do not overlap in: LN's gain in return, {interference.RHO}(GI₂, loss). "
        f"They lie on opposite sides of 0 in: {interference.RHO}(GI₂, loss)."
    )


def test_datasets_of_one_kind(runs):
    table = interference.split_by_goal(runs[runs["goal_transitions"] == 0])
    assert list(table.index) == [interference.WITHOUT]
    assert "nothing to compare" in interference.kinds_compared(table)


def test_no_dataset_is_shown(runs):
    assert interference.kinds_compared(interference.split_by_goal(runs[:0])).startswith(
        "Acrobot is not among the tasks"
    )


def test_nothing_differs():
    row = {"seeds": 3, "a": Interval(1, 0.5, 2, 3), "b": Interval(-1, -2, 0.5, 3)}
    text = interference.kinds_compared(pd.DataFrame([row, row]))
    assert text.startswith("The two intervals do not overlap in: none of the columns.")
    assert text.endswith("on opposite sides of 0 in: none of them.")


def test_a_gain_without_a_goal_is_told(runs):
    assert "cannot come from learning rewards better" in gain_without_goal(runs)
    one = (runs["goal_transitions"] > 0) | (runs["seed"] == 1)  # of eight seeds without a goal
    some = runs.assign(**{"return": runs["return"].where(one, 0.0)})
    assert gain_without_goal(some).endswith("does not lie above 0.")  # though the mean does
    assert "No dataset without a goal" in gain_without_goal(runs[runs["goal_transitions"] > 0])
    assert "No dataset without a goal" in gain_without_goal(runs[:0])
