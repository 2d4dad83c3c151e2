"""Target networks: when they are renewed, what they change, and the metrics with them held."""

from __future__ import annotations

import itertools
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_engine import LEARNERS, batches, compare, distance, grid_lr, learners

from lnqlib import engine, metrics, training
from lnqlib.beyond.held_target import with_target_held
from lnqlib.data import sample
from lnqlib.networks import QNetwork
from lnqlib.results import TARGET
from lnqlib.run import dataset_of, initial_params_of
from lnqlib.spec import ENVS, NORMS, OPTIMIZERS, RunSpec, SpecError, study
from lnqlib.studies import STUDIES
from lnqlib.tasks import TASKS, isometry_sizes

HAVE_TARGET = tuple(norm for norm in NORMS if norm not in ("batch", "crossq"))


def always(env: str, norm: str, optimizer: str, bias: bool) -> bool:
    """What the study trains is checked at all times, the rest with -m slow only."""
    return norm in ("none", "layer") and optimizer == "SGD" and bias


GRID = [
    pytest.param(*point, marks=[] if always(*point) else [pytest.mark.slow])
    for point in itertools.product(ENVS, HAVE_TARGET, OPTIMIZERS, (True, False))
]


@pytest.mark.parametrize(("env", "norm", "optimizer", "bias"), GRID)
def test_steps_agree_with_torch(env: str, norm: str, optimizer: str, bias: bool) -> None:
    lr = grid_lr(norm, optimizer)
    spec = RunSpec(env, norm=norm, optimizer=optimizer, lr=lr, bias=bias, target_period=7)
    one, many = compare(spec)
    assert one <= 1e-5
    assert many <= 1e-3


@pytest.mark.parametrize(("env", "norm", "optimizer", "bias"), GRID)
def test_a_target_renewed_before_every_step_is_no_target(env, norm, optimizer, bias) -> None:
    lr = grid_lr(norm, optimizer)
    spec = RunSpec(env, norm=norm, optimizer=optimizer, lr=lr, bias=bias, steps=400, checkpoints=5)
    plain, renewed = engine.train(spec), engine.train(replace(spec, target_period=1))
    held = engine.train(replace(spec, target_period=100))
    for name, curve in plain.curves.items():
        if name not in TARGET:
            np.testing.assert_array_equal(renewed.curves[name], curve, err_msg=name)
    assert (held.curves["loss"] != plain.curves["loss"]).all()


@pytest.mark.parametrize("norm", HAVE_TARGET)
def test_the_reference_too_has_no_target_at_period_one(norm: str) -> None:
    spec = RunSpec("MountainCar", norm=norm, lr=1e-3)
    trained = []
    for period in (0, 1):
        changed = replace(spec, target_period=period)
        dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
        learner = training.TorchLearner(changed, dataset, initial_params_of(spec))
        learner.advance(0, batches(spec, 50), np.full(50, spec.lr))
        trained.append(learner.params())
    for name, array in trained[0].items():
        np.testing.assert_array_equal(trained[1][name], array, err_msg=name)


def plain_loop(spec: RunSpec, steps: int) -> QNetwork:
    """Eq. (1) with a target network, in torch alone: the target is copied where t % period is 0."""
    task, data = TASKS[spec.env], dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    q = QNetwork(task.obs_dim, task.num_actions, norm=spec.norm)
    target = deepcopy(q.load_params(initial_params_of(spec)))
    optimizer = torch.optim.SGD(q.parameters(), lr=spec.lr)
    for t, rows in enumerate(batches(spec, steps)):
        if t % spec.target_period == 0:
            target.load_state_dict(q.state_dict())
        obs, action, reward, next_obs, terminated = (torch.as_tensor(a[rows]) for a in data)
        with torch.no_grad():
            y = reward + 0.99 * ~terminated * target(next_obs).amax(1)
        taken = q(obs).gather(1, action[:, None])[:, 0]
        optimizer.zero_grad()
        (0.5 * (taken - y).square().mean()).backward()
        optimizer.step()
    return q


@pytest.mark.parametrize("period", [1, 3, 10, 40, 1000])
def test_the_target_is_renewed_as_in_a_plain_loop(period: int) -> None:
    """In pieces that end on and between renewals."""
    spec = RunSpec("MountainCar", norm="layer", lr=1e-2, target_period=period)
    expected = plain_loop(spec, 60).params()
    indices, lrs = batches(spec, 60), np.full(60, spec.lr)
    for learner in learners(spec):
        for first, last in itertools.pairwise((0, 1, 20, 33, 60)):
            learner.advance(first, indices[first:last], lrs[first:last])
        assert distance(learner.params(), expected, ("W", "b", "V", "c")) < 1e-5


@pytest.mark.parametrize("control", ["project", "own_decay"])
def test_lr_controls_agree_with_torch(control: str) -> None:
    norm = "layer" if control == "project" else "none"
    spec = RunSpec("Pendulum", norm=norm, lr=1e-2, lr_control=control, target_period=7)
    one, many = compare(spec)
    assert one <= 1e-5 and many <= 1e-3


