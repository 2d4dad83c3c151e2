"""The book's figures: one function a figure, a frame in, a `Figure` out.

Through the whole book a norm has one colour, LN a filled mark and a solid line, None a hollow mark
and a dashed line. Where LN is switched for a measurement, rim and line keep the colour of the
training, fill and dash follow the measurement. A triangle says that at least one seed had its
weights clamped, a band is the 95% bootstrap interval over seeds, and a line at the foot says what
the figure was drawn from. Beyond a dotted line, where diverged runs lie, decades are drawn closer
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .checks import ARMS
from .data import Transitions
from .scales import set_decades
from .sketches import SKETCHES
from .spec import ENVS, LR_CONTROLS, NORMS
from .stats import bootstrap_interval, paired_effect, point_summary, spearman_interval

WIDTH = 9.0  # inches; the page shows a figure about 800 pixels wide
COLORS = dict(zip(NORMS, sns.color_palette("colorblind", len(NORMS)), strict=True))
NAMES = {"none": "None", "layer": "LN", "batch": "BN", "weight": "WN", "crossq": "CrossQ"}
NAMES |= {"rms": "RMS", "center": "centring", "layer_affine": "LN, affine"}
NAMES |= {"layer_after_relu": "LN after ReLU"}
NAMES |= {"injected": "None, LN injected", "removed": "LN, removed"}
COLORS |= {"layer_after_relu": "#117733", "center": "#882255"}  # the palette's are too pale
COLORS |= {"injected": COLORS["none"], "removed": COLORS["layer"]}  # as trained
NAMES |= {name: ARMS[name] for name in LR_CONTROLS[1:]}
COLORS |= {"project": "#7f2704", "own_decay": "#56b4e9", "paired_decay": "#08306b"}
FILLS = COLORS | {"none": "white", "injected": COLORS["layer"], "removed": "white"}  # as measured
FILLS |= {"own_decay": "white", "paired_decay": "white"}
DASHES = {"none": "--", "removed": "--", "own_decay": ":", "paired_decay": "-.", "project": "-."}
LABELS = {
    "loss": r"training loss $\ell$",
    "qgi_plus": r"$\mathrm{QGI}_+$",
    "sgi": r"$\mathrm{SGI}$",
    "mgi": r"$\mathrm{MGI}$",
    "dgi": r"$\mathrm{DGI}$",
    "gi2": r"$\mathrm{GI}_2$",
    "gi2_scaled": r"$\mathrm{GI}_2\,/\,\ell$",
    "td_loss": r"batch loss $\ell$",
    "injected_gi2": r"$\mathrm{GI}_2$, LN injected",
    "realised": "realised decrement",
    "second_over_first": r"kept $(\star)$ / first order",
    "deferred_over_kept": r"deferred / kept $(\star)$",
    "switched": r"share with another $a^*$",
    "same_sign": "sign as realised",
    "lr": r"learning rate $\eta$",
    "step": "gradient step",
    "weight_norm": r"$\|(W, b)\|$",
    "norm_growth": r"$\|(W, b)\|$, start = 1",
    "lr_decay": r"effective $\eta$, start = 1",
}
LABELS |= {f"iso_{k}": rf"$\mathrm{{ISO}}_{k}$" for k in "opt3"}
LOG = {"second_over_first", "deferred_over_kept"}
LOG |= {"loss", "td_loss", "weight_norm", "effective_lr", "norm_growth", "lr_decay"}
SIGNED_LOG = {"first_order", "hessian", "realised", "realised_held", "realised_minibatch"}
SIGNED_LOG |= {"dgi", "gi2", "gi2_scaled", "gi2_minibatch", "injected_gi2", "injected_gi2_scaled"}
GREY = "0.45"
STYLE = sns.axes_style("ticks") | {
    "figure.dpi": 160,
    "figure.facecolor": "white",  # the dark theme shows pictures on white, so this suits both
    "savefig.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def _figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the book's style and leaves no figure open, so that a notebook shows it once."""

    @wraps(draw)
    def styled(*args, **kwargs) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            plt.close(figure)
        return figure

    return styled


@_figure
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
    envs = _envs(frame, envs)
    figure, panels = _panels(metrics, envs)
    for (metric, env), ax in panels.items():
        summary = point_summary(frame[frame["env"] == env], metric)
        if metric in LOG:  # such an axis has no 0, and one tiny bound would stretch it
            summary["low"] = summary["low"].clip(lower=summary["value"] / 1000)
        ax.set_xscale("log")
        _scale(ax, "y", metric, summary)
        for norm, points in summary.groupby("norm", sort=False):
            _band(ax, points["lr"], points, norm)
            _marks(ax, points["lr"], points["value"], points["clamped"], norm)
    return _finish(figure, frame, LABELS["lr"], bool((frame["clamped_steps"] > 0).any()))


