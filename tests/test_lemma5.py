"""lnqbook.lemma5 against the library's own network and torch's own optimizers."""

from functools import partial

import numpy as np
import pytest
import torch

from lnqbook import lemma5
from lnqbook.pages.lr_decay import figure
from lnqlib.data import offline_dataset, sample
from lnqlib.networks import EPS, QNetwork, initial_params
from lnqlib.tasks import TASKS

RATES = (1e-4, 1e-3)


@pytest.fixture(scope="module", params=["CartPole", "MountainCar"])
def setting(request):
    """Weights, a batch, bootstraps that no network made, and f with its eps open."""
    task, rng = TASKS[request.param], np.random.default_rng(0)
    weights = initial_params(rng, task.obs_dim, task.num_actions, 32, bias=True)
    batch = sample(offline_dataset(task.name, 0), rng, 64)
    bootstrap = rng.standard_normal(64)
    f = partial(lemma5.first_layer_loss, weights, batch, bootstrap)
    return weights, batch, bootstrap, f


def network(weights):
    width, obs_dim = weights["W"].shape
    q = QNetwork(obs_dim, len(weights["V"]), width, "layer")
    return q.load_params(weights).double()


def td_loss(q, batch, bootstrap):
    """Half the mean squared TD error, written out sample by sample."""
    values = q(torch.as_tensor(batch.obs).double())
    targets = batch.reward + bootstrap
    errors = [values[i, a] - targets[i] for i, a in enumerate(batch.action)]
    return sum(error**2 for error in errors) / (2 * len(errors))


def test_its_loss_is_the_networks_training_loss(setting):
    weights, batch, bootstrap, f = setting
    q = network(weights)
    loss = td_loss(q, batch, bootstrap)
    loss.backward()
    w = lemma5.first_layer(weights)
    assert f(EPS)(torch.tensor(w)).item() == pytest.approx(loss.item(), rel=1e-12)
    trained = np.column_stack([q.hidden.weight.grad, q.hidden.bias.grad])
    assert lemma5.autograd(f(EPS))(w) == pytest.approx(trained, rel=1e-9, abs=1e-15)


def test_the_lemmas_own_case_is_of_second_order_and_the_others_are_of_first(setting):
    weights, *_, f = setting
    cases = lemma5.cases(f, lemma5.first_layer(weights), EPS)
    found = lemma5.residuals(cases, RATES).pivot(index="case", columns="lr")
    orders = np.log10(found["direction", RATES[1]] / found["direction", RATES[0]])
    exact, default, *others = cases
    assert orders[exact] == pytest.approx(2, abs=0.01)
    assert orders[others].to_numpy() == pytest.approx(np.ones(3), abs=0.05)
    assert 0.95 < orders[default] < 1.9  # eps adds a little of first order
    assert abs(found["norm", RATES[1]][exact]) < 1e-6
    assert (found["norm", RATES[1]].drop(exact).abs() > 1e-3).all()
    assert abs(found["radial", RATES[0]][exact]) < 1e-14


def test_the_cases_step_on_what_they_name(setting):
    weights, *_, f = setting
    w = lemma5.first_layer(weights)
    whole = lemma5.autograd(f(0.0))(w)
    cases = lemma5.cases(f, w, EPS)
    steps = {name: gradient(at) for name, (gradient, at) in cases.items()}
    assert steps["W alone"] == pytest.approx(whole[:, :-1])
    assert steps["one row"] == pytest.approx(whole[:1])
    tensor = torch.tensor(w, requires_grad=True)
    adam = torch.optim.Adam([tensor], lr=1.0)
    f(0.0)(tensor).backward()
    adam.step()
    assert -steps["Adam"] == pytest.approx(tensor.detach().numpy() - w, rel=1e-6, abs=1e-9)


def test_eps_turns_the_gradient_towards_the_weights(setting):
    """<w, grad f> = -2 eps df/deps, since scaling w by a is dividing eps by a^2."""
    weights, *_, f = setting
    w = lemma5.first_layer(weights)
    scaled = f(EPS)(torch.tensor(3 * w)).item()
    assert scaled == pytest.approx(f(EPS / 9)(torch.tensor(w)).item(), rel=1e-12)
    above, below = (f(EPS * factor)(torch.tensor(w)).item() for factor in (1.001, 0.999))
    radial = (w * lemma5.autograd(f(EPS))(w)).sum()
    assert radial == pytest.approx(-2 * (above - below) / 0.002, rel=1e-4)


def test_the_library_network_forgets_the_joint_scale_alone(setting):
    weights, batch, *_ = setting
    obs = torch.as_tensor(batch.obs).double()
    q = network(weights)(obs).detach()

    def change(scale_w, scale_b):
        scaled = {"W": weights["W"] * scale_w, "b": weights["b"] * scale_b}
        return float((network(weights | scaled)(obs).detach() - q).abs().max() / q.abs().max())

    rows = np.linspace(1, 4, len(weights["b"]))
    assert change(100, 100) < 1e-3 < 1e-2 < min(change(100, 1), change(rows[:, None], rows))


def test_the_figure_draws_every_case_and_every_learning_rate(setting):
    weights, *_, f = setting
    w = lemma5.first_layer(weights)
    by_lr = lemma5.residuals(lemma5.cases(f, w, EPS), RATES)
    by_eps = by_lr.assign(eps=1e-5).drop_duplicates("lr")
    left, right = figure.lemma5_errors(by_lr, by_eps).axes
    assert [line.get_label() for line in left.get_lines()][:5] == list(dict.fromkeys(by_lr.case))
    for line, (_, rows) in zip(left.get_lines(), by_lr.groupby("case", sort=False), strict=False):
        assert line.get_xydata() == pytest.approx(rows[["lr", "direction"]].to_numpy())
    assert [line.get_label() for line in right.get_lines()][:2] == [
        r"$\eta = 10^{-4}$",
        r"$\eta = 10^{-3}$",
    ]
