"""Points at which every run was clamped, in a frame whose answer is plain."""

import pandas as pd

from lnqbook.pages import normalizations

# norm, lr: (returns of two seeds, their clamped steps)
POINTS = {
    ("layer", 1e-4): ((10, 12), (0, 0)),
    ("layer", 1e-3): ((14, 18), (9, 1)),  # all clamped, and best
    ("layer", 1e-2): ((11, 15), (9, 9)),  # all clamped, and as good: [11, 15] reaches [14, 18]
    ("layer", 1e-1): ((12, 13), (9, 9)),  # all clamped, and worse
    ("none", 1e-4): ((50, 60), (0, 7)),  # one of them is not clamped
    ("none", 1e-3): ((1, 2), (7, 7)),
}
NAMES = {"layer": "LN", "none": "None"}


def runs() -> pd.DataFrame:
    rows = [
        {"env": "CartPole", "norm": norm, "lr": lr, "seed": seed, "return": r, "clamped_steps": c}
        for (norm, lr), (returns, clamped) in POINTS.items()
        for seed, (r, c) in enumerate(zip(returns, clamped, strict=True))
    ]
    return pd.DataFrame(rows)


def test_points_at_which_every_run_is_clamped():
    found = normalizations.all_clamped(runs()).set_index(["norm", "lr"])
    assert found["as_good"].to_dict() == {
        ("layer", 1e-3): True,
        ("layer", 1e-2): True,
        ("layer", 1e-1): False,
        ("none", 1e-3): False,
    }
    assert found.loc[("none", 1e-3), "value"] == 1.5


def test_where_the_return_is_as_good_in_words():
    points = normalizations.all_clamped(runs())
    assert normalizations.as_good(points, NAMES) == "LN in CartPole (at 0.001, 0.01)"
    assert normalizations.as_good(points[~points["as_good"]], NAMES) == "no network"


def test_no_run_is_clamped():
    points = normalizations.all_clamped(runs().assign(clamped_steps=0))
    assert points.empty and list(points)[:3] == ["env", "norm", "lr"]
    assert normalizations.as_good(points, NAMES) == "no network"
