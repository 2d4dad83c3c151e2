"""Counts and sentences about intervals, from frames whose answers are plain to see."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import stats, summaries
from lnqbook.stats import Interval


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


def test_points_left():
    whole, part = (pd.Series([Interval(0, -1, 1, n)], ["A"]) for n in (18, 6))
    assert summaries.points_left(whole, part).to_dict() == {"A": f"6{stats.NBSP}of{stats.NBSP}18"}


def test_effect_sides():
    frame = runs({"Pendulum": [1, 1, -1, 0]})
    zero = (frame["lr"] == 1e-3) & (frame["norm"] == "layer")
    frame.loc[zero, "sgi"] += np.resize([-1, 1], zero.sum())  # both signs
    found = summaries.effect_sides(frame, ["Pendulum"], "sgi", "layer", "none")
    assert found.loc["Pendulum"].to_dict() == {"raised": 2, "lowered": 1, "open": 1}
