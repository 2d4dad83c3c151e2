"""The kinds of check that the paper's claims need: one interval, and the side it must lie on.

The rule, for every check and environment: it holds where the 95% interval over seeds lies on the
claimed side of the number it is held against (0; one half for a share of learning rates; 1, 1/2 or
1/5 for a share of LN's gain), fails where it lies on the other side, and is undecided where it
contains that number or there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from . import stats, theory
from .baselines import POLICIES
from .results import ISOMETRY
from .spec import ENVS
from .stats import (
    Interval,
    bootstrap_interval,
    by_points,
    joint_interval,
    sign_agreement,
    sign_share,
    spearman_interval,
)

HOLDS, FAILS, UNDECIDED, MISSING = "holds", "fails", "undecided", "missing"
UNTESTED, NO_RUNS = "not tested", "no runs"
VIEWS = {"unclamped": {"clamped": False}, "medians": {"over_seeds": np.median}}
"""Other ways to take a rank correlation: without the points that have a clamped seed; with the
median over seeds, which few diverged runs do not move, for the mean."""

METRICS = {"qgi_plus": "QGI+", "gi2": "GI2", "gi2_scaled": "GI2 / loss"}
METRICS |= {name: name.upper() for name in ("sgi", "mgi", "dgi")}
METRICS |= {name: f"ISO_{name[-1]}" for name in ISOMETRY} | {"loss": "loss", "return": "return"}
ARMS = {"none": "None", "layer": "LN", "batch": "BN", "weight": "WN", "crossq": "CrossQ"}
ARMS |= {"layer_affine": "affine LN", "layer_after_relu": "LN after ReLU"}
ARMS |= {"project": "projected LN", "own_decay": "None with its own decay"}
ARMS |= {"paired_decay": "None with LN's decay"}
ARMS |= {"untrained": "untrained net", "uniform": "random actions"}


@dataclass(frozen=True)
class Check:
    """One statistic of one environment's runs, and the side on which the paper expects it.

    **Arguments**

    - `text`: what is claimed, as a formula.
    - `statistic`: the runs of one environment and optimizer -> `Interval`.
    - `sign`: 1 where the interval must lie above `against`, -1 where below.
    - `arms`: what it compares, each a norm, an `lr_control` or one of the `baselines.POLICIES`.
    - `optimizer`: "" leaves the choice to the reader.
    - `envs`: where it is tested; those in `excepted` are shown and do not count.
    - `pooled`: one test for all environments together.
    - `ranks`: a rank correlation, shown under each of `VIEWS`, too.
    """

    text: str
    statistic: Callable[..., Interval]
    sign: int
    against: float = 0.0
    arms: tuple[str, ...] = ("none", "layer")
    optimizer: str = ""
    envs: tuple[str, ...] = ENVS
    excepted: tuple[str, ...] = ()
    pooled: bool = False
    ranks: bool = False

    @property
    def networks(self) -> set[str]:
        """The arms whose runs it needs; a policy is played with the seeds of None."""
        return {"none" if arm in POLICIES else arm for arm in self.arms}

    def verdict(self, interval: Interval) -> str:
        """The rule."""
        side = int(interval.low > self.against) - int(interval.high < self.against)
        return {1: HOLDS, -1: FAILS, 0: UNDECIDED}[self.sign * side]


def rho(x: str, y: str, sign: int, **where) -> Check:
    """Spearman's rho over an environment's (lr, norm) points has `sign`."""
    text = f"rho({METRICS[x]}, {METRICS[y]}) {_side(sign)} 0"
    statistic = partial(spearman_interval, x=x, y=y)
    return Check(text, statistic, sign, ranks=True, **where)


def rho_gap(x: str, other: str, y: str, **where) -> Check:
    """rho(x, y) exceeds rho(other, y), seeds resampled for both alike."""
    text = f"rho({METRICS[x]}, {METRICS[y]}) > rho({METRICS[other]}, {METRICS[y]})"
    statistic = partial(_rho_gap, x=x, other=other, y=y)
    return Check(text, statistic, 1, ranks=True, **where)


def clamping_gap(x: str, y: str, **where) -> Check:
    """rho(x, y) is lower with the clamped points than without them."""
    text = f"clamped points lower rho({METRICS[x]}, {METRICS[y]})"
    return Check(text, partial(_clamping_gap, x=x, y=y), 1, **where)


def moves(metric: str, sign: int, **where) -> Check:
    """LN's paired effect on `metric` has `sign` at more than half of the learning rates."""
    text = f"LN {'raises' if sign > 0 else 'lowers'} {METRICS[metric]} at over half of the lrs"
    statistic = partial(sign_share, metric=metric, sign=sign)
    return Check(text, statistic, 1, 0.5, **where)


def agrees(x: str, y: str, sign: int, **where) -> Check:
    """LN's effects on `x` and `y` have equal signs (-1: opposite ones) at over half of the lrs."""
    way = "with" if sign > 0 else "against"
    text = f"LN moves {METRICS[x]} {way} {METRICS[y]} at over half of the lrs"
    statistic = partial(sign_agreement, x=x, y=y, sign=sign)
    return Check(text, statistic, 1, 0.5, **where)


def injection(**where) -> Check:
    """LN switched on for a moment in a net trained without raises GI2 at over half of the lrs."""
    text = "injected LN raises GI2 at over half of the lrs"
    return Check(text, _injection, 1, 0.5, ("none",), **where)


