"""The forecast of the studies' times, against sums and means by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import standin

from lnqbook.pages import reproduce
from lnqlib import engine
from lnqlib.spec import RunSpec, study
from lnqlib.store import Store
from lnqlib.store.chunks import predicted_seconds
from lnqlib.store.shipped import Shipped
from lnqlib.studies import STUDIES
from lnqlib.sweep import sweep


def test_studies_are_counted_and_timed(tmp_path, monkeypatch):
    few = {name: study(name)[:6] for name in STUDIES}
    monkeypatch.setattr(reproduce, "study", few.get)
    places = Store(tmp_path), Shipped(tmp_path)
    table = reproduce.by_study(1, *places)
    assert list(table.index) == list(STUDIES)
    assert (table["runs"] == 6).all() and (table["finished"] == 0).all()
    assert table["measured s a run"].isna().all()
    by_hand = [sum(predicted_seconds(s) for s in specs) for specs in few.values()]
    assert np.allclose(table["predicted hours"], np.array(by_hand) / 3600)
    assert np.allclose(
        reproduce.by_study(4, *places)["predicted hours"] * 4, table["predicted hours"]
    )


def test_finished_runs_are_measured(tmp_path, monkeypatch):
    short = [replace(s, steps=20, checkpoints=2, eval_episodes=1) for s in study("core")[:3]]
    monkeypatch.setattr(reproduce, "study", lambda name: short if name == "core" else [])
    monkeypatch.setattr(reproduce, "STUDIES", ("core",))
    monkeypatch.setattr(engine, "train", standin.train)
    runs = sweep(short[:2], store=tmp_path, progress=False)
    row = reproduce.by_study(2, Store(tmp_path), Shipped(tmp_path)).loc["core"]
    assert (row["runs"], row["finished"]) == (3, 2)
    assert row["measured s a run"] == pytest.approx(pd.Series(runs["seconds"]).mean())


def test_no_number_of_cores_makes_a_run_shorter():
    specs = [RunSpec("CartPole", seed=seed) for seed in range(18)]
    one = reproduce.hours(specs[:1])
    assert reproduce.hours(specs) == pytest.approx(18 * one)
    assert reproduce.hours(specs, 2) == pytest.approx(9 * one)
    assert reproduce.hours(specs, 64) == reproduce.hours(specs[:1], 64) == one
    assert reproduce.hours([]) == 0


def studies(finished: int, measured: float) -> pd.DataFrame:
    row = {"runs": 2000, "finished": finished, "predicted hours": 3.0}
    return pd.DataFrame([row | {"predicted s a run": 3.6, "measured s a run": measured}], ["core"])


def test_what_is_there():
    assert reproduce.there(studies(2000, 3.6), 1) == (
        "All 2,000 runs behind this book are here to be looked up. To train them all takes a "
        "predicted 3.0 hours on 1 core."
    )
    assert "studies 1,000 are here to be" in reproduce.there(studies(1000, 3.6), 2)
    assert reproduce.there(studies(0, np.nan), 2).startswith("None of the 2,000 runs")


def test_what_runs_took():
    assert reproduce.took(studies(1000, 3.6)) == (
        "The finished runs took 1.0 core hours, 1.0 times their prediction."
    )
    said = reproduce.took(studies(1000, 7.2))
    assert said.endswith("2.0 times their prediction, with other work beside them.")
    assert reproduce.took(studies(0, np.nan)) == "No run is finished here, so none was timed."


def test_a_sweep_and_its_continuation():
    specs = [RunSpec("CartPole", seed=seed) for seed in range(2)]
    said = reproduce.one_sweep(specs, ["CartPole", "Acrobot"], "SGD", 2, 1)
    minutes = sum(predicted_seconds(s) for s in specs) / 60
    assert "here of CartPole and Acrobot with SGD, 200,000 steps and 2 seeds, is 2 runs" in said
    assert said.endswith(f"a predicted {minutes:.1f} minutes.")
    said = reproduce.resumed(specs, True, 0.126)
    assert said.endswith(
        "are the same bits. Asking once more takes 0.13 s: everything is looked up."
    )
    assert "differ. That should not happen" in reproduce.resumed(specs, False, 1)
    times = predicted_seconds(specs[0], "reference") / predicted_seconds(specs[0])
    assert f"about {times:.0f} times slower" in reproduce.not_covered()
