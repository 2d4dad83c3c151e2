"""Fast ways to the Gram matrices against the plain one: any layer, any cut, any chunk."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_metrics import random_batch
from test_metrics_networks import Dueling, Odd, Shared, Tokens, cnn, images, loop_of, mlp
from torch import nn

from lnqlib.metrics import interference, second_order, seem
from lnqlib.metrics.definitions import interference_of, seem_of
from lnqlib.metrics.grams import BUDGET, Grams, grams
from lnqlib.metrics.layers import find
from lnqlib.metrics.problem import problem

from loop import loop  # isort: skip

LR = 0.05
scaled = {"forward": lambda q, obs: q(obs / 255)}


def cases():
    torch.manual_seed(3)
    vector = random_batch(3)
    for make in (mlp, lambda: Dueling(False), Tokens, Odd, Shared):
        yield make(), vector, {}
    yield cnn(), images(3), scaled


def products(q, batch, options, budget=BUDGET, layered=True) -> Grams:
    with problem(q, batch, LR, **options) as p:
        return grams(p, budget, layered)


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("layered", [True, False])
@pytest.mark.parametrize("budget", [BUDGET, 5_000, 1])
def test_cuts_and_chunks_change_nothing(case, layered, budget):
    q, batch, options = list(cases())[case]
    plain = products(q, batch, options, layered=False)
    other = products(q, batch, options, budget, layered)
    for name in ("q", "td", "k", "kh", "hh"):
        x, y = getattr(plain, name), getattr(other, name)
        torch.testing.assert_close(y, x, rtol=1e-9, atol=1e-9 * float(x.abs().max()))
    total = sum(other.by_layer.values())
    torch.testing.assert_close(total, plain.k.diagonal(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", range(6))
def test_all_metrics_are_the_loops(case):
    q, batch, options = list(cases())[case]
    g = products(q, batch, options)
    ours = interference_of(g, LR) | seem_of(g)
    assert {n: float(x) for n, x in ours.items()} == pytest.approx(
        loop(q, batch, LR, **options), rel=1e-8, abs=1e-12
    )


def test_zero_gradients_count_as_cosine_zero_in_the_zero_means():
    q = nn.Linear(2, 1, bias=False)
    batch = random_batch(4, size=4, obs_dim=2, num_actions=1)
    obs = np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
    batch = batch._replace(obs=obs, terminated=np.ones(4, bool))
    m = {n: float(x) for n, x in interference_of(products(q, batch, {}), LR).items()}
    assert m["qgi_plus"] == pytest.approx(1)
    assert m["qgi_plus_zero"] == pytest.approx(6 / 12)  # three of four vectors are not zero
    assert m["sgi_zero"] == pytest.approx(m["sgi"] * 9 / 16)
    assert m["sgi_off_zero"] == pytest.approx(m["sgi_off"] * 6 / 12)
    assert m["mgi_zero"] == pytest.approx(m["mgi"] * 9 / 16)
    assert m["grad_norm2"] == pytest.approx((1 + 0 + 4 + 1) / 4)


def test_which_layers_are_known():
    torch.manual_seed(5)
    net = nn.Sequential(*mlp(), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    with problem(net, random_batch(5), LR) as p:
        found = find(p.net, p.obs, p.rows, p.action)
    assert [layer.name for layer in found.layers] == ["0", "1", "3", "4"]
    assert [(layer.weight, layer.bias) for layer in found.layers][-1] == (False, True)
    assert [name for name, _ in found.rest] == [
        "4.parametrizations.weight.original0",
        "4.parametrizations.weight.original1",
    ]


def test_nearly_cancelling_full_gradients_keep_their_digits():
    """s' = s, gamma near 1: grad h = (1 - gamma) grad Q, so every MGI cosine is an SGI cosine."""
    batch = random_batch(6, num_actions=1)
    batch = batch._replace(next_obs=batch.obs, terminated=np.zeros(12, bool))
    q = mlp(num_actions=1)
    metrics = interference(q, batch, LR, gamma=1 - 1e-6)
    assert metrics["mgi"] == pytest.approx(metrics["sgi"], rel=1e-8)
    assert interference(q, batch, LR, gamma=1.0)["zero_gradients"] == 144  # f is exactly 0


def test_seem_of_a_tabular_q_by_hand():
    """s1 -> s2 -> s2 and K = 1: gamma K(X', X) - K = (-1, gamma; 0, gamma - 1)."""
    q = nn.Linear(2, 1, bias=False)
    states = np.eye(2)
    batch = random_batch(7, size=2, obs_dim=2, num_actions=1)
    batch = batch._replace(obs=states, next_obs=states[[1, 1]], terminated=np.zeros(2, bool))
    result = seem(q, batch, gamma=0.9)
    assert result["seem"] == result["seem_scaled"] == pytest.approx(0.9 - 1)
    # features that grow along the step: phi' = 2 phi, so the error grows for gamma > 1/2
    grown = batch._replace(obs=np.ones((2, 2)), next_obs=2 * np.ones((2, 2)))
    result = seem(q, grown, gamma=0.9)
    assert result["seem"] == pytest.approx(2 * 2 * (2 * 0.9 - 1))
    assert result["seem_scaled"] == pytest.approx(2 * (2 * 0.9 - 1))


@pytest.mark.parametrize("case", range(6))
def test_second_order_by_layers_is_the_one_by_hessians(case, monkeypatch):
    q, batch, options = list(cases())[case]
    fast = second_order(q, batch, LR, **options)
    real = find

    def nothing_known(*arguments):
        found = real(*arguments)
        rest = [(n, p) for n, p in arguments[0].module.named_parameters() if p.requires_grad]
        return found._replace(layers=[], rest=rest)

    monkeypatch.setattr("lnqlib.metrics.second.find", nothing_known)
    plain = second_order(q, batch, LR, **options)
    assert fast == pytest.approx(plain, rel=1e-8, abs=1e-13)
    assert all(map(math.isfinite, fast.values()))


def test_group_norms_second_derivative():
    torch.manual_seed(8)
    q = nn.Sequential(nn.Linear(3, 8), nn.GroupNorm(2, 8), nn.Tanh(), nn.Linear(8, 2))
    batch = random_batch(8)
    lr = 1e-3
    terms = second_order(q, batch, lr)
    left = terms["realised_held"] - terms["first_order"] + terms["squared"] + terms["hessian"]
    assert abs(left) < 0.05 * abs(terms["hessian"])
    assert interference(q, batch, LR) == pytest.approx(loop_of(q, batch), rel=1e-9)


STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@pytest.mark.skipif(not PEAK.exists(), reason="only Linux forgets a process' peak")
def test_memory_does_not_grow_with_parameters_times_batch():
    """B x P in float64 would be 526 MB; the whole measurement holds less than a fifth of it."""

    def peak() -> int:
        lines = STATUS.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    q = nn.Sequential(nn.Linear(64, 2048), nn.ReLU(), nn.Linear(2048, 256), nn.Linear(256, 2))
    numbers = sum(p.numel() for p in q.parameters())
    batch = random_batch(9, size=100, obs_dim=64)
    interference(mlp(), random_batch(9), LR)
    PEAK.write_text("5")
    before = peak()
    interference(q, batch, LR)
    assert peak() - before < 100 * numbers * 8 / 5
