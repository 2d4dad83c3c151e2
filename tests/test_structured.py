"""The structured form against the plain one, which is the definition, over many random nets."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from lnqlib.data import Transitions
from lnqlib.engine.structured import (
    structured_features,
    structured_interference,
    structured_isometry,
)
from lnqlib.metrics import NAMES, MetricError, interference, isometry
from lnqlib.networks import CHAINS as NORMS
from lnqlib.networks import Params, QNetwork, initial_params

SIZES = {"CartPole": (4, 2), "Acrobot": (6, 3), "MountainCar": (2, 3), "Pendulum": (3, 3)}
EXTREMES = (1.0, 1e6)  # the largest weight; 1e6 is where App. G clamps


def random_params(
    rng: np.random.Generator, obs_dim: int, num_actions: int, width: int, bias: bool, top: float
) -> Params:
    """Params in which no array is neutral; `top` scales everything that training changes."""
    params = initial_params(rng, obs_dim, num_actions, width, bias)
    params["g"][:] = rng.uniform(-1.5, 1.5, width)
    params["gain"][:], params["shift"][:] = rng.normal(size=(2, width))
    params["mean"][:], params["var"][:] = rng.normal(size=width), rng.uniform(0.1, 2.0, width)
    if top > 1:
        for name in ("W", "b", "V", "c", "g", "gain", "shift"):
            params[name] *= top / max(np.abs(params[name]).max(), 1e-30)
        params["mean"] *= top
        params["var"] *= top**2
    return params


def random_batch(
    rng: np.random.Generator, obs_dim: int, num_actions: int, size: int
) -> Transitions:
    """Transitions whose next observation is close by, as in the tasks."""
    obs = rng.normal(size=(size, obs_dim)).astype(np.float32)
    next_obs = obs + 0.05 * rng.normal(size=obs.shape).astype(np.float32)
    reward = rng.choice(np.array([-1.0, 0.0, 1.0], np.float32), size)
    return Transitions(
        obs, rng.integers(num_actions, size=size), reward, next_obs, rng.random(size) < 0.2
    )


def cases(norm: str) -> Iterator[tuple[QNetwork, Params, bool, Transitions, bool]]:
    """Every task's sizes, biases on and off, mask on and off, weights near 1 and near 1e6."""
    rng = np.random.default_rng(NORMS.index(norm))
    for obs_dim, num_actions in SIZES.values():
        for bias in (True, False):
            for top in EXTREMES:
                width, size = int(rng.integers(2, 40)), int(rng.integers(2, 20))
                params = random_params(rng, obs_dim, num_actions, width, bias, top)
                q = QNetwork(obs_dim, num_actions, width, norm, bias).load_params(params)
                batch = random_batch(rng, obs_dim, num_actions, size)
                yield q, params, bias, batch, bool(rng.integers(2))


@pytest.mark.parametrize("norm", NORMS)
def test_interference_is_the_plain_one(norm):
    for q, params, bias, batch, mask in cases(norm):
        plain = interference(q, batch, 1e-2, 0.99, mask)
        fast = structured_interference(params, norm, bias, batch, 1e-2, 0.99, mask)
        assert tuple(fast) == tuple(plain) == NAMES
        assert all(math.isfinite(value) for value in fast.values()), (norm, fast)
        assert fast == pytest.approx(plain, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("norm", NORMS)
def test_features_and_isometry_are_the_plain_ones(norm):
    for k, (q, params, bias, batch, _) in enumerate(cases(norm)):
        with torch.no_grad():
            expected = q.double().eval().features(torch.as_tensor(batch.obs).double()).numpy()
        params = params if bias else params | {"b": np.zeros_like(params["b"])}
        features = structured_features(params, norm, batch.obs)
        np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9 * expected.max())
        k = 1 + k % min(len(batch.obs), 4)
        order = np.random.default_rng(k).permutation(len(features))
        plain = isometry(features, k, np.random.default_rng(k))
        assert structured_isometry(features, k, order) == pytest.approx(plain, rel=1e-8)


def test_a_full_batch_of_the_protocols_size():
    rng = np.random.default_rng(10)
    params = random_params(rng, 4, 2, 128, True, 1.0)
    batch = random_batch(rng, 4, 2, 128)
    q = QNetwork(4, 2, 128, "layer").load_params(params)
    fast = structured_interference(params, "layer", True, batch, 1e-3)
    assert fast == pytest.approx(interference(q, batch, 1e-3), rel=1e-8)


