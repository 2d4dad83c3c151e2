"""Terms of the expansion beside one another: quotients by hand, and on networks that obey them."""

import numpy as np
import pandas as pd
import pytest

from lnqbook.pages.gi2 import MINUS, RATIOS, chain, ratios, same_side, turns
from lnqbook.stats import Interval
from lnqlib.spec import grid
from lnqlib.sweep import curves, sweep


def test_quotients_are_medians_over_checkpoints():
    runs = pd.DataFrame({"key": ["a", "b"], "lr": [0.1, 0.2]})
    rows = [  # key, first_order, squared, hessian, gi2, realised, realised_held
        ("a", 2.0, 1.0, -0.5, 1.0, 0.5, 1.0),
        ("a", -1.0, 4.0, 1.0, -5.0, 1.0, -5.0),
        ("a", 1.0, 0.0, 0.0, 1.0, 4.0, 3.0),
        ("b", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    ]
    names = ["key", "first_order", "squared", "hessian", "gi2", "realised", "realised_held"]
    a, b = ratios(runs, pd.DataFrame(rows, columns=names)).to_dict("records")
    assert a["second_over_first"] == 0.5  # of 0.5, 4 and 0
    assert a["deferred_over_kept"] == 0.375  # of 0.5 and 0.25; 0 / 0 is left out
    assert a["realised_over_gi2"] == 0.5  # of 0.5, -0.2 and 4
    assert a["realised_over_whole"] == pytest.approx(1 / 3)  # of 1/3, -1/6 and 4
    assert a["held_over_gi2"] == 1.0  # of 1, 1 and 3
    assert a["same_sign"] == pytest.approx(2 / 3)
    assert a["same_sign_held"] == a["lowers"] == 1.0
    assert all(np.isnan(b[name]) for name in RATIOS)
    assert (a["lr"], b["lr"]) == (0.1, 0.2)


def test_small_steps_do_what_their_expansion_says(tmp_path):
    """As lr falls the expansion becomes exact, and each order is a factor lr above the next."""
    specs = grid(
        env="MountainCar", norm=("none", "layer"), lr=(1e-6, 1e-7), second_order=True, steps=40,
        checkpoints=4, eval_episodes=0,
    )  # fmt: skip
    runs = sweep(specs, store=tmp_path, progress=False)
    r = ratios(runs, curves(specs, store=tmp_path)).set_index(["norm", "lr"])
    for norm in ("none", "layer"):
        large, small = r.loc[norm, 1e-6], r.loc[norm, 1e-7]
        assert large["second_over_first"] / small["second_over_first"] == pytest.approx(10, rel=0.1)
        assert large["deferred_over_kept"] == pytest.approx(small["deferred_over_kept"], rel=0.1)
        assert small["realised_over_gi2"] == pytest.approx(1, rel=1e-2)
        assert small["same_sign"] == 1


def test_the_chain_ranks_each_part_against_the_loss():
    lr = [1e-4, 1e-3, 1e-2, 1e-1]
    runs = pd.DataFrame(
        {"env": "Pendulum", "norm": "none", "seed": 0, "lr": lr, "clamped_steps": 0}
        | {"loss": [1.0, 2.0, 3.0, 4.0], "first_order": [0.1, 0.2, 0.3, 0.4]}
        | {"squared": [0.0, 0.3, 0.6, 0.9], "hessian": [0.0, 0.0, 0.0, 1.0]}
        | dict.fromkeys(("mgi", "dgi", "realised", "realised_held", "realised_minibatch"), 1.0)
    )
    rho = chain(runs.assign(gi2=runs["first_order"] - runs["squared"]), "loss").loc["Pendulum"]
    assert rho["first_order"].value == 1
    assert rho["minus_kept"].value == rho["gi2"].value == rho["whole"].value == -1
    assert np.isnan(rho["mgi"].value)


def test_where_the_sign_turns():
    above, below, around = Interval(1, 0.5, 1, 9), Interval(-1, -1, -0.5, 9), Interval(0, -1, 1, 9)
    rows = {
        "CartPole": (above, above, above, below),  # with the second-order term
        "Acrobot": (below, above, below, above),  # with each of the three
        "MountainCar": (above, around, around, below),  # undecided in between
        "Pendulum": (around, below, below, below),  # never
    }
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["mgi", "dgi", "first_order", "gi2"]
    )
    found = {step: envs.replace(MINUS, "-") for step, envs in turns(table).items()}
    assert found == {
        "dgi": "Acrobot (to +)",
        "first_order": "Acrobot (to -)",
        "gi2": "CartPole (to -), Acrobot (to +), MountainCar (to -)",
    }
    assert turns(table.loc[["Pendulum"]]) == dict.fromkeys(("dgi", "first_order", "gi2"), "none")
    assert same_side(table, "mgi", "gi2") == 0
    assert same_side(table, "first_order", "gi2") == 1  # Pendulum; an open one is on no side


def test_the_chain_without_clamped_points():
    lr = [1e-4, 1e-3, 1e-2, 1e-1]
    runs = pd.DataFrame(
        {"env": "Pendulum", "norm": "none", "seed": 0, "lr": lr, "clamped_steps": [0, 0, 0, 9]}
        | {"loss": [1.0, 2.0, 3.0, 4.0], "squared": 0.0, "hessian": 0.0}
        | {name: [1.0, 2.0, 3.0, 0.0] for name in ("mgi", "dgi", "first_order", "gi2")}
        | dict.fromkeys(("realised", "realised_held", "realised_minibatch"), 1.0)
    )
    assert chain(runs, "loss")["gi2"].iloc[0].value < 0.5
    calm = chain(runs, "loss", clamped=False)["gi2"].iloc[0]
    assert (calm.value, calm.count) == (1.0, 3)
