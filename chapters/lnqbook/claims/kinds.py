"""The kinds of statistic that the paper's claims need, each with its views."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from .. import ranks, rates, returns, stats
from ..stats import Interval, Resampled
from .checks import (
    BEST,
    BY_SEED,
    CALM,
    CONTRADICTED,
    COUNTED,
    MEDIANS,
    METRICS,
    NETWORKS,
    NO_LINK,
    OTHER_RANDOM,
    SUPPORTED,
    UNDECIDED,
    ZEROS,
    Check,
    Draws,
    Evidence,
    Way,
    counted,
    held,
)


def rho(x: str, y: str, sign: int, **where) -> Check:
    """Spearman's rho over a task's (lr, norm) points has `sign`, further from 0 than by chance."""

    def by(way: Callable[..., Resampled], column: str = x, **how) -> Way:
        return lambda runs, draws: _judged_rho(way(runs, column, y, **draws._asdict(), **how), sign)

    views = {BY_SEED: by(ranks.rho_by_seed), MEDIANS: by(ranks.rho, over_seeds=np.median)}
    views[CALM] = by(ranks.rho, clamped=False)
    if x in ZEROS:
        views[COUNTED] = lambda runs, draws: _on_measured(by(ranks.rho, ZEROS[x]), runs, x, draws)
    text = f"rho({METRICS[x]}, {METRICS[y]}) {_side(sign)} 0"
    return Check(text, by(ranks.rho), views, **where)


def rho_gap(x: str, other: str, y: str, **where) -> Check:
    """rho(x, y) exceeds rho(other, y), seeds resampled for both alike."""

    def by(**how) -> Way:
        return lambda runs, draws: _judged_gap(runs, (x, other, y), draws, **how)

    text = f"rho({METRICS[x]}, {METRICS[y]}) > rho({METRICS[other]}, {METRICS[y]})"
    views = {MEDIANS: by(over_seeds=np.median), CALM: by(clamped=False)}
    if {x, other} <= set(ZEROS):
        zeros = (ZEROS[x], ZEROS[other], y)
        way = lambda runs, draws: _judged_gap(runs, zeros, draws)  # noqa: E731
        views[COUNTED] = lambda runs, draws: _on_measured(way, runs, x, draws)
    return Check(text, by(), views, **where)


def clamping_gap(x: str, y: str, **where) -> Check:
    """rho(x, y) is lower with the clamped points than without them, where it lies above 0."""
    text = f"clamped points lower rho({METRICS[x]}, {METRICS[y]})"
    primary = partial(_clamping_gap, x=x, y=y)
    views = {MEDIANS: partial(_clamping_gap, x=x, y=y, over_seeds=np.median)}
    return Check(text, primary, views, **where)


def moves(metric: str, sign: int, **where) -> Check:
    """LN's paired effect on `metric` has `sign` at most learning rates."""
    text = f"LN {'raises' if sign > 0 else 'lowers'} {METRICS[metric]}"

    def by(column: str = metric, **how) -> Way:
        return lambda runs, draws: counted(
            rates.effect_sides(runs, column, sign, **draws._asdict(), **how)
        )

    views = {CALM: by(clamped=False)}
    if metric in ZEROS:
        zeros = by(ZEROS[metric])
        views[COUNTED] = lambda runs, draws: _on_measured(zeros, runs, metric, draws)
    return Check(text, by(), views, **where)


def agrees(x: str, y: str, sign: int, **where) -> Check:
    """LN's effects on `x` and `y` go the same way (-1: opposite ways) at most learning rates."""
    text = f"LN moves {METRICS[x]} {'with' if sign > 0 else 'against'} {METRICS[y]}"

    def by(column: str = x, **how) -> Way:
        return lambda runs, draws: counted(
            rates.joint_sides(runs, column, y, sign, **draws._asdict(), **how)
        )

    views = {CALM: by(clamped=False)}
    if x in ZEROS:
        views[COUNTED] = lambda runs, draws: _on_measured(by(ZEROS[x]), runs, x, draws)
    return Check(text, by(), views, **where)


def injection(metric: str = "gi2", **where) -> Check:
    """LN switched on for a moment in a net trained without raises `metric` at most rates."""

    def by(**how) -> Way:
        def way(runs: pd.DataFrame, draws: Draws) -> Evidence | None:
            both = stats.with_switched(runs[runs["norm"] == "none"])
            return counted(
                rates.effect_sides(both, metric, norm="injected", **draws._asdict(), **how)
            )

        return way

    text = f"injected LN raises {METRICS[metric]}"
    return Check(text, by(), {CALM: by(clamped=False)}, ("none",), **where)