def test_the_norm_decides_which_arrays_count():
    """LN switched on for a measurement meets params of another norm and ignores what is not its."""
    rng = np.random.default_rng(11)
    params, batch = random_params(rng, 3, 2, 8, True, 1.0), random_batch(rng, 3, 2, 9)
    fast = structured_interference(params, "layer", True, batch, 1e-2)
    assert fast == pytest.approx(
        interference(QNetwork(3, 2, 8, "layer").load_params(params), batch, 1e-2), rel=1e-8
    )
    unbiased = structured_interference(params, "layer", False, batch, 1e-2)
    q = QNetwork(3, 2, 8, "layer", bias=False).load_params(params)
    assert unbiased == pytest.approx(interference(q, batch, 1e-2), rel=1e-8)


def test_nearly_cancelling_full_gradients_keep_their_digits():
    """s' = s, gamma near 1: grad h = (1 - gamma) grad Q, so every MGI cosine is an SGI cosine."""
    rng = np.random.default_rng(12)
    params, batch = random_params(rng, 3, 1, 16, True, 1.0), random_batch(rng, 3, 1, 10)
    batch = batch._replace(next_obs=batch.obs, terminated=np.zeros(10, bool))
    metrics = structured_interference(params, "none", True, batch, 1e-2, gamma=1 - 1e-6)
    assert metrics["mgi"] == pytest.approx(metrics["sgi"], rel=1e-8)


def test_zero_gradients_and_ties_are_the_plain_ones():
    """Dead units, a state without features, an exact prediction and equal action values."""
    params = initial_params(np.random.default_rng(13), 1, 2, 3, False)
    params["W"][:, 0] = [1.0, -1.0, 0.5]
    params["V"][:] = [2.0, 1.0, 0.0]  # in both rows: a* is the first action
    obs = np.array([[1.0], [0.0], [2.0], [-1.0]], np.float32)
    batch = Transitions(obs, np.array([0, 1, 1, 0]), np.eye(4)[3], obs[::-1], np.zeros(4, bool))
    exact = batch._replace(reward=np.array([0.0, 0.0, 4.0, 0.0]), terminated=np.ones(4, bool))
    q = QNetwork(1, 2, 3, bias=False).load_params(params)
    for data, count in ((batch, 16 - 3 * 3), (exact, 16 - 2 * 2)):
        fast = structured_interference(params, "none", False, data, 0.1, gamma=0.5)
        assert fast == pytest.approx(interference(q, data, 0.1, gamma=0.5), rel=1e-8)
        assert fast["zero_gradients"] == count
    dead = params | {"W": np.zeros_like(params["W"])}
    fast = structured_interference(dead, "none", False, batch._replace(reward=np.zeros(4)), 0.1)
    assert fast["td_loss"] == 0.0
    assert fast["zero_gradients"] == 16
    for name in ("qgi_plus", "sgi", "sgi_off", "mgi", "gi2_scaled"):
        assert math.isnan(fast[name])


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_nan():
    rng = np.random.default_rng(14)
    params, batch = random_params(rng, 3, 2, 8, True, 1.0), random_batch(rng, 3, 2, 9)
    broken = params["W"].copy()
    broken[2, 1] = np.nan
    reward = batch.reward.copy()
    reward[0] = -np.inf
    for metrics in (
        structured_interference(params | {"W": broken}, "none", True, batch, 0.1),
        structured_interference(params, "none", True, batch._replace(reward=reward), 0.1),
        structured_interference(params | {"W": 0 * broken}, "weight", True, batch, 0.1),
    ):
        assert tuple(metrics) == NAMES
        assert all(math.isnan(v) for v in metrics.values())
    assert math.isnan(structured_isometry(np.full((4, 2), np.inf), 2, np.arange(4)))


def test_isometry_of_dependent_features_is_zero():
    rng = np.random.default_rng(15)
    low_rank, order = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 20)), np.arange(12)
    assert structured_isometry(low_rank, 4, order) == 0.0
    assert structured_isometry(low_rank, 3, order) > 0.01
    assert structured_isometry(rng.normal(size=(12, 2)), 3, order) == 0.0
    assert structured_isometry(np.eye(12), 5, order) == pytest.approx(1.0)


def test_errors_name_what_came():
    rng = np.random.default_rng(16)
    params, batch = random_params(rng, 3, 2, 8, True, 1.0), random_batch(rng, 3, 2, 9)
    with pytest.raises(MetricError, match=r"norm is 'group'; allowed are none.*; write "):
        structured_interference(params, "group", True, batch, 0.1)
    five = batch._replace(action=np.full(9, 5))
    short = batch._replace(obs=batch.obs[:, :2], next_obs=batch.next_obs[:, :2])
    with pytest.raises(MetricError, match="action runs from 5 to 5; the network has actions 0 to"):
        structured_interference(params, "none", True, five, 0.1)
    with pytest.raises(MetricError, match=r"obs has shape \(9, 2\); the network reads \(B, 3\)"):
        structured_interference(params, "none", True, short, 0.1)
    with pytest.raises(MetricError, match="permutation has shape"):
        structured_isometry(np.eye(4), 2, np.arange(5))
