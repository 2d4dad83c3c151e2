"""What the figures against learning rate, step and one another share: panels, marks, legends."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lnqlib.spec import in_order

from .axes import set_decades
from .style import CLAMPED, GREY, LOG, LOOKS, NAMES, SIGNED_LOG, WIDTH, label

SWITCHED = ("injected", "removed")  # their bands cover those of the same networks as trained
SEED_CLAMPED = "at least one seed was clamped"


def chosen(frame: pd.DataFrame, envs: Sequence[str] | None) -> list[str]:
    """`envs`, by default those in the frame in the book's order."""
    return list(envs or in_order(frame["env"]))


def panels(
    metrics: Sequence[str], envs: Sequence[str]
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """One panel for each (metric, env), labelled; one environment's panels stand side by side."""
    shape = (len(metrics), len(envs)) if len(envs) > 1 else (1, len(metrics))
    width = WIDTH if shape[1] > 2 else WIDTH * (0.45 + 0.15 * shape[1])
    height = (2.0 if shape[1] > 2 else 2.8) * shape[0] + 0.7
    figure, axes = plt.subplots(*shape, figsize=(width, height), squeeze=False)
    found = {}
    for index, (metric, env) in enumerate((m, e) for m in metrics for e in envs):
        ax = found[metric, env] = axes.flat[index]
        if index < len(envs) or len(envs) == 1:
            ax.set_title(env)
        if env == envs[0]:
            ax.set_ylabel(label(metric))
    return figure, found


def scale(ax: Axes, axis: str, metric: str, points: pd.DataFrame, signed: bool = False) -> None:
    """A log axis for what spans decades, a signed one where it has both signs; else as it is."""
    if metric in LOG or metric in SIGNED_LOG:
        values = points.filter(["value", "low", "high"])
        usual = values[~points["clamped"]]
        set_decades(ax, axis, np.ravel(values), np.ravel(usual), signed or metric in SIGNED_LOG)


def line(
    ax: Axes, x: Sequence[float], points: pd.DataFrame, norm: str, color: str | None = None
) -> None:
    """A norm's line through the points' values, and the band of their intervals."""
    color = color or LOOKS[norm].color
    alone = "." if len(x) == 1 else None  # one point makes no line
    style = {"linestyle": LOOKS[norm].dash, "linewidth": 1.4, "marker": alone}
    ax.plot(x, points["value"], color=color, **style)
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
        ax.scatter(
            x[at],
            y[at],
            sizes[at],
            marker=marker,
            facecolor=look.fill,
            edgecolor=look.color,
            linewidth=1.2,
            zorder=3,
            clip_on=False,  # a mark at the edge keeps its shape
            label=f"{norm} {marker}",
        )


def provenance(frame: pd.DataFrame) -> str:
    """What a figure was drawn from, as in `3 seeds, 20,000 steps, SGD`."""
    seeds = frame.groupby(["env", "norm"])["seed"].nunique()
    counts = sorted({seeds.min(), seeds.max()})
    steps = sorted(frame["steps"].unique())
    taken = f"{' or '.join(f'{n:,}' for n in steps)} step{'' if steps == [1] else 's'}"
    optimizers = " and ".join(sorted(frame["optimizer"].unique(), reverse=True))
    word = "seed" if counts == [1] else "seeds"
    return f"{' to '.join(map(str, counts))} {word}, {taken}, {optimizers}"


def handle(text: str, norm: str = "", parts: str = "mark", **style) -> Line2D:
    """A legend's entry: a norm's "line", "mark" or "line and mark", or a grey one of `style`."""
    usual = {"color": GREY, "linestyle": "", "markersize": 5}
    if norm:
        look = LOOKS[norm]
        usual |= {"color": look.color, "markerfacecolor": look.fill}
        usual |= {"linestyle": look.dash} if "line" in parts else {}
        usual |= {"marker": look.marker} if "mark" in parts else {}
    return Line2D([], [], label=text, **usual | style)


def finish(
    figure: Figure,
    frame: pd.DataFrame,
    xlabel: str = "",
    names: dict[str, str] | None = None,
    parts: str = "line and mark",
    clamped: str = "",
    extra: Sequence[Line2D] = (),
) -> Figure:
    """The legend above, the axis' label and the provenance below.

    **Arguments** `names`: norms and what the legend calls them, by default those in the frame.
    `parts`: what they are drawn with. `clamped`: what a triangle means, if there are any. `extra`:
    more of the legend.
    """
    if xlabel:
        for ax in figure.axes:
            if ax.get_subplotspec().is_last_row():
                ax.set_xlabel(xlabel)
    names = names or {norm: NAMES[norm] for norm in LOOKS if (frame["norm"] == norm).any()}
    handles = [*(handle(name, norm, parts) for norm, name in names.items()), *extra]
    handles += [handle(clamped, marker=CLAMPED)] if clamped else []
    rows = 1 + (len(handles) > 5)
    columns = -(-len(handles) // rows)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    figure.supxlabel(provenance(frame), x=0.995, ha="right", fontsize=7.5, color=GREY)
    return figure