def gain(network: str, baseline: str, sign: int, instead: str = "", **where) -> Check:
    """Return under `network` minus under `baseline`, averaged over learning rates, has `sign`.

    **Arguments** `instead`: another policy for `baseline`, as a view.
    """

    def by(over: returns.Over, other: str = baseline) -> Way:
        return lambda runs, draws: _returned(
            returns.gain(runs, network, other, over, **draws._asdict()), sign, over
        )

    views = {CALM: by("calm"), BEST: by("best")}
    if instead:
        views = {CALM: by("calm"), OTHER_RANDOM: by("average", instead)}
    text = f"return: {NETWORKS[network]} {_side(sign)} {NETWORKS[baseline]}"
    return Check(text, by("average"), views, (network, baseline), **where)


def gain_share(network: str, baseline: str, sign: int, against: float, **where) -> Check:
    """The same difference as a share of what LN gains over no normalization."""

    def by(over: returns.Over) -> Way:
        return lambda runs, draws: _returned(
            returns.share(runs, network, baseline, over, **draws._asdict()), sign, over, against
        )

    text = f"{_share_text(network, baseline)} {_side(sign)} {against:g}"
    needed = tuple(dict.fromkeys((network, baseline, "layer", "none")))
    return Check(text, by("average"), {CALM: by("calm"), BEST: by("best")}, needed, **where)


def equivalent(network: str, baseline: str, margin: float, **where) -> Check:
    """The same share lies between -margin and margin."""

    def by(over: returns.Over) -> Way:
        return lambda runs, draws: _within(
            returns.share(runs, network, baseline, over, **draws._asdict()), margin, over
        )

    text = f"{_share_text(network, baseline)} within {margin:g} of 0"
    needed = tuple(dict.fromkeys((network, baseline, "layer", "none")))
    return Check(text, by("average"), {CALM: by("calm"), BEST: by("best")}, needed, **where)


def equivalent_somehow(
    networks: tuple[str, ...], baseline: str, margin: float, tried_all: bool = True, **where
) -> Check:
    """`equivalent` for one at least of a network's settings, of which the paper names none.

    It is contradicted where it is for each of them, and `tried_all`: no other is to be tried.
    """
    checks = [equivalent(network, baseline, margin) for network in networks]

    def any_of(ways: list[Way]) -> Way:
        def way(runs: pd.DataFrame, draws: Draws) -> Evidence | None:
            found = [evidence for each in ways if (evidence := each(runs, draws))]
            if not found:
                return None
            for word in (SUPPORTED, UNDECIDED):
                if some := [evidence for evidence in found if evidence.word == word]:
                    return some[0]
            likeliest = max(found, key=lambda evidence: evidence.p)
            return likeliest if tried_all else likeliest._replace(word=UNDECIDED)

        return way

    views = {name: any_of([check.views[name] for check in checks]) for name in checks[0].views}
    settings = f", {len(networks)} settings" if len(networks) > 1 else ""
    needed = tuple(dict.fromkeys(name for check in checks for name in check.networks))
    primary = any_of([check.primary for check in checks])
    return Check(f"{checks[0].text}{settings}", primary, views, needed, **where)


def decays_more(network: str, other: str, **where) -> Check:
    """The squared norm of the first layer grows at least as much under `network` as under `other`.

    Its logarithm at the end of training, averaged over learning rates, paired by seed.
    """

    def by(over: returns.Over) -> Way:
        def way(runs: pd.DataFrame, draws: Draws) -> Evidence | None:
            growth = runs.assign(**{"return": runs["log_growth"]})
            return _returned(returns.gain(growth, network, other, over, **draws._asdict()), 1, over)

        return way

    text = f"decay: {NETWORKS[network]} > {NETWORKS[other]}"
    views = {CALM: by("calm")}
    return Check(text, by("average"), views, (network, other), growth=True, **where)


def clamped_runs(sign: int, **where) -> Check:
    """Some run (-1: no run) had a weight clamped. A count has no spread: it is its interval."""

    def primary(runs: pd.DataFrame, draws: Draws) -> Evidence:
        count = (runs["clamped_steps"] > 0).sum()
        word = SUPPORTED if (count > 0) == (sign > 0) else CONTRADICTED
        return Evidence(word, _exact(count, len(runs)), 0.0)

    return Check(f"{'some' if sign > 0 else 'no'} run is clamped", primary, **where)


