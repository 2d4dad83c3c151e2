"""Shipped runs trained again and compared.

Where numba compiles for the target that trained `data/` (`compiled.pinned`) and numpy's OpenBLAS
takes its kernels for AVX2, every number comes out the same. On processors with AVX-512 OpenBLAS may
take others, which move last digits of companions, second-order terms and isometry arms;
OPENBLAS_CORETYPE=Haswell keeps it from that. Elsewhere it is rounded differently and training makes
that larger without bound, so only what is measured before the first step can agree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..own.names import module_in
from ..results import COUNTS, CURVES, INJECTED, INTERFERENCE, ISOMETRY, SECOND_ORDER, Result
from ..spec import FIELDS, RunSpec, SpecError
from . import shipped as shipping
from .chunks import backend_for, trainer
from .local import StoreError
from .shipped import Shipped

COMPARED = tuple(name for name in (*CURVES, *COUNTS) if name != "seconds")
AT_START = ("weight_norm", "effective_lr", *INTERFERENCE, *ISOMETRY, *INJECTED, *SECOND_ORDER)
"""The curves measured before any step or episode can amplify rounding."""
Lacking = Mapping[str, AbstractSet[str]]
"""By key, the columns that a run's file lacks, as `Shipped.lacking` gives them."""
ROUNDING = 1e-6  # relative; float32 observations and weights have 6e-8, as have shipped curves


def trained_again(
    count: int,
    seed: int,
    tolerance: float,
    allow: Collection[str] = (),
    keys: AbstractSet[str] | None = None,
) -> int:
    """Trains `count` shipped runs again and prints how they differ from what is shipped.

    **Arguments** `seed`: of the draw. `tolerance`: the allowed difference of a number, where bits
    are to agree. `allow`: modules that rows may name; rows of others are skipped. `keys`: the
    runs among which to draw, by default all.

    **Returns** 1 where runs differ by more than that, or elsewhere by more than rounding, else 0.

    **Raises** `StoreError` where there is no row to verify.
    """
    from ..compiled import pinned  # here, for it loads numba

    shipped = Shipped()
    rows = shipped.results()
    if keys is not None:
        rows = rows[rows["key"].isin(keys)]
    if rows.empty:
        raise StoreError(
            f"nothing to verify is shipped in {shipping.RESULTS}; write python -m lnqlib ship"
        )
    foreign = foreign_modules(rows, allow)
    if modules := sorted(set(foreign) - {""}):
        print(
            f"{(foreign != '').sum()} of {len(rows)} rows name modules, which training them would "
            f"run; they are skipped; write --allow-module {' '.join(modules)} where you trust them"
        )
    known = rows[foreign == ""]
    if known.empty:
        raise StoreError("no row can be verified without running a module that it names")
    specs = sample(known, count, seed, allow)
    results = [trainer(backend_for(spec))(spec) for spec in tqdm(specs, unit="run")]
    lacking = shipped.lacking(specs)
    gaps = differences(rows, results, lacking)
    equal = int((gaps == 0).all(axis=1).sum())
    if newer := sorted(set().union(*lacking.values())):
        print(f"not compared where a file has no such column: {', '.join(newer)}")
    print(f"{equal} of {len(specs)} runs are the same in every number")
    if equal == len(specs):
        return 0
    lacking = shipped.lacking(specs, curves=True)
    start = start_differences(shipped.curves(specs), results, lacking).max()
    print(
        f"largest relative difference at step 0: {start.max():.2g} in {start.idxmax()} "
        "(1.2e-07 or less: equal, for shipped curves are rounded)"
    )
    if not pinned():
        print(
            "numba compiles for another target here than for the shipped runs, and training makes "
            f"rounding larger: judged is step 0, against {ROUNDING:g}"
        )
        return int(start.max() > ROUNDING)
    largest = gaps.max()
    print(f"largest difference of a run's row: {largest.max():.3g} in {largest.idxmax()}")
    return int(largest.max() > tolerance)


