"""The statistics behind the claims: one number of one task, and what it says of a claim.

A statistic supports a claim where its 95% interval lies on the claimed side of a number, and a rank
correlation besides is further from 0 than random order gets. It contradicts where all of that is so
on the other side. It is undecided where the interval contains the number, and no clear link where
it does not but chance would do as much. Beside the primary statistic stand views, other ways to
take the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import ranks, rates, returns, stats
from .baselines import POLICIES
from .rates import Sides
from .results import ISOMETRY
from .spec import ENVS
from .stats import Interval, Resampled

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NO_LINK, NO_RUNS = "undecided", "no clear link", "no runs"
RESAMPLES = 4000  # so that a level of a tenth of a percent can be told from none

METRICS = {"qgi_plus": "QGI+", "gi2": "GI2", "gi2_scaled": "GI2 / loss"}
METRICS |= {name: name.upper() for name in ("sgi", "mgi", "dgi")}
METRICS |= {"first_order": "2 lr DGI"}
METRICS |= {name: f"ISO_{name[-1]}" for name in ISOMETRY} | {"loss": "loss", "return": "return"}
ZEROS = {name: f"{name}_zero" for name in ("qgi_plus", "sgi", "mgi")}
"""The cosine metrics with pairs of a zero gradient counted as 0, not left out."""
ARMS = {"none": "None", "layer": "LN", "batch": "BN", "weight": "WN", "crossq": "CrossQ"}
ARMS |= {"crossq_0.01": "CrossQ, momentum 0.01", "crossq_0.001": "CrossQ, momentum 0.001"}
ARMS |= {"layer_affine": "affine LN", "layer_after_relu": "LN after ReLU"}
ARMS |= {"project": "projected LN", "own_decay": "None with its own decay"}
ARMS |= {"paired_decay": "None with LN's decay"}
ARMS |= {"untrained": "untrained net", "uniform": "random actions"}

BY_SEED, MEDIANS, CALM = "each seed's own", "medians", "without clamped"
COUNTED, BEST, OTHER_RANDOM = "zeros counted", "at the best rate", "untrained net"
VIEWS = (BY_SEED, MEDIANS, CALM, COUNTED, BEST, OTHER_RANDOM)


class Evidence(NamedTuple):
    """What one statistic says in one task.

    `p`: the level at which it would still be supported, or contradicted.
    """

    word: str
    value: Interval | Sides | None = None
    p: float = np.nan


Way = Callable[[pd.DataFrame, int], Evidence | None]
"""Runs of one task, optimizer and reading, and the seed of the bootstrap -> what they say; None
where there is no such statistic."""


@dataclass(frozen=True)
class Check:
    """One statistic, the side on which the paper expects it, and the views beside it.

    **Arguments**

    - `text`: what is claimed, as a formula.
    - `primary`: the statistic. `views`: other ways to take it, by their names in `VIEWS`.
    - `arms`: what it compares, each a norm, an `lr_control` or one of the `baselines.POLICIES`.
    - `optimizer`: "" leaves the choice to the reader.
    - `envs`: where it is tested; those in `excepted` are shown and do not count.
    - `anywhere`: the name of a group of checks of which one need be supported, in one task.
    - `readings`: whether biases are on, where the check takes part.
    """

    text: str
    primary: Way
    views: Mapping[str, Way] = field(default_factory=dict)
    arms: tuple[str, ...] = ("none", "layer")
    optimizer: str = ""
    envs: tuple[str, ...] = ENVS
    excepted: tuple[str, ...] = ()
    anywhere: str = ""
    readings: tuple[bool, ...] = (True, False)

    @property
    def networks(self) -> set[str]:
        """The arms whose runs it needs; a policy is played with the seeds of None."""
        return {"none" if arm in POLICIES else arm for arm in self.arms}


def held(found: Resampled | None, sign: int, against: float = 0.0, bar: float = 0.0) -> Evidence:
    """The rule for an interval: `sign` 1 where it must lie above `against`, -1 below.

    **Arguments** `bar`: how far from `against` the value must be besides.
    """
    if found is None:
        return Evidence(UNDECIDED)
    interval = found.interval
    side = sign * (int(interval.low > against) - int(interval.high < against))
    if not side:
        return Evidence(UNDECIDED, interval)
    if abs(interval.value - against) < bar:
        return Evidence(NO_LINK, interval)
    word = SUPPORTED if side > 0 else CONTRADICTED
    return Evidence(word, interval, found.p(against, sign * side))


def counted(sides: Sides) -> Evidence | None:
    """The rule for learning rates: more than half on one side, and twice as many as on the other.

    Undecided where more than half are.
    """
    if not sides.rates:
        return None
    if sides.sign:
        word = SUPPORTED if sides.sign > 0 else CONTRADICTED
        return Evidence(word, sides, sides.p)
    return Evidence(UNDECIDED if sides.open > sides.rates / 2 else NO_LINK, sides)


def rho(x: str, y: str, sign: int, **where) -> Check:
    """Spearman's rho over a task's (lr, norm) points has `sign`, further from 0 than by chance."""

    def by(way: Callable[..., Resampled], column: str = x, **how) -> Way:
        return lambda runs, seed: _judged_rho(way(runs, column, y, **_how(seed), **how), sign)

    views = {BY_SEED: by(ranks.rho_by_seed), MEDIANS: by(ranks.rho, over_seeds=np.median)}
    views[CALM] = by(ranks.rho, clamped=False)
    if x in ZEROS:
        views[COUNTED] = lambda runs, seed: _on_measured(by(ranks.rho, ZEROS[x]), runs, x, seed)
    text = f"rho({METRICS[x]}, {METRICS[y]}) {_side(sign)} 0"
    return Check(text, by(ranks.rho), views, **where)


def rho_gap(x: str, other: str, y: str, **where) -> Check:
    """rho(x, y) exceeds rho(other, y), seeds resampled for both alike."""

    def by(**how) -> Way:
        return lambda runs, seed: _judged_gap(runs, (x, other, y), seed, **how)

    text = f"rho({METRICS[x]}, {METRICS[y]}) > rho({METRICS[other]}, {METRICS[y]})"
    views = {MEDIANS: by(over_seeds=np.median), CALM: by(clamped=False)}
    if {x, other} <= set(ZEROS):
        zeros = (ZEROS[x], ZEROS[other], y)
        way = lambda runs, seed: _judged_gap(runs, zeros, seed)  # noqa: E731
        views[COUNTED] = lambda runs, seed: _on_measured(way, runs, x, seed)
    return Check(text, by(), views, **where)


def clamping_gap(x: str, y: str, **where) -> Check:
    """rho(x, y) is lower with the clamped points than without them."""
    text = f"clamped points lower rho({METRICS[x]}, {METRICS[y]})"
    primary = partial(_clamping_gap, x=x, y=y)
    views = {MEDIANS: partial(_clamping_gap, x=x, y=y, over_seeds=np.median)}
    return Check(text, primary, views, **where)


def moves(metric: str, sign: int, **where) -> Check:
    """LN's paired effect on `metric` has `sign` at most learning rates."""
    text = f"LN {'raises' if sign > 0 else 'lowers'} {METRICS[metric]}"

    def by(column: str = metric, **how) -> Way:
        return lambda runs, seed: counted(
            rates.effect_sides(runs, column, sign, **_how(seed), **how)
        )

    views = {CALM: by(clamped=False)}
    if metric in ZEROS:
        zeros = by(ZEROS[metric])
        views[COUNTED] = lambda runs, seed: _on_measured(zeros, runs, metric, seed)
    return Check(text, by(), views, **where)


