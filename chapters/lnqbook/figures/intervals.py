"""A table as a figure: a row a network, a dot with its interval, one panel for each task."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .drawn import record
from .layout import SEED_CLAMPED, finish, handle, mark_style
from .style import CLAMPED, GREY, LOOKS, NAMES, WIDTH, in_style

APART = 0.3  # rows between the dots that share one


@in_style
def dots(
    cells: pd.DataFrame,
    xlabel: str,
    envs: Sequence[str],
    note: str = "",
    zero: bool = False,
    legend: Sequence[str] = (),
) -> Figure:
    """Each cell's value as a dot with its interval; the paper's numbers as vertical bars.

    **Arguments**

    - `cells`: columns env, row (its label), norm (its color), value, low, high; optional columns
      paper (NaN: no bar) and clamped (a triangle instead of a dot).
    - `xlabel`: the measured quantity, with its unit. `envs`: one panel each.
    - `note`: the runs behind the figure, for the foot. `zero`: draw a line at zero.
    - `legend`: the norms to name in the legend, if a row holds several.

    **Returns** the figure, with the first row of `cells` on top.
    """
    rows = list(dict.fromkeys(cells["row"]))
    columns = min(len(envs), 2)
    lines = -(-len(envs) // columns)
    height = (0.24 * len(rows) * (1.5 if legend else 1) + 0.75) * lines + 0.5
    size = (WIDTH if columns > 1 else 0.62 * WIDTH, height)
    figure, axes = plt.subplots(lines, columns, figsize=size, sharey=True, squeeze=False)
    for ax, env in zip(axes.flat, envs, strict=False):
        ax.set(title=env, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
        ax.set_yticklabels(rows)
        ax.grid(False, axis="y")
        if zero:
            ax.axvline(0, color=GREY, linewidth=0.8)
        _draw(ax, cells[cells["env"] == env], rows)
    record(figure, cells[cells["env"].isin(envs)])
    for ax in axes.flat[len(envs) :]:
        ax.remove()
    return finish(figure, _handles(cells, legend), note, xlabel)


def _draw(ax: Axes, cells: pd.DataFrame, rows: list[str]) -> None:
    for row, group in cells.groupby("row", sort=False):
        offsets = APART * (np.arange(len(group)) - (len(group) - 1) / 2)
        for offset, (_, cell) in zip(offsets, group.iterrows(), strict=True):
            y, norm = rows.index(row) + offset, cell["norm"]
            line = {"color": LOOKS[norm].color, "linewidth": 2, "zorder": 2}
            ax.plot([cell["low"], cell["high"]], [y, y], **line)
            style = {"marker": CLAMPED if cell.get("clamped", False) else "o"} | mark_style(norm)
            ax.scatter(cell["value"], y, 26, label=f"{row} {norm}", **style)
            if np.isfinite(cell.get("paper", np.nan)):
                ax.plot(cell["paper"], y, "|", color="black", markersize=11, zorder=4)


def _handles(cells: pd.DataFrame, legend: Sequence[str]) -> list[Line2D]:
    handles = [handle(NAMES[norm], norm, marker="o") for norm in legend]
    if "paper" in cells and cells["paper"].notna().any():
        handles.append(handle("the paper", marker="|", color="black", markersize=11))
    if "clamped" in cells and cells["clamped"].any():
        handles.append(handle(SEED_CLAMPED, marker=CLAMPED))
    return handles