@pytest.mark.parametrize("make", LEARNERS)
@pytest.mark.parametrize("terminal_mask", [True, False])
def test_metrics_with_the_target_held_against_autograd(make, terminal_mask: bool) -> None:
    """Of (Q - y)^2, y from another network, the whole gradient is what the update follows."""
    spec = RunSpec("CartPole", norm="layer", lr=1e-2, batch_size=16, width=8, target_period=20)
    spec = replace(spec, terminal_mask=terminal_mask)
    data = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    learner = make(spec, data, initial_params_of(spec))
    learner.advance(0, batches(spec, 20), np.full(20, spec.lr))
    renewed = learner.params()  # before step 20
    learner.advance(20, batches(spec, 15), np.full(15, spec.lr))
    batch = sample(data, np.random.default_rng(1), 48)
    assert batch.terminated.any()
    measured = learner.measure(batch, isometry_sizes(spec.env), 0)

    q, target = (QNetwork(4, 2, 8, "layer").load_params(p) for p in (learner.params(), renewed))
    q, target = q.double(), target.double()
    obs, action, reward, next_obs, terminated = map(torch.as_tensor, batch)
    discount = 0.99 * ~(terminated & terminal_mask)
    y = reward.double() + discount * target(next_obs.double()).amax(1)
    td = q(obs.double()).gather(1, action[:, None])[:, 0] - y
    half = [torch.autograd.grad(0.5 * d**2, list(q.parameters()), retain_graph=True) for d in td]
    g = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in half])
    td, unit, n = td.detach(), g / g.norm(dim=1, keepdim=True), len(td)
    u = g @ (g / td[:, None]).T  # g_i . grad Q_j
    decrement = td**2 - (td - spec.lr * u) ** 2
    expected = {
        "sgi_target": (unit @ unit.T).mean(),
        "sgi_off_target": ((unit @ unit.T).sum() - n) / (n * (n - 1)),
        "dgi_target": (g @ g.T).mean(),
        "gi2_target": decrement.mean(),
        "gi2_minibatch_target": (td**2 - (td - spec.lr * u.mean(0)) ** 2).mean(),
        "td_loss_target": (td**2).mean(),
    }
    assert expected.keys() == TARGET.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(float(value), rel=1e-6), name
    assert measured["dgi_target"] == pytest.approx(float(g.mean(0).square().sum()))
    assert abs(measured["td_loss_target"] / measured["td_loss"] - 1) > 1e-3


def test_with_the_target_held_mgi_is_sgi_and_qgi_knows_no_target() -> None:
    spec = RunSpec("Acrobot")
    data = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    q = QNetwork(6, 3).load_params(initial_params_of(spec))
    batch = sample(data, np.random.default_rng(0), 32)
    held = with_target_held(batch, np.linspace(-1.0, 1.0, 32), 0.99, True)
    with_it, without = (metrics.interference(q, b, 1e-2) for b in (held, batch))
    assert with_it["mgi"] == pytest.approx(with_it["sgi"], rel=1e-12)
    assert abs(without["mgi"] - without["sgi"]) > 1e-3
    assert with_it["qgi_plus"] == without["qgi_plus"]


def test_only_runs_with_a_target_have_its_columns() -> None:
    spec = RunSpec("MountainCar", steps=40, checkpoints=2)
    assert all(np.isnan(engine.train(spec).row[name]) for name in TARGET)
    for train in (engine.train, training.train):
        result = train(replace(spec, target_period=1))
        assert result.row["td_loss_target"] == pytest.approx(result.row["td_loss"], rel=1e-12)
        assert result.row["sgi_target"] == pytest.approx(result.row["sgi"], rel=1e-12)


def test_every_column_agrees_with_the_plain_metrics() -> None:
    spec = RunSpec("MountainCar", norm="layer", lr=1e-3, steps=60, checkpoints=4, target_period=20)
    ours, theirs = engine.train(spec), training.train(spec)
    for name, curve in theirs.curves.items():
        np.testing.assert_allclose(ours.curves[name], curve, rtol=1e-3, atol=1e-7, err_msg=name)
    # checkpoints stand at 0, 15, 30, 45: those of step 0 alone have a fresh target
    ratio = ours.curves["td_loss_target"] / ours.curves["td_loss"]
    assert ratio[0] == pytest.approx(1, rel=1e-12)
    assert (abs(ratio[1:] - 1) > 1e-6).all()


def test_at_a_checkpoint_the_target_is_the_one_of_the_step_that_follows() -> None:
    spec = RunSpec("MountainCar", lr=1e-2, steps=60, checkpoints=3, target_period=20)
    for train in (engine.train, training.train):
        curves = train(spec).curves
        np.testing.assert_allclose(curves["td_loss_target"], curves["td_loss"], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"norm": "batch"}, 'target_period is 10 with norm="batch"; whose statistics'),
        ({"norm": "crossq"}, 'target_period is 10 with norm="crossq"; whose statistics'),
        ({"lr_control": "paired_decay"}, 'target_period is 10 with lr_control="paired_decay"'),
        ({"target_period": -1}, "target_period is -1; it must be a whole number from 0"),
        ({"target_period": 1.5}, "target_period is 1.5; it must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        RunSpec(**({"env": "Pendulum", "target_period": 10} | changes))
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value) and "write" in str(error.value)


def test_no_target_leaves_the_key_as_it_was() -> None:
    assert RunSpec("Pendulum", target_period=0).key == RunSpec("Pendulum").key
    assert RunSpec("Pendulum", target_period=1).key != RunSpec("Pendulum").key


def test_the_studies_hold_the_runs_that_they_are_said_to() -> None:
    assert {"target", "online"} <= set(STUDIES)
    assert len({s.key for s in study("target")}) == 4 * 2 * 9 * 10 * 4
    assert len({s.key for s in study("online")}) == 4 * 2 * 9 * 10 * 2
    assert all(engine.covers(spec) for name in ("target", "online") for spec in study(name))
