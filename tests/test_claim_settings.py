"""The paper's claims in another setting, against words worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lnqbook.claims import settings
from lnqlib.spec import FIELDS, grid

RATES = [1e-3, 1e-2, 1e-1, 1.0]
SPECS = grid(
    env="Pendulum",
    norm=["none", "layer"],
    lr=RATES,
    seed=range(4),
    steps=1000,
    checkpoints=1,
    target_period=10,
)


def rows(**columns) -> pd.DataFrame:
    """A row a run; each column a function of (rank of the rate, whether LN, seed)."""
    made = []
    for spec in SPECS:
        at = RATES.index(spec.lr), spec.norm == "layer", spec.seed
        values = {name: way(*at) for name, way in columns.items()}
        fields = {name: getattr(spec, name) for name in FIELDS}
        made.append({"key": spec.key, "seconds": 1.0, "clamped_steps": 0} | fields | values)
    return pd.DataFrame(made)


RISING = {"loss": lambda rate, ln, seed: 10 * rate + seed / 100 + 5 * ln}


@pytest.mark.parametrize(("sign", "word"), [(1, "supported"), (-1, "contradicted")])
def test_a_claim_is_judged_as_on_the_board(sign: int, word: str) -> None:
    sgi = lambda rate, ln, seed: sign * (10 * rate + seed / 100 + 5 * ln)  # noqa: E731
    found = settings.words(SPECS, rows(sgi=sgi, **RISING), numbers=[3])
    assert found.loc[3, "Pendulum"] == word


def test_a_part_that_need_hold_somewhere_holds_as_on_the_board() -> None:
    """Isometry goes with the return at every rate; across rates it does so in another task."""
    along = lambda rate, ln, seed: 5 * ln + seed / 100 - 10 * rate  # noqa: E731
    value = lambda rate, ln, seed: 5 * ln + seed / 100 + 10 * rate  # noqa: E731
    results = rows(iso_p=along, **{"return": value})
    other = rows(iso_p=value, **{"return": value}).assign(env="CartPole")
    both = [replace(spec, env=env) for env in ("Pendulum", "CartPole") for spec in SPECS]
    frame = pd.concat([results, other], ignore_index=True).assign(key=[s.key for s in both])
    found = settings.words(both, frame, numbers=[18])
    alone = settings.words(SPECS, results, numbers=[18])
    assert found.loc[18, "CartPole"] == "supported" == found.loc[18, "Pendulum"]
    assert alone.loc[18, "Pendulum"] != "supported"


def test_a_claim_judged_in_part_says_so() -> None:
    labels = settings.named(pd.DataFrame({"A": ["supported"] * 3}, [10, 14, 15])).index
    assert ["Judged here" in label for label in labels] == [False, True, True]
    assert labels[2].endswith("(Judged here: what it says of SGD.)")


def test_metrics_with_the_target_held_take_the_place_of_the_usual_ones() -> None:
    up = lambda rate, ln, seed: 10 * rate + seed / 100 + 5 * ln  # noqa: E731
    results = rows(sgi=up, sgi_target=lambda *at: -up(*at), **RISING)
    assert settings.words(SPECS, results, numbers=[3]).loc[3, "Pendulum"] == "supported"
    held = settings.words(SPECS, results, numbers=[3], held=True)
    assert held.loc[3, "Pendulum"] == "contradicted"


def test_with_the_target_held_mgi_is_sgi_and_injected_ln_is_not_measured() -> None:
    up = lambda rate, ln, seed: 10 * rate + seed / 100 + 5 * ln  # noqa: E731
    results = rows(sgi=up, mgi=lambda *at: -up(*at), sgi_target=up, **RISING)
    assert settings.words(SPECS, results, numbers=[4]).loc[4, "Pendulum"] == "contradicted"
    held = settings.words(SPECS, results, numbers=[3, 4, 11], held=True)
    assert held["Pendulum"].to_dict() == {3: "supported", 4: "supported"}
    table = settings.by_setting({"usual": pd.DataFrame({"A": ["supported"]}, [11]), "held": held})
    assert [row.split(".")[0] for row in table.index] == ["3", "4", "11"]
    assert table.iloc[2].tolist() == ["1\xa0of\xa01", ""]


def test_only_statistics_of_none_and_ln_with_the_optimizer_count() -> None:
    for claim in (settings.CLAIMS[number - 1] for number in settings.NUMBERS):
        for optimizer in ("SGD", "Adam"):
            kept = settings._about_none_and_layer(claim, optimizer).checks
            assert all(check.trained <= {"none", "layer"} for check in kept)
            assert {check.optimizer for check in kept} <= {"", optimizer}
        assert settings._about_none_and_layer(claim, "SGD").checks


def test_a_task_that_a_claim_excepts_has_no_word() -> None:
    specs = [replace(spec, env="MountainCar") for spec in SPECS]
    results = rows(sgi=RISING["loss"], **RISING)
    results = results.assign(key=[spec.key for spec in specs], env="MountainCar")
    assert settings.words(specs, results, numbers=[3]).loc[3].to_list() == [""]


def test_a_claim_about_another_task_has_no_word() -> None:
    found = settings.words(SPECS, rows(sgi=RISING["loss"], **RISING), numbers=[15])
    assert found.loc[15].to_list() == [""]


def test_missing_runs_are_named() -> None:
    results = rows(sgi=RISING["loss"], **RISING).assign(seconds=np.nan)
    assert settings.words(SPECS, results, numbers=[3]).loc[3, "Pendulum"] == "no runs"


def test_what_becomes_of_claims() -> None:
    before = pd.DataFrame({"A": ["supported", "supported", ""], "B": ["undecided"] * 3})
    after = pd.DataFrame({"A": ["supported", "contradicted", ""], "B": ["supported"] * 3})
    found = settings.fates(before, after)
    assert found["A"].to_list() == ["kept", "turned", ""] and set(found["B"]) == {"new"}
    assert settings.counts(before, "supported").to_list() == ["1 of 2", "1 of 2", "0 of 1"]