@_figure
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
    frame, envs = frame[frame["norm"].isin([norm, baseline])], _envs(frame, envs)
    figure, panels = _panels(metrics, envs)
    for (metric, env), ax in panels.items():
        runs = frame[frame["env"] == env]
        clamped = runs.groupby("lr")["clamped_steps"].max() > 0
        effects = paired_effect(runs, metric, norm, baseline).sort_values("lr")
        effects["clamped"] = effects["lr"].map(clamped)
        zero = pd.DataFrame({"value": [0.0], "clamped": [False]})  # in view on every axis
        ax.set_xscale("log")
        _scale(ax, "y", metric, pd.concat([effects, zero]), signed=True)
        ax.axhline(0, color=GREY, linewidth=0.8)
        _band(ax, effects["lr"], effects, norm)
        _marks(ax, effects["lr"], effects["value"], effects["clamped"], norm)
        if env == envs[0] or len(envs) == 1:
            ax.set_ylabel(f"{_label(metric)}, difference")
    triangles = bool((frame["clamped_steps"] > 0).any())
    names = {norm: f"{NAMES[norm]} \N{MINUS SIGN} {NAMES[baseline]}"}
    return _finish(figure, frame, LABELS["lr"], triangles, names)


@_figure
def scatter_vs(
    frame: pd.DataFrame,
    x: str | Sequence[str],
    y: str = "loss",
    envs: Sequence[str] | None = None,
) -> Figure:
    """Fig. 1: metric `x` against `y`, one point for each (lr, norm), averaged over seeds.

    **Arguments** `frame`: one row a run, one optimizer. `x`: a metric, or several for a row of
    panels each. `y`: the metric on the vertical axis. `envs`: one column of panels each.

    **Returns** the figure; larger marks are larger learning rates, a panel's title holds Spearman's
    rho over its points with the 95% interval from resampled seeds.
    """
    envs = _envs(frame, envs)
    figure, panels = _panels([x] if isinstance(x, str) else x, envs)
    for (metric, env), ax in panels.items():
        runs = frame[frame["env"] == env]
        xs, ys = point_summary(runs, metric), point_summary(runs, y)
        _scale(ax, "x", metric, xs)
        _scale(ax, "y", y, ys)
        sizes = 14 + 60 * _unit(np.log(xs["lr"].to_numpy()))
        for norm in xs["norm"].unique():
            at = (xs["norm"] == norm).to_numpy()
            _marks(ax, xs["value"][at], ys["value"][at], xs["clamped"][at], norm, sizes[at])
        rho = spearman_interval(runs, metric, y)
        ax.set_title(f"{env}\n" + rf"$\rho$ = {rho:.2f}".replace("-", "\N{MINUS SIGN}"))
        ax.set_xlabel(_label(metric))
        ax.set_ylabel(_label(y) if env == envs[0] or len(envs) == 1 else "")
    return _finish(figure, frame, None, bool((frame["clamped_steps"] > 0).any()))


@_figure
def learning_curves(
    curves: pd.DataFrame,
    metrics: Sequence[str] = ("loss", "return", "gi2"),
    envs: Sequence[str] | None = None,
    by_lr: bool = False,
) -> Figure:
    """Each metric against the gradient step, by norm.

    **Arguments** `curves`: one row a checkpoint, with env, norm, optimizer, lr, seed and steps of
    its run. `metrics`, `envs`: as in `metric_by_lr`. `by_lr`: one line for each learning rate, the
    larger the wider, instead of one for all.

    **Returns** the figure: means over the seeds of a line, each the mean of its learning rates,
    with 95% bootstrap bands where there are several seeds. A seed counts at a step where all its
    learning rates have a finite value.
    """
    envs = _envs(curves, envs)
    rates = sorted(curves["lr"].unique()) if by_lr else []
    widths = dict(zip(rates, np.linspace(0.8, 3.2, len(rates)), strict=True))
    figure, panels = _panels(metrics, envs)
    for (metric, env), ax in panels.items():
        runs = curves[curves["env"] == env]
        _scale(ax, "y", metric, runs.assign(value=runs[metric], clamped=False))
        for (norm, *lr), points in runs.groupby(["norm", "lr"][: 1 + by_lr], sort=False):
            seeds = points.groupby(["step", "seed"], sort=False)[metric].mean(skipna=False)
            steps = seeds.groupby("step")
            line = pd.DataFrame([bootstrap_interval(values) for _, values in steps])
            _band(ax, list(steps.groups), line, norm, widths[lr[0]] if by_lr else 1.4)
        ax.set_xlabel("")
        ax.set_ylabel(_label(metric) if env == envs[0] else "")
        ax.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step else "0")
    extra = [
        Line2D([], [], color=GREY, linewidth=width, label=rf"$\eta$ = {lr:.2g}")
        for lr, width in widths.items()
    ]
    return _finish(figure, curves, LABELS["step"], False, extra=extra)


