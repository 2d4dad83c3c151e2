"""Table 1: returns averaged over learning rates, beside the paper's numbers.

Seeds are the unit throughout: learning rates are averaged within a seed first, differences are
taken within a seed, and intervals are 95% bootstrap intervals over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from lnqlib.store.local import in_repository

from . import stats
from .baselines import POLICIES
from .numbers import interval, number
from .stats import Interval, bootstrap_interval

LOST, UNCERTAIN, ABSENT = "lost", "uncertain", "not in the paper"


def paper() -> pd.DataFrame:
    """The paper's Table 1, one row a cell: env, norm, paper (NaN where lost), note.

    Its Random column stands twice, once for each of the `POLICIES` that it can mean.
    """
    table = pd.read_csv(in_repository("data", "paper", "table1.csv"))
    table = table.rename(columns={"return": "paper"})
    random = table["norm"] == "random"
    twice = [table[random].assign(norm=policy) for policy in POLICIES]
    return pd.concat([*twice, table[~random]], ignore_index=True)


def by_seed(
    runs: pd.DataFrame, by: Sequence[str] = ("env", "norm"), metric: str = "return"
) -> pd.DataFrame:
    """`metric` averaged over the learning rates of a seed: columns `by`, seed and `metric`.

    A seed that lacks one of its group's learning rates has no average, and is NaN.

    **Raises** `ValueError` where (`by`, seed, lr) does not identify a run.
    """
    parts = []
    for key, group in runs.groupby(list(by), sort=False):
        table = stats.by_seed_and(group, ["lr"], metric)
        mean = table.mean(axis=1, skipna=False).rename(metric).reset_index()
        parts.append(mean.assign(**dict(zip(by, key, strict=True))))
    return pd.concat(parts, ignore_index=True)[[*by, "seed", metric]]


def cells(seeds: pd.DataFrame, by: Sequence[str] = ("env", "norm")) -> pd.DataFrame:
    """One row a cell: the mean return over seeds with its interval.

    **Arguments** `seeds`: columns `by`, seed, return, as `by_seed` gives them.

    **Returns** columns `by`, value, low, high, count (seeds), left_out.
    """
    rows = [
        dict(zip(by, key, strict=True)) | bootstrap_interval(group["return"])._asdict()
        for key, group in seeds.groupby(list(by), sort=False)
    ]
    return pd.DataFrame(rows)


def differences(
    seeds: pd.DataFrame, column: str, baseline: str, by: Sequence[str] = ("env",)
) -> pd.DataFrame:
    """Return minus that of the same seed where `column` is `baseline`.

    **Arguments** `seeds`: columns `by`, `column`, seed, return.

    **Returns** the same columns, without the baseline's rows and the seeds that it lacks.
    """
    other = seeds[seeds[column] == baseline].drop(columns=column)
    pairs = seeds[seeds[column] != baseline].merge(other, on=[*by, "seed"], suffixes=("", "_base"))
    return pairs.assign(**{"return": pairs["return"] - pairs.pop("return_base")})


def gain_by_env(seeds: pd.DataFrame, norm: str = "layer", baseline: str = "none") -> pd.Series:
    """Return under `norm` minus under `baseline`, paired by seed: an `Interval` for each task."""
    both = seeds[seeds["norm"].isin([norm, baseline])]
    pairs = differences(both, "norm", baseline).groupby("env", sort=False)["return"]
    return pd.Series({env: bootstrap_interval(values) for env, values in pairs}, dtype=object)


def share_of_gain(seeds: pd.DataFrame, norm: str) -> Interval:
    """(`norm` - None) / (LN - None), of the mean returns of one environment.

    The seeds are those that all three have, resampled jointly; the others are left out.
    """
    table = stats.by_seed_and(seeds, ["norm"], "return")
    return stats.share_of_gain(*table[[norm, "none", "layer", "none"]].to_numpy().T)


def with_clamped(
    ours: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ("env", "norm")
) -> pd.DataFrame:
    """`cells` with one more column, clamped: how many of a cell's `runs` had a weight clamped."""
    counts = (runs["clamped_steps"] > 0).groupby([runs[name] for name in by]).sum()
    both = ours.merge(counts.rename("clamped").reset_index(), on=list(by), how="left")
    return both.assign(clamped=both["clamped"].fillna(0).astype(int))  # a baseline has no runs


