"""The figures of the linear-regression chapter: arrays or a frame in, a `Figure` out."""

from __future__ import annotations

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...figures.axes import set_log_rates
from ...figures.drawn import record
from ...figures.layout import chosen, finish, keep, line, provenance, set_scale, subplots
from ...figures.style import GREY, LABELS, LOOKS, WIDTH, Look, in_style
from ...stats import Interval, geometric_mean
from ...theory import Example
from .regression import INPUTS

SPREAD, CONSTANT = LOOKS["spread"], LOOKS["constant"]
SHOWN = 1_500  # points of a kind in a panel: more of them hide each other


@in_style
def ratios_by_spread(laws: pd.DataFrame) -> Figure:
    """A^2 / B and C^2 / D, each over its value for a constant norm, against the norm's spread.

    **Arguments** `laws`: the rows of `theory.random_laws`.
    """
    ratios = {
        "distance_ratio": ("Theorem 2", r"$A^2/B$, relative to constant $\|x\|$"),
        "loss_ratio": ("Theorem 3", r"$C^2/D$, relative to constant $\|x\|$"),
    }
    figure, axes = plt.subplots(1, 2, figsize=(0.8 * WIDTH, 3.4), sharex=True, sharey=True)
    for ax, (ratio, (title, label)) in zip(axes, ratios.items(), strict=True):
        for independent, color, marker in ((False, CONSTANT.color, "x"), (True, SPREAD.color, "o")):
            kind = laws[laws.independent == independent]
            points = kind.loc[kind.index[:SHOWN].union([kind[ratio].idxmax()])]  # the extreme, too
            name = "independent of" if independent else "depends on"
            style = {"s": 9, "color": color, "marker": marker, "linewidth": 0.6}
            style |= {"label": f"norm {name} direction", "alpha": 0.6}
            ax.scatter(points.spread, points[ratio], **style)
            named = points[["spread"]].assign(value=points[ratio], independent=independent)
            record(figure, named.assign(quantity=ratio))
        spread = np.geomspace(0.1, max(1.0, laws.spread.max()), 200)
        ax.plot(spread, 1 / (1 + spread**2), color="black", label=r"$1/(1+s^2)$")
        ax.axhline(1, color=GREY, linestyle="--", label=r"constant $\|x\|$")
        ax.set(title=title, xlabel=r"spread $s$ of $\|x\|^2$ (its std / mean)", ylabel=label)
        ax.set(xscale="log", yscale="log", xlim=(0.1, None))  # left of it all ratios are 1
    return finish(figure, axes[0].get_legend_handles_labels()[0], markerscale=2)


@in_style
def duel(
    example: Example, terms: dict[str, tuple[tuple, tuple]], quantity: str = "distance"
) -> Figure:
    """The atoms of two laws, and the mean decrement of a step by learning rate.

    **Arguments**

    - `example`: two laws in the plane and their error.
    - `terms`: by panel title, (first, second)-order terms of the spread law, then the constant one;
      the decrement is 2 lr first - lr^2 second.
    - `quantity`: the decreased quantity, for the label.
    """
    width = 0.7 * WIDTH if len(terms) == 1 else 0.85 * WIDTH
    figure, axes = plt.subplots(1, 1 + len(terms), figsize=(width, 3.1))
    _atoms(axes[0], example)
    for ax, (title, pairs) in zip(axes[1:], terms.items(), strict=True):
        for pair, look in zip(pairs, (SPREAD, CONSTANT), strict=True):
            record(figure, _parabola(ax, pair, look).assign(panel=title))
        ax.set(title=title, xlabel=r"learning rate $\eta$", xlim=(0, None), ylim=(0, None))
    axes[1].set_ylabel(f"expected decrement\nof the {quantity}")
    return finish(figure, axes[0].get_legend_handles_labels()[0])


@in_style
def trained_by_lr(trained: pd.DataFrame) -> Figure:
    """R and L after training over their start, for each kind of input, by learning rate.

    **Arguments** `trained`: rows of `regression.train`, of one network.

    **Returns** the figure: geometric means over seeds and their 95% bootstrap bands, without the
    learning rates with mean or band above the start.
    """
    envs = chosen(trained, None)
    figure, axes = subplots(("distance", "loss"), envs)
    for (metric, env), ax in axes.items():
        drawn = []
        for kind in INPUTS:
            at = trained[(trained["env"] == env) & (trained["inputs"] == kind)]
            table = at.pivot(index="seed", columns="lr", values=metric)
            means = [geometric_mean(table[lr]) for lr in table]
            points = pd.DataFrame(means, table.columns, Interval._fields, dtype=float)
            shown = np.isfinite(table).all() & (points["high"].fillna(points["value"]) <= 1)
            drawn.append(points[shown].assign(clamped=False))
            line(ax, drawn[-1].index, drawn[-1], kind)
            keep(ax, metric, drawn[-1].reset_index(), env=env, inputs=kind)
        set_log_rates(ax, trained["lr"].unique())
        ax.set_xlim(trained["lr"].min() / 1.25, trained["lr"].max() * 1.25)
        set_scale(ax, "y", metric, pd.concat(drawn))
        if env == envs[0]:
            ax.set_ylabel(f"{metric} ${'L' if metric == 'loss' else 'R'}$, start = 1")
    handles = axes["loss", envs[0]].get_legend_handles_labels()[0]
    return finish(figure, handles, provenance(trained), LABELS["lr"])


def _atoms(ax: Axes, example: Example) -> None:
    """Every sample as a mark, larger for repeated ones, and the direction of the error."""
    limit = 1.2 * np.abs([*example.spread, *example.constant]).max()
    laws = (("spread norm", SPREAD, 60), ("constant norm", CONSTANT, 45))
    for (name, (color, _, _, marker), size), atoms in zip(laws, example[1:], strict=True):
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


def _parabola(ax: Axes, pair: tuple, look: Look) -> pd.DataFrame:
    """2 lr first - lr^2 second where it is positive, and a mark at its top; returns the line."""
    first, second = map(float, pair)
    lr = np.linspace(0, 2 * first / second, 300)
    decrement = 2 * lr * first - lr**2 * second
    ax.plot(lr, decrement, look.dash, color=look.color)
    ax.plot(first / second, first**2 / second, look.marker, color=look.color, clip_on=False)
    norm = "spread" if look is SPREAD else "constant"
    return pd.DataFrame({"norm": norm, "lr": lr, "decrement": decrement})
