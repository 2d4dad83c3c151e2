"""The networks against torch's own layers, and the initial weights against `nn.Linear`'s."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

from lnqlib.networks import EPS, LayerNorm, QNetwork, initial_params, neutral_params
from lnqlib.spec import NORMS

OBS_DIM, NUM_ACTIONS, WIDTH = 4, 3, 16


def random_params(seed: int, bias: bool = True) -> dict[str, np.ndarray]:
    """Params in which no array is neutral, except b and c of a network without biases."""
    rng = np.random.default_rng(seed)
    params = initial_params(rng, OBS_DIM, NUM_ACTIONS, WIDTH, bias)
    for name in ("g", "gain", "var"):
        params[name][:] = rng.uniform(0.3, 2.0, WIDTH)
    for name in ("shift", "mean"):
        params[name][:] = rng.normal(size=WIDTH)
    return params


def expected_features(params: dict[str, np.ndarray], norm: str, obs: torch.Tensor) -> torch.Tensor:
    """phi(s) out of torch's functional layers."""
    p = {name: torch.as_tensor(array) for name, array in params.items()}
    shape = (WIDTH,)
    W = torch._weight_norm(p["W"], p["g"][:, None], 0) if norm == "weight" else p["W"]
    z = F.linear(obs, W, p["b"])
    match norm:
        case "none" | "weight":
            return F.relu(z)
        case "layer":
            return F.relu(F.layer_norm(z, shape, eps=EPS))
        case "layer_affine":
            return F.relu(F.layer_norm(z, shape, p["gain"], p["shift"], eps=EPS))
        case "layer_after_relu":
            return F.layer_norm(F.relu(z), shape, eps=EPS)
        case "rms":
            return F.relu(nn.RMSNorm(WIDTH, eps=EPS, elementwise_affine=False)(z))
        case "center":
            return F.relu(z - z.mean(1, keepdim=True))
        case "batch" | "crossq":
            return F.relu(F.batch_norm(z, p["mean"], p["var"], eps=EPS))
    raise AssertionError(norm)


def test_layer_norm_is_torchs():
    x = torch.randn(32, WIDTH, generator=torch.Generator().manual_seed(0)) * 3 + 1
    torch.testing.assert_close(LayerNorm()(x), nn.LayerNorm(WIDTH, elementwise_affine=False)(x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_is_torchs(norm, bias):
    params = random_params(seed=1, bias=bias)
    q = QNetwork(OBS_DIM, NUM_ACTIONS, WIDTH, norm, bias).load_params(params).eval()
    obs = torch.randn(8, OBS_DIM, generator=torch.Generator().manual_seed(2))
    features = expected_features(params, norm, obs)
    values = F.linear(features, torch.as_tensor(params["V"]), torch.as_tensor(params["c"]))
    torch.testing.assert_close(q.features(obs), features)
    torch.testing.assert_close(q(obs), values)


@pytest.mark.parametrize("norm", ["batch", "crossq"])
def test_batch_norm_in_training_uses_and_records_the_batch(norm):
    params = random_params(seed=3)
    q = QNetwork(OBS_DIM, NUM_ACTIONS, WIDTH, norm).load_params(params).train()
    obs = torch.randn(8, OBS_DIM, generator=torch.Generator().manual_seed(4))
    z = F.linear(obs, torch.as_tensor(params["W"]), torch.as_tensor(params["b"]))
    expected = F.relu((z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + EPS))
    torch.testing.assert_close(q.features(obs), expected)
    after = q.params()
    np.testing.assert_allclose(
        after["mean"], 0.9 * params["mean"] + 0.1 * z.mean(0).numpy(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        after["var"], 0.9 * params["var"] + 0.1 * z.var(0).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_params_survive_the_round_trip(norm, bias):
    params = random_params(seed=5, bias=bias)
    q = QNetwork(OBS_DIM, NUM_ACTIONS, WIDTH, norm, bias).load_params(params)
    held = {"W", "V"} | ({"b", "c"} if bias else set())
    held |= {"weight": {"g"}, "layer_affine": {"gain", "shift"}}.get(norm, set())
    held |= {"mean", "var"} if norm in ("batch", "crossq") else set()
    neutral = neutral_params(OBS_DIM, NUM_ACTIONS, WIDTH)
    returned = q.params()
    assert returned.keys() == params.keys()
    for name, array in returned.items():
        np.testing.assert_array_equal(array, (params if name in held else neutral)[name], name)
        assert array.dtype == np.float32
    returned["W"][:] = 0  # a copy: the network keeps its weights
    np.testing.assert_array_equal(q.params()["W"], params["W"])


def test_initial_params_are_drawn_as_nn_linear_draws_them():
    rng, width, obs_dim, num_actions = np.random.default_rng(6), 400, 5, 3
    params = initial_params(rng, obs_dim, num_actions, width, bias=True)
    torch.manual_seed(7)
    hidden, output = nn.Linear(obs_dim, width), nn.Linear(width, num_actions)
    layers = {"W": hidden.weight, "b": hidden.bias, "V": output.weight}
    for name, tensor in layers.items():
        drawn, torchs = params[name].ravel(), tensor.detach().numpy().ravel()
        bound = obs_dim**-0.5 if name in ("W", "b") else width**-0.5
        assert params[name].shape == tuple(tensor.shape)
        assert 0.98 * bound < np.abs(drawn).max() <= bound * (1 + 1e-6)
        assert stats.ks_2samp(drawn, torchs).pvalue > 0.01, name
        assert stats.kstest(drawn, "uniform", args=(-bound, 2 * bound)).pvalue > 0.01, name
    assert np.abs(params["c"]).max() <= width**-0.5
    np.testing.assert_allclose(params["g"], np.linalg.norm(params["W"], axis=1), rtol=1e-6)


def test_norms_and_biases_share_their_initial_weights():
    with_bias = initial_params(np.random.default_rng(8), OBS_DIM, NUM_ACTIONS, WIDTH, True)
    without = initial_params(np.random.default_rng(8), OBS_DIM, NUM_ACTIONS, WIDTH, False)
    np.testing.assert_array_equal(with_bias["W"], without["W"])
    np.testing.assert_array_equal(with_bias["V"], without["V"])
    assert not without["b"].any()
    assert not without["c"].any()
    assert with_bias["b"].all()
    obs = torch.randn(8, OBS_DIM, generator=torch.Generator().manual_seed(9))
    plain = QNetwork(OBS_DIM, NUM_ACTIONS, WIDTH).load_params(with_bias)
    weight = QNetwork(OBS_DIM, NUM_ACTIONS, WIDTH, "weight").load_params(with_bias)
    torch.testing.assert_close(plain(obs), weight(obs))  # at the start weight norm changes nothing


def test_an_unknown_norm_is_named():
    with pytest.raises(ValueError, match=r"norm is 'group'; allowed are none, layer.*; write "):
        QNetwork(OBS_DIM, NUM_ACTIONS, norm="group")
