"""Figures of the settings beyond the paper's: target networks and online replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..stats import Interval, bootstrap_interval
from .drawn import record
from .layout import finish, handle
from .style import GREY, LOOKS, NAMES, WIDTH, Look, in_style

UNTRAINED = {"untrained": ("untrained network", "--"), "uniform": ("random actions", "-")}
"""The policies of `baselines.POLICIES`, and the lines that stand for them."""


@in_style
def return_by_period(
    returns: Mapping[str, np.ndarray],
    networks: Sequence[str],
    periods: Sequence[int],
    note: str = "",
) -> Figure:
    """Return against the target network's period, a panel a task, a line a network.

    Solid, the mean over learning rates and its 95% bootstrap band over seeds, a ring where it is
    highest; dotted, at the learning rate that is best for the network and period, chosen on the
    same seeds.

    **Arguments** `returns`: task -> (networks, periods, rates, seeds), as
    `target_statistics.returns` gives them; a period of 1 is no target network. `note`: at the
    figure's foot.
    """
    figure, axes = plt.subplots(1, len(returns), figsize=(WIDTH, 2.9), squeeze=False)
    for ax, (env, J) in zip(axes[0], returns.items(), strict=True):
        for network, name in enumerate(networks):
            look = LOOKS[name]
            seeds = J[network].mean(axis=1)  # (periods, seeds)
            found = [bootstrap_interval(row) for row in seeds]
            line = {"linestyle": look.dash, "label": NAMES[name], "markersize": 4}
            values = np.array([i.value for i in found])
            ax.plot(periods, values, **line, **_mark(look))
            low, high = ([getattr(i, end) for i in found] for end in ("low", "high"))
            ax.fill_between(periods, low, high, color=look.color, alpha=0.2, linewidth=0)
            best = J[network].mean(axis=-1).max(axis=-1)
            named = ["none", *periods[1:]]
            points = {"network": name, "period": named, "value": values}
            points |= {"low": low, "high": high, "best": best}
            record(figure, pd.DataFrame({"env": env} | points))
            ax.plot(periods, best, ":", color=look.color, linewidth=1)
            if np.isfinite(values).any():
                most = int(np.nanargmax(values))
                ring = {"facecolors": "none", "edgecolors": look.color, "linewidths": 1.2}
                ax.scatter(periods[most], values[most], s=110, clip_on=False, **ring)
        ax.set(xscale="log", title=env, xlabel="period (steps)")
        ax.set_xticks(periods, ["none", *map("{:,}".format, periods[1:])], rotation=45)
        ax.minorticks_off()
    axes[0, 0].set_ylabel("return")
    handles = [handle(NAMES[name], name, "line and mark") for name in networks]
    return finish(figure, handles, note)


@in_style
def scores_by_setting(
    scores: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    networks: Sequence[str],
    levels: pd.DataFrame,
    note: str = "",
) -> Figure:
    """Table 1's networks in several settings, a panel a task, above levels without training.

    **Arguments** `scores`: task -> network -> setting -> interval. `networks`: two of them.
    `levels`: mean returns, a row a task, a column a policy of `baselines.POLICIES`. `note`: at the
    figure's foot.
    """
    figure, axes = plt.subplots(1, len(scores), figsize=(WIDTH, 2.9), squeeze=False)
    for ax, (env, by_network) in zip(axes[0], scores.items(), strict=True):
        for shift, name in zip((-0.08, 0.08), networks, strict=True):
            by_setting = by_network[name]
            look, places = LOOKS[name], np.arange(len(by_setting)) + shift
            values = np.array([interval.value for interval in by_setting.values()])
            ends = np.array([[i.low, i.high] for i in by_setting.values()]).T
            error = np.abs(ends - values)
            points = {"env": env, "network": name, "setting": list(by_setting), "value": values}
            record(figure, pd.DataFrame(points | {"low": ends[0], "high": ends[1]}))
            style = {"linestyle": "", "label": NAMES[name], "markersize": 4, "capsize": 3}
            ax.errorbar(places, values, error, **style, **_mark(look))
        for policy, (_, dash) in UNTRAINED.items():
            ax.axhline(levels.loc[env, policy], color=GREY, linewidth=1, linestyle=dash)
            level = {"env": env, "network": policy, "value": levels.loc[env, policy]}
            record(figure, pd.DataFrame([level]))
        ax.set_xticks(range(len(by_setting)), by_setting, rotation=30, ha="right")
        ax.set(title=env, xlim=(-0.5, len(by_setting) - 0.5))
        ax.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes[0, 0].set_ylabel("return")
    handles = [handle(NAMES[name], name) for name in networks]
    handles += [
        handle(text, linestyle=dash, linewidth=1, marker="") for text, dash in UNTRAINED.values()
    ]
    return finish(figure, handles, note)


def _mark(look: Look) -> dict[str, str]:
    return {"color": look.color, "marker": look.marker, "markerfacecolor": look.fill}
