"""The tasks as drawings, and the coverage of their datasets."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from lnqlib.data import Transitions
from lnqlib.spec import ENVS

from ...figures.drawn import record
from ...figures.layout import finish
from ...figures.style import GREY, WIDTH, in_style

Point = tuple[float, float]
BODY = "0.35"
ROD, PUSH, GOAL = sns.color_palette("colorblind", 3)


@in_style
def task_pictures(envs: Sequence[str] = ENVS) -> Figure:
    """The tasks as drawings: moving parts, pushes of the actions, and goals."""
    size = (len(envs) * WIDTH / 4, WIDTH / 4)
    figure, axes = plt.subplots(1, len(envs), figsize=size, squeeze=False)
    for ax, env in zip(axes[0], envs, strict=True):
        _DRAWINGS.get(env, unknown)(ax)
        ax.set(title=env, xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        ax.axis("off")
    return figure


@in_style
def dataset_coverage(datasets: dict[str, Transitions], note: str = "") -> Figure:
    """The transitions of each environment's dataset, and those that terminated.

    **Arguments** `datasets`: by environment. `note`: for the figure's foot.

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
        cells = pd.DataFrame(bins.get_offsets(), columns=["x", "y"])
        cells = cells.assign(env=env, x_axis=horizontal, y_axis=vertical)
        record(figure, cells.assign(transitions=np.asarray(bins.get_array())))
        ax.plot(*coordinates(goals), "x", color="tab:red", markersize=3, alpha=0.6)
        ax.set(xlabel=horizontal, ylabel=vertical)
        ax.set_title(f"{env}\n{len(goals):,} of {len(dataset.action):,} terminated")
        ax.grid(False)
    figure.colorbar(bins, ax=axes[0, -1], label="transitions in a cell")
    return finish(figure, [], note)


def _cartpole(ax: Axes) -> None:
    """A pole on a cart that is pushed left or right."""
    ax.plot([-1.15, 1.15], [-0.62, -0.62], color=BODY, linewidth=1.2)
    ax.add_patch(FancyBboxPatch((-0.3, -0.58), 0.6, 0.26, "round,pad=0.03", color=BODY))
    ax.plot([0, 0], [-0.3, 0.95], color=GREY, linestyle=":", linewidth=1)
    _rod(ax, (0, -0.3), (0.2, 0.85))
    _push(ax, (-0.95, -0.45), (-0.42, -0.45), "<|-")
    _push(ax, (0.42, -0.45), (0.95, -0.45), "-|>")
    _joint(ax, (0, -0.3))
    _aim(ax, "keep the pole up")


def _acrobot(ax: Axes) -> None:
    """Two links that hang from a shoulder, with torque at the elbow."""
    shoulder, elbow, tip = (0.0, 0.2), (0.36, -0.28), (0.95, -0.18)
    ax.plot([-1.15, 1.15], [0.8, 0.8], color=GOAL, linestyle="--", linewidth=1.6)
    _rod(ax, shoulder, elbow)
    _rod(ax, elbow, tip)
    _joint(ax, shoulder)
    _joint(ax, elbow)
    _push(ax, (0.12, -0.42), (0.58, -0.48), bend=0.6)
    _aim(ax, "swing the tip above the line")


def _mountain_car(ax: Axes) -> None:
    """A car in a valley, too weak to drive straight up to the flag."""
    position = np.linspace(-1.2, 0.6, 200)
    x, height = (position + 0.3) / 0.85, 0.75 * np.sin(3 * position)
    ax.fill_between(x, height, -0.85, color="0.9", linewidth=0)
    ax.plot(x, height, color=BODY, linewidth=1.5)
    at = np.argmin(abs(position + 0.75))
    along = np.array([x[at + 1] - x[at], height[at + 1] - height[at]])
    along /= np.linalg.norm(along)
    ground, up = np.array([x[at], height[at]]), np.array([-along[1], along[0]])
    ax.add_patch(Circle(ground + 0.11 * up, 0.1, color=ROD, zorder=4))
    _push(ax, ground + 0.34 * up - 0.32 * along, ground + 0.34 * up + 0.32 * along)
    goal = np.argmin(abs(position - 0.5))
    ax.plot([x[goal]] * 2, [height[goal], height[goal] + 0.4], color=BODY, linewidth=1.5)
    ax.add_patch(Rectangle((x[goal] - 0.2, height[goal] + 0.26), 0.2, 0.14, color=GOAL))
    _aim(ax, "reach the flag")


def _pendulum(ax: Axes) -> None:
    """A rod with torque at its pivot, too weak to lift it in one go."""
    ax.plot([0, 0], [0, 0.9], color=GOAL, linestyle="--", linewidth=1.6)
    _rod(ax, (0, 0), (0.62, -0.5))
    _joint(ax, (0, 0))
    _push(ax, (-0.22, -0.3), (-0.1, 0.34), bend=-0.6)
    _aim(ax, "swing up and stay there")


def unknown(ax: Axes) -> None:
    """A task that the book has no drawing of."""
    ax.add_patch(Rectangle((-0.8, -0.6), 1.6, 1.2, fill=False, edgecolor=GREY, linestyle=":"))
    ax.text(0, 0, "?", ha="center", va="center", color=GREY, fontsize=24)
    _aim(ax, "as its makers say")


_DRAWINGS = {
    "CartPole": _cartpole,
    "Acrobot": _acrobot,
    "MountainCar": _mountain_car,
    "Pendulum": _pendulum,
}


def _rod(ax: Axes, start: Point, end: Point) -> None:
    ax.plot(*zip(start, end, strict=True), color=ROD, linewidth=6, solid_capstyle="round")


def _joint(ax: Axes, center: Point) -> None:
    ax.add_patch(Circle(center, 0.06, color=BODY, zorder=4))


def _push(ax: Axes, start: Point, end: Point, arrow: str = "<|-|>", bend: float = 0.0) -> None:
    """An arrow where the actions push or turn."""
    style = {"arrowstyle": arrow, "color": PUSH, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})


def _aim(ax: Axes, text: str) -> None:
    ax.text(0, -1.05, text, ha="center", color=GREY)


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
"""Axis labels of a coverage plot, and its two coordinates of an observation (N, obs_dim)."""
_FIRST_TWO = "first entry", "last entry", lambda obs: (obs[:, 0], obs[:, -1])
