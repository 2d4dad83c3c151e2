"""What the seeds there are can see: detectable differences, and how often intervals cover."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import norm

from lnqlib.spec import ENVS

from . import stats
from .findings import case, count

LEVEL, POWER = 0.05, 0.8


def detectable(spread: float, seeds: int, level: float = LEVEL, power: float = POWER) -> float:
    """The mean difference that `seeds` pairs find in `power` of experiments.

    (z_{1 - level/2} + z_{power}) * spread / sqrt(seeds), for differences with standard deviation
    `spread` and a two-sided test.
    """
    return float((norm.ppf(1 - level / 2) + norm.ppf(power)) * spread / np.sqrt(seeds))


def differences_seen(
    runs: pd.DataFrame, seeds: Iterable[int], norm: str = "layer", baseline: str = "none"
) -> pd.DataFrame:
    """By task: LN's gain in return, the spread of its seeds, and what so many seeds can see.

    **Arguments** `runs`: one row a run, one optimizer, with norm and lr. `seeds`: how many.

    **Returns** gain, spread, and a column for each of `seeds`: the detectable difference as a share
    of the gain.
    """
    rows = {}
    for env in (env for env in ENVS if (runs["env"] == env).any()):
        some = runs[runs["env"] == env]
        (pairs,) = stats.paired_differences(some, ("return",), norm, baseline)
        by_seed = pairs.mean(axis=1, skipna=False).dropna()
        gain, spread = by_seed.mean(), by_seed.std()
        seen = {n: detectable(spread, n) / abs(gain) for n in seeds}
        rows[env] = {"gain": gain, "spread": spread} | seen
    return pd.DataFrame(rows).T


def coverage_of_mean(
    values: np.ndarray, seeds: int, trials: int = 400, resamples: int = 400
) -> float:
    """How often the interval of a mean covers it, were `values` (all seeds,) all seeds there are.

    Each trial draws `seeds` of them with replacement, as an experiment does, and resamples those.
    """
    values = np.asarray(values, float)
    drawn = np.random.default_rng(0).choice(values, size=(trials, seeds))
    counts = stats.draw_counts(seeds, resamples)
    means = drawn @ counts.T / seeds  # (trials, resamples)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return float(np.mean((low <= values.mean()) & (values.mean() <= high)))


def coverage_of_gain(runs: pd.DataFrame, seeds: Iterable[int]) -> pd.DataFrame:
    """`coverage_of_mean` of LN's gain in return: one row a task, a column for each of `seeds`."""
    rows = {}
    for env in (env for env in ENVS if (runs["env"] == env).any()):
        (pairs,) = stats.paired_differences(runs[runs["env"] == env], ("return",), "layer", "none")
        by_seed = pairs.mean(axis=1, skipna=False).dropna().to_numpy()
        rows[env] = {n: coverage_of_mean(by_seed, n) for n in seeds}
    return pd.DataFrame(rows).T


def coverage_of_rho(
    runs: pd.DataFrame, x: str, y: str, seeds: Iterable[int], trials: int = 50
) -> pd.DataFrame:
    """`stats.coverage` of rho(x, y): one row a task, a column for each of `seeds`."""
    envs = [env for env in ENVS if (runs["env"] == env).any()]
    rows = {
        env: {n: stats.coverage(runs[runs["env"] == env], x, y, n, trials) for n in seeds}
        for env in envs
    }
    return pd.DataFrame(rows).T


def seen_in_words(table: pd.DataFrame) -> str:
    """What `differences_seen` means for what is called undecided.

    **Arguments** `table`: empty where there are too few runs.
    """
    return case(
        (
            len(table),
            "An effect smaller than that can be there and not be seen, so *undecided* is no "
            "evidence that there is none.",
        ),
        "There are too few runs here to say what they can see.",
    )


def coverage_in_words(covered: pd.DataFrame) -> str:
    """How far to trust intervals with that coverage.

    **Arguments** `covered`: shares of intervals that cover, empty where there are too few runs.
    """
    if covered.empty:
        return ""
    least, most = covered.min(axis=None), covered.columns.max()
    there = covered[most].min()
    return case(
        (
            least < 0.9,
            f"Means over the tasks shown. With {count(most, 'seed')} each is at least {there:.0%}, "
            f"the smallest of all {least:.0%}: intervals from few seeds are too narrow, and some "
            "of the verdicts that rest on them are chance.",
        ),
        (
            least >= 0.9,
            f"Means over the tasks shown. None is below {least:.0%}, so the intervals are about as "
            "wide as they say.",
        ),
        "",
    )
