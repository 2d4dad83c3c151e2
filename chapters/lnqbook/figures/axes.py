"""Axes for values that span tens of decades: losses and GI2 of runs that diverge."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..numbers import minus, power, printed


@dataclass(frozen=True)
class Decades:
    """A map from values to positions on an axis: a decade is one unit, and less beyond a knee.

    With t = log10(x / unit), or sign(x) log10(1 + |x| / unit) where `signed`,
    the position is sign(t) (min(|t|, knee) + max(|t| - knee, 0) / squeeze).
    """

    unit: float
    knee: float
    squeeze: float
    signed: bool

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values to positions; NaN where a value has no logarithm."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.signed:
                t = np.sign(x) * np.log10(1 + np.abs(x) / self.unit)
            else:
                t = np.log10(np.where(np.asarray(x) > 0, x, np.nan) / self.unit)
            size = np.abs(t)
            beyond = np.maximum(size - self.knee, 0) / self.squeeze
        return np.sign(t) * (np.minimum(size, self.knee) + beyond)

    def inverse(self, position: np.ndarray) -> np.ndarray:
        """Positions to values."""
        size = np.abs(position)
        beyond = np.maximum(size - self.knee, 0) * self.squeeze
        t = np.minimum(np.minimum(size, self.knee) + beyond, 300)  # 10^300 is still a float
        if self.signed:
            return np.sign(position) * self.unit * (10**t - 1)
        return self.unit * 10 ** (np.sign(position) * t)

    @property
    def knees(self) -> list[float]:
        """The values beyond which decades are drawn closer together; often none."""
        if self.squeeze == 1:
            return []
        return [
            float(self.inverse(sign * self.knee)) for sign in ((-1, 1) if self.signed else (1,))
        ]

    def ticks(self, values: np.ndarray, most: int) -> list[float]:
        """At most about `most` powers of ten around `values`, evenly spread.

        Within a decade or two, also 2 and 5 times powers of ten; within a factor of two, also
        1.1, 1.2, ..., 3, 4, ... times.
        """
        gap = max(np.ptp(self.forward(values)) / most, 1e-9)
        if not self.signed:
            low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
            steps = (1, 2, 5) if high - low <= 2 else (1,)
            if values.max() < 2 * values.min():
                steps, gap = np.r_[10:20, 20:100:10] / 10, max(gap, 0.04)
            return self._spread(np.outer(10.0 ** np.arange(low, high + 1), steps).ravel(), gap)
        ticks = [0.0]
        for sign in (-1, 1):
            reach = (sign * values).max()
            if reach > self.unit:
                decades = np.arange(1, np.ceil(np.log10(reach / self.unit)) + 1)
                ticks += self._spread([0.0, *(sign * self.unit * 10**decades)], gap)[1:]
        return ticks

    def _spread(self, candidates: list[float], gap: float) -> list[float]:
        """The candidates in order, each at least `gap` from the one before."""
        kept: list[float] = []
        for tick in candidates:
            if not kept or abs(self.forward(tick) - self.forward(kept[-1])) >= gap:
                kept.append(float(tick))
        return kept


def decades(values: np.ndarray, usual: np.ndarray, signed: bool) -> Decades:
    """The `Decades` that shows `usual` values on at least two thirds of the axis.

    **Arguments** `values`: all values to show, finite and, unless `signed`, positive. `usual`:
    the most important of them; if empty, all of them.
    """
    usual = usual if len(usual) else values
    usual_sizes = np.abs(usual[usual != 0])
    if len(usual_sizes) == 0:
        return Decades(1.0, np.inf, 1.0, signed)
    # signed: the smallest tenth may fall into the linear part, so that zero is not far away
    unit = 10 ** np.floor(np.log10(np.quantile(usual_sizes, 0.1 if signed else 0.0)))
    straight = Decades(unit, np.inf, 1.0, signed)
    knee = np.ceil(np.abs(straight.forward(usual)).max()) + 0.5
    excess = np.abs(straight.forward(values)).max() - knee
    span = np.ptp(straight.forward(usual)) + 1
    squeeze = max(1.0, 2 * excess / span)
    return straight if squeeze == 1 else Decades(unit, knee, squeeze, signed)


def set_decades(ax: Axes, axis: str, values: np.ndarray, usual: np.ndarray, signed: bool) -> None:
    """Gives `ax` a `Decades` axis; decades are squeezed beyond dotted lines.

    **Arguments** `axis`: "x" or "y". `values`, `usual`, `signed`: as in `decades`; values without a
    place on the axis are skipped: infinite, NaN and, unless `signed`, 0 and below.
    """
    values, usual = (np.asarray(v, float) for v in (values, usual))
    values, usual = (v[np.isfinite(v) & (signed | (v > 0))] for v in (values, usual))
    if len(values) == 0:
        return
    scale = decades(values, usual, signed)
    getattr(ax, f"set_{axis}scale")("function", functions=(scale.forward, scale.inverse))
    which = getattr(ax, f"{axis}axis")
    ticks = scale.ticks(values, most=3 if axis == "x" else 8)
    which.set_ticks(ticks, [_tick(tick) for tick in ticks])
    which.set_minor_locator(plt.NullLocator())
    positions = scale.forward(values)
    margin = 0.07 * np.ptp(positions) + 0.1
    ends = scale.inverse(np.array([positions.min() - margin, positions.max() + margin]))
    getattr(ax, f"set_{axis}lim")(*ends)
    line = ax.axvline if axis == "x" else ax.axhline
    for knee in scale.knees:
        if values.min() < knee < values.max():
            line(knee, color="0.6", linestyle=":", linewidth=1)


def set_log_rates(ax: Axes, rates: np.ndarray) -> None:
    """Gives `ax` a horizontal log axis of learning rates, with a tick for each of up to four."""
    ax.set_xscale("log")
    if len(rates) <= 4:
        ax.set_xticks(rates)
        ax.xaxis.set_minor_locator(plt.NullLocator())
    ax.xaxis.set_major_formatter(lambda x, _: _tick(float(f"{x:.3g}")))


def _tick(x: float) -> str:
    """A tick's label: powers of ten as such, except 1 and 10; other numbers written out."""
    exponent = 0 if x == 0 else np.log10(abs(x))
    if x == 0 or not np.isclose(exponent, round(exponent)) or abs(x) in (1, 10):
        return printed(f"{x:g}")
    return minus(f"{'-' * (x < 0)}{power(round(exponent))}")