def agrees(x: str, y: str, sign: int, **where) -> Check:
    """LN's effects on `x` and `y` go the same way (-1: opposite ways) at most learning rates."""
    text = f"LN moves {METRICS[x]} {'with' if sign > 0 else 'against'} {METRICS[y]}"

    def by(column: str = x, **how) -> Way:
        return lambda runs, seed: counted(
            rates.joint_sides(runs, column, y, sign, **_how(seed), **how)
        )

    views = {CALM: by(clamped=False)}
    if x in ZEROS:
        views[COUNTED] = lambda runs, seed: _on_measured(by(ZEROS[x]), runs, x, seed)
    return Check(text, by(), views, **where)


def injection(metric: str = "gi2", **where) -> Check:
    """LN switched on for a moment in a net trained without raises `metric` at most rates."""

    def by(**how) -> Way:
        def way(runs: pd.DataFrame, seed: int) -> Evidence | None:
            both = stats.with_switched(runs[runs["norm"] == "none"])
            return counted(
                rates.effect_sides(both, metric, norm="injected", **_how(seed), **how)
            )

        return way

    text = f"injected LN raises {METRICS[metric]}"
    return Check(text, by(), {CALM: by(clamped=False)}, ("none",), **where)


def gain(arm: str, baseline: str, sign: int, instead: str = "", **where) -> Check:
    """Return under `arm` minus under `baseline`, averaged over learning rates, has `sign`.

    **Arguments** `instead`: another policy for `baseline`, as a view.
    """

    def by(over: returns.Over, other: str = baseline) -> Way:
        return lambda runs, seed: _returned(
            returns.gain(runs, arm, other, over, **_how(seed)), sign, over
        )

    views = {CALM: by("calm"), BEST: by("best")}
    if instead:
        views = {CALM: by("calm"), OTHER_RANDOM: by("average", instead)}
    text = f"return: {ARMS[arm]} {_side(sign)} {ARMS[baseline]}"
    return Check(text, by("average"), views, (arm, baseline), **where)


