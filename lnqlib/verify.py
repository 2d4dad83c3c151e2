"""Shipped rows trained again and compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from .results import COUNTS, CURVES, Result
from .spec import FIELDS, RunSpec

COMPARED = tuple(name for name in (*CURVES, *COUNTS) if name != "seconds")


def sample(rows: pd.DataFrame, count: int, seed: int) -> list[RunSpec]:
    """`count` of the rows' specs (all where there are fewer), drawn without replacement."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    return [spec_of(rows.iloc[i]) for i in chosen]


def spec_of(row: pd.Series) -> RunSpec:
    """The spec of a row of results."""
    # a row of mixed columns holds numpy's booleans, which no spec takes
    plain = {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in FIELDS}
    return RunSpec(**plain)


def differences(
    rows: pd.DataFrame, specs: list[RunSpec], train: Callable[[RunSpec], Result]
) -> pd.Series:
    """The largest absolute difference of each measured column between `rows` and new trainings.

    Two NaNs, and two equal infinities, do not differ; a NaN against a number differs by infinity.
    """
    old = rows.set_index("key").loc[[spec.key for spec in specs], list(COMPARED)]
    new = pd.DataFrame([train(spec).row for spec in specs])[list(COMPARED)]
    return largest_difference(old.to_numpy(float), new.to_numpy(float))


def largest_difference(old: np.ndarray, new: np.ndarray) -> pd.Series:
    """max |old - new| of each column, (runs, columns) -> (columns,)."""
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(same, 0.0, np.abs(old - new))
    return pd.Series(np.nan_to_num(gap, nan=np.inf, posinf=np.inf).max(axis=0), index=COMPARED)
