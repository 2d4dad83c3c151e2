"""The figures of the linear-regression chapter: arrays or a frame in, a `Figure` out."""

from __future__ import annotations

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...figures.axes import set_decades, set_log_rates
from ...figures.layout import chosen, panels, provenance
from ...figures.style import GREY, LABELS, WIDTH, in_style
from ...stats import Interval, geometric_mean
from ...theory import Example

SPREAD, CONSTANT = (sns.color_palette("colorblind")[i] for i in (2, 4))
SHUFFLED = sns.color_palette("colorblind")[0]
KINDS = ("spread", SPREAD, "-"), ("shuffled", SHUFFLED, ":"), ("constant", CONSTANT, "--")
SHOWN = 1_500  # points of a kind in a panel: more of them hide each other


@in_style
def ratios_by_spread(laws: pd.DataFrame) -> Figure:
    """A^2 / B and C^2 / D, each over its value for a constant norm, against the norm's spread.

    **Arguments** `laws`: the rows of `theory.random_laws`.
    """
    panels = {
        "distance_ratio": ("Theorem 2", r"$A^2/B$, relative to constant $\|x\|$"),
        "loss_ratio": ("Theorem 3", r"$C^2/D$, relative to constant $\|x\|$"),
    }
    figure, axes = plt.subplots(1, 2, figsize=(0.8 * WIDTH, 3.4), sharex=True, sharey=True)
    for ax, (ratio, (title, label)) in zip(axes, panels.items(), strict=True):
        for independent, color, marker in ((False, CONSTANT, "x"), (True, SPREAD, "o")):
            kind = laws[laws.independent == independent]
            points = kind.loc[kind.index[:SHOWN].union([kind[ratio].idxmax()])]  # the extreme, too
            name = "independent of" if independent else "depends on"
            style = {"s": 9, "color": color, "marker": marker, "linewidth": 0.6}
            style |= {"label": f"norm {name} direction", "alpha": 0.6}
            ax.scatter(points.spread, points[ratio], **style)
        spread = np.geomspace(0.1, max(1.0, laws.spread.max()), 200)
        ax.plot(spread, 1 / (1 + spread**2), color="black", label=r"$1/(1+s^2)$")
        ax.axhline(1, color=GREY, linestyle="--", label=r"constant $\|x\|$")
        ax.set(title=title, xlabel=r"spread $s$ of $\|x\|^2$ (its std / mean)", ylabel=label)
        ax.set(xscale="log", yscale="log", xlim=(0.1, None))  # left of it all ratios are 1
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, markerscale=2)
    return figure


@in_style
def duel(
    example: Example, terms: dict[str, tuple[tuple, tuple]], quantity: str = "distance"
) -> Figure:
    """The atoms of two laws, and what a step of each learning rate takes off on average.

    **Arguments**

    - `example`: two laws in the plane and their error.
    - `terms`: by panel title, (first, second)-order terms of the spread law, then the constant one;
      the decrement is 2 lr first - lr^2 second.
    - `quantity`: what is decreased, for the label.
    """
    width = 0.7 * WIDTH if len(terms) == 1 else 0.85 * WIDTH
    figure, axes = plt.subplots(1, 1 + len(terms), figsize=(width, 3.1))
    _atoms(axes[0], example)
    for ax, (title, pairs) in zip(axes[1:], terms.items(), strict=True):
        _parabola(ax, pairs[0], SPREAD, "o", "-")
        _parabola(ax, pairs[1], CONSTANT, "s", "--")
        ax.set(title=title, xlabel=r"learning rate $\eta$", xlim=(0, None), ylim=(0, None))
    axes[1].set_ylabel(f"expected decrement\nof the {quantity}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


@in_style
def trained_by_lr(trained: pd.DataFrame) -> Figure:
    """R and L after training over their start, for each kind of input, by learning rate.

    **Arguments** `trained`: rows of `regression.train`, of one network.

    **Returns** the figure: geometric means over seeds and their 95% bootstrap bands, without the
    learning rates at which mean or band is above the start.
    """
    envs = chosen(trained, None)
    figure, axes = panels(("distance", "loss"), envs)
    for (metric, env), ax in axes.items():
        drawn = []
        for name, color, dash in KINDS:
            at = trained[(trained["env"] == env) & (trained["inputs"] == name)]
            table = at.pivot(index="seed", columns="lr", values=metric)
            means = [geometric_mean(table[lr]) for lr in table]
            lines = pd.DataFrame(means, table.columns, Interval._fields, dtype=float)
            lines = lines[np.isfinite(table).all() & (lines["high"].fillna(lines["value"]) <= 1)]
            ax.plot(lines["value"], dash, color=color, linewidth=1.4, label=f"{name} norm")
            ax.fill_between(lines.index, lines["low"], lines["high"], color=color, alpha=0.2)
            drawn.append(lines[["value", "low", "high"]])
        set_log_rates(ax, trained["lr"].unique())
        ax.set_xlim(trained["lr"].min() / 1.25, trained["lr"].max() * 1.25)
        if metric == "loss":
            values = np.concatenate([np.ravel(lines) for lines in drawn])
            set_decades(ax, "y", values, values, signed=False)
        if ax.get_subplotspec().is_last_row():
            ax.set_xlabel(LABELS["lr"])
        if env == envs[0]:
            ax.set_ylabel(f"{metric} ${'L' if metric == 'loss' else 'R'}$, start = 1")
    handles, labels = axes["loss", envs[0]].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supxlabel(provenance(trained), x=0.995, ha="right", fontsize=7.5, color=GREY)
    return figure


def _atoms(ax: Axes, example: Example) -> None:
    """Every sample as a mark, larger where it repeats, and the direction of the error."""
    limit = 1.2 * np.abs([*example.spread, *example.constant]).max()
    laws = (("spread norm", "o", SPREAD, 60), ("constant norm", "s", CONSTANT, 45))
    for (name, marker, color, size), atoms in zip(laws, example[1:], strict=True):
        counts = Counter(atoms)
        x = np.array(list(counts), float)
        area = size * np.array(list(counts.values()))
        ax.scatter(*x.T, area, marker=marker, color=color, label=f"samples, {name}", zorder=3)
        for atom in x:
            ax.plot(*np.transpose([[0, 0], atom]), color=color, linewidth=0.8, alpha=0.6)
    tip = np.array(example.error) / np.linalg.norm(example.error) * limit * 0.9
    ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "black", "shrinkA": 0})
    ax.plot([], [], color="black", marker=">", markersize=4, label="direction of the error")
    low = [-limit if np.min([*example.spread, *example.constant]) < 0 else -0.1 * limit] * 2
    ax.set(xlim=(low[0], limit), ylim=(low[1], limit), aspect="equal")
    ax.set(title="the data", xlabel="$x_1$", ylabel="$x_2$")


def _parabola(
    ax: Axes, pair: tuple, color: tuple[float, float, float], marker: str, line: str
) -> None:
    """2 lr first - lr^2 second where it is positive, and a mark at its top."""
    first, second = map(float, pair)
    lr = np.linspace(0, 2 * first / second, 300)
    ax.plot(lr, 2 * lr * first - lr**2 * second, line, color=color)
    ax.plot(first / second, first**2 / second, marker, color=color, clip_on=False)
