"""Sufficiency and necessity: a row a mechanism, a panel a task, a dot for S and one for N."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..mechanisms import LITTLE, MOST, NO_SHARE
from ..stats import Interval
from .drawn import record
from .layout import finish, handle
from .style import GREY, LOOKS, WIDTH, in_style

SIDES = {"S": ("none", "added to None: S"), "N": ("layer", "taken from LN: N")}
LIMITS = (-0.75, 1.75)
APART = 0.17  # rows between S and N


@in_style
def sufficiency_and_necessity(
    found: pd.DataFrame, envs: Sequence[str], note: str = "", judged: bool = True
) -> Figure:
    """The shares of LN's gain with their intervals, and what the rule makes of them.

    What lies outside the panel stands at its edge as an arrow. Lines are at 0 and 1, the dotted one
    at the rule's half, the band is its fifth.

    **Arguments** `found`: as `mechanisms.answers` gives it. `note`: the runs behind the figure.
    `judged`: draw intervals and verdicts, which few seeds do not have.
    """
    names = list(dict.fromkeys(found["mechanism"]))
    lines = -(-len(envs) // 2)
    size = (WIDTH, (0.36 * len(names) + 0.7) * lines + 0.6)
    figure, axes = plt.subplots(lines, min(len(envs), 2), figsize=size, sharey=True, squeeze=False)
    for ax, env in zip(axes.flat, envs, strict=False):
        ax.set(title=env, xlim=LIMITS, ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
        ax.set_yticklabels(names)
        ax.set_xticks([-0.5, 0, 0.5, 1, 1.5])
        ax.grid(False, axis="y")
        ax.axvspan(-LITTLE, LITTLE, color="0.94", zorder=0)
        for x, dash in ((0, "-"), (MOST, ":"), (1, "-")):
            ax.axvline(x, color=GREY, linewidth=0.8, linestyle=dash)
        for row in found[found["env"] == env].itertuples():
            y = names.index(row.mechanism)
            for side, offset in (("S", -APART), ("N", APART)):
                share = getattr(row, side)
                if share is not None and np.isfinite(share.value):
                    _draw(ax, y + offset, share, side, judged)
            if judged or row.verdict == NO_SHARE:
                ax.annotate(row.verdict, (1.01, y), xycoords=("axes fraction", "data"), va="center",
                            fontsize=9, annotation_clip=False)  # fmt: skip
    for ax in axes.flat[len(envs) :]:
        ax.remove()
    handles: list[Line2D] = [handle(text, look, marker="o") for look, text in SIDES.values()]
    record(figure, _numbers(found))
    return finish(figure, handles, note, "share of LN's gain")


def _numbers(found: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"mechanism": row.mechanism, "env": row.env, "share": side, "value": share.value}
        | {"low": share.low, "high": share.high, "verdict": row.verdict}
        for row in found.itertuples()
        for side, share in (("S", row.S), ("N", row.N))
        if share is not None
    )


def _draw(ax: Axes, y: float, share: Interval, side: str, judged: bool) -> None:
    look = LOOKS[SIDES[side][0]]
    low, high = LIMITS
    if judged and np.isfinite([share.low, share.high]).all():
        ends = np.clip([share.low, share.high], low, high)
        ax.plot(ends, [y, y], color=look.color, linewidth=1.6, zorder=2, clip_on=False)
    mark = "<" if share.value < low else ">" if share.value > high else "o"
    at = float(np.clip(share.value, low, high))
    style = {"facecolor": look.fill, "edgecolor": look.color, "linewidth": 1.2, "clip_on": False}
    ax.scatter(at, y, 24, marker=mark, zorder=3, label=f"{side} {mark}", **style)
