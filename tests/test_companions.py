"""The companions against their definitions, one autograd gradient a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_structured import SIZES, random_batch, random_params
from threadpoolctl import threadpool_info

from lnqlib import engine, training
from lnqlib.arms.reference import Bounded
from lnqlib.engine.companions import companions, plasticity, seem
from lnqlib.networks import QNetwork
from lnqlib.results import COMPANIONS
from lnqlib.spec import NORMS, RunSpec

SPECS = [RunSpec("Acrobot", norm=norm, width=17) for norm in NORMS]
SPECS += [RunSpec("Acrobot", arm=arm, width=17) for arm in ("forward", "bounded")]


def network(spec: RunSpec, params) -> QNetwork:
    norm = "layer" if spec.arm == "forward" else spec.norm
    q = QNetwork(*SIZES[spec.env], spec.width, norm, spec.bias).load_params(params)
    if spec.arm == "bounded":
        q.norm = Bounded()
    return q.double().eval()


def by_autograd(spec: RunSpec, params, batch, before) -> dict[str, float]:
    q, old = network(spec, params), network(spec, before)
    obs, next_obs = (torch.as_tensor(a).double() for a in (batch.obs, batch.next_obs))

    def gradients(values: torch.Tensor) -> torch.Tensor:
        rows = [torch.autograd.grad(v, list(q.parameters()), retain_graph=True) for v in values]
        return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])

    action = torch.as_tensor(batch.action)[:, None]
    of_s, of_next = gradients(q(obs).gather(1, action)[:, 0]), gradients(q(next_obs).amax(1))
    of_next[torch.as_tensor(batch.terminated)] = 0  # no bootstrap: such rows are zero
    K, next_K = of_s @ of_s.T, of_next @ of_s.T
    index = torch.linalg.eigvals(spec.gamma * next_K - K).real.max().item()
    features = q.features(obs).detach()
    activity = features.abs().mean(0)
    change = (q(obs) - old(obs)).detach()
    return {
        "seem": index,
        "seem_scaled": index / K.diagonal().mean().item(),
        "stable_rank": (
            features.square().sum() / torch.linalg.matrix_norm(features, 2) ** 2
        ).item(),
        "dormant": (activity / activity.mean() <= 0.025).double().mean().item(),
        "feature_norm": features.norm(dim=1).mean().item(),
        "churn": change.abs().mean().item(),
        "switched_actions": (q(obs).argmax(1) != old(obs).argmax(1)).double().mean().item(),
    }


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.norm}-{s.arm}")
def test_companions_are_those_of_autograd(spec: RunSpec, bias: bool) -> None:
    spec = replace(spec, bias=bias)
    rng = np.random.default_rng(3)
    sizes = *SIZES[spec.env], spec.width, bias
    params, before = (random_params(rng, *sizes, 1.0) for _ in range(2))
    for made in (params, before):
        made["W"] *= 5 * rng.random((spec.width, 1)) ** 3
    batch = random_batch(rng, *SIZES[spec.env], 12)
    found = companions(spec, params, batch, before)
    assert tuple(found) == tuple(COMPANIONS)
    assert found == pytest.approx(by_autograd(spec, params, batch, before), rel=1e-7, abs=1e-12)


def test_seem_is_positive_where_values_feed_themselves() -> None:
    """One transition with gradients x and x': gamma <x', x> - |x|^2, by hand."""
    assert seem(np.array([[4.0], [6.0]]), np.array([0.9])) == pytest.approx(
        {"seem": 1.4, "seem_scaled": 0.35}
    )
    assert seem(np.array([[4.0], [6.0]]), np.array([0.0]))["seem"] == -4.0


def test_plasticity_by_hand() -> None:
    found = plasticity(np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    assert found == pytest.approx({"stable_rank": 25 / 16, "dormant": 1 / 3, "feature_norm": 3.5})
    assert np.isnan(plasticity(np.zeros((2, 3)))["stable_rank"])


def test_companions_are_measured_where_the_spec_says_so_and_disturb_nothing() -> None:
    plain = RunSpec("Pendulum", steps=60, checkpoints=3, eval_episodes=1)
    with_them, without = (engine.train(replace(plain, companions=c)) for c in (True, False))
    for name, curve in with_them.curves.items():
        if name in COMPANIONS:
            assert np.isfinite(curve).all() and np.isnan(without.curves[name]).all()
        else:
            np.testing.assert_array_equal(curve, without.curves[name])
    assert with_them.curves["churn"][0] == 0 < with_them.curves["churn"][1]


@pytest.mark.parametrize("arm", ["none", "forward"])
def test_the_reference_measures_the_same(arm: str) -> None:
    spec = RunSpec("Pendulum", arm=arm, steps=6, checkpoints=3, eval_episodes=0, companions=True)
    ours, theirs = engine.train(spec), training.train(spec)
    for name in COMPANIONS:
        np.testing.assert_allclose(ours.curves[name], theirs.curves[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arm", ["none", "isometry"])
def test_linear_algebra_of_a_run_has_one_thread(arm: str, monkeypatch) -> None:
    """More threads than one spin, where a sweep trains other runs."""
    seen, before = [], blas_threads()

    def watched(function):
        def call(*args, **how):
            seen.append(blas_threads())
            return function(*args, **how)

        return call

    for name in ("eigvals", "eigh"):
        monkeypatch.setattr(np.linalg, name, watched(getattr(np.linalg, name)))
    spec = RunSpec("Pendulum", arm=arm, steps=6, checkpoints=3, eval_episodes=0, companions=True)
    engine.train(spec, {"iso_p": np.full(3, 0.2)} if spec.twin else None)
    assert len(seen) == 3 + (arm == "isometry") and set(seen) == {(1,) * len(before)}
    assert blas_threads() == before


def blas_threads() -> tuple[int, ...]:
    return tuple(i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas")
