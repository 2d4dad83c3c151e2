"""The figures of the setting's chapter: the tasks, and what their datasets cover."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lnqlib.data import Transitions
from lnqlib.spec import ENVS

from ...figures.style import GREY, WIDTH, in_style
from .drawings import SKETCHES, unknown


@in_style
def task_pictures(envs: Sequence[str] = ENVS) -> Figure:
    """The tasks as sketches: what moves, what the actions push, and where the goal is."""
    size = (len(envs) * WIDTH / 4, WIDTH / 4)
    figure, axes = plt.subplots(1, len(envs), figsize=size, squeeze=False)
    for ax, env in zip(axes[0], envs, strict=True):
        SKETCHES.get(env, unknown)(ax)
        ax.set(title=env, xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        ax.axis("off")
    return figure


@in_style
def dataset_coverage(datasets: dict[str, Transitions], note: str = "") -> Figure:
    """Where the transitions of each environment's dataset lie, and those that terminated.

    **Arguments** `datasets`: by environment. `note`: what they are, for the figure's foot.

    **Returns** the figure: counts on a log scale, states after terminated transitions as crosses.
    """
    size = (WIDTH * (0.2 * len(datasets) + 0.2), 2.7)
    figure, axes = plt.subplots(1, len(datasets), figsize=size, squeeze=False)
    for ax, (env, dataset) in zip(axes[0], datasets.items(), strict=True):
        horizontal, vertical, coordinates = _COORDINATES.get(env, _FIRST_TWO)
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
_FIRST_TWO = "first entry", "last entry", lambda obs: (obs[:, 0], obs[:, -1])
