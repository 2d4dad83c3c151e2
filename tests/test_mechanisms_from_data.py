"""The study's tables against a second route to each number; on made rows until there are runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from from_data import TASKS
from from_data_mechanisms import METRICS, SIDES, auroc, r_squared, share, shipped, spread

from lnqbook import foresight, mediation
from lnqbook.mechanisms import answers, named, scores, shares
from lnqbook.mediators import KEPT
from lnqlib.results import CURVES
from lnqlib.spec import FIELDS, study


def made() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and checkpoints with the study's specs and random numbers, LN somewhat better."""
    rng = np.random.default_rng(4)
    specs = [s for s in study("mechanisms") if s.bias]
    runs = pd.DataFrame([{name: getattr(s, name) for name in FIELDS} for s in specs])
    runs["key"] = [s.key for s in specs]
    better = (runs["norm"] == "layer") | (runs["arm"] == "forward")
    bump = np.exp(-((np.log10(runs["lr"]) + 3) ** 2))
    runs["return"] = bump * (1 + better) + 0.3 * rng.normal(size=len(runs))
    clamped = rng.random(len(runs)) < 0.3
    runs["first_clamp"] = np.where(clamped, rng.integers(9_000, size=len(runs)), -1)
    anchors = runs[(runs["arm"] == "none") & (runs["lr_control"] == "none")]
    curves = pd.DataFrame({"key": np.repeat(anchors["key"], len(KEPT))})
    curves["step"] = np.tile(np.array(KEPT) * 2_000, len(anchors))
    for name in CURVES:
        curves[name] = rng.normal(size=len(curves))
    late = curves["key"].map(runs.set_index("key")["return"]) * (curves["step"] > 32_000)
    curves["return"] += 2 * late
    return runs, curves


@pytest.fixture(scope="module")
def study_rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    runs = shipped()
    if not len(runs) or len(runs) < len(study("mechanisms")):
        return made()
    return runs[runs["bias"]].reset_index(drop=True), shipped("curves")


def test_the_main_table(study_rows) -> None:
    """S and N of every mechanism and task, to the last digits."""
    runs, _ = study_rows
    table = answers(runs).set_index(["mechanism", "env"])
    for env in TASKS:
        mine = runs[runs["env"] == env]
        seeds = sorted(mine["seed"].unique())
        for mechanism, arms in SIDES.items():
            for side, arm in zip("SN", arms, strict=True):
                cell = table.loc[(mechanism, env), side]
                assert (cell is None) == (not arm)
                if arm and np.isfinite(cell.value):
                    assert cell.value == pytest.approx(share(mine, mechanism, side, seeds))


@pytest.mark.slow
@pytest.mark.parametrize("env", TASKS)
def test_intervals_of_the_main_table(study_rows, env: str) -> None:
    """By 300 draws one by one: deciles of the plan's 10,000 draws lie where theirs do."""
    runs = study_rows[0][study_rows[0]["env"] == env]
    found = scores(named(runs), env)
    arms = (("forward pass", "S", "forward"), ("isometry", "N", "isometry_layer"))
    for mechanism, side, arm in arms:
        ours = shares(found, arm, side == "N")[1]
        theirs = spread(runs, mechanism, side)
        if np.isfinite(ours).all() and np.isfinite(theirs).all():
            for level in (0.2, 0.5, 0.8):
                place = np.mean(ours <= np.quantile(theirs, level))
                assert place == pytest.approx(level, abs=0.09)  # three standard errors


def test_foresight_of_the_companions(study_rows) -> None:
    runs, curves = study_rows
    table = foresight.at_risk(named(runs), curves, 2_000)
    found = foresight.foresight(table)
    for name in ("seem", "iso_p"):
        values = {env: auroc(runs, curves, env, name, 2_000) for env in TASKS}
        for env in TASKS:
            others = sum(values[e] - 0.5 for e in TASKS if e != env)
            expected = values[env] if others >= 0 else 1 - values[env]
            assert found.loc[name, env].value == pytest.approx(expected)


def test_mediation_by_prediction(study_rows, monkeypatch) -> None:
    runs, curves = study_rows
    monkeypatch.setattr(mediation, "DRAWS", 2)
    found = mediation.mediation(mediation.differences(named(runs), curves))
    for env in TASKS:
        for model, names in (("iso_p", ("iso_p",)), ("the paper's metrics", METRICS)):
            expected = r_squared(runs, curves, env, names)
            assert found.loc[model, env].value == pytest.approx(expected)
