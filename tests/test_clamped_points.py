"""Points at which every run was clamped, in a frame whose answer is plain."""

import numpy as np
import pandas as pd

from lnqlib import clamped_points

# norm, lr: (returns of two seeds, their clamped steps)
POINTS = {
    ("layer", 1e-4): ((10, 20), (0, 0)),
    ("layer", 1e-3): ((14, 18), (9, 1)),  # all clamped, and better
    ("layer", 1e-2): ((16, 14), (9, 9)),  # all clamped, and as good
    ("layer", 1e-1): ((16, 12), (9, 9)),  # all clamped, and worse
    ("none", 1e-4): ((1, 3), (0, 0)),
    ("none", 1e-3): ((50, 60), (0, 7)),  # one of them is not clamped
    ("none", 1e-2): ((1, 2), (7, 7)),
    ("batch", 1e-4): ((1, 2), (7, 7)),  # never free
}
NAMES = {"layer": "LN", "none": "None", "batch": "BN"}


def runs() -> pd.DataFrame:
    rows = [
        {"env": "CartPole", "norm": norm, "lr": lr, "seed": seed, "return": r, "clamped_steps": c}
        for (norm, lr), (returns, clamped) in POINTS.items()
        for seed, (r, c) in enumerate(zip(returns, clamped, strict=True))
    ]
    return pd.DataFrame(rows)


def test_points_at_which_every_run_is_clamped():
    found = clamped_points.all_clamped(runs()).set_index(["norm", "lr"])
    assert set(found.index) == {
        ("layer", 1e-3),
        ("layer", 1e-2),
        ("layer", 1e-1),
        ("none", 1e-2),
        ("batch", 1e-4),
    }
    assert found["kept"].to_dict() == {
        ("layer", 1e-3): True,
        ("layer", 1e-2): True,
        ("layer", 1e-1): False,
        ("none", 1e-2): False,
        ("batch", 1e-4): False,
    }
    assert set(found.loc["layer", "free"]) == {15}
    assert found.loc[("none", 1e-2), "value"] == 1.5
    assert np.isnan(found.loc[("batch", 1e-4), "free"])


def test_where_the_return_is_kept_in_words():
    points = clamped_points.all_clamped(runs())
    assert clamped_points.kept(points, NAMES) == "LN in CartPole (at 0.001 and 0.01)"
    assert clamped_points.kept(points[~points["kept"]], NAMES) == "no network"


def test_no_run_is_clamped():
    points = clamped_points.all_clamped(runs().assign(clamped_steps=0))
    assert points.empty and list(points) == ["env", "norm", "lr", "value", "free", "kept"]
    assert clamped_points.kept(points, NAMES) == "no network"
