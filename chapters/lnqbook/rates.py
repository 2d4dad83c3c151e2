"""The sign of LN's effect at each learning rate, each decided by its own paired interval."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from . import stats
from .stats import RESAMPLES

LEVEL = 0.05


class Sides(NamedTuple):
    """At how many learning rates an effect is clearly positive, clearly negative, or undecided.

    `p`: the level at which the more frequent side would still be more than half of them.
    """

    plus: int
    minus: int
    open: int
    p: float = np.nan

    @property
    def rates(self) -> int:
        """How many learning rates there are."""
        return self.plus + self.minus + self.open

    @property
    def sign(self) -> int:
        """1 where the positive ones are more than half and twice the negative, -1 mirrored."""
        for sign, mine, other in ((1, self.plus, self.minus), (-1, self.minus, self.plus)):
            if mine > self.rates / 2 and mine >= 2 * other:
                return sign
        return 0


def effect_sides(runs: pd.DataFrame, metric: str, sign: int = 1, **how: Any) -> Sides:
    """How often `norm` minus `baseline`, paired by seed, has `sign` in `metric`.

    **Arguments** `runs`: one row a run, one task and optimizer. `how`: `norm` and `baseline`, LN
    and None; `clamped`, whether learning rates at which a seed of either was clamped take part;
    `seed` and `resamples` of the bootstrap.
    """
    draws = _drawn_effects(runs, (metric,), **how)
    above, below = _levels(draws[0])
    return _counted(above, below) if sign > 0 else _counted(below, above)


def joint_sides(runs: pd.DataFrame, x: str, y: str, sign: int = 1, **how: Any) -> Sides:
    """How often the paired effects on `x` and `y` go the same way (sign -1: opposite ways).

    A learning rate is decided where both effects are. Arguments as for `effect_sides`.
    """
    x_draws, y_draws = _drawn_effects(runs, (x, y), **how)
    (x_up, x_down), (y_up, y_down) = _levels(x_draws), _levels(sign * y_draws)
    same = np.minimum(np.maximum(x_up, y_up), np.maximum(x_down, y_down))
    apart = np.minimum(np.maximum(x_up, y_down), np.maximum(x_down, y_up))
    return _counted(same, apart)


def calm_rates(runs: pd.DataFrame, norms: tuple[str, ...]) -> list[float]:
    """The learning rates at which no run of these networks was clamped."""
    some = runs[runs["norm"].isin(norms)]
    most = some.groupby("lr")["clamped_steps"].max()
    return list(most.index[most == 0])


def _drawn_effects(
    runs: pd.DataFrame,
    metrics: tuple[str, ...],
    norm: str = "layer",
    baseline: str = "none",
    clamped: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[np.ndarray]:
    """Mean paired differences of each metric over resampled seeds: (resamples, rates) each."""
    if not clamped:
        runs = runs[runs["lr"].isin(calm_rates(runs, (norm, baseline)))]
    if runs.empty:
        return [np.empty((resamples, 0)) for _ in metrics]
    tables = stats.paired_differences(runs, metrics, norm, baseline)
    if len(tables[0]) < 2:  # one seed says nothing about the spread over seeds
        return [np.full((resamples, table.shape[1]), np.nan) for table in tables]
    return [stats.means_of(table.to_numpy(float), resamples, seed=seed) for table in tables]


def _levels(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each rate the two-sided levels at which the mean lies above 0, and below: (rates,)."""
    scale = 2 / (1 + len(draws))
    return tuple(
        np.minimum(1.0, scale * (1 + (~(side * draws > 0)).sum(axis=0))) for side in (1, -1)
    )


def _counted(plus: np.ndarray, minus: np.ndarray) -> Sides:
    """Sides from each rate's level of being on one of them."""
    rates = len(plus)
    ups, downs = int((plus <= LEVEL).sum()), int((minus <= LEVEL).sum())
    p = float(np.sort(plus if ups >= downs else minus)[rates // 2]) if rates else np.nan
    return Sides(ups, downs, rates - ups - downs, p)