@_figure
def expansion_errors(errors: pd.DataFrame) -> Figure:
    """Eq. (10): how far each approximation of one step's loss decrement is off, by learning rate.

    **Arguments** `errors`: the column lr, and one column of absolute errors an approximation.
    """
    figure, ax = plt.subplots(figsize=(WIDTH * 0.6, 3.0))
    approximations = [column for column in errors if column != "lr"]
    colors = sns.color_palette("colorblind")[2:]
    for name, color, marker in zip(approximations, colors, "sDv", strict=False):
        style = {"color": color, "marker": marker, "markersize": 4, "label": _label(name)}
        ax.loglog(errors["lr"], errors[name], **style)
    ax.set(xlabel=LABELS["lr"], ylabel="absolute error")
    ax.legend(loc="upper left")
    return figure


@_figure
def dataset_coverage(datasets: dict[str, Transitions], note: str = "") -> Figure:
    """Where the transitions of each environment's dataset lie, and those that terminated.

    **Arguments** `datasets`: by environment. `note`: what they are, for the figure's foot.

    **Returns** the figure: counts on a log scale, states after terminated transitions as crosses.
    """
    size = (WIDTH * (0.2 * len(datasets) + 0.2), 2.7)
    figure, axes = plt.subplots(1, len(datasets), figsize=size, squeeze=False)
    for ax, (env, dataset) in zip(axes[0], datasets.items(), strict=True):
        horizontal, vertical, coordinates = _COORDINATES[env]
        bins = ax.hexbin(
            *coordinates(dataset.obs), gridsize=28, bins="log", mincnt=1, cmap="viridis", lw=0
        )
        goals = dataset.next_obs[dataset.terminated]
        ax.plot(*coordinates(goals), "x", color="tab:red", markersize=3, alpha=0.6)
        ax.set(xlabel=horizontal, ylabel=vertical)
        ax.set_title(f"{env}\n{len(goals):,} of {len(dataset.action):,} terminated")
        ax.grid(False)
    figure.colorbar(bins, ax=axes[0, -1], label="transitions in a cell")
    figure.supxlabel(note, x=0.995, ha="right", fontsize=7.5, color=GREY)
    return figure


