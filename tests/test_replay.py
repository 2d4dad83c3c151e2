"""Online replay against a plain Python loop over Gymnasium's own environments."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from test_engine import LEARNERS, distance
from torch import nn

from lnqlib import engine, training
from lnqlib.beyond import replay
from lnqlib.data import offline_dataset
from lnqlib.engine import fused
from lnqlib.networks import Params
from lnqlib.run import _advance, initial_params_of, run
from lnqlib.spec import ENVS, WARM_UP, RunSpec, SpecError
from lnqlib.tasks import TASKS, start_states

OBSERVED = {
    "CartPole": lambda env: np.array(env.state),
    "Acrobot": lambda env: env._get_ob(),
    "MountainCar": lambda env: np.array(env.state),
    "Pendulum": lambda env: env._get_obs(),
}
STEPS = 300


class Plain:
    """Online replay written out: Gymnasium, a list, torch, one random number at a time."""

    def __init__(self, spec: RunSpec, steps: int):
        self.spec, self.task = spec, TASKS[spec.env]
        self.env = gymnasium.make(self.task.gym_id)
        self.coins, self.actions, self.starts = spec.rng("data").spawn(3)
        self.buffer, self.seen, self.obs, self.ends = [], 0, None, []
        self.q, self.target = self.network(), self.network()
        optimizer = torch.optim.SGD(self.q.parameters(), lr=spec.lr)
        for _ in range(1000):
            self.move(1.0)
        batch_rng = spec.rng("batches")
        for t in range(steps):
            self.move(max(0.05, 1 - 0.95 * t / (0.1 * spec.steps)))
            if spec.target_period == 0 or t % spec.target_period == 0:
                self.target.load_state_dict(self.q.state_dict())
            rows = [int(batch_rng.random() * len(self.buffer)) for _ in range(spec.batch_size)]
            columns = zip(*(self.buffer[row] for row in rows), strict=True)
            obs, action, reward, next_obs, terminated = (
                torch.as_tensor(np.array(column)) for column in columns
            )
            with torch.no_grad():
                best = self.target(next_obs).amax(1)
            y = reward.float() + 0.99 * ~terminated * best
            taken = self.q(obs).gather(1, action[:, None])[:, 0]
            optimizer.zero_grad()
            (0.5 * (taken - y).square().mean()).backward()
            optimizer.step()

    def network(self) -> nn.Sequential:
        task, width = self.task, self.spec.width
        norm = nn.LayerNorm(width, elementwise_affine=False)
        middle = [norm] if self.spec.norm == "layer" else []
        layers = (nn.Linear(task.obs_dim, width), *middle, nn.ReLU())
        q = nn.Sequential(*layers, nn.Linear(width, task.num_actions))
        initial = initial_params_of(self.spec)
        with torch.no_grad():
            for name, tensor in self.named(q).items():
                tensor.copy_(torch.as_tensor(initial[name]))
        return q

    @staticmethod
    def named(q: nn.Sequential) -> dict[str, torch.Tensor]:
        return {"W": q[0].weight, "b": q[0].bias, "V": q[-1].weight, "c": q[-1].bias}

    def move(self, epsilon: float) -> None:
        action = int(self.actions.integers(self.task.num_actions))
        explores = self.coins.random() < epsilon
        start = start_states(self.task, 1, self.starts)[0, : self.task.state_dim]
        if self.obs is None:
            self.env.reset()
            self.env.unwrapped.state = start
            self.obs = OBSERVED[self.task.name](self.env.unwrapped).astype(np.float32)
        if not explores:
            with torch.no_grad():
                action = int(self.q(torch.as_tensor(self.obs)[None]).argmax())
        torque = np.array([2.0 * (action - 1)], np.float32)
        played = torque if self.task.name == "Pendulum" else action
        next_obs, reward, terminated, truncated, _ = self.env.step(played)
        row = (self.obs, action, float(reward), next_obs.astype(np.float32), bool(terminated))
        if len(self.buffer) < self.spec.dataset_size:
            self.buffer.append(row)
        else:
            self.buffer[self.seen % self.spec.dataset_size] = row
        self.seen += 1
        if truncated and not terminated:
            self.ends.append(self.seen)
        self.obs = None if terminated or truncated else next_obs.astype(np.float32)

    def params(self) -> Params:
        return {name: tensor.detach().numpy() for name, tensor in self.named(self.q).items()}


def trained(spec: RunSpec, make, steps: int) -> tuple[fused.FusedLearner, replay.Replay]:
    buffer, explorer = replay.begin(spec)
    learner = make(spec, buffer, initial_params_of(spec))
    rng = spec.rng("batches")
    for first, last in ((0, 1), (1, steps)):  # in two stretches
        _advance(spec, learner, first, last, rng, None, explorer)
    return learner, buffer


CASES = [
    *(pytest.param(env, norm, 0) for env in ENVS for norm in ("none", "layer")),
    pytest.param("MountainCar", "layer", 40),
    pytest.param("CartPole", "none", 40, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("env", "norm", "period"), CASES)
def test_a_plain_loop_over_gymnasium_fills_the_same_buffer(env, norm, period) -> None:
    """The buffer of 1,100 rows is full after 100 steps, and from step 50 on most are greedy."""
    fields = {"dataset_size": 1100, "steps": 500, "batch_size": 32, "target_period": period}
    spec = RunSpec(env, norm=norm, lr=1e-3, data="online", **fields)
    plain = Plain(spec, STEPS)
    columns = [np.array(column) for column in zip(*plain.buffer, strict=True)]
    limits = {"Acrobot": 2, "MountainCar": 6, "Pendulum": 6}
    assert len(plain.ends) >= limits.get(env, 0)  # episodes that the time limit cut
    for make in LEARNERS:
        learner, buffer = trained(spec, make, STEPS)
        assert buffer.counts[1] == plain.seen == WARM_UP + STEPS
        for name, ours, theirs in zip(buffer._fields[:5], buffer.filled, columns, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=name)
        assert distance(learner.params(), plain.params(), ("W", "b", "V", "c")) < 1e-4


@pytest.mark.parametrize("norm", ["rms", "center", "layer_affine", "layer_after_relu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.slow
def test_other_norms_agree_with_torch(norm: str, bias: bool) -> None:
    spec = RunSpec("CartPole", norm=norm, lr=1e-3, data="online", steps=500, bias=bias)
    (ours, one), (theirs, other) = (trained(spec, make, 200) for make in LEARNERS)
    np.testing.assert_array_equal(one.action, other.action)
    assert distance(ours.params(), theirs.params(), ("W", "V", "gain", "shift")) < 1e-3


@pytest.mark.parametrize("norm", fused.NOT_ONLINE)
def test_norms_that_the_loop_cannot_act_with_are_the_references(norm: str) -> None:
    spec = RunSpec("CartPole", norm=norm, data="online", steps=20, checkpoints=2, eval_episodes=1)
    assert not engine.covers(spec)
    assert np.isfinite(training.train(spec).row["loss"])


def test_a_short_run_agrees_with_the_reference_in_every_column() -> None:
    fields = {"steps": 200, "checkpoints": 4, "data": "online", "target_period": 40}
    spec = RunSpec("MountainCar", norm="layer", lr=1e-3, **fields)
    ours, theirs = engine.train(spec), training.train(spec)
    for name, value in theirs.row.items():
        if name != "seconds":
            assert ours.row[name] == pytest.approx(value, rel=1e-3, abs=1e-7, nan_ok=True), name


def test_a_run_depends_on_neither_checkpoints_nor_what_was_trained_before() -> None:
    spec = RunSpec("CartPole", norm="layer", lr=1e-2, steps=3000, checkpoints=2, data="online")
    first = engine.train(spec)
    again = engine.train(spec)
    more = engine.train(RunSpec(**(vars(spec) | {"checkpoints": 6})))
    for name, curve in first.curves.items():
        np.testing.assert_array_equal(again.curves[name], curve, err_msg=name)
    assert first.row["loss"] == pytest.approx(more.row["loss"], rel=1e-12)
    assert first.row["goal_transitions"] == more.row["goal_transitions"] > 0
    assert first.curves["weight_norm"][1] == more.curves["weight_norm"][3]


def test_moves_and_batches_do_not_depend_on_the_stretches_they_are_drawn_in() -> None:
    spec = RunSpec("Acrobot", data="online")
    whole = replay.Explorer(spec).moves(0, 100)
    explorer = replay.Explorer(spec)
    parts = [explorer.moves(first, last) for first, last in ((0, 1), (1, 37), (37, 100))]
    for name in whole._fields:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    rng = spec.rng("batches")
    joined = [replay.rows(spec, rng, first, last) for first, last in ((0, 1), (1, 37), (37, 100))]
    whole_rows = replay.rows(spec, spec.rng("batches"), 0, 100)
    np.testing.assert_array_equal(np.concatenate(joined), whole_rows)


def test_epsilon_falls_from_1_to_a_twentieth_over_a_tenth_of_the_steps() -> None:
    spec = RunSpec("Acrobot", data="online", steps=1000)
    values = replay.epsilon(spec, -2, 1000)
    np.testing.assert_allclose(values[:3], 1.0)
    np.testing.assert_allclose(values[[2 + 50, 2 + 100, 2 + 999]], [0.525, 0.05, 0.05])
    moves = replay.Explorer(spec).moves(100, 20_100)
    assert np.mean(moves.action != replay.GREEDY) == pytest.approx(0.05, abs=0.01)


def test_batches_reach_every_row_that_is_filled_and_no_other() -> None:
    spec = RunSpec("Acrobot", data="online", dataset_size=1010, batch_size=1000)
    rows = replay.rows(spec, np.random.default_rng(0), 0, 60)
    assert rows.min() == 0
    assert [r.max() < f for r, f in zip(rows, range(1001, 1011), strict=False)] == [True] * 10
    assert rows[10:].max() == 1009


def test_metrics_batches_hold_what_the_buffer_holds(monkeypatch) -> None:
    seen = []

    class Watched(fused.FusedLearner):
        def measure(self, batch, ks, seed):
            held = {row.tobytes() for row in self.dataset.filled.obs}
            assert {row.tobytes() for row in batch.obs} <= held
            seen.append(len(self.dataset.filled.obs))
            return super().measure(batch, ks, seed)

    fields = {"steps": 400, "checkpoints": 4, "dataset_size": 1200, "eval_episodes": 0}
    run(RunSpec("CartPole", norm="layer", lr=1e-2, data="online", **fields), Watched)
    assert seen == [1000, 1100, 1200, 1200]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset_size": 999}, 'dataset_size is 999 with data="online"; the buffer must hold'),
        ({"batch_size": 1001}, 'batch_size is 1001 with data="online"; the buffer begins with'),
        ({"lr_control": "paired_decay"}, 'lr_control is "paired_decay" with data="online"'),
        ({"data": "Online"}, "data is 'Online'; allowed are protocol, rollout, online"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        RunSpec(**({"env": "Pendulum", "data": "online"} | changes))
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value) and "write" in str(error.value)


def test_there_is_no_offline_dataset_of_online_data() -> None:
    with pytest.raises(SpecError, match='data is "online"'):
        offline_dataset("Pendulum", 0, "online")