def without_clamped(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at those learning rates at which no run of their environment is clamped.

    All norms of an environment keep the same learning rates, so that they stay comparable.
    """
    most = runs.groupby(["env", "lr"])["clamped_steps"].transform("max")
    return runs[most == 0]


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Our `cells` beside the paper's: columns paper, note, difference (ours - paper), agrees.

    `agrees` says whether the paper's number lies in our interval: yes, no, lost, uncertain (which
    column it stood in), no interval, or not in the paper: another task.
    """
    both = ours.merge(theirs, on=["env", "norm"], how="left")
    inside = (both["low"] <= both["paper"]) & (both["paper"] <= both["high"])
    both["difference"] = (both["value"] - both["paper"]).where(both["note"].isna())
    both["agrees"] = np.select(
        [
            ~both["env"].isin(theirs["env"]),
            both["paper"].isna(),
            both["note"].notna(),
            both["low"].isna(),
            inside,
        ],
        [ABSENT, LOST, UNCERTAIN, "no interval", "yes"],
        "no",
    )
    return both


def expected_miss(seeds: int, theirs: int = 20, trials: int = 1000) -> float:
    """How often another experiment's mean lies outside our interval when both measure the same.

    Simulated with normal seeds: `seeds` of ours in the interval, `theirs` in their mean.

    **Returns** a share; NaN where our seeds give no interval.
    """
    if seeds < 2:
        return np.nan
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(row, resamples=500) for row in rng.normal(size=(trials, seeds))]
    means = rng.normal(size=trials) / theirs**0.5
    inside = [i.low <= mean <= i.high for i, mean in zip(intervals, means, strict=True)]
    return 1 - float(np.mean(inside))


def leaders(ours: pd.DataFrame) -> pd.Series:
    """Which cells the paper would highlight: the highest of a row, and intervals that overlap it.

    **Arguments** `ours`: `cells`. **Returns** bool, by `ours`' index.
    """
    top = ours.loc[ours.groupby("env")["value"].idxmax()].set_index("env")
    low = ours["env"].map(top["low"])
    return (ours["high"] >= low) | (ours["value"] == ours["env"].map(top["value"]))


def side_by_side(compared: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Table 1 as text, one row for each task and norm of `names`: ours beside the paper's."""
    rows = [
        {"task": row["env"], "network": names[row["norm"]]}
        | {"ours": number(row["value"], spec=".1f"), "95%": _bounds(row), "paper": printed(row)}
        | {"difference": number(row["difference"], spec="+.1f"), "within": row["agrees"]}
        for _, row in compared[compared["norm"].isin(names)].iterrows()
    ]
    return pd.DataFrame(rows).set_index(["task", "network"])


def printed(row: pd.Series) -> str:
    """The paper's number of a row of `compare`, in brackets where its column is uncertain."""
    if np.isnan(row["paper"]):
        return "" if row["agrees"] == ABSENT else LOST
    text = number(row["paper"], spec=".1f")
    return f"({text})" if row["agrees"] == UNCERTAIN else text


def as_table(
    rows: pd.DataFrame, index: Sequence[str], columns: str, spec: str = ".1f"
) -> pd.DataFrame:
    """`cells` as text, `value [low, high]`, in the order in which rows and columns come."""
    found = [Interval(*row) for row in rows[list(Interval._fields)].to_numpy()]
    rows = rows.assign(text=[interval(one, spec) for one in found])
    table = rows.pivot(index=list(index), columns=columns, values="text").fillna("")
    order = rows.drop_duplicates(list(index)).set_index(list(index)).index
    table = table.loc[order, list(rows[columns].unique())]
    return table.rename_axis(columns=None).rename_axis(index={"env": "task"})


def stray(compared: pd.DataFrame) -> str:
    """What our cells say to a number of the paper whose column is uncertain; "" without one.

    **Arguments** `compared`: one environment's rows of `compare`.
    """
    if not (compared["agrees"] == UNCERTAIN).any():
        return ""
    paper = compared.loc[compared["agrees"] == UNCERTAIN, "paper"].iloc[0]
    inside = compared[(compared["low"] <= paper) & (paper <= compared["high"])]
    nearest = compared.loc[(compared["value"] - paper).abs().idxmin()]
    held = ", ".join(inside["norm"]) or "none of our columns"
    return (
        f"{compared['env'].iloc[0]}'s {paper:g} lies in the interval of {held}; the nearest mean "
        f"is that of {nearest['norm']}, {number(nearest['value'], spec='.1f')}."
    )


def highlight(table: pd.DataFrame, ours: pd.DataFrame, names: dict[str, str]) -> Styler:
    """`side_by_side`'s table with the `leaders` among our numbers in bold."""
    best = ours[leaders(ours)]
    bold = {(env, names[norm]) for env, norm in zip(best["env"], best["norm"], strict=True)}

    def weight(column: pd.Series) -> list[str]:
        return ["font-weight: bold" if at in bold else "" for at in column.index]

    return table.style.apply(weight, subset=["ours"]).set_table_attributes('class="dataframe"')


def _bounds(row: pd.Series) -> str:
    low, high = number(row["low"], spec=".0f"), number(row["high"], spec=".0f")
    return f"{low} to {high}" if np.isfinite(row["low"]) else low