def gain_share(arm: str, baseline: str, sign: int, against: float, **where) -> Check:
    """The same difference as a share of what LN gains over no normalization."""

    def by(over: returns.Over) -> Way:
        return lambda runs, seed: _returned(
            returns.share(runs, arm, baseline, over, **_how(seed)), sign, over, against
        )

    text = f"{_share_text(arm, baseline)} {_side(sign)} {against:g}"
    needed = tuple(dict.fromkeys((arm, baseline, "layer", "none")))
    return Check(text, by("average"), {CALM: by("calm"), BEST: by("best")}, needed, **where)


def equivalent(arm: str, baseline: str, margin: float, **where) -> Check:
    """The same share lies between -margin and margin."""

    def by(over: returns.Over) -> Way:
        return lambda runs, seed: _within(
            returns.share(runs, arm, baseline, over, **_how(seed)), margin, over
        )

    text = f"{_share_text(arm, baseline)} within {margin:g} of 0"
    needed = tuple(dict.fromkeys((arm, baseline, "layer", "none")))
    return Check(text, by("average"), {CALM: by("calm"), BEST: by("best")}, needed, **where)


def decays_more(arm: str, other: str, **where) -> Check:
    """The squared norm of the first layer grows at least as much under `arm` as under `other`.

    Its logarithm at the end of training, averaged over learning rates, paired by seed.
    """

    def by(over: returns.Over) -> Way:
        def way(runs: pd.DataFrame, seed: int) -> Evidence | None:
            growth = runs.assign(**{"return": runs["log_growth"]})
            return _returned(returns.gain(growth, arm, other, over, **_how(seed)), 1, over)

        return way

    text = f"decay: {ARMS[arm]} > {ARMS[other]}"
    return Check(text, by("average"), {CALM: by("calm")}, (arm, other), **where)


def clamped_runs(sign: int, **where) -> Check:
    """Some run (-1: no run) had a weight clamped. A count has no spread: it is its interval."""

    def primary(runs: pd.DataFrame, seed: int) -> Evidence:
        count = (runs["clamped_steps"] > 0).sum()
        word = SUPPORTED if (count > 0) == (sign > 0) else CONTRADICTED
        return Evidence(word, _exact(count, len(runs)), 0.0)

    return Check(f"{'some' if sign > 0 else 'no'} run is clamped", primary, **where)


