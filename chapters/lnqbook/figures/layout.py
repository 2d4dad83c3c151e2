"""What figures share: panels, lines, marks, axes of learning rates, legends and feet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..stats import in_order
from .axes import set_decades, set_log_rates
from .drawn import record
from .style import CLAMPED, GREY, LOG, LOOKS, NAMES, SIGNED_LOG, WIDTH, label

SWITCHED = ("injected", "removed")  # hatched, since their bands cover those of the trained networks
SEED_CLAMPED = "at least one seed was clamped"


def chosen(frame: pd.DataFrame, envs: Sequence[str] | None) -> list[str]:
    """`envs`, by default those in the frame in the book's order."""
    return list(envs or in_order(frame["env"]))


def subplots(
    metrics: Sequence[str], envs: Sequence[str], room: float = 0.0
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """One panel for each (metric, env), labeled; those of one environment in one row, or two.

    **Arguments** `room`: inches more for each row, as for long titles.
    """
    lines = 1 if len(metrics) < 6 else 2
    shape = (len(metrics), len(envs)) if len(envs) > 1 else (lines, -(-len(metrics) // lines))
    width = WIDTH if shape[1] > 2 else WIDTH * (0.45 + 0.15 * shape[1])
    height = (room + (2.0 if shape[1] > 2 else 2.8)) * shape[0] + 0.7
    figure, axes = plt.subplots(*shape, figsize=(width, height), squeeze=False)
    found = {}
    for index, (metric, env) in enumerate((m, e) for m in metrics for e in envs):
        ax = found[metric, env] = axes.flat[index]
        if index < len(envs) or len(envs) == 1:
            ax.set_title(env)
        if env == envs[0]:
            ax.set_ylabel(label(metric))
    for ax in axes.flat[len(found) :]:
        ax.remove()
    return figure, found


def set_scale(ax: Axes, axis: str, metric: str, points: pd.DataFrame, zero: bool = False) -> None:
    """A log axis for metrics that span decades, with both signs where they have both.

    **Arguments** `zero`: show 0 and both signs of every metric.
    """
    if metric in LOG or metric in SIGNED_LOG:
        values = points.filter(["value", "low", "high"])
        both = (np.append(v, [0.0] * zero) for v in (values, values[~points["clamped"]]))
        set_decades(ax, axis, *both, zero or metric in SIGNED_LOG)


def draw_by_lr(ax: Axes, metric: str, points: pd.DataFrame, zero: bool = False) -> None:
    """Each norm's line and marks against the learning rate.

    **Arguments** `points`: columns norm, lr, value, low, high and clamped. `zero`: a line at 0.
    """
    set_log_rates(ax, points["lr"].unique())
    set_scale(ax, "y", metric, points, zero)
    if zero:
        ax.axhline(0, color=GREY, linewidth=0.8)
    keep(ax, metric, points)
    for norm, some in points.groupby("norm", sort=False):
        line(ax, some["lr"], some, norm)
        marks(ax, some["lr"], some["value"], some["clamped"], norm)


def log_lines(ax: Axes, lines: Iterable[tuple], colors: Sequence, markers: str) -> None:
    """A marked line on log axes for each (name, x, y)."""
    for (name, x, y), color, marker in zip(lines, colors, markers, strict=False):
        ax.loglog(x, y, color=color, marker=marker, markersize=4, label=name)
        keep(ax, name, pd.DataFrame({"x": np.asarray(x), "value": np.asarray(y)}))


def keep(ax: Axes, quantity: str, points: pd.DataFrame, **more: object) -> None:
    """Records a panel's numbers: `points`, with its title, what they measure, and `more`."""
    panel = {"panel": " ".join(ax.get_title().split())} if ax.get_title() else {}
    known = panel | {"quantity": quantity} | more
    columns = [name for name in points if name not in known]
    record(ax.figure, points.assign(**known)[[*known, *columns]])


def line(
    ax: Axes, x: Sequence[float], points: pd.DataFrame, norm: str, color: str | None = None
) -> None:
    """A norm's line through the points' values, and the band of their intervals."""
    color = color or LOOKS[norm].color
    alone = "." if len(x) == 1 else None  # one point makes no line
    style = {"linestyle": LOOKS[norm].dash, "linewidth": 1.4, "marker": alone}
    ax.plot(x, points["value"], color=color, label=NAMES[norm], **style)
    style = {"color": color, "alpha": 0.2, "linewidth": 0}
    if norm in SWITCHED:
        style = {"facecolor": "none", "edgecolor": color, "hatch": "////", "alpha": 0.5}
    ax.fill_between(x, points["low"], points["high"], **style)


def marks(
    ax: Axes,
    x: pd.Series,
    y: pd.Series,
    clamped: pd.Series,
    norm: str,
    sizes: np.ndarray | None = None,
) -> None:
    """The norm's marks, hollow without normalization, and triangles where a seed was clamped."""
    sizes, look = np.full(len(x), 22.0) if sizes is None else sizes, LOOKS[norm]
    sizes = sizes * (0.75 if look.marker in "sD" else 1)  # these fill more of their box
    for marker, at in ((look.marker, ~clamped.to_numpy(bool)), (CLAMPED, clamped.to_numpy(bool))):
        style = {
            "marker": marker,
            "label": f"{norm} {marker}",
            "clip_on": False,
        }  # whole at the edge
        ax.scatter(x[at], y[at], sizes[at], **style, **mark_style(norm))


def mark_style(norm: str) -> dict[str, object]:
    """The look of a norm's mark, for `Axes.scatter`."""
    look = LOOKS[norm]
    return {"facecolor": look.fill, "edgecolor": look.color, "linewidth": 1.2, "zorder": 3}


def provenance(frame: pd.DataFrame) -> str:
    """The runs behind a figure, as in `3 seeds, 20,000 steps, SGD`."""
    seeds = frame.groupby(["env", "norm"])["seed"].nunique()
    counts = sorted({seeds.min(), seeds.max()})
    steps = sorted(frame["steps"].unique())
    taken = f"{' or '.join(f'{n:,}' for n in steps)} step{'' if steps == [1] else 's'}"
    optimizers = " and ".join(sorted(frame["optimizer"].unique(), reverse=True))
    word = "seed" if counts == [1] else "seeds"
    return f"{' to '.join(map(str, counts))} {word}, {taken}, {optimizers}"


def handle(text: str, norm: str = "", parts: str = "mark", **style) -> Line2D:
    """A legend's entry: a norm's "line", "mark" or "line and mark", or a grey mark in `style`."""
    usual = {"color": GREY, "linestyle": "", "markersize": 5}
    if norm:
        look = LOOKS[norm]
        usual |= {"color": look.color, "markerfacecolor": look.fill}
        usual |= {"linestyle": look.dash} if "line" in parts else {}
        usual |= {"marker": look.marker} if "mark" in parts else {}
    return Line2D([], [], label=text, **usual | style)


def finish(
    figure: Figure, handles: Sequence[Artist], note: str = "", xlabel: str = "", **legend
) -> Figure:
    """The legend above, the axis' label below, and a note such as the provenance at the foot."""
    if xlabel:
        for ax in figure.axes:
            if ax.get_subplotspec().is_last_row():
                ax.set_xlabel(xlabel)
    if handles:
        inches = sum(0.5 + 0.075 * len(each.get_label()) for each in handles)  # about
        rows = math.ceil(inches / figure.get_figwidth())
        where = {"loc": "outside upper left", "ncols": -(-len(handles) // rows)}
        figure.legend(handles=handles, **where, **legend)
    if note:
        figure.supxlabel(note, x=0.995, ha="right", color=GREY, fontsize=9)
    return figure


def finish_runs(
    figure: Figure,
    frame: pd.DataFrame,
    xlabel: str = "",
    names: dict[str, str] | None = None,
    parts: str = "line and mark",
    clamped: str | None = None,
    extra: Sequence[Line2D] = (),
) -> Figure:
    """`finish` with the norms in the frame for legend, and their `provenance`.

    **Arguments** `names`: the norms to name, with their names, instead of all. `parts`: as in
    `handle`. `clamped`: the meaning of a triangle. `extra`: further entries.
    """
    if clamped is None:
        clamped = SEED_CLAMPED if (frame["clamped_steps"] > 0).any() else ""
    names = names or {norm: NAMES[norm] for norm in LOOKS if (frame["norm"] == norm).any()}
    handles = [*(handle(name, norm, parts) for norm, name in names.items()), *extra]
    handles += [handle(clamped, marker=CLAMPED)] if clamped else []
    return finish(figure, handles, provenance(frame), xlabel)
