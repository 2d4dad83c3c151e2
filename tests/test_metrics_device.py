"""A network on another device than its batch, in a simulation that refuses to mix the two.

What is tested is where tensors go; that a GPU's own arithmetic gives these numbers is not.
"""

import copy

import pytest
import torch
from device import ELSEWHERE, SecondDevice, moved
from test_metrics import random_batch
from test_metrics_networks import LR, cnn, images, mlp
from torch import nn

from lnqlib.data import Transitions
from lnqlib.metrics import churn, features_of, interference, report, second_order, seem


@pytest.fixture
def elsewhere(monkeypatch):
    """The second device; modules convert their weights as they do on one of torch's own."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    with SecondDevice():
        yield lambda q: moved(copy.deepcopy(q))
    torch.__future__.set_swap_module_params_on_conversion(before)


def test_the_simulation_refuses_what_a_gpu_refuses(elsewhere):
    q, obs = mlp(), torch.zeros(2, 3)
    there = elsewhere(q)
    assert there[0].weight.device == ELSEWHERE
    with pytest.raises(RuntimeError, match="two devices"):
        there(obs)
    assert torch.equal(there(obs.to(ELSEWHERE)).cpu(), q(obs))
    with pytest.raises(RuntimeError, match="two devices"):
        there(obs.to(ELSEWHERE)) + q(obs)


class Rest(nn.Module):
    """A layer of a known kind, and a parameter that no layer holds."""

    def __init__(self):
        super().__init__()
        self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return self.out(torch.tanh(self.first(x)) * self.scale)


@pytest.mark.parametrize(
    ("make", "bootstrap", "metric"),
    [
        (mlp, "own", interference),
        (Rest, "own", interference),
        (mlp, "target", interference),
        (mlp, "own", second_order),
        (Rest, "double", second_order),
    ],
)
def test_a_batch_of_the_cpu_goes_to_the_network(elsewhere, make, bootstrap, metric):
    q, target, batch = make(), make(), random_batch(1, size=4)
    options = {} if bootstrap == "own" else {"target": target, "double": bootstrap == "double"}
    there = options | ({"target": elsewhere(target)} if options else {})
    expected = metric(q, batch, LR, **options)
    q = elsewhere(q)
    assert metric(q, batch, LR, **there) == pytest.approx(expected, rel=1e-12)
    tensors = Transitions(*(torch.as_tensor(x).to(ELSEWHERE) for x in batch))
    assert metric(q, tensors, LR, **there) == pytest.approx(expected, rel=1e-12)


def test_images_and_everything_else(elsewhere):
    forward = lambda q, obs: q(obs / 255)  # noqa: E731
    q, batch = cnn(), images(1, size=3)
    there, after = elsewhere(q), cnn()
    expected = interference(q, batch, LR, forward=forward)
    assert interference(there, batch, LR, forward=forward) == pytest.approx(expected, rel=1e-12)
    q, batch = mlp(), random_batch(2, size=5)
    there, after = elsewhere(q), mlp()
    assert seem(there, batch) == pytest.approx(seem(q, batch), rel=1e-9)
    assert churn(there, elsewhere(after), batch) == pytest.approx(churn(q, after, batch))
    here = features_of(q, None, batch.obs)
    assert features_of(there, None, batch.obs) == pytest.approx(here, rel=1e-12)
    values, expected = (report(x, batch, LR).frame["value"] for x in (there, q))
    assert dict(values) == pytest.approx(dict(expected), rel=1e-9)
    assert values.notna().all()
