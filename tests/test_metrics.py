"""The metrics against cases computed by hand, against autograd and against their identities."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lnqlib.data import Transitions
from lnqlib.metrics import NAMES, MetricError, interference, isometry, second_order
from lnqlib.networks import QNetwork
from lnqlib.results import INTERFERENCE

GAMMA = 0.9


def random_batch(seed: int, size: int = 12, obs_dim: int = 3, num_actions: int = 2) -> Transitions:
    rng = np.random.default_rng(seed)
    obs, next_obs = rng.normal(size=(2, size, obs_dim)).astype(np.float32)
    action = rng.integers(num_actions, size=size)
    reward = rng.normal(size=size).astype(np.float32)
    return Transitions(obs, action, reward, next_obs, rng.random(size) < 0.25)


def networks() -> dict[str, nn.Module]:
    """Q-networks of several kinds, all (B, 3) -> (B, 2)."""
    torch.manual_seed(0)
    deep = [nn.Linear(3, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh()]
    return {
        "none": QNetwork(3, 2, 8),
        "layer": QNetwork(3, 2, 8, "layer", bias=False),
        "weight": QNetwork(3, 2, 8, "weight"),
        "batch": QNetwork(3, 2, 8, "batch"),
        "deep": nn.Sequential(*deep, nn.Linear(5, 2)),
    }


def autograd_gradients(q: nn.Module, batch: Transitions) -> tuple[torch.Tensor, ...]:
    """Delta (B,) and grad Q, grad Delta^2 (B, P), one sample and one backward pass at a time."""
    q = q.double().eval()
    td, grad_q, grad_loss = [], [], []
    for s, a, r, s_next, end in zip(*batch, strict=True):
        value = q(torch.as_tensor(s[None]).double())[0, a]
        best = q(torch.as_tensor(s_next[None]).double())[0].max()
        delta = value - float(r) - GAMMA * (0.0 if end else 1.0) * best
        for output, rows in ((value, grad_q), (delta**2, grad_loss)):
            q.zero_grad()
            output.backward(retain_graph=True)
            rows.append(torch.cat([p.grad.flatten() for p in q.parameters()]))
        td.append(delta.detach())
    return torch.stack(td), torch.stack(grad_q), torch.stack(grad_loss)


def table(values: list[list[float]]) -> nn.Linear:
    """A tabular Q, one row of action values per state; observations are one-hot."""
    q = nn.Linear(len(values), len(values[0]), bias=False)
    q.weight.data = torch.tensor(values).T.clone()
    return q


def test_two_states_by_hand():
    """s1 -> s2 with reward 1, s2 -> end with reward 0; Q = (3, 2), gamma 1/2, so D = (1, 2)."""
    states = np.eye(2)
    batch = Transitions(states, np.zeros(2, int), np.array([1.0, 0.0]), states[[1, 0]], [0, 1])
    metrics = interference(table([[3.0], [2.0]]), batch, lr=0.1, gamma=0.5)
    assert metrics == pytest.approx(
        {
            "qgi_plus": 0.0,
            "sgi": 1 / 2,  # the self pairs
            "sgi_off": 0.0,
            "mgi": (1 / math.sqrt(1.25) - 0.5 / math.sqrt(1.25) + 1) / 4,  # off-diagonal: not 0
            "dgi": (1 - 1 + 4) / 4,
            "gi2": (0.19 - 0.21 + 0.76) / 4,  # u = (1, 0; -1, 2)
            "gi2_scaled": 0.185 / 2.5,
            "gi2_minibatch": 0.39 / 2,  # mean u = (0, 1)
            "td_loss": 2.5,
            "qgi_plus_zero": 0.0,
            "sgi_zero": 1 / 2,
            "sgi_off_zero": 0.0,
            "mgi_zero": (1 / math.sqrt(1.25) - 0.5 / math.sqrt(1.25) + 1) / 4,
            "grad_norm2": 1.0,
            "zero_gradients": 0.0,
        }
    )
    unmasked = interference(table([[3.0], [2.0]]), batch, 0.1, gamma=0.5, terminal_mask=False)
    assert unmasked["td_loss"] == pytest.approx((1**2 + 0.5**2) / 2)


def test_the_full_gradient_flows_through_the_first_greedy_action():
    batch = Transitions(np.eye(1), np.array([1]), np.zeros(1), np.eye(1), np.zeros(1, bool))
    metrics = interference(table([[4.0, 4.0]]), batch, lr=0.1, gamma=0.5)
    assert metrics["mgi"] == pytest.approx(1 / math.sqrt(1.25))  # 1 if a* were the second action


def test_zero_gradients_are_left_out_and_counted():
    """Q(s) = 2 relu(s) + relu(-s) at s = 1, 0, 2: grad Q_i = s (2, 1) on the living unit."""
    q = QNetwork(1, 1, 2, bias=False)
    q.load_params(q.params() | {"W": np.array([[1.0], [-1.0]]), "V": np.array([[2.0, 1.0]])})
    obs = np.array([[1.0], [0.0], [2.0]])
    ends = np.ones(3, bool)
    batch = Transitions(obs, np.zeros(3, int), np.zeros(3), obs, ends)
    metrics = interference(q, batch, lr=0.1)
    for name in ("qgi_plus", "sgi", "sgi_off", "mgi"):
        assert metrics[name] == pytest.approx(1.0), name
    assert metrics["zero_gradients"] == 9 - 2 * 2
    # counted as 0: 2 of 6 ordered pairs of different samples are left, 4 of all 9
    for name, share in (("qgi_plus", 2 / 6), ("sgi", 4 / 9), ("sgi_off", 2 / 6), ("mgi", 4 / 9)):
        assert metrics[f"{name}_zero"] == pytest.approx(share), name
    # grad Q_i is 2 s in W of the living unit and s in its V
    assert metrics["grad_norm2"] == pytest.approx((5 * 1 + 0 + 5 * 4) / 3)
    # D = (2, 0, 0): one semi-gradient is left
    metrics = interference(q, batch._replace(reward=np.array([0.0, 0.0, 4.0])), lr=0.1)
    assert metrics["qgi_plus"] == metrics["sgi"] == pytest.approx(1.0)
    assert math.isnan(metrics["sgi_off"])
    assert metrics["sgi_off_zero"] == 0.0
    assert metrics["sgi_zero"] == pytest.approx(1 / 9)
    assert metrics["zero_gradients"] == 9 - 1
    # no error at all
    metrics = interference(q, batch._replace(reward=np.array([2.0, 0.0, 4.0])), lr=0.1)
    assert metrics["td_loss"] == metrics["gi2"] == 0.0
    assert metrics["zero_gradients"] == 9
    assert math.isnan(metrics["gi2_scaled"])
    assert math.isnan(metrics["mgi"]) and metrics["mgi_zero"] == metrics["sgi_zero"] == 0.0


@pytest.mark.parametrize("kind", networks())
def test_identities(kind):
    q, batch, lr = networks()[kind], random_batch(1), 0.05
    metrics = interference(q, batch, lr, GAMMA)
    td, grad_q, grad_loss = autograd_gradients(q, batch)
    g, f = td[:, None] * grad_q, grad_loss / 2  # autograd of D^2 is twice the full gradient
    unit = g / g.norm(dim=1, keepdim=True)
    u = (g @ f.T) / td
    size = len(td)
    expected = {
        "sgi": unit.mean(0).square().sum(),
        "sgi_off": (size**2 * unit.mean(0).square().sum() - size) / (size * (size - 1)),
        "mgi": unit.mean(0) @ (f / f.norm(dim=1, keepdim=True)).mean(0),
        "dgi": g.mean(0) @ f.mean(0),
        "gi2": (td**2 - (td - lr * u) ** 2).mean(),
        "gi2_minibatch": (td**2 - (td - lr * u.mean(0)) ** 2).mean(),
        "td_loss": (td**2).mean(),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(float(value), rel=1e-9), name
    cosines = [
        abs(float(torch.cosine_similarity(grad_q[i], grad_q[j], dim=0)))
        for i in range(size)
        for j in range(size)
        if i != j
    ]
    assert metrics["qgi_plus"] == pytest.approx(np.mean(cosines), rel=1e-9)
    assert metrics["sgi"] >= 0
    assert metrics["gi2"] <= metrics["td_loss"]
    assert metrics["gi2_scaled"] <= 1
    assert metrics["gi2"] <= metrics["gi2_minibatch"]  # the mean of squares exceeds the square
    assert metrics["zero_gradients"] == 0


def test_frozen_parameters_have_no_gradient():
    q = networks()["none"]
    for parameter in q.hidden.parameters():
        parameter.requires_grad_(False)
    batch = random_batch(2)
    x = torch.cat([q.features(torch.from_numpy(batch.obs)), torch.ones(12, 1)], 1).detach().numpy()
    cosine = x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2)
    cosine *= batch.action[:, None] == batch.action
    expected = (cosine.sum() - len(x)) / (12 * 11)  # a linear Q: the features' own cosines
    assert interference(q, batch, 0.1)["qgi_plus"] == pytest.approx(expected, rel=1e-5)


def test_the_callers_network_and_its_modes_stay_as_they_are():
    q = networks()["batch"].train()
    before = {name: tensor.clone() for name, tensor in q.state_dict().items()}
    interference(q, random_batch(3), 0.1)
    second_order(q, random_batch(3), 0.1)
    assert q.training
    assert all(p.grad is None for p in q.parameters())
    for name, tensor in q.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_tensors_and_arrays_are_the_same_batch():
    q, batch = networks()["layer"], random_batch(4)
    assert interference(q, Transitions(*map(torch.as_tensor, batch)), 0.1) == interference(
        q, batch, 0.1
    )


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_nan():
    q, batch = networks()["none"], random_batch(5)
    reward = batch.reward.copy()
    reward[3] = np.inf
    for metrics in (
        interference(q, batch._replace(reward=reward), 0.1),
        interference(q.load_params(q.params() | {"b": np.full(8, np.nan)}), batch, 0.1),
    ):
        assert tuple(metrics) == NAMES == (*INTERFERENCE, "zero_gradients")
        assert all(math.isnan(value) for value in metrics.values())
    assert math.isnan(isometry(np.full((4, 2), np.nan), 2, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.0}, "lr is 0.0; it must be positive"),
        ({"gamma": 1.5}, "gamma is 1.5"),
        ({"obs": np.zeros(12)}, r"q does not take these observations"),
        ({"next_obs": np.zeros((11, 3))}, r"next_obs has 11 rows beside 12 actions"),
        ({"reward": np.zeros((12, 2))}, r"reward has shape \(12, 2\)"),
    ],
)
def test_errors_name_what_came(change, message):
    settings = {"lr": 0.1, "gamma": 0.9} | {k: v for k, v in change.items() if k in ("lr", "gamma")}
    batch = random_batch(6)._replace(**{k: v for k, v in change.items() if k not in settings})
    with pytest.raises(MetricError, match=message):
        interference(networks()["none"], batch, **settings)


def test_second_order_hessian_is_autograds():
    """The deferred term against the explicit Hessian of h_j, on a net of 19 parameters."""
    torch.manual_seed(1)
    q = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 1)).double()
    batch, lr = random_batch(7, size=6, obs_dim=2, num_actions=1), 0.3
    td, grad_q, grad_loss = autograd_gradients(q, batch)
    g, u = td[:, None] * grad_q, (td[:, None] * grad_q) @ (grad_loss / 2 / td[:, None]).T
    sizes = [p.numel() for p in q.parameters()]
    names = [(name, p.shape) for name, p in q.named_parameters()]

    def h(theta, j):
        parts = zip(names, theta.split(sizes), strict=True)
        state = {name: part.view(shape) for (name, shape), part in parts}
        both = torch.as_tensor(np.stack([batch.obs[j], batch.next_obs[j]])).double()
        value, best = torch.func.functional_call(q, state, (both,))[:, 0]
        return value - GAMMA * (1 - float(batch.terminated[j])) * best

    theta = torch.cat([p.detach().flatten() for p in q.parameters()])
    hessians = [torch.autograd.functional.hessian(lambda t, j=j: h(t, j), theta) for j in range(6)]
    hessian = np.mean([[lr**2 * td[j] * gi @ hessians[j] @ gi for j in range(6)] for gi in g])
    terms = second_order(q, batch, lr, GAMMA)
    assert abs(hessian) > 1e-6
    assert terms["hessian"] == pytest.approx(hessian, rel=1e-9)
    assert terms["squared"] == pytest.approx(float((lr**2 * u**2).mean()), rel=1e-9)
    metrics = interference(q, batch, lr, GAMMA)
    assert terms["first_order"] == pytest.approx(2 * lr * metrics["dgi"], rel=1e-9)
    assert terms["first_order"] - terms["squared"] == pytest.approx(metrics["gi2"], rel=1e-9)
    assert terms["gi2_minibatch"] == pytest.approx(metrics["gi2_minibatch"], rel=1e-9)


@pytest.mark.parametrize("kind", ["tanh", "weight"])
def test_second_order_leaves_a_third_order_residual(kind):
    torch.manual_seed(2)
    tanh = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    q, batch = {"tanh": tanh, "weight": QNetwork(3, 2, 8, "weight")}[kind], random_batch(8)

    def residual(lr: float) -> float:
        t = second_order(q, batch, lr, GAMMA)
        return abs(t["realised"] - (t["first_order"] - t["squared"] - t["hessian"]))

    assert residual(2e-3) / residual(1e-3) == pytest.approx(8, rel=0.05)
    terms = second_order(q, batch, 1e-3, GAMMA)
    assert residual(1e-3) < 0.01 * abs(terms["hessian"])  # without that term it would not shrink


def test_of_a_linear_q_gi2_is_all_but_the_switch_of_the_greedy_action():
    """h is linear in the parameters as long as a* is held, so Eq. (11) is then exact."""
    torch.manual_seed(3)
    q, batch = nn.Linear(3, 4), random_batch(11, num_actions=4)
    for lr, switches in ((1e-6, False), (0.5, True)):
        terms = second_order(q, batch, lr, GAMMA)
        gi2 = interference(q, batch, lr, GAMMA)["gi2"]
        assert terms["realised_held"] == pytest.approx(gi2, rel=1e-8)
        assert terms["hessian"] == 0
        assert (terms["switched"] > 0) == switches
        assert (terms["realised"] != pytest.approx(gi2, rel=1e-3)) == switches


def test_realised_is_what_sgd_does():
    """Each single-sample update, and the minibatch update, taken with torch.optim.SGD."""
    lr, batch = 0.1, random_batch(9, size=5)
    terms = second_order(networks()["layer"], batch, lr, GAMMA)

    def losses(q: nn.Module) -> torch.Tensor:
        values = q(torch.as_tensor(batch.obs).double())
        best = q(torch.as_tensor(batch.next_obs).double()).max(1).values
        live = GAMMA * (1 - torch.as_tensor(batch.terminated).double())
        target = torch.as_tensor(batch.reward).double() + (live * best).detach()
        return (values.gather(1, torch.as_tensor(batch.action)[:, None])[:, 0] - target).square()

    def decrement(rows: list[int]) -> torch.Tensor:
        q = networks()["layer"].double()
        optimizer = torch.optim.SGD(q.parameters(), lr=lr)
        before = losses(q)
        (0.5 * before[rows].mean()).backward()
        optimizer.step()
        return (before - losses(q)).detach()

    single = torch.stack([decrement([i]) for i in range(5)]).mean()
    assert terms["realised"] == pytest.approx(float(single), rel=1e-6)
    assert terms["realised_minibatch"] == pytest.approx(
        float(decrement(list(range(5))).mean()), rel=1e-6
    )


def test_isometry_by_hand():
    rng = np.random.default_rng(0)
    assert isometry(np.eye(4) * 7, 2, rng) == pytest.approx(1.0)
    rows = np.array([[3.0, 0.0], [0.0, 4.0]])  # sqrt(9 x 16) / 12.5
    assert isometry(rows, 2, rng) == pytest.approx(12 / 12.5)
    rows = np.array([[1.0, 0.0], [1.0, 1.0]])  # det 1, trace 3
    assert isometry(rows, 2, rng) == pytest.approx(2 / 3)
    assert isometry(torch.from_numpy(rows), 1, rng) == pytest.approx(1.0)


def test_isometry_without_a_generator_and_with_k_a_whole_float():
    x = np.random.default_rng(2).normal(size=(20, 9))
    assert isometry(x, 4.0) == isometry(x, 4) == isometry(x, 4, np.random.default_rng(0))


def test_isometry_of_dependent_features_is_zero():
    rng = np.random.default_rng(1)
    low_rank = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 20))
    assert isometry(low_rank, 4, rng) == 0.0
    assert isometry(low_rank, 3, rng) > 0.01
    assert isometry(rng.normal(size=(4, 2)), 3, rng) == 0.0  # more vectors than dimensions
    assert isometry(np.zeros((4, 5)), 2, rng) == 0.0


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_isometry_is_slogdet_over_disjoint_subsets(k):
    x = np.abs(np.random.default_rng(k).normal(size=(20, 9))) * np.tile([[1.0], [5.0]], (10, 1))
    order = np.random.default_rng(9).permutation(20)
    expected = []
    for start in range(0, 20 - k + 1, k):
        gram = x[order[start : start + k]] @ x[order[start : start + k]].T
        expected.append(math.exp(np.linalg.slogdet(gram)[1] / k) / (np.trace(gram) / k))
    value = isometry(x, k, np.random.default_rng(9))
    assert len(expected) == 20 // k
    assert value == pytest.approx(np.mean(expected), rel=1e-8)
    assert 0 < value <= 1  # AM-GM over the Gram matrix's eigenvalues
    rows = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert isometry(rows, k, np.random.default_rng(9)) > value  # Theorem 4


@pytest.mark.parametrize(
    ("features", "k", "message"),
    [
        (np.ones((4, 2)), 0, "k is 0 with 4 features; it must lie in 1 to 4"),
        (np.ones((4, 2)), 5, "k is 5"),
        (np.ones((4, 2)), 2.5, "k is 2.5"),
        (np.ones((4, 2)), "2", "k is '2' with 4 features"),
        (np.ones((4, 2)), None, "k is None"),
        (np.ones(4), 1, r"features have shape \(4,\)"),
    ],
)
def test_isometry_errors(features, k, message):
    with pytest.raises(MetricError, match=message):
        isometry(features, k, np.random.default_rng(0))
