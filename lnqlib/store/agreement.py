"""Runs of another backend against the shipped ones, where bits cannot agree.

Training makes rounding larger without bound, so single runs differ; what is measured before the
first step may not, and over seeds every column must have the same distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from ..spec import FIELDS
from .verify import AT_START, COMPARED, relative

LEVEL = 0.01  # probability of a false alarm over all tests together
AT_START_BOUND = 1e-5  # relative
FEWEST = 5  # seeds of a cell that is tested
CELL = [name for name in FIELDS if name != "seed"]


def p_values(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Two-sample Kolmogorov-Smirnov tests over seeds, one for each cell and column.

    Both samples come from the same seeds and are more alike than independent ones, so false alarms
    are rarer than the p-values say.

    **Arguments**: rows as `Store.results` and `Shipped.results` give them, for the same runs.

    **Returns** one row a cell of `FEWEST` seeds or more, by the fields that make it, a column for
    each measured one. Multiplied by their number, p-values are Bonferroni's. A column that has no
    number in either sample is NaN; one that has numbers in one alone, or infinities of another
    number, 0.
    """
    theirs = theirs.set_index("key").loc[ours["key"]].reset_index()
    cells, rows = [], []
    for cell, ours_of in ours.reset_index(drop=True).groupby(CELL, sort=False):
        if len(ours_of) >= FEWEST:
            theirs_of = theirs.loc[ours_of.index]
            cells.append(cell)
            rows.append([_p(ours_of[name], theirs_of[name]) for name in COMPARED])
    index = pd.MultiIndex.from_tuples(cells, names=CELL) if cells else None
    return pd.DataFrame(rows, index, columns=list(COMPARED), dtype=float)


def start_gaps(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.Series:
    """The largest relative difference of each of `AT_START` at step 0.

    **Arguments**: curves as `Store.curves` and `Shipped.curves` give them, for the same runs.
    """
    first = [c[c["step"] == 0].set_index("key")[list(AT_START)] for c in (ours, theirs)]
    return relative(first[1].reindex(first[0].index), first[0]).max()


def _p(ours: pd.Series, theirs: pd.Series) -> float:
    a, b = (x.to_numpy(float) for x in (ours, theirs))
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if len(a) != len(b):
        return 0.0
    return float(ks_2samp(a, b).pvalue) if len(a) else float("nan")
