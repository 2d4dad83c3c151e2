"""Two-sample tests of another backend's runs against the shipped ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lnqlib.spec import grid
from lnqlib.store import Store, StoreError
from lnqlib.store.agreement import (
    AT_START_BOUND,
    LEVEL,
    compared,
    p_values,
    same_in_law,
    start_gaps,
)
from lnqlib.store.shipped import Shipped
from lnqlib.store.verify import AT_START, COMPARED

SPECS = grid(env="Pendulum", norm=("none", "layer"), lr=1e-3, seed=range(30))


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    return Shipped().results(SPECS)


def smallest(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """The smallest p-value times the number of tests: Bonferroni's."""
    p = p_values(ours, theirs)
    return p.min().min() * p.notna().sum().sum()


def test_equal_rows_agree(shipped) -> None:
    p = p_values(shipped, shipped)
    assert list(p.columns) == list(COMPARED) and len(p) == 2
    assert p.min().min() == 1.0
    assert p["hessian"].isna().all()  # not measured in core


def test_runs_are_not_compared_one_by_one(shipped) -> None:
    """Each row has another seed's numbers: every run differs, no distribution does."""
    moved = shipped.copy()
    for _, rows in shipped.groupby("norm"):
        moved.loc[rows.index, list(COMPARED)] = np.roll(rows[list(COMPARED)].to_numpy(), 1, axis=0)
    assert not moved["dgi"].eq(shipped["dgi"]).any()
    assert p_values(moved, shipped).min().min() == 1.0


def test_a_shift_of_two_spreads_in_one_column_of_one_cell_is_found(shipped) -> None:
    moved = shipped.copy()
    cell = moved["norm"] == "layer"
    moved.loc[cell, "gi2"] += 2 * moved.loc[cell, "gi2"].std()
    p = p_values(moved, shipped)
    found = p < LEVEL / p.notna().sum().sum()
    assert found.sum().sum() == 1
    assert found["gi2"].to_numpy()[p.index.get_level_values("norm") == "layer"].all()


def test_lost_numbers_are_found(shipped) -> None:
    moved = shipped.copy()
    moved.loc[0, "dgi"] = np.nan
    assert smallest(moved, shipped) == 0.0


def test_the_order_of_rows_does_not_matter(shipped) -> None:
    assert p_values(shipped[::-1], shipped).min().min() == 1.0


def test_few_seeds_make_no_test(shipped) -> None:
    assert p_values(shipped[:3], shipped).empty


def test_the_start_is_compared_number_by_number() -> None:
    curves = Shipped().curves(SPECS[:3])
    assert start_gaps(curves, curves).max() == 0.0
    moved = curves.copy()
    moved.loc[moved["step"] == 0, "sgi"] *= 1 + 2 * AT_START_BOUND
    gaps = start_gaps(moved, curves)
    assert gaps["sgi"] > AT_START_BOUND and gaps.drop("sgi").max() == 0.0
    assert set(gaps.index) == set(AT_START)
    assert start_gaps(curves, curves[curves["step"] > 0]).max() == np.inf


def test_shipped_rows_agree_with_themselves_in_words(shipped) -> None:
    lines, agree = compared(shipped, Shipped().curves(SPECS), Shipped())
    assert agree
    assert lines[0].startswith("60 runs; largest relative difference at step 0: 0 ")
    assert lines[1].endswith("cells that differ (Bonferroni): 0")
    moved = shipped.assign(gi2=shipped["gi2"] + shipped["gi2"].abs().max())
    lines, agree = compared(moved, Shipped().curves(SPECS), Shipped())
    assert not agree and len(lines) == 4 and "'norm': 'layer'" in lines[3]


def test_an_empty_store_is_named(tmp_path) -> None:
    with pytest.raises(StoreError, match="has no runs that are shipped"):
        same_in_law(Store(tmp_path))
