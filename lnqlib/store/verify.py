"""Shipped runs trained again and compared.

Where numba compiles for the target that trained `data/` (`compiled.pinned`) every number comes
out the same. Elsewhere it is rounded differently and training makes that larger without bound, so
only what is measured before the first step can agree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..results import COUNTS, CURVES, INJECTED, INTERFERENCE, ISOMETRY, SECOND_ORDER, Result
from ..spec import FIELDS, RunSpec, SpecError, module_in

COMPARED = tuple(name for name in (*CURVES, *COUNTS) if name != "seconds")
AT_START = ("weight_norm", "effective_lr", *INTERFERENCE, *ISOMETRY, *INJECTED, *SECOND_ORDER)
"""The curves measured before any step or episode can amplify rounding."""
Lacking = Mapping[str, AbstractSet[str]]
"""By key, the columns that a run's file lacks, as `Shipped.lacking` gives them."""
ROUNDING = 1e-6  # relative; float32 observations and weights have 6e-8, as have shipped curves


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


def retrain(specs: list[RunSpec], train: Callable[[RunSpec], Result]) -> list[Result]:
    """The runs trained anew one after the other, with a bar on stderr."""
    return [train(spec) for spec in tqdm(specs, unit="run")]


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
