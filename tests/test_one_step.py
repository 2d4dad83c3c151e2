"""First-order steps, the table and the second order against hand-made cases and finite steps."""

import numpy as np
import pytest
import torch
from test_metrics import random_batch
from torch import nn

from lnqbook import curvature, one_step
from lnqbook.one_step import Flat
from lnqbook.pages.interference import tables
from lnqlib.data import Transitions
from lnqlib.networks import QNetwork

GAMMA = 0.9


@pytest.fixture
def flat() -> Flat:
    torch.manual_seed(3)
    return Flat(QNetwork(3, 2, 6, "layer").double(), random_batch(5), GAMMA)


def finite_differences(f, theta: torch.Tensor, size: float = 1e-6) -> np.ndarray:
    """The Jacobian of f: (P,) -> (B,), by central differences: (B, P)."""
    with torch.no_grad():
        steps = size * torch.eye(len(theta), dtype=theta.dtype)
        return torch.stack([(f(theta + e) - f(theta - e)) / (2 * size) for e in steps], 1).numpy()


def linear(weights: list[list[float]]) -> nn.Linear:
    """A table: one-hot states, one row of action values a state."""
    net = nn.Linear(len(weights), len(weights[0]), bias=False).double()
    net.weight.data = torch.tensor(weights, dtype=torch.float64).T.clone()
    return net


def two_states() -> tuple[np.ndarray, Transitions]:
    """s0 -> s1 under action 0 with reward 1, s1 -> s0 under action 1 with reward 0."""
    states = np.eye(2)
    ends = np.zeros(2, bool)
    batch = Transitions(states, np.array([0, 1]), np.array([1.0, 0.0]), states[::-1].copy(), ends)
    return np.array([[3.0, 2.0], [1.0, 4.0]]), batch


def test_values_and_td_errors_of_two_states_by_hand():
    values, batch = two_states()
    flat = Flat(linear(values.tolist()), batch, gamma=0.5)
    assert flat.q(flat.theta).tolist() == [3.0, 4.0]
    assert flat.h(flat.theta).tolist() == [3 - 0.5 * 4, 4 - 0.5 * 3]
    assert flat.td_error(flat.theta).tolist() == [0.0, 2.5]
    ended = Flat(linear(values.tolist()), batch._replace(terminated=np.ones(2, bool)), gamma=0.5)
    assert ended.h(ended.theta).tolist() == [3.0, 4.0]


def test_gradients_against_finite_differences(flat):
    td_error = flat.td_error(flat.theta).detach().numpy()[:, None]
    semi = td_error * finite_differences(flat.q, flat.theta)
    full = finite_differences(lambda theta: flat.td_error(theta) ** 2 / 2, flat.theta)
    assert one_step.semi_gradients(flat).numpy() == pytest.approx(semi, abs=1e-7)
    assert one_step.full_gradients(flat).numpy() == pytest.approx(full, abs=1e-7)


def test_cosines_by_hand():
    x, y = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, -5.0]])
    assert one_step.cosines(x, y).tolist() == pytest.approx(np.array([[0.6, -0.8], [0, -1]]))


def test_first_order_in_a_network(flat):
    found = one_step.first_order(flat, lr=1e-6)
    assert found["moved"] > 0.9
    assert found["first_order_gap"] < 1e-4
    assert found["same_direction"] == 1
    assert found["factor"] == pytest.approx(2, abs=1e-3)  # as Eq. (7) is printed it would be 1
    coarse = one_step.first_order(flat, lr=1e-4)
    assert coarse["first_order_gap"] > 30 * found["first_order_gap"]  # the error of a first order


def test_first_order_in_a_table():
    values, batch = two_states()
    flat = Flat(linear(values.tolist()), batch._replace(reward=np.array([2.0, 0.0])), gamma=0.5)
    found = one_step.first_order(flat, lr=0.1)
    assert found["moved"] == 0.5  # each pair itself, and no other
    assert found["first_order_gap"] == pytest.approx(0)