@_figure
def task_pictures(envs: Sequence[str] = ENVS) -> Figure:
    """The tasks as sketches: what moves, what the actions push, and where the goal is."""
    size = (len(envs) * WIDTH / 4, WIDTH / 4)
    figure, axes = plt.subplots(1, len(envs), figsize=size, squeeze=False)
    for ax, env in zip(axes[0], envs, strict=True):
        SKETCHES[env](ax)
        ax.set(title=env, xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        ax.axis("off")
    return figure


def _envs(frame: pd.DataFrame, envs: Sequence[str] | None) -> list[str]:
    """`envs`, by default those in the frame in the book's order."""
    return list(envs or [env for env in ENVS if (frame["env"] == env).any()])


def _panels(
    metrics: Sequence[str], envs: Sequence[str]
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """One panel for each (metric, env), labelled; one environment's panels stand side by side."""
    shape = (len(metrics), len(envs)) if len(envs) > 1 else (1, len(metrics))
    width = WIDTH if shape[1] > 2 else WIDTH * (0.45 + 0.15 * shape[1])
    height = (2.0 if shape[1] > 2 else 2.8) * shape[0] + 0.7
    figure, axes = plt.subplots(*shape, figsize=(width, height), squeeze=False)
    panels = {}
    for index, (metric, env) in enumerate((m, e) for m in metrics for e in envs):
        ax = panels[metric, env] = axes.flat[index]
        if index < len(envs) or len(envs) == 1:
            ax.set_title(env)
        if env == envs[0]:
            ax.set_ylabel(_label(metric))
    return figure, panels


def _label(metric: str) -> str:
    return LABELS.get(metric, metric.replace("_", " "))


def _dash(norm: str) -> str:
    return DASHES.get(norm, "-")


def _unit(x: np.ndarray) -> np.ndarray:
    """`x` moved and scaled to [0, 1]; 0.5 where it is constant."""
    spread = np.ptp(x)
    return (x - x.min()) / spread if spread else np.full(len(x), 0.5)


def _scale(ax: Axes, axis: str, metric: str, points: pd.DataFrame, signed: bool = False) -> None:
    """A log axis for what spans decades, a signed one where it has both signs; else as it is."""
    if metric in LOG or metric in SIGNED_LOG:
        values = points.filter(["value", "low", "high"])
        usual = values[~points["clamped"]]
        set_decades(ax, axis, np.ravel(values), np.ravel(usual), signed or metric in SIGNED_LOG)


def _band(
    ax: Axes, x: Sequence[float], points: pd.DataFrame, norm: str, width: float = 1.4
) -> None:
    ax.plot(x, points["value"], color=COLORS[norm], linestyle=_dash(norm), linewidth=width)
    ax.fill_between(x, points["low"], points["high"], color=COLORS[norm], alpha=0.2, linewidth=0)


def _marks(
    ax: Axes,
    x: pd.Series,
    y: pd.Series,
    clamped: pd.Series,
    norm: str,
    sizes: np.ndarray | None = None,
) -> None:
    """Circles, and triangles where a seed was clamped; hollow without normalization."""
    sizes = np.full(len(x), 22.0) if sizes is None else sizes
    for marker, at in (("o", ~clamped.to_numpy(bool)), ("^", clamped.to_numpy(bool))):
        ax.scatter(
            x[at],
            y[at],
            sizes[at],
            marker=marker,
            facecolor=FILLS[norm],
            edgecolor=COLORS[norm],
            linewidth=1.2,
            zorder=3,
            label=f"{norm} {marker}",
        )


def provenance(frame: pd.DataFrame) -> str:
    """What a figure was drawn from, as in `3 seeds, 20,000 steps, SGD`."""
    seeds = frame.groupby(["env", "norm"])["seed"].nunique()
    counts = sorted({seeds.min(), seeds.max()})
    steps = " or ".join(f"{n:,}" for n in sorted(frame["steps"].unique()))
    optimizers = " and ".join(sorted(frame["optimizer"].unique(), reverse=True))
    word = "seed" if counts == [1] else "seeds"
    return f"{' to '.join(map(str, counts))} {word}, {steps} steps, {optimizers}"


def _finish(
    figure: Figure,
    frame: pd.DataFrame,
    xlabel: str | None,
    triangles: bool,
    names: dict[str, str] | None = None,
    extra: Sequence[Line2D] = (),
) -> Figure:
    """The legend above, by default the frame's norms, the axis' label and the provenance below."""
    if xlabel:
        for ax in figure.axes:
            if ax.get_subplotspec().is_last_row():
                ax.set_xlabel(xlabel)
    names = names or {norm: NAMES[norm] for norm in COLORS if (frame["norm"] == norm).any()}
    handles = [
        Line2D(
            [],
            [],
            color=COLORS[norm],
            linestyle=_dash(norm),
            marker="o",
            markersize=5,
            markerfacecolor=FILLS[norm],
            label=name,
        )
        for norm, name in names.items()
    ]
    if triangles:
        label = "at least one seed was clamped"
        handles += [Line2D([], [], color=GREY, linestyle="", marker="^", markersize=5, label=label)]
    handles += extra
    rows = 1 + (len(handles) > 5)
    columns = -(-len(handles) // rows)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    figure.supxlabel(provenance(frame), x=0.995, ha="right", fontsize=7.5, color=GREY)
    return figure


_COORDINATES = {
    "CartPole": (r"position $x$", r"angle $\vartheta$", lambda obs: (obs[:, 0], obs[:, 2])),
    "Acrobot": (
        r"angle $\vartheta_1$",
        r"angle $\vartheta_2$",
        lambda obs: (np.arctan2(obs[:, 1], obs[:, 0]), np.arctan2(obs[:, 3], obs[:, 2])),
    ),
    "MountainCar": (r"position $x$", r"velocity $v$", lambda obs: (obs[:, 0], obs[:, 1])),
    "Pendulum": (
        r"angle $\vartheta$",
        r"velocity $\dot\vartheta$",
        lambda obs: (np.arctan2(obs[:, 1], obs[:, 0]), obs[:, 2]),
    ),
}
"""Axis labels and the two coordinates of an observation (N, obs_dim) that a coverage plot shows."""
