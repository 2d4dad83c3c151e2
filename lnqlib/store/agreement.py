"""Runs of another backend against the shipped ones, where bits cannot agree.

Training makes rounding larger without bound, so single runs differ; what is measured before the
first step may not, and over seeds every column must have the same distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..spec import FIELDS
from .local import Store, StoreError
from .shipped import Shipped
from .verify import AT_START, COMPARED, relative

LEVEL = 0.01  # probability of a false alarm over all tests together
AT_START_BOUND = 1e-5  # relative
FEWEST = 5  # seeds of a cell that is tested
CELL = [name for name in FIELDS if name != "seed"]


def same_in_law(store: Store) -> int:
    """Compares a backend's finished runs with the shipped ones and prints how they differ.

    **Returns** 1 where they disagree, or where there is nothing to test, else 0.

    **Raises** `StoreError` where `store` has none of the shipped runs.
    """
    shipped = Shipped()
    keys = sorted(store.keys() & shipped.keys())
    if not keys:
        raise StoreError(
            f"{store.path} has no runs that are shipped, too; "
            "write python -m lnqlib run core --backend gpu"
        )
    lines, agree = compared(store.results(keys), store.curves(keys), shipped)
    print("\n".join(lines))
    return int(not agree)


def compared(rows: pd.DataFrame, curves: pd.DataFrame, shipped: Shipped) -> tuple[list[str], bool]:
    """Lines on how `rows` and `curves` differ from what is shipped, and whether they agree."""
    start = start_gaps(curves, shipped.curves(rows["key"]))
    p = p_values(rows, shipped.results(rows["key"]))
    tests = int(p.notna().sum().sum())
    differ = p[(p < LEVEL / max(tests, 1)).any(axis=1)]
    lines = [
        f"{len(rows)} runs; largest relative difference at step 0: {start.max():.2g} "
        f"in {start.idxmax()}, allowed is {AT_START_BOUND:g}",
        f"{tests} two-sample tests over seeds, cells that differ (Bonferroni): {len(differ)}",
    ]
    lines += [
        f"  {dict(zip(CELL, cell, strict=True))}: {differ.loc[cell].idxmin()}"
        for cell in differ.index
    ]
    return lines, bool(start.max() <= AT_START_BOUND and len(differ) == 0 and tests > 0)


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
    from scipy.stats import ks_2samp  # here, for it takes half a second

    a, b = (x.to_numpy(float) for x in (ours, theirs))
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if len(a) != len(b):
        return 0.0
    return float(ks_2samp(a, b).pvalue) if len(a) else float("nan")
