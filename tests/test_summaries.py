"""Counts and sentences about intervals, from frames whose answers are plain to see."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import stats, summaries
from lnqbook.stats import Interval

ABOVE, BELOW, AROUND = Interval(2, 1, 3, 9), Interval(-2, -3, -1, 9), Interval(0.5, -1, 2, 9)
MISSING = Interval(np.nan, np.nan, np.nan, 0)


def runs(effects: dict[str, list[float]], seeds: int = 6) -> pd.DataFrame:
    """LN minus None is `effects[env][i]` at the i-th learning rate, and so is the return's."""
    rows = [
        {"env": env, "norm": norm, "lr": 10.0**-i, "seed": seed}
        | {"sgi": 0.01 * seed + (effect if norm == "layer" else 0), "clamped_steps": 0}
        for env, several in effects.items()
        for i, effect in enumerate(several)
        for norm in ("none", "layer")
        for seed in range(seeds)
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(mgi=-frame["sgi"], **{"return": frame["sgi"]})


@pytest.fixture
def table() -> pd.DataFrame:
    frame = runs({"Pendulum": [1, 1, -1, 1], "CartPole": [-1, -1, -1, -1]})
    columns = {"raised": (stats.sign_share, 1), "with return": (stats.sign_agreement, "return", 1)}
    return summaries.by_metric(frame, {"sgi": "SGI", "mgi": "MGI"}, columns)


def test_by_metric_has_one_row_a_metric_and_task(table):
    assert table.index.tolist() == [
        ("SGI", "CartPole"),
        ("SGI", "Pendulum"),
        ("MGI", "CartPole"),
        ("MGI", "Pendulum"),
    ]
    assert summaries.values(table).to_numpy().tolist() == [[0, 1], [0.75, 1], [1, 0], [0.25, 0]]


def test_means_are_over_tasks(table):
    assert summaries.means(table, {"sgi": "SGI", "mgi": "MGI"}) == {
        "sgi_0": 0.375,
        "sgi_1": 1,
        "mgi_0": 0.625,
        "mgi_1": 0,
    }


def test_side_counts():
    table = pd.DataFrame({"a": [ABOVE, ABOVE, BELOW, MISSING], "b": [AROUND, BELOW, BELOW, BELOW]})
    assert summaries.side_counts(table) == {
        "above_0": 2,
        "below_0": 1,
        "open_0": 1,
        "above_1": 0,
        "below_1": 3,
        "open_1": 1,
    }


def test_tasks_by_side():
    index = pd.MultiIndex.from_product([["SGI"], ["CartPole", "Acrobot"]], names=["metric", "task"])
    table = pd.DataFrame({"loss": [ABOVE, ABOVE], "return": [BELOW, AROUND]}, index=index)
    found = summaries.tasks_by_side(table)
    assert found.loc[("SGI", "loss")].tolist() == ["CartPole, Acrobot", "none", "none"]
    assert found.loc[("SGI", "return")].tolist() == ["none", "CartPole", "Acrobot"]
    assert found.columns.tolist() == ["above 0", "below 0", "contains 0 or is missing"]


def test_effect_sides():
    frame = runs({"Pendulum": [1, 1, -1, 0]})
    zero = (frame["lr"] == 1e-3) & (frame["norm"] == "layer")
    frame.loc[zero, "sgi"] += np.resize([-1, 1], zero.sum())  # both signs
    found = summaries.effect_sides(frame, ["Pendulum"], "sgi", "layer", "none")
    assert found.loc["Pendulum"].to_dict() == {"raised": 2, "lowered": 1, "open": 1}


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (ABOVE, "2.00 [1.00, 3.00] (the interval lies above 0)"),
        (BELOW, "-2.00 [-3.00, -1.00] (the interval lies below 0)"),
        (AROUND, "0.50 [-1.00, 2.00] (the interval contains 0)"),
        (Interval(0.5, np.nan, np.nan, 1), "0.50 (the interval is missing)"),
    ],
)
def test_said(interval, text):
    assert summaries.said(interval).replace(stats.NBSP, " ") == text