def theorem(text: str, worst: Callable[[], tuple[float, int]], bound: float) -> Check:
    """`worst`, the largest value over random instances and their number, lies below `bound`."""

    def primary(runs: pd.DataFrame, draws: Draws) -> Evidence:
        value, count = worst()
        return Evidence(SUPPORTED if value < bound else CONTRADICTED, _exact(value, count), 0.0)

    return Check(text, primary, networks=())


def breaks(check: Check) -> Check:
    """The claim that a task does not follow `check`: its opposite, or no clear link there."""
    turned = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, NO_LINK: SUPPORTED}

    def turn(way: Way) -> Way:
        def other(runs: pd.DataFrame, draws: Draws) -> Evidence | None:
            found = way(runs, draws)
            if found is None or found.word not in turned:
                return found
            return found._replace(word=turned[found.word])

        return other

    views = {name: turn(way) for name, way in check.views.items()}
    return Check(
        f"not so: {check.text}", turn(check.primary), views, check.networks, envs=check.envs
    )


def _judged_rho(found: Resampled, sign: int) -> Evidence | None:
    if found.count < ranks.MIN_POINTS:
        return None
    return held(found, sign, bar=ranks.chance_bound(found.count))


def _judged_gap(
    runs: pd.DataFrame, names: tuple[str, str, str], draws: Draws, clamped: bool = True, **how
) -> Evidence | None:
    columns = stats.by_points(runs if clamped else stats.unclamped(runs), *names)
    if columns[0].shape[1] < ranks.MIN_POINTS:
        return None

    def gap(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return stats.spearman(a, c) - stats.spearman(b, c)

    return held(stats.resampled(gap, *columns, **draws._asdict(), **how), 1)


def _clamping_gap(runs: pd.DataFrame, draws: Draws, x: str, y: str, **how) -> Evidence | None:
    clamped_steps, *columns = stats.by_points(runs, "clamped_steps", x, y)
    free = clamped_steps.max(0) == 0  # (points,)
    if free.sum() < ranks.MIN_POINTS:
        return None

    def gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return stats.spearman(a[..., free], b[..., free]) - stats.spearman(a, b)

    found = held(stats.resampled(gap, *columns, **draws._asdict(), **how), 1)
    left = _judged_rho(ranks.rho(runs, x, y, clamped=False, **draws._asdict(), **how), 1)
    broken = left is not None and left.word == SUPPORTED  # a link that is there can break
    return found._replace(word=NO_LINK) if found.word == SUPPORTED and not broken else found


def _returned(
    found: Resampled | None, sign: int, over: returns.Over, against: float = 0.0
) -> Evidence | None:
    """A return's evidence; a view without a learning rate left is no view."""
    return None if found is None and over != "average" else held(found, sign, against)


def _within(found: Resampled | None, margin: float, over: returns.Over) -> Evidence | None:
    """Equivalence: an interval within the margins supports, one outside them contradicts."""
    if found is None and over != "average":
        return None
    above, below = held(found, 1, -margin), held(found, -1, margin)
    if above.word == below.word == SUPPORTED:
        return above
    outside = [side for side in (above, below) if side.word == CONTRADICTED]
    return outside[0] if outside else Evidence(UNDECIDED, above.value)


def _on_measured(way: Way, runs: pd.DataFrame, metric: str, draws: Draws) -> Evidence | None:
    """A way that needs the `*_zero` columns, over the seeds that have them; None without two.

    Nor is there one where a network has none of these seeds.
    """
    column = ZEROS[metric]
    if column not in runs:
        return None
    known = runs[column].notna().groupby(runs["seed"]).transform("all")
    seeds = runs[known].groupby("network")["seed"].nunique()
    few = seeds.reindex(runs["network"].unique(), fill_value=0) < 2
    return None if few.any() else way(runs[known], draws)


def _share_text(network: str, baseline: str) -> str:
    return f"return: ({NETWORKS[network]} - {NETWORKS[baseline]}) / (LN - None)"


def _side(sign: int) -> str:
    return ">" if sign > 0 else "<"


def _exact(value: float, count: int) -> Interval:
    return Interval(float(value), float(value), float(value), count)
