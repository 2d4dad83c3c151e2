"""The book's figures: one function a figure, a frame in, a `Figure` out.

A network has one color, mark and dash in the whole book (`style`). A triangle marks points with at
least one clamped seed, a band is the 95% bootstrap interval over seeds, and the line at the foot
names the runs. Decades beyond a dotted line, where diverged runs lie, are drawn closer together.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..numbers import MINUS, interval
from ..stats import NBSP, bootstrap_interval, paired_effect, point_summary, spearman_interval
from . import hover, layout
from .style import CLAMPED, GREY, LABELS, LOG, LOOKS, NAMES, WIDTH, in_style, label, rate, shades


@in_style
def metric_by_lr(
    frame: pd.DataFrame, metrics: Sequence[str], envs: Sequence[str] | None = None
) -> Figure:
    """Fig. 2: each metric, averaged over training, against the learning rate, by norm.

    **Arguments** `frame`: one row a run, one optimizer. `metrics`: columns of it, one row of panels
    each. `envs`: one column of panels each; one environment alone has its panels side by side.

    **Returns** the figure: means over seeds, their 95% bootstrap bands, triangles where at least
    one seed was clamped. Points without a finite value are not drawn. On a logarithmic axis a band
    is cut off at a thousandth of its mean.
    """
    envs = layout.chosen(frame, envs)
    figure, axes = layout.subplots(metrics, envs)
    for (metric, env), ax in axes.items():
        summary = point_summary(frame[frame["env"] == env], metric)
        if metric in LOG:  # such an axis has no 0, and one tiny bound would stretch it
            summary["low"] = summary["low"].clip(lower=summary["value"] / 1000)
        layout.draw_by_lr(ax, metric, summary)
    return layout.finish_runs(figure, frame, LABELS["lr"])


@in_style
def paired_by_lr(
    frame: pd.DataFrame,
    metrics: Sequence[str],
    envs: Sequence[str] | None = None,
    norm: str = "layer",
    baseline: str = "none",
) -> Figure:
    """Each metric under `norm` minus under `baseline`, paired by seed, against the learning rate.

    **Arguments** `frame`, `metrics`, `envs`: as in `metric_by_lr`.

    **Returns** the figure: mean differences, their 95% bootstrap bands, a line at zero, triangles
    where at least one seed of either norm was clamped.
    """
    frame, envs = frame[frame["norm"].isin([norm, baseline])], layout.chosen(frame, envs)
    figure, axes = layout.subplots(metrics, envs)
    for (metric, env), ax in axes.items():
        runs = frame[frame["env"] == env]
        clamped = runs.groupby("lr")["clamped_steps"].max() > 0
        effects = paired_effect(runs, metric, norm, baseline).sort_values("lr")
        effects = effects.assign(env=env, norm=norm, clamped=effects["lr"].map(clamped))
        layout.draw_by_lr(ax, metric, effects, zero=True)
        if env == envs[0]:
            ax.set_ylabel(f"{label(metric)}, difference")
    names = {norm: f"{NAMES[norm]} {MINUS} {NAMES[baseline]}"}
    return layout.finish_runs(figure, frame, LABELS["lr"], names)


@in_style
def scatter_vs(
    frame: pd.DataFrame,
    x: str | Sequence[str],
    y: str = "loss",
    envs: Sequence[str] | None = None,
) -> Figure:
    """Fig. 1: metric `x` against `y`, one point for each (lr, norm), averaged over seeds.

    **Arguments** `frame`: one row a run, one optimizer. `x`: a metric, or several for a row of
    panels each. `y`: the metric on the vertical axis. `envs`: one column of panels each.

    **Returns** the figure: larger marks for larger learning rates; in each title Spearman's rho of
    the panel's points with the 95% interval from resampled seeds.
    """
    envs = layout.chosen(frame, envs)
    figure, axes = layout.subplots([x] if isinstance(x, str) else x, envs, room=0.5)
    rates = np.sort(frame["lr"].unique())
    areas = pd.Series(14 + 60 * _unit(np.log(rates)), rates)
    for (metric, env), ax in axes.items():
        runs = frame[frame["env"] == env]
        xs, ys = point_summary(runs, metric), point_summary(runs, y)
        layout.set_scale(ax, "x", metric, xs)
        layout.set_scale(ax, "y", y, ys)
        sizes = xs["lr"].map(areas).to_numpy()
        for norm in xs["norm"].unique():
            at = (xs["norm"] == norm).to_numpy()
            layout.marks(ax, xs["value"][at], ys["value"][at], xs["clamped"][at], norm, sizes[at])
        points = xs.assign(y=y, y_value=ys["value"], y_low=ys["low"], y_high=ys["high"])
        layout.keep(ax, metric, points, env=env)
        hits = runs["clamped_steps"].gt(0).groupby([runs["norm"], runs["lr"]])
        counts = {"seeds": hits.size().to_numpy(), "clamped_seeds": hits.sum().to_numpy()}
        hover.offer(ax, points.assign(size=sizes, **counts), metric, y)
        rho = interval(spearman_interval(runs, metric, y), ".2f").replace(f"{NBSP}[", "\n[")
        ax.set_title(f"{env}: \N{GREEK SMALL LETTER RHO} = {rho}")
        ax.set_xlabel(label(metric))
        ax.set_ylabel(label(y) if env == envs[0] else "")
    ends = areas.iloc[[0, -1]] if len(areas) > 1 else {}
    hollow = {"marker": "o", "markerfacecolor": "white"}
    sizes = [layout.handle(rate(lr), **hollow, markersize=area**0.5) for lr, area in ends.items()]
    return layout.finish_runs(figure, frame, parts="mark", extra=sizes)


@in_style
def learning_curves(
    curves: pd.DataFrame,
    metrics: Sequence[str] = ("loss", "return", "gi2"),
    envs: Sequence[str] | None = None,
    by_lr: bool = False,
) -> Figure:
    """Each metric against the gradient step, by norm.

    **Arguments** `curves`: one row a checkpoint, with env, norm, optimizer, lr, seed and steps of
    its run, and first_clamp to mark clamping. `metrics`, `envs`: as in `metric_by_lr`. `by_lr`: one
    line for each learning rate, darker for larger ones, instead of one for all.

    **Returns** the figure: means over the seeds of a line, each the mean of its learning rates,
    with 95% bootstrap bands where there are several seeds; a triangle at the first clamped step,
    the median over the line's clamped runs. A seed counts at a step where all its learning rates
    have a finite value.
    """
    envs = layout.chosen(curves, envs)
    if "first_clamp" not in curves:
        curves = curves.assign(first_clamp=-1)
    curves = curves.assign(clamped=curves["first_clamp"].between(0, curves["step"]))
    rates = sorted(curves["lr"].unique()) if by_lr else []
    figure, axes = layout.subplots(metrics, envs)
    for (metric, env), ax in axes.items():
        runs = curves[curves["env"] == env]
        layout.set_scale(ax, "y", metric, runs.assign(value=runs[metric]))
        for (norm, *lr), points in runs.groupby(["norm", "lr"][: 1 + by_lr], sort=False):
            seeds = points.groupby(["step", "seed"], sort=False)[metric].mean(skipna=False)
            steps = seeds.groupby("step")
            means = pd.DataFrame([bootstrap_interval(values) for _, values in steps])
            color = LOOKS[norm].color
            if by_lr:
                color = shades(color, len(rates))[rates.index(lr[0])]
            layout.line(ax, list(steps.groups), means, norm, color)
            named = {"env": env, "norm": norm} | dict(zip(["lr"], lr, strict=False))
            layout.keep(ax, metric, means.assign(step=list(steps.groups)), **named)
            _mark_clamp(ax, points, list(steps.groups), means["value"], color)
        ax.set_xlabel("")
        ax.set_ylabel(label(metric) if env == envs[0] else "")
        ax.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step else "0")
    extra = [
        layout.handle(rate(lr), color=shade, linestyle="-")
        for lr, shade in zip(rates, shades(GREY, len(rates)), strict=True)
    ]
    clamped = "first clamped step" if (curves["first_clamp"] >= 0).any() else ""
    return layout.finish_runs(figure, curves, LABELS["step"], None, "line", clamped, extra)


@in_style
def expansion_errors(errors: pd.DataFrame) -> Figure:
    """Eq. (10), the error of each approximation of one step's loss decrement, by learning rate.

    **Arguments** `errors`: the column lr, and one column of absolute errors an approximation.
    """
    figure, ax = plt.subplots(figsize=(WIDTH * 0.6, 3.0))
    lines = ((label(name), errors["lr"], errors[name]) for name in errors if name != "lr")
    layout.log_lines(ax, lines, sns.color_palette("colorblind")[2:], "sDv")
    ax.set(xlabel=LABELS["lr"], ylabel="absolute error")
    ax.legend(loc="upper left")
    return figure


def _unit(x: np.ndarray) -> np.ndarray:
    """`x` shifted and scaled to [0, 1]; 0.5 where it is constant."""
    spread = np.ptp(x)
    return (x - x.min()) / spread if spread else np.full(len(x), 0.5)


def _mark_clamp(
    ax: Axes, points: pd.DataFrame, steps: Sequence[int], values: pd.Series, color: str
) -> None:
    """A triangle where the drawn line passes the median first clamp of the runs of `points`."""
    first = points.groupby(["lr", "seed"])["first_clamp"].first()
    if not (first >= 0).any():
        return
    at = first[first >= 0].median()
    drawn = ax.yaxis.get_transform()  # the line is straight on the axis as it is drawn
    height = np.interp(at, steps, drawn.transform(values.to_numpy()))
    y = drawn.inverted().transform(np.array([height]))
    ax.plot(at, y, CLAMPED, color=color, markersize=7.5, markeredgecolor="white", zorder=4)
