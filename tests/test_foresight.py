"""What foresees clamping: shares of pairs against scipy and against numbers counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from lnqbook.foresight import OTHERS, SEEM, at_risk, auroc, foresight, held_out, pairs
from lnqlib.spec import RunSpec
from lnqlib.studies import INTERVENTIONS

PREDICTORS = (*SEEM, *OTHERS)


def table(**columns) -> pd.DataFrame:
    """Runs at risk of one task; predictors that are not given are 0."""
    n = len(next(iter(columns.values())))
    blank = dict.fromkeys(PREDICTORS, 0.0) | {"env": "Pendulum", "seed": 100, "lr": 0.1}
    return pd.DataFrame(blank | columns, index=range(n))


def test_auroc_is_mann_whitney_s_u() -> None:
    rng = np.random.default_rng(0)
    n = 60
    x = rng.integers(0, 9, size=(2, n)).astype(float)  # with ties
    clamped = rng.random(n) < 0.4
    runs = table(seem=x[0], iso_p=x[1], clamped=clamped, seed=rng.integers(100, 105, size=n))
    seeds = runs["seed"].nunique()
    found = auroc(pairs(runs), np.ones((1, seeds)))
    for name in ("seem", "iso_p"):
        u = mannwhitneyu(runs.loc[clamped, name], runs.loc[~clamped, name]).statistic
        assert found[name][0] == pytest.approx(u / (clamped.sum() * (~clamped).sum()))
    # a seed drawn twice counts as if its runs were there twice, one not drawn as if they were not
    weights = np.array([[2, 0, 1, 1, 1]])
    drawn = pd.concat([runs[runs["seed"] == 100], runs[runs["seed"] != 101]])
    again = auroc(pairs(drawn), np.ones((1, 4)))
    assert auroc(pairs(runs), weights)["seem"] == pytest.approx(again["seem"])


def test_what_was_not_measured_is_a_tie_and_infinity_is_not() -> None:
    runs = table(seem=[np.nan, np.inf, 1.0, 2.0], clamped=[True, True, False, False])
    assert auroc(pairs(runs), np.ones((1, 1)))["seem"] == (2 * 0.5 + 2) / 4


def test_pairs_of_one_learning_rate_by_hand() -> None:
    """At .1 the clamped run has the higher value, at .01 the lower of two; .001 has no pair."""
    lr = [0.1, 0.1, 0.01, 0.01, 0.01, 0.001]
    clamped = [True, False, True, False, False, False]
    runs = table(seem=[1.0, 0.0, 5.0, 4.0, 6.0, 9.0], lr=lr, clamped=clamped)
    found = auroc(pairs(runs, within_rate=True), np.ones((1, 1)))
    assert found["seem"] == pytest.approx(2 / 3) and found["lr"] == 0.5
    assert auroc(pairs(runs), np.ones((1, 1)))["lr"] == pytest.approx((3.5 + 2) / 8)
    none = auroc(pairs(runs[runs["lr"] < 0.01], within_rate=True), np.ones((1, 1)))
    assert np.isnan(none["seem"]).all()


def test_the_direction_is_read_off_the_other_tasks() -> None:
    values = np.array([[0.9], [0.8], [0.2], [np.nan]])
    np.testing.assert_allclose(held_out(values), [[0.1 + 0.8], [0.8], [0.2], [np.nan]])
    values = np.array([[0.9], [0.2], [0.3]])  # the others of the first show the reverse
    np.testing.assert_allclose(held_out(values), [[0.1], [0.2], [0.3]])
    np.testing.assert_allclose(held_out(np.array([[0.3], [0.1], [0.2]])), [[0.7], [0.9], [0.8]])


def test_runs_at_risk_are_those_not_clamped_before_the_landmark() -> None:
    """Seeds 0 to 3: clamped before step 2,000, at 2,000, later, never."""
    spec = {name: vars(RunSpec("Pendulum", lr=0.1, **INTERVENTIONS[name])) for name in
            ("none", "center", "forward")}  # fmt: skip
    runs = pd.DataFrame(
        {**fields, "seed": seed, "name": name, "first_clamp": first, "key": f"{name}{seed}"}
        for name, fields in spec.items()
        for seed, first in enumerate((1_999, 2_000, 9_000, -1))
    )
    steps = [0, 2_000, 4_000]
    curves = pd.DataFrame({"key": np.repeat(runs["key"], 3), "step": steps * len(runs)})
    for place, name in enumerate(("seem", "seem_scaled", "grad_norm2", "gi2_scaled", "iso_p")):
        curves[name] = curves["step"] + 10.0 * place
    found = at_risk(runs, curves, 2_000)
    assert list(found["key"]) == [f"{n}{s}" for n in ("none", "center") for s in (1, 2, 3)]
    assert list(found["clamped"]) == [True, True, False] * 2
    assert set(found["seem"]) == {2_000} and set(found["iso_p"]) == {2_040}
    assert found["lr x grad_norm2"][0] == pytest.approx(0.1 * 2_020)
    assert found["lr x seem"][0] == pytest.approx(200)
    assert len(at_risk(runs, curves, 0)) == 8


def test_a_world_in_which_seem_knows_and_the_learning_rate_does_not() -> None:
    """In each task the clamped runs have the higher index; rates and the rest are noise."""
    rng = np.random.default_rng(1)
    parts = []
    for env in ("CartPole", "Acrobot", "Pendulum"):
        n = 400
        clamped = rng.random(n) < 0.3
        part = table(clamped=clamped, seed=rng.integers(100, 120, size=n))
        part["lr"] = rng.choice([0.1, 0.01], size=n)
        part["seem"], part["iso_p"] = clamped + rng.random(n), rng.random(n)
        parts.append(part.assign(env=env))
    parts.append(table(clamped=[False, False]).assign(env="MountainCar"))  # no run is clamped
    found = foresight(pd.concat(parts))
    assert found.loc["seem", "mean"].value == 1.0 and found.loc["seem", "ahead"].low > 0.4
    assert abs(found.loc["iso_p", "mean"].value - 0.5) < 0.1
    assert found.loc["iso_p", "mean"].low < 0.5 < found.loc["iso_p", "mean"].high
    assert "MountainCar" not in found and found.loc["lr", "ahead"].value == 0
    within = foresight(pd.concat(parts), within_rate=True)
    assert within.loc["lr", "mean"][:3] == (0.5, 0.5, 0.5) and within.loc["seem", "mean"].low > 0.9
    assert not foresight(parts[-1]).size
