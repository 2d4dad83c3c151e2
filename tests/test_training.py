"""What a run measures, worked out by another route."""

import numpy as np
import pytest
import torch

from lnqbook import initialization
from lnqlib import metrics, training
from lnqlib.networks import QNetwork
from lnqlib.run import gi2_at
from lnqlib.spec import RunSpec


def test_the_reference_runs_in_one_thread_and_gives_the_others_back(monkeypatch) -> None:
    """Several would wait for one another, and sums would depend on how many there are."""
    before, seen = torch.get_num_threads(), []
    plain = QNetwork.forward

    def forward(self: QNetwork, obs: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return plain(self, obs)

    monkeypatch.setattr(QNetwork, "forward", forward)
    torch.set_num_threads(2)
    try:
        training.train(RunSpec("CartPole", steps=3, checkpoints=1, eval_episodes=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_gi2_at_another_rate_is_measured_there() -> None:
    spec = RunSpec("Pendulum", lr=0.01)
    net, batch = initialization.network(spec), initialization.batch(spec)
    measured = metrics.interference(net, batch, spec.lr)
    for lr in (spec.lr, 1e-5, 0.3):
        expected = metrics.interference(net, batch, lr)["gi2"]
        assert gi2_at(lr, spec.lr, measured) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("fields", "factor"),
    [({}, 1.0), ({"gradient_scale": 2.0}, 2.0), ({"lr_control": "own_decay"}, None)],
)
def test_gi2_used_is_that_of_the_step_taken(fields: dict, factor: float | None) -> None:
    spec = RunSpec("MountainCar", lr=0.01, steps=40, checkpoints=2, eval_episodes=0, **fields)
    curves = training.train(spec).curves
    rates = spec.lr * factor if factor else curves["effective_lr"]
    first, kept = 2 * spec.lr * curves["dgi"], curves["gi2"]
    expected = first * rates / spec.lr - (first - kept) * (rates / spec.lr) ** 2
    np.testing.assert_allclose(curves["gi2_used"], expected, rtol=1e-9)
    assert factor != 2.0 or (curves["gi2_used"] != kept).all()
