"""The sets of Theorem 4 and a run's start, against determinants by numpy and the trained runs."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnqbook import initialization, theorem4
from lnqbook.pages import isometry
from lnqlib.data import offline_dataset
from lnqlib.spec import RunSpec, grid
from lnqlib.training import train

SMALL = {"width": 16, "batch_size": 24, "dataset_size": 60, "eval_episodes": 0}


def spec(**changes) -> RunSpec:
    return RunSpec(**{"env": "CartPole", "seed": 2} | SMALL | changes)


def iso(x: np.ndarray) -> float:
    """Geometric over arithmetic mean of the Gram matrix's eigenvalues."""
    eigenvalues = np.linalg.eigvalsh(x @ x.T).clip(0)
    return np.prod(eigenvalues) ** (1 / len(x)) / eigenvalues.mean()


def test_terms_by_eigenvalues():
    x = np.array([[3.0, 0.0, 0.0], [4.0, 3.0, 0.0], [1.0, 1.0, 2.0]])
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    lengths = (9 * 25 * 6) ** (1 / 3) / (40 / 3)
    expected = {"iso_x": iso(x), "iso_z": iso(z), "lengths": lengths}
    assert theorem4.terms(x) == pytest.approx(expected)
    assert iso(x) == pytest.approx(iso(z) * lengths)


def test_random_sets_hold_the_identity_and_have_room_to_break_it():
    sets = theorem4.random_sets(300, seed=1)
    found = theorem4.identity(sets)
    assert found["count"] == 300
    assert found["dependent"] == 0
    assert found["residual"] < 1e-8
    assert found["most"] <= 1
    assert (sets["iso_z"] > 1.2 * sets["iso_x"]).mean() > 0.5  # lengths differ
    assert sets["iso_z"].between(0.05, 0.95).mean() > 0.5  # neither orthogonal nor dependent


def test_identity_counts_and_leaves_out():
    sets = pd.DataFrame(
        [(0.0, 0.0, 0.5), (0.4, 0.8, 0.5), (0.3, 0.4, 0.5), (0.45, 0.9, 0.5)],
        columns=["iso_x", "iso_z", "lengths"],
    )
    found = theorem4.identity(sets)
    assert found == pytest.approx(
        {"count": 3, "dependent": 1, "residual": 0.5, "most": 0.75, "gain": 2.0}
    )


def test_feature_sets_are_disjoint_sets_of_the_starting_features():
    sets = isometry.feature_sets([spec()])
    assert len(sets) == 24 // 6  # CartPole: 4 + 2
    _, features = initialization.hidden_and_features(spec())
    assert sets["iso_x"].tolist() == pytest.approx([iso(x) for x in features.reshape(4, 6, 16)])


def test_centring_before_the_relu_by_hand():
    found = isometry.before_relu(np.array([[1.0, -1.0, -6.0], [-1.0, 1.0, -6.0]]))
    # (1, 0, 0), (0, 1, 0) are orthogonal; (3, 1, 0), (1, 3, 0) have cosine 0.6
    centred = (1 - 0.6**2) ** 0.5
    assert found == pytest.approx({"relu": 1, "scaled": 1, "centred": centred, "ln": centred})


@pytest.mark.parametrize("norm", ["none", "layer", "weight"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_start_is_the_first_checkpoint_of_the_run(norm, bias):
    one = spec(norm=norm, bias=bias, steps=1, checkpoints=1)
    first = train(one).curves
    batch, net = initialization.batch(one), initialization.network(one).double()
    with torch.no_grad():
        best = net(torch.as_tensor(batch.next_obs).double()).max(1).values.numpy()
        values = net(torch.as_tensor(batch.obs).double()).numpy()
    target = batch.reward + one.gamma * ~batch.terminated * best
    td_loss = ((values[np.arange(24), batch.action] - target) ** 2).mean()
    assert first["td_loss"][0] == pytest.approx(td_loss, rel=1e-6)


def test_isometry_is_that_of_the_features_in_sets_of_six():
    one = spec(norm="layer")
    _, features = initialization.hidden_and_features(one)
    sets = features[np.random.default_rng(one.seed).permutation(24)].reshape(4, 6, 16)
    assert initialization.isometry([one])["iso_p"][0] == pytest.approx(
        np.mean([iso(x) for x in sets])
    )


def test_every_norm_starts_from_the_same_weights():
    nets = [
        initialization.network(s).params()
        for s in grid(env="Acrobot", norm=("none", "layer"), width=8)
    ]
    for name in ("W", "b", "V", "c"):
        assert np.array_equal(nets[0][name], nets[1][name])
        assert nets[0][name].any()


def test_isometry_before_the_relu_is_zero_where_p_exceeds_the_rank():
    table = initialization.isometry(
        [spec(norm=norm, seed=seed) for norm in ("none", "layer") for seed in (0, 1)]
    )
    assert table[["env", "norm", "seed"]].values.tolist()[1] == ["CartPole", "none", 1]
    assert (table["before_relu"] == 0).all()  # 6 vectors in 4 + 1 dimensions
    assert (table["iso_p"] > 0.01).all()
    assert table["iso_p"].nunique() == 4


def test_the_batch_comes_from_the_dataset_of_the_seed():
    rows = {row.tobytes() for row in offline_dataset("CartPole", 2, size=60).obs}
    assert all(row.tobytes() in rows for row in initialization.batch(spec()).obs)


def test_what_the_output_layer_reads():
    hidden = np.array([[1.0, -1.0, -6.0], [-1.0, 1.0, -6.0]])
    table = isometry.example(hidden, isometry.before_relu(hidden))
    assert table["features"].tolist() == [
        "(1, -1, -6) and (-1, 1, -6)",
        "(1, 0, 0) and (0, 1, 0)",
        "multiples of these",
        "multiples of (3, 1, 0) and (1, 3, 0)",
        "the same",
    ]
    # two vectors of equal length at the cosine c have sqrt(1 - c^2)
    cosines = np.array([34 / 38, 0, 0, 6 / 10, 6 / 10])
    assert table["isometry"].tolist() == pytest.approx(np.sqrt(1 - cosines**2).tolist())
    assert "centered, (3, 1, -4) and (1, 3, -4), and scaled" in table.index


def test_gains_before_training_are_paired():
    rows = [
        ("Pendulum", n, s, 0.1 * s + 0.5 * (n == "layer"))
        for n in ("none", "layer")
        for s in range(4)
    ]
    before = pd.DataFrame(rows, columns=["env", "norm", "seed", "iso_p"])
    gain = isometry.gains_before_training(before).loc["Pendulum", "LN minus None"]
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.5, 0.5, 0.5))
    relu = before.assign(before_relu=[0.0, 0.0, 2e-9, 0.0] + [1.0] * 4)
    assert isometry.before_the_relu(relu).endswith(
        "is 2\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10⁻⁹."
    )
    nothing = relu.assign(before_relu=0.0)
    assert isometry.before_the_relu(nothing).startswith("Before the ReLU all sets of that size are")
