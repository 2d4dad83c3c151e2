"""Measuring in training: nothing of the run changes, with stable-baselines3 and in a plain loop."""

import copy
import random
import warnings

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.buffers import ReplayBuffer
from torch import nn

from lnqlib.metrics import MetricError, interference
from lnqlib.probe import Probe, sb3_callback, undisturbed

SETTINGS = {"learning_starts": 100, "train_freq": 8, "target_update_interval": 50, "seed": 3}


def states() -> tuple:
    return (
        random.getstate(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        torch.get_rng_state().numpy().tobytes(),
    )


def dqn(**settings) -> DQN:
    return DQN("MlpPolicy", "CartPole-v1", device="cpu", **SETTINGS | settings)


def test_a_measured_dqn_is_the_one_that_nobody_measures():
    probe = Probe(lr=1e-4, every=200, gamma=0.99)
    ends = []
    for callback in (sb3_callback(probe), None):
        agent = dqn()
        agent.learn(600, callback=callback)
        weights = [x.clone() for x in agent.policy.state_dict().values()]
        moments = [s["exp_avg"] for s in agent.policy.optimizer.state.values()]
        ends.append((weights, moments, states()))
    for left, right in zip(ends[0][:2], ends[1][:2], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(left, right, strict=True))
    assert ends[0][2] == ends[1][2]
    frame = probe.frame
    assert list(frame["step"]) == [129, 200, 400, 600]
    assert (frame["q_change"].iloc[2:] > 0).all()
    assert frame["return"].iloc[-1] > 5


class Recording(Probe):
    """Keeps what it was given."""

    def __call__(self, step, q, batch, **options):
        self.given = copy.deepcopy(q), batch, copy.deepcopy(options["target"])
        return super().__call__(step, q, batch, **options)


def test_what_the_callback_keeps_is_what_interference_gives():
    probe = Recording(lr=1e-4, every=300)
    agent = dqn()
    agent.learn(300, callback=sb3_callback(probe))
    q, batch, target = probe.given
    held = agent.replay_buffer.observations[:300, 0]
    assert all((row == held).all(1).any() for row in batch.observations.numpy())
    expected = interference(q, batch, 1e-4, target=target)
    row = probe.frame.iloc[-1]
    assert {name: row[name] for name in expected} == expected


def test_an_image_dqn_of_sb3():
    """uint8 images, which SB3's network casts and scales itself."""

    class Pixels(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (36, 36, 1), np.uint8)
        action_space = gymnasium.spaces.Discrete(3)

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), 1.0, self.np_random.random() < 0.1, False, {}

    agent = DQN("CnnPolicy", Pixels(), device="cpu", buffer_size=200, **SETTINGS)
    agent.learn(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = interference(agent.q_net, agent.replay_buffer.sample(16), 1e-3)
    assert result.dtype == "float32" and np.isfinite(result["gi2"])


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_agents_without_a_q_network():
    agent = PPO("MlpPolicy", "CartPole-v1", device="cpu", n_steps=32)
    with pytest.raises(MetricError, match="a PPO without q_net"):
        agent.learn(32, callback=sb3_callback(Probe(lr=1e-3)))


def test_a_loop_as_cleanrl_writes_it():
    """CleanRL's dqn.py: one network, one target, SB3's replay buffer, a global step."""

    def run(probe: Probe | None) -> list[torch.Tensor]:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
        env = gymnasium.make("CartPole-v1")
        q_network, target_network = (
            nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 2)) for _ in range(2)
        )
        target_network.load_state_dict(q_network.state_dict())
        optimizer = torch.optim.Adam(q_network.parameters(), lr=2.5e-4)
        rb = ReplayBuffer(1000, env.observation_space, env.action_space, "cpu")
        obs, _ = env.reset(seed=1)
        for global_step in range(400):
            action = random.randrange(2)
            next_obs, reward, terminated, truncated, info = env.step(action)
            rb.add(obs, next_obs, np.array(action), reward, terminated, [info])
            obs = env.reset()[0] if terminated or truncated else next_obs
            if global_step > 150:
                data = rb.sample(32)
                with torch.no_grad():
                    target = target_network(data.next_observations).max(dim=1)[0]
                    y = data.rewards.flatten() + 0.99 * target * (1 - data.dones.flatten())
                old = q_network(data.observations).gather(1, data.actions).squeeze()
                loss = nn.functional.mse_loss(y, old)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if probe is not None and global_step > 150 and probe.due(global_step):
                with undisturbed(seed=global_step):
                    batch = rb.sample(128)
                probe(global_step, q_network, batch, target=target_network)
        return [*q_network.state_dict().values(), torch.rand(3), torch.tensor(random.random())]

    probe = Probe(lr=2.5e-4, every=100)
    measured, alone = run(probe), run(None)
    assert all(torch.equal(x, y) for x, y in zip(measured, alone, strict=True))
    assert list(probe.frame["step"]) == [151, 200, 300]
    assert probe.frame["gi2"].notna().all()


def test_what_a_probe_writes(tmp_path):
    class Writer:
        def __init__(self):
            self.scalars = []

        def add_scalar(self, tag, value, step):
            self.scalars.append((tag, value, step))

    from test_metrics import random_batch

    writer = Writer()
    probe = Probe(lr=lambda step: 0.1 / (1 + step), every=10, writer=writer)
    q = nn.Linear(3, 2)
    assert [step for step in range(25) if probe.due(step) and probe(step, q, random_batch(step))]
    assert list(probe.frame["step"]) == [0, 10, 20]
    assert list(probe.frame["lr"]) == [0.1, 0.1 / 11, 0.1 / 21]
    assert ("lnqlib/sgi", probe.frame["sgi"][1], 10) in writer.scalars
    probe.to_csv(tmp_path / "x.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), probe.frame)
    with pytest.raises(MetricError, match="every is 0"):
        Probe(lr=0.1, every=0)


def test_tensorboard_reads_what_a_probe_writes(tmp_path):
    """The real package, written by torch's `SummaryWriter`, read by TensorBoard's own reader."""
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install .[agents]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from test_metrics import random_batch
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        probe = Probe(lr=0.1, every=10, writer=writer)
        for step in range(0, 30, 10):
            probe(step, nn.Linear(3, 2), random_batch(step))
    events = EventAccumulator(str(tmp_path)).Reload()
    frame = probe.frame.set_index("step")
    finite = [name for name in frame if name != "lr" and np.isfinite(frame[name]).any()]
    assert set(events.Tags()["scalars"]) == {f"lnqlib/{name}" for name in finite}
    for name in finite:
        kept = frame[name][np.isfinite(frame[name])]
        found = events.Scalars(f"lnqlib/{name}")
        assert [event.step for event in found] == list(kept.index)
        values = [event.value for event in found]  # float32, as TensorBoard keeps them
        assert values == pytest.approx(list(kept), rel=1e-6, abs=1e-30)
    assert [event.step for event in events.Scalars("lnqlib/q_change")] == [10, 20]


def test_undisturbed_draws_are_reproducible():
    before = states()
    draws = []
    for _ in range(2):
        with undisturbed(seed=5):
            draws.append((random.random(), np.random.random(), torch.rand(1).item()))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert states() == before