def test_mean_cosines_by_hand():
    """Two states that point at each other: g on the diagonal, f with -gamma across it."""
    values, batch = two_states()
    flat = Flat(linear(values.tolist()), batch._replace(reward=np.array([2.0, 0.0])), gamma=0.5)
    assert flat.td_error(flat.theta).tolist() == [-1.0, 2.5]
    found = one_step.mean_cosines(flat)
    # errors of different sign: the mixed cosines off the diagonal are +gamma / sqrt(1 + gamma^2)
    assert found == pytest.approx({"sgi": 1 / 2, "mgi": (2 * 1 + 2 * 0.5) / 1.25**0.5 / 4})


@pytest.mark.parametrize("seed", range(3))
def test_mixed_cosines_of_a_table_against_autograd(seed):
    walk = tables.every_pair(7, 3, seed)
    values = np.random.default_rng(seed).standard_normal((7, 3))
    flat = Flat(linear(values.tolist()), walk, GAMMA)
    measured = one_step.cosines(one_step.semi_gradients(flat), one_step.full_gradients(flat))
    expected = tables.mixed_cosines(values, walk, GAMMA)
    off = ~np.eye(21, dtype=bool)
    assert np.isnan(expected[~off]).all()
    assert measured.numpy()[off] == pytest.approx(expected[off], abs=1e-12)
    assert 10 < np.count_nonzero(expected[off]) <= 21  # one greedy next pair each, some its own


def test_every_pair_is_there_once():
    walk = tables.every_pair(5, 2, seed=1)
    pairs = set(zip(walk.obs.argmax(1).tolist(), walk.action.tolist(), strict=True))
    assert pairs == {(s, a) for s in range(5) for a in range(2)}
    assert len(walk.action) == 10
    assert (walk.obs.sum(1) == 1).all()
    assert (walk.next_obs.sum(1) == 1).all()
    assert not walk.terminated.any()


def test_gradient_of_the_square_is_twice_the_full_gradient(flat, monkeypatch):
    assert curvature.gradient_gap(flat) < 1e-13
    half = curvature.full_gradients(flat) / 2
    monkeypatch.setattr(curvature, "full_gradients", lambda _: half)
    assert curvature.gradient_gap(flat) == pytest.approx(0.5)


def test_hessian_identity(flat):
    found = curvature.hessian_identity(flat)
    assert found["hessian_gap"] < 1e-12
    assert found["deferred_size"] > 0.01  # else a wrong second term would not show
    table, batch = two_states()  # linear, so without curvature of its own
    linear_case = curvature.hessian_identity(Flat(linear(table.tolist()), batch, GAMMA))
    assert linear_case["deferred_size"] == 0
    assert linear_case["hessian_gap"] < 1e-15


def test_updates_are_what_a_step_takes_off_the_td_error(flat):
    td_error, u = curvature.updates(flat)
    size = 1e-6
    with torch.no_grad():
        steps = size * one_step.semi_gradients(flat)
        moved = torch.stack([td_error - flat.td_error(flat.theta - step) for step in steps]) / size
    assert moved.numpy() == pytest.approx(u.numpy(), abs=1e-4)


def test_gi2_as_squares_by_hand():
    values, batch = two_states()
    flat = Flat(linear(values.tolist()), batch._replace(reward=np.array([2.0, 0.0])), gamma=0.5)
    # Delta = (-1, 2.5); u_ij = Delta_i <grad Q_i, grad h_j> = [[-1, 0.5], [-1.25, 2.5]]
    after = [(-1 + 0.1, 2.5 - 0.05), (-1 + 0.125, 2.5 - 0.25)]
    expected = np.mean([[1 - x**2, 2.5**2 - y**2] for x, y in after])
    assert curvature.gi2_as_squares(flat, lr=0.1) == pytest.approx(expected)


def test_expansion_errors_fall_as_their_orders(flat):
    errors = curvature.expansion_errors(flat.net, random_batch(5), np.array([1e-4, 1e-3]))
    orders = np.log10(errors.iloc[1] / errors.iloc[0])
    assert orders["lr"] == pytest.approx(1)
    assert orders["first order"] == pytest.approx(2, abs=0.02)
    assert orders["gi2"] == pytest.approx(2, abs=0.02)
    assert orders["all of Eq. (10)"] == pytest.approx(3, abs=0.1)
