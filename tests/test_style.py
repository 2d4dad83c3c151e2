"""Every network has a look of its own, also for readers who see no red or no green."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lnqbook.figures.style import CLAMPED, GREY, LOOKS, NAMES, rate, shades
from lnqlib.spec import NORMS

TOGETHER = (
    ("none", "layer", "batch", "weight"),
    ("none", "layer", "center", "rms", "layer_affine", "layer_after_relu", "crossq"),
    ("none", "layer", "injected"),
    ("none", "layer", "removed"),
    ("none", "layer", "project", "own_decay", "paired_decay"),
)
SIGHT = {  # linear RGB as it is, and as seen without red or green cones (Machado et al. 2009)
    "usual": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}
XYZ = [[0.4339, 0.3763, 0.1898], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]]  # white: 1


def lab(color, sight):
    """CIELAB coordinates of a colour under one of `SIGHT`; a distance of 2 is just visible."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = np.array(XYZ) @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("norms", TOGETHER, ids=len)
def test_colors_that_share_a_figure_can_be_told_apart(norms, sight):
    for one, other in combinations(norms, 2):
        apart = np.linalg.norm(lab(LOOKS[one].color, sight) - lab(LOOKS[other].color, sight))
        assert apart > 15, (one, other)


@pytest.mark.parametrize("norms", TOGETHER, ids=len)
def test_networks_that_share_a_figure_have_names_marks_and_lines_of_their_own(norms):
    looks = [LOOKS[norm] for norm in norms]
    assert len({NAMES[norm] for norm in norms}) == len(norms)
    assert len({(look.marker, look.fill == "white") for look in looks}) == len(norms)
    assert len({(look.dash, look.marker) for look in looks}) == len(norms)
    assert not any(look.marker == CLAMPED or look.color == GREY for look in looks)


def test_every_norm_has_a_look_and_a_name():
    assert set(NORMS) <= set(LOOKS)
    assert set(LOOKS) == set(NAMES)


def test_a_learning_rate_is_a_power_of_ten_where_it_is_one():
    assert [rate(lr) for lr in (1e-5, 10**-2.5, 3e-4)] == [
        r"$\eta = 10^{-5}$",
        r"$\eta = 10^{-2.5}$",
        r"$\eta$ = 0.0003",
    ]


def test_shades_go_from_pale_to_dark_around_the_color():
    three = [sum(to_rgb(shade)) for shade in shades("#0173b2", 3)]
    assert three == sorted(three, reverse=True)
    assert three[1] == pytest.approx(sum(to_rgb("#0173b2")), abs=0.02)
    assert shades("#0173b2", 1) == ["#0173b2"]
    assert shades("#0173b2", 0) == []