def theorem(text: str, worst: Callable[[], tuple[float, int]], bound: float) -> Check:
    """`worst`, the largest value over random instances and their number, lies below `bound`."""

    def primary(runs: pd.DataFrame, seed: int) -> Evidence:
        value, count = worst()
        return Evidence(SUPPORTED if value < bound else CONTRADICTED, _exact(value, count), 0.0)

    return Check(text, primary, arms=())


def breaks(check: Check) -> Check:
    """The claim that a task does not follow `check`: its opposite, or no clear link there."""
    turned = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, NO_LINK: SUPPORTED}

    def turn(way: Way) -> Way:
        def other(runs: pd.DataFrame, seed: int) -> Evidence | None:
            found = way(runs, seed)
            if found is None or found.word not in turned:
                return found
            return found._replace(word=turned[found.word])

        return other

    views = {name: turn(way) for name, way in check.views.items()}
    return Check(f"not so: {check.text}", turn(check.primary), views, check.arms, envs=check.envs)


def _judged_rho(found: Resampled, sign: int) -> Evidence | None:
    if found.count < ranks.MIN_POINTS:
        return None
    return held(found, sign, bar=ranks.chance_bound(found.count))


def _judged_gap(
    runs: pd.DataFrame, names: tuple[str, str, str], seed: int, clamped: bool = True, **how
) -> Evidence | None:
    columns = stats.by_points(runs if clamped else stats.unclamped(runs), *names)
    if columns[0].shape[1] < ranks.MIN_POINTS:
        return None

    def gap(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return stats.spearman(a, c) - stats.spearman(b, c)

    return held(stats.resampled(gap, *columns, **_how(seed), **how), 1)


def _clamping_gap(runs: pd.DataFrame, seed: int, x: str, y: str, **how) -> Evidence | None:
    clamped_steps, *columns = stats.by_points(runs, "clamped_steps", x, y)
    free = clamped_steps.max(0) == 0  # (points,)
    if free.sum() < ranks.MIN_POINTS:
        return None

    def gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return stats.spearman(a[..., free], b[..., free]) - stats.spearman(a, b)

    return held(stats.resampled(gap, *columns, **_how(seed), **how), 1)


def _returned(
    found: Resampled | None, sign: int, over: returns.Over, against: float = 0.0
) -> Evidence | None:
    """A return's evidence; a view without a learning rate left is no view."""
    return None if found is None and over != "average" else held(found, sign, against)


def _within(found: Resampled | None, margin: float, over: returns.Over) -> Evidence | None:
    """Equivalence: the interval within the margins supports, one outside on either side does not."""
    if found is None and over != "average":
        return None
    above, below = held(found, 1, -margin), held(found, -1, margin)
    if above.word == below.word == SUPPORTED:
        return above
    outside = [side for side in (above, below) if side.word == CONTRADICTED]
    return outside[0] if outside else Evidence(UNDECIDED, above.value)


def _on_measured(way: Way, runs: pd.DataFrame, metric: str, seed: int) -> Evidence | None:
    """A way that needs the `*_zero` columns, over the seeds that have them; None without two."""
    column = ZEROS[metric]
    if column not in runs:
        return None
    known = runs[column].notna().groupby(runs["seed"]).transform("all")
    return way(runs[known], seed) if runs.loc[known, "seed"].nunique() > 1 else None


def _share_text(arm: str, baseline: str) -> str:
    return f"return: ({ARMS[arm]} - {ARMS[baseline]}) / (LN - None)"


def _how(seed: int) -> dict[str, int]:
    return {"seed": seed, "resamples": RESAMPLES}


def _side(sign: int) -> str:
    return ">" if sign > 0 else "<"


def _exact(value: float, count: int) -> Interval:
    return Interval(float(value), float(value), float(value), count)