def gain(arm: str, baseline: str, sign: int, **where) -> Check:
    """Return under `arm` minus under `baseline`, averaged over lrs within a seed, has `sign`.

    Either can be one of the `baselines.POLICIES`, which learned nothing.
    """
    text = f"return: {ARMS[arm]} {_side(sign)} {ARMS[baseline]}"
    statistic = partial(_gain, arm=arm, baseline=baseline)
    return Check(text, statistic, sign, arms=(arm, baseline), **where)


def gain_share(arm: str, baseline: str, sign: int, against: float, **where) -> Check:
    """The same difference as a share of what LN gains over no normalization."""
    text = f"return: ({ARMS[arm]} - {ARMS[baseline]}) / (LN - None) {_side(sign)} {against:g}"
    needed = tuple(dict.fromkeys((arm, baseline, "layer", "none")))
    statistic = partial(_gain_share, arm=arm, baseline=baseline)
    return Check(text, statistic, sign, against, needed, **where)


def clamped_runs(sign: int, **where) -> Check:
    """Some run (-1: no run) had a weight clamped. A count has no spread: it is its interval."""
    text = f"{'some' if sign > 0 else 'no'} run is clamped"
    return Check(text, _clamped_runs, sign, 0.5, pooled=True, **where)


def theorem(text: str, worst: Callable[[], tuple[float, int]], bound: float) -> Check:
    """`worst`, the largest value over random instances and their number, lies below `bound`."""

    def statistic(_: pd.DataFrame) -> Interval:
        return _exact(*worst())

    return Check(text, statistic, -1, bound, arms=(), pooled=True)


def distance_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 2, A^2 / B over its value for a constant norm, on random laws: at most 1."""
    ratios = theory.random_laws(trials, 5, seed=0)["distance_ratio"]
    return ratios.max(), len(ratios)


def loss_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 3, the same for C^2 / D, norm and direction independent."""
    laws = theory.random_laws(trials, 5, seed=0)
    ratios = laws.loc[laws["independent"], "loss_ratio"]
    return ratios.max(), len(ratios)


def isometry_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 4, ISO of random rows over ISO of the same rows at length 1: at most 1."""
    rng, ratios = np.random.default_rng(0), []
    for _ in range(trials):
        x = rng.standard_normal((4, 8)) * np.exp(rng.standard_normal((4, 1)))
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        ratios.append(theory.isometry_of_rows(x) / theory.isometry_of_rows(unit))
    return max(ratios), trials


def lemma5_norm(trials: int = 8) -> tuple[float, int]:
    """Lemma 5, how far the growth of |w|^2 in one step is from the identity's, relatively: 0."""
    residuals = [_lemma5(seed, 0.1)["norm"] for seed in range(trials)]
    return max(map(abs, residuals)), trials


def lemma5_order(trials: int = 8) -> tuple[float, int]:
    """Lemma 5, how far the error of the direction's identity is from falling as lr^2: 0."""
    orders = [
        np.log2(_lemma5(seed, 2e-3)["direction"] / _lemma5(seed, 1e-3)["direction"])
        for seed in range(trials)
    ]
    return max(abs(order - 2) for order in orders), trials


def _lemma5(seed: int, lr: float) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    obs, targets, readout = rng.standard_normal((4, 8)), rng.standard_normal(4), np.ones(16)
    gradient = theory.autograd(theory.layer_norm_loss(obs, targets, readout))
    return theory.lemma5_residuals(gradient, rng.standard_normal((16, 9)), lr)


def _rho_gap(
    runs: pd.DataFrame,
    x: str,
    other: str,
    y: str,
    clamped: bool = True,
    over_seeds: stats.Statistic = np.mean,
) -> Interval:
    kept = runs if clamped else stats.unclamped(runs)
    return joint_interval(
        lambda a, b, c: stats.spearman(a, c) - stats.spearman(b, c),
        *by_points(kept, x, other, y),
        over_seeds=over_seeds,
    )


def _clamping_gap(runs: pd.DataFrame, x: str, y: str) -> Interval:
    clamped_steps, *columns = by_points(runs, "clamped_steps", x, y)
    free = clamped_steps.max(0) == 0  # (points,)
    return joint_interval(
        lambda a, b: stats.spearman(a[..., free], b[..., free]) - stats.spearman(a, b), *columns
    )


def _injection(runs: pd.DataFrame) -> Interval:
    both = stats.with_switched(runs)
    return sign_share(both, "gi2", 1, norm="injected")


def _gain(runs: pd.DataFrame, arm: str, baseline: str) -> Interval:
    pairs = _paired((_by_seed(runs, arm), _by_seed(runs, baseline)))  # (seeds, 2)
    return bootstrap_interval(pairs[:, 0] - pairs[:, 1])


def _gain_share(runs: pd.DataFrame, arm: str, baseline: str) -> Interval:
    arms = (arm, baseline, "layer", "none")
    return stats.share_of_gain(*_paired([_by_seed(runs, name) for name in arms]).T)


def _clamped_runs(runs: pd.DataFrame) -> Interval:
    return _exact((runs["clamped_steps"] > 0).sum(), len(runs))


def _by_seed(runs: pd.DataFrame, arm: str) -> pd.Series:
    """Returns averaged over learning rates, one a seed."""
    metric = f"{arm}_return" if arm in POLICIES else "return"
    mine = runs[runs["arm"] == ("none" if arm in POLICIES else arm)]
    return mine.groupby("seed")[metric].mean(skipna=False)


def _paired(columns: list[pd.Series]) -> np.ndarray:
    """(seeds, columns), of the seeds that all have."""
    return pd.concat(columns, axis=1, join="inner").to_numpy(float)


def _side(sign: int) -> str:
    return ">" if sign > 0 else "<"


def _exact(value: float, count: int) -> Interval:
    return Interval(float(value), float(value), float(value), count)
