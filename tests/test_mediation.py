"""Mediation by prediction: against scipy, least squares, and worlds made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, zscore

from lnqbook import mediation as module
from lnqbook.mediation import (
    COMPARED,
    EARLY,
    GROUPS,
    MODELS,
    OTHERS,
    PAPER,
    RIDGE,
    differences,
    mediation,
    r_squared,
    standardised,
)
from lnqlib.results import CURVES
from lnqlib.spec import RunSpec
from lnqlib.studies import INTERVENTIONS, PAPER_ENVS

NAMES = [*PAPER, *OTHERS, *COMPARED]


def test_columns_are_standardised_ranks() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)) ** 9
    x[5:9, 0] = 2.0
    np.testing.assert_allclose(standardised(x, True), zscore(rankdata(x, axis=0)))
    np.testing.assert_allclose(standardised(x, False), zscore(x))
    x[3, 1] = np.inf
    x[4, 1] = -np.inf
    np.testing.assert_allclose(standardised(x, True), zscore(rankdata(x, axis=0)))
    x = np.array([[1.0, 5.0], [np.nan, 5.0], [3.0, 5.0], [2.0, 5.0]])
    spread = np.sqrt(2 / 4)  # ranks -1, 1, 0 about their mean, and a 0 in the unknown's place
    np.testing.assert_allclose(standardised(x, True)[:, 0] * spread, [-1, 0, 1, 0])
    assert not standardised(x, True)[:, 1].any()


def test_r_squared_is_that_of_least_squares_with_a_penalty() -> None:
    """By rows of the data: RIDGE |w|^2 is one more row sqrt(n RIDGE) for each coefficient."""
    rng = np.random.default_rng(1)
    tasks = [rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) for _ in range(3)]
    grams = np.stack([task.T @ task / len(task) for task in tasks])
    columns = [0, 2]
    train, test = np.concatenate(tasks[1:]), tasks[0]
    rows = np.sqrt(len(train) * RIDGE) * np.eye(2)
    A, y = np.vstack([train[:, columns], rows]), np.append(train[:, -1], [0, 0])
    w = np.linalg.lstsq(A, y, rcond=None)[0]
    missed = np.sum((test[:, -1] - test[:, columns] @ w) ** 2)
    expected = 1 - missed / np.sum(test[:, -1] ** 2)
    assert r_squared(grams, 0, columns) == pytest.approx(expected)
    stacked = np.stack([grams, 2 * grams])
    assert r_squared(stacked, 0, columns)[0] == pytest.approx(expected)
    grams[0, -1, -1] = 0
    assert np.isnan(r_squared(grams, 0, columns))


def world(slope: dict[str, float], seeds: int = 8, noise: float = 0.0) -> pd.DataFrame:
    """The late difference is a task's slope times the rank of the early DGI, and noise."""
    rng = np.random.default_rng(2)
    rows = []
    for env, seed, lr in itertools.product(slope, range(seeds), (0.1, 0.01, 0.001)):
        row = {name: rng.normal() for name in NAMES} | {"env": env, "seed": seed, "lr": lr}
        rows.append(row)
    table = pd.DataFrame(rows)
    ranks = table.groupby("env")["dgi"].rank()
    table["late return"] = table["env"].map(slope) * ranks + noise * rng.normal(size=len(table))
    return table


def test_a_metric_that_foretells_everywhere_alike_is_found(monkeypatch) -> None:
    monkeypatch.setattr(module, "DRAWS", 100)
    found = mediation(world(dict.fromkeys(PAPER_ENVS, 1.0)))
    assert list(found.index) == list(MODELS) == [*NAMES, *GROUPS]
    whole = 1 - (RIDGE / (1 + RIDGE)) ** 2  # the penalty makes the slope 1 / 1.1
    assert found.loc["dgi", "mean"].value == pytest.approx(whole)
    assert 0.9 < found.loc["dgi", "Acrobot"].low < whole  # drawn seeds are there twice, as ties
    assert found.loc["all metrics", "mean"].low > 0.5
    assert found.loc["iso_p", "mean"].high < 0.2
    assert found.loc["the other metrics", "mean"].value < 0  # noise misleads


def test_where_one_task_is_the_other_way_round_the_others_mislead_it(monkeypatch) -> None:
    monkeypatch.setattr(module, "DRAWS", 20)
    found = mediation(world(dict.fromkeys(PAPER_ENVS, 1.0) | {"Pendulum": -1.0}))
    assert found.loc["dgi", "Pendulum"].high < -2
    w = (2 - 1) / 3 / (1 + RIDGE)
    assert found.loc["dgi", "CartPole"].value == pytest.approx(1 - (1 - w) ** 2)


def test_differences_by_hand() -> None:
    """LN minus None, up to step 32,000 and after, at the checkpoints that decide alone."""
    specs = [
        RunSpec("Pendulum", lr=0.1, seed=seed, companions=True, **INTERVENTIONS[name])
        for name, seed in itertools.product(("layer", "none", "rms"), (100, 101))
    ]
    runs = pd.DataFrame([vars(s) | {"key": s.key} for s in specs])
    runs["name"] = ["layer"] * 2 + ["none"] * 2 + ["rms"] * 2
    steps = specs[0].checkpoint_steps
    curves = pd.DataFrame({"key": np.repeat(runs["key"], 100), "step": np.tile(steps, 6)})
    for name in CURVES:
        curves[name] = 0.0
    layer = curves["key"].isin(runs["key"][:2])
    curves.loc[layer, "return"] = np.where(np.tile(steps, 2) <= EARLY, 1.0, 3.0)
    curves.loc[layer & (curves["step"] == 32_000), "dgi"] = 6.0  # one of six
    curves.loc[layer & (curves["step"] == 6_000), "dgi"] = 1e9  # not shipped, does not count
    curves.loc[curves["key"].isin(runs["key"][2:4]), "iso_p"] = 0.25
    found = differences(runs, curves)
    assert len(found) == 2 and set(found["seed"]) == {100, 101}
    first = found.iloc[0]
    assert (first["early return"], first["late return"], first["dgi"]) == (1.0, 3.0, 1.0)
    assert first["iso_p"] == -0.25 and first["lr"] == 0.1
    with pytest.raises(ValueError, match="train both"):
        differences(runs.iloc[1:], curves)
