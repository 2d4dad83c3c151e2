"""Tables drawn as dots: each mark where its number says, each row where its label is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lnqbook.figures import intervals
from lnqbook.figures.style import LOOKS

CELLS = pd.DataFrame(
    [
        ("Acrobot", "plain", "none", -300.0, -310.0, -290.0, -384.0, 3),
        ("Acrobot", "plain", "layer", -170.0, -180.0, -160.0, np.nan, 0),
        ("Acrobot", "changed", "none", -250.0, -260.0, -240.0, np.nan, 0),
        ("Pendulum", "plain", "none", -1150.0, np.nan, np.nan, -1323.2, 1),
    ],
    columns=["env", "row", "norm", "value", "low", "high", "paper", "clamped"],
)
ENVS = ("Acrobot", "Pendulum")


def draw(cells=CELLS, envs=ENVS, **kwargs):
    return intervals.dots(cells, "mean return", envs, **kwargs)


def mark(ax, label):
    (found,) = (c for c in ax.collections if c.get_label() == label)
    return found


def texts(figure):
    return [text.get_text() for text in figure.findobj(plt.Text)]


def test_dots_stand_at_their_values_beside_their_labels():
    acrobot, pendulum = draw(legend=["none", "layer"]).axes
    assert [ax.get_title() for ax in (acrobot, pendulum)] == list(ENVS)
    assert [t.get_text() for t in acrobot.get_yticklabels()] == ["plain", "changed"]
    none, layer = (mark(acrobot, f"plain {norm}").get_offsets()[0] for norm in ("none", "layer"))
    assert (none[0], layer[0]) == (-300.0, -170.0)
    assert none[1] + layer[1] == 0  # side by side around the label of the first row
    assert 0 < layer[1] - none[1] < 0.5
    assert mark(acrobot, "changed none").get_offsets()[0].tolist() == [-250.0, 1.0]
    assert mark(pendulum, "plain none").get_offsets()[0].tolist() == [-1150.0, 0.0]
    assert acrobot.yaxis_inverted()  # the first row is on top


def test_intervals_and_the_papers_numbers_are_drawn_in_their_row():
    acrobot, pendulum = draw().axes
    lines = [line.get_xydata().tolist() for line in acrobot.get_lines()]
    y = mark(acrobot, "plain none").get_offsets()[0][1]
    assert [[-310.0, y], [-290.0, y]] in lines
    assert [[-384.0, y]] in lines
    assert [line for line in lines if len(line) == 1] == [[[-384.0, y]]]  # the only number there is
    assert [[-1323.2, 0.0]] in [line.get_xydata().tolist() for line in pendulum.get_lines()]


def test_a_triangle_says_clamped_and_the_fill_says_the_norm():
    figure = draw()
    ax = figure.axes[0]
    corners = {
        name: len(mark(ax, name).get_paths()[0].vertices) for name in ("plain none", "plain layer")
    }
    assert corners["plain none"] < 5 < corners["plain layer"]
    assert to_rgb(mark(ax, "plain none").get_facecolor()[0]) == (1.0, 1.0, 1.0)
    assert to_rgb(mark(ax, "plain layer").get_facecolor()[0]) == to_rgb(LOOKS["layer"].color)
    assert "at least one seed was clamped" in texts(figure)
    assert "at least one seed was clamped" not in texts(draw(CELLS.assign(clamped=0)))
    assert "the paper" in texts(figure)
    assert "the paper" not in texts(draw(CELLS.drop(columns="paper")))


def test_zero_note_and_a_single_task():
    figure = draw(envs=("Pendulum",), zero=True, note="10 seeds")
    (ax,) = figure.axes
    assert "10 seeds" in texts(figure)
    assert [0, 0] in [list(line.get_xdata()) for line in ax.get_lines()]
    assert [0, 0] not in [list(line.get_xdata()) for line in draw().axes[1].get_lines()]
    assert ax.get_xlabel() == "mean return"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_task_has_its_panel_and_no_panel_is_empty(count):
    envs = [f"task {i}" for i in range(count)]
    cells = pd.concat([CELLS[:1].assign(env=env) for env in envs])
    figure = draw(cells, envs)
    assert [ax.get_title() for ax in figure.axes] == envs
    assert plt.get_fignums() == []