def sample(rows: pd.DataFrame, count: int, seed: int, allow: Collection[str] = ()) -> list[RunSpec]:
    """`count` of the rows' specs (all where there are fewer), drawn without replacement.

    **Arguments** `allow`: as for `spec_of`.
    """
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    return [spec_of(rows.iloc[i], allow) for i in chosen]


def foreign_modules(rows: pd.DataFrame, allow: Collection[str] = ()) -> pd.Series:
    """By row, a module that its env or norm names and `allow` does not; "" where there is none."""
    foreign = pd.Series("", rows.index)
    for name in ("env", "norm"):
        modules = {value: module_in(name, value) for value in rows[name].unique()}
        named = rows[name].map({v: "" if m in allow else m for v, m in modules.items()})
        foreign = foreign.where(foreign != "", named)
    return foreign


def spec_of(row: pd.Series, allow: Collection[str] = ()) -> RunSpec:
    """The spec of a row of results.

    **Arguments** `allow`: modules that the row may name. Training the spec runs them, and a file of
    results may come from anybody.

    **Raises** `SpecError` where the row names another module.
    """
    if module := foreign_modules(pd.DataFrame([row]), allow).iloc[0]:
        raise SpecError(
            f"a row of results names the module {module!r}, which training would run; allowed are "
            f'{", ".join(allow) or "none"}; write allow=["{module}"] where you trust it'
        )
    # a row of mixed columns holds numpy's booleans, which no spec takes
    plain = {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in FIELDS}
    return RunSpec(**plain)


def differences(
    rows: pd.DataFrame, results: list[Result], lacking: Lacking = MappingProxyType({})
) -> pd.DataFrame:
    """|old - new| of every number of the runs' rows but the seconds.

    Two NaNs, and two equal infinities, do not differ; a NaN against a number differs by infinity.
    A column that a run's file lacks is not compared and given as 0.

    **Arguments** `rows`: finished runs as `Shipped.results` gives them, those of `results` among
    them. `lacking`: `Shipped.lacking` of them.

    **Returns** one row a run, by key, a column for each of `COMPARED`.
    """
    keys = [result.spec.key for result in results]
    new = pd.DataFrame([result.row for result in results], index=keys)[list(COMPARED)]
    return _compared(_gap(rows.set_index("key").loc[keys, list(COMPARED)], new), lacking)


def start_differences(
    curves: pd.DataFrame, results: list[Result], lacking: Lacking = MappingProxyType({})
) -> pd.DataFrame:
    """|old - new| / max(|old|, |new|) of the curves at step 0, in other respects as `differences`.

    **Arguments** `curves`: as `Shipped.curves` gives them; a run that they lack differs by
    infinity. `lacking`: `Shipped.lacking(..., curves=True)` of them.

    **Returns** one row a run, by key, a column for each of `AT_START`.
    """
    keys, names = [result.spec.key for result in results], list(AT_START)
    old = curves[curves["step"] == 0].set_index("key").reindex(keys)[names]
    first = [{name: result.curves[name][0] for name in names} for result in results]
    new = pd.DataFrame(first, index=keys)
    return _compared(relative(old, new), lacking)


def relative(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """|old - new| / max(|old|, |new|), 0 where nothing differs, infinity for a NaN in one alone."""
    gap, size = _gap(old, new), np.fmax(old.abs(), new.abs())
    return (gap / size).fillna(np.inf).where(gap > 0, 0.0)


def _compared(gaps: pd.DataFrame, lacking: Lacking) -> pd.DataFrame:
    for key in gaps.index.intersection(list(lacking)):
        gaps.loc[key, gaps.columns.intersection(list(lacking[key]))] = 0.0
    return gaps


def _gap(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    same = old.eq(new) | (old.isna() & new.isna())
    return (old - new).abs().fillna(np.inf).where(~same, 0.0)
