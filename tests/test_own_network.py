"""The page on a reader's own network: its agents, and the sentence for each case."""

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lnqbook.pages import own_network
from lnqbook.pages.own_network import SHOWN, agent, differences, finding, record, task, train


@pytest.mark.parametrize("env", ["CartPole", "Pendulum"])
def test_both_networks_start_from_the_same_linear_layers(env):
    none, layer = (agent(env, "SGD", norm, seed=1).q_net.q_net for norm in ("none", "layer"))
    kinds = [type(m).__name__ for m in layer]
    assert kinds == ["Linear", "LayerNorm", "ReLU"] * 2 + ["Linear"]
    for x, y in zip(
        [m for m in none if isinstance(m, nn.Linear)],
        [m for m in layer if isinstance(m, nn.Linear)],
        strict=True,
    ):
        assert torch.equal(x.weight, y.weight) and torch.equal(x.bias, y.bias)


def test_pendulum_has_the_books_three_torques():
    plain = gymnasium.make("Pendulum-v1")
    for action, torque in enumerate((-2.0, 0.0, 2.0)):
        ours = task("Pendulum")
        ours.reset(seed=0), plain.reset(seed=0)
        np.testing.assert_array_equal(ours.step(action)[0], plain.step([torque])[0])


def test_a_run_is_measured_as_it_was_asked_for():
    curves = train("CartPole", "SGD", "layer", 2, steps=300, every=100)
    assert list(curves["step"]) == [129, 200, 300]
    assert set(SHOWN) <= set(curves)
    assert (curves["norm"] == "layer").all()
    own_network.figure(pd.concat([curves, curves.assign(norm="none")]), ["CartPole"])


def runs(**gaps: float) -> pd.DataFrame:
    """Five seeds of both networks, LN higher by `gaps`, and by nothing that holds elsewhere."""
    rows = []
    for seed in range(5):
        for norm in ("none", "layer"):
            noise = {name: (-1.0) ** seed * (norm == "layer") for name in SHOWN}
            shift = {n: gaps.get(n, 0) * (norm == "layer") * 100 for n in SHOWN}
            values = {name: noise[name] + shift[name] for name in SHOWN}
            names = {"env": "CartPole", "optimizer": "Adam", "norm": norm, "seed": seed}
            rows.append(names | {"step": 1000} | values)
    return pd.DataFrame(rows)


def test_the_finding_says_what_the_seeds_decide():
    curves = runs(**{"return": 1, "sgi": -1, "dormant": -1})
    table = differences(curves)
    assert table.loc["the return", "LN minus None"].value == pytest.approx(100, abs=2)
    said = finding(curves, "Adam")
    assert "over 5 seeds and 1,000 steps with Adam" in said
    assert "LN raises the return and lowers SGI and the share of dormant units" in said
    assert "The intervals of GI₂ / loss, ISO₃ and the stable rank contain 0." in said
    one = finding(runs(**dict.fromkeys([n for n in SHOWN if n != "sgi"], 1)), "Adam")
    assert "The interval of SGI contains 0." in one
    everything = finding(runs(**dict.fromkeys(SHOWN, 1)), "Adam")
    assert "contain" not in everything and "lowers" not in everything
    same = curves.assign(**dict.fromkeys(SHOWN, 1.0))
    assert "changes none of these means" in finding(same, "Adam")


def test_without_a_record_the_page_says_how_to_make_one(monkeypatch, tmp_path):
    assert record(["MountainCar"], "Adam") is None
    assert record(["CartPole"], "SGD") is None
    monkeypatch.setattr(own_network, "RECORD", tmp_path / "missing.csv")
    assert record(["CartPole"], "Adam") is None
    assert "python -m lnqbook.pages.own_network" in finding(None, "Adam")
