"""Every step and start state against the Gymnasium environment that it mirrors."""

import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from conftest import ROOT
from gymnasium.utils import seeding

from lnqlib.spec import ENVS
from lnqlib.tasks import TASKS, isometry_sizes, observe, start_states, step, uniform_states

PI = np.pi
BOX = {  # half-widths that reach past every limit of the task
    "CartPole": (3.0, 4.0, 0.3, 4.0),
    "Acrobot": (PI, PI, 4 * PI, 9 * PI),
    "MountainCar": (1.2, 0.07),
    "Pendulum": (4 * PI, 8.0),
}


def gym_step(env, task, state, action):
    """(next state, obs, reward, terminated) of Gymnasium, starting from `state`."""
    inner = env.unwrapped
    inner.state = np.array(state)
    if task.name == "CartPole":
        inner.steps_beyond_terminated = None
    gym_action = np.array([2.0 * (action - 1)], np.float32) if task.name == "Pendulum" else action
    obs, reward, terminated, _, _ = inner.step(gym_action)
    return np.array(inner.state, np.float64), obs, reward, terminated


def our_step(task, state, action):
    full = np.zeros(4)
    full[: task.state_dim] = state
    reward, terminated = step(task.index, full, action)
    obs = np.zeros(task.obs_dim, np.float32)
    observe(task.index, full, obs)
    assert not full[task.state_dim :].any()
    return full[: task.state_dim], obs, reward, terminated


def assert_steps_agree(task, states, actions):
    env = gym.make(task.gym_id)
    env.reset(seed=0)
    theirs = [gym_step(env, task, s, a) for s, a in zip(states, actions, strict=True)]
    ours = [our_step(task, s, a) for s, a in zip(states, actions, strict=True)]
    for column in range(3):  # next state, obs, reward
        our, their = (np.array([row[column] for row in rows]) for rows in (ours, theirs))
        np.testing.assert_allclose(our, their, rtol=1e-6, atol=1e-11)
    terminated = [row[3] for row in theirs]
    assert [row[3] for row in ours] == terminated
    return np.mean(terminated)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda t: t.name)
def test_ten_thousand_transitions_equal_gymnasium(task):
    rng = np.random.default_rng(1)
    states = rng.uniform(-1, 1, (10_000, task.state_dim)) * BOX[task.name]
    actions = rng.integers(task.num_actions, size=10_000)
    if task.name == "MountainCar":
        states[:, 0] = rng.uniform(-1.2, 0.6, 10_000)
    share = assert_steps_agree(task, states, actions)
    assert share == 0 if task.name == "Pendulum" else 0.01 < share < 0.99


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda t: t.name)
def test_sizes_and_time_limits_are_gymnasiums(task):
    env = gym.make(task.gym_id)
    assert ENVS[task.index] == task.name
    assert env.observation_space.shape == (task.obs_dim,)
    assert env.spec.max_episode_steps == task.time_limit
    if task.name == "Pendulum":
        assert (env.unwrapped.max_torque, task.num_actions) == (2.0, 3)
    else:
        assert env.action_space.n == task.num_actions
    env.reset(seed=0)
    assert len(env.unwrapped.state) == task.state_dim


EDGES = [  # task, state, action, next state where it is known by hand, reward, terminated
    ("MountainCar", (-1.19, -0.07), 0, (-1.2, 0.0), -1, False),  # the wall takes the velocity
    ("MountainCar", (-1.2, 0.0), 0, (-1.198758, 0.0012419), -1, False),
    ("MountainCar", (0.49, 0.05), 2, None, -1, True),  # the goal, reward still -1
    ("MountainCar", (0.58, -0.03), 0, None, -1, False),  # beyond it, but moving back
    ("MountainCar", (0.59, 0.07), 2, (0.6, None), -1, True),
    ("Acrobot", (3.1, -3.1, 6.0, -6.0), 0, None, -1, False),  # both angles pass +-pi
    ("Acrobot", (-3.1, 3.1, -12.0, 28.0), 2, None, None, None),
    ("Acrobot", (0.5, 2.0, 12.0, 28.0), 2, None, None, None),
    ("Acrobot", (0.0, 0.0, 0.0, 0.0), 1, (0, 0, 0, 0), -1, False),  # hanging still
    ("Acrobot", (PI, 0.0, 0.0, 0.0), 1, None, 0, True),  # upright is beyond the line
    ("CartPole", (2.39, 1.0, 0.0, 0.0), 1, (2.41, None, 0.0, None), 1, True),
    ("CartPole", (-2.39, -1.0, 0.0, 0.0), 0, (-2.41, None, 0.0, None), 1, True),
    ("CartPole", (2.39, 0.4, 0.0, 0.0), 1, (2.398, None, 0.0, None), 1, False),
    ("CartPole", (0.0, 0.0, 0.20, 1.0), 1, (0.0, None, 0.22, None), 1, True),  # 12 deg = 0.2094
    ("CartPole", (0.0, 0.0, -0.20, -1.0), 1, (0.0, None, -0.22, None), 1, True),
    ("CartPole", (0.0, 0.0, 0.20, 0.4), 0, (0.0, None, 0.208, None), 1, False),
    ("Pendulum", (0.0, 0.0), 0, (-0.015, -0.3), -0.004, False),  # torque -2
    ("Pendulum", (0.0, 0.0), 1, (0.0, 0.0), 0, False),
    ("Pendulum", (0.0, 0.0), 2, (0.015, 0.3), -0.004, False),
    ("Pendulum", (PI / 2, 7.9), 2, (PI / 2 + 0.4, 8.0), None, False),  # speed limits
    ("Pendulum", (-PI / 2, -7.9), 0, (-PI / 2 - 0.4, -8.0), None, False),
    ("Pendulum", (3.0 * PI, 0.0), 1, None, -(PI**2), False),  # the state is not wrapped
    ("Pendulum", (2.0 * PI + 0.1, 0.0), 1, None, -0.01, False),
]


@pytest.mark.parametrize(("name", "state", "action", "expected", "reward", "terminated"), EDGES)
def test_edges_by_hand_and_as_gymnasium(name, state, action, expected, reward, terminated):
    task = TASKS[name]
    next_state, _, our_reward, our_terminated = our_step(task, state, action)
    for ours, known in zip(next_state, expected or (), strict=False):
        assert known is None or ours == pytest.approx(known, rel=1e-3, abs=1e-12)
    assert reward is None or our_reward == pytest.approx(reward)
    assert terminated is None or our_terminated == terminated
    assert_steps_agree(task, [state], [action])


def test_acrobot_wraps_its_angles_and_limits_its_velocities():
    rng = np.random.default_rng(2)
    states = rng.uniform(-1, 1, (2000, 4)) * BOX["Acrobot"]
    states[:, 2:] = np.sign(states[:, 2:]) * (4 * PI, 9 * PI)
    nexts = np.array([our_step(TASKS["Acrobot"], s, 2)[0] for s in states])
    assert (np.abs(nexts[:, :2]) <= PI).all()
    assert (np.abs(nexts[:, 2]) == 4 * PI).any()
    assert (np.abs(nexts[:, 2]) <= 4 * PI).all()
    assert (np.abs(nexts[:, 3]) == 9 * PI).any()
    assert (np.abs(nexts[:, 3]) <= 9 * PI).all()
    assert_steps_agree(TASKS["Acrobot"], states[:300], [2] * 300)


WIDE = {"MountainCar": {"low": -1.2, "high": 0.6}, "Pendulum": {"x_init": PI, "y_init": 8}}


@pytest.mark.parametrize("widened", [False, True])
@pytest.mark.parametrize("task", TASKS.values(), ids=lambda t: t.name)
def test_starts_are_the_resets_of_gymnasium_from_the_same_generator(task, widened):
    env = gym.make(task.gym_id)
    for seed in range(20):
        env.reset(seed=seed, options=WIDE.get(task.name) if widened else None)
        rng, _ = seeding.np_random(seed)
        ours = start_states(task, 1, rng, widened)
        assert ours.dtype == np.float64
        np.testing.assert_array_equal(ours[0, : task.state_dim], env.unwrapped.state)
        assert not ours[0, task.state_dim :].any()


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda t: t.name)
def test_many_starts_are_spread_like_many_resets(task):
    starts = start_states(task, 4000, np.random.default_rng(3), widened=True)
    env = gym.make(task.gym_id).unwrapped
    options = WIDE.get(task.name)
    env.reset(seed=4, options=options)
    resets = np.array([(env.reset(options=options), env.state)[1] for _ in range(4000)])
    quantiles = np.linspace(0, 1, 11)
    spread = 1e-9 + np.ptp(resets, axis=0)
    gap = np.quantile(starts[:, : task.state_dim], quantiles, axis=0)
    gap = (gap - np.quantile(resets, quantiles, axis=0)) / spread
    assert np.abs(gap).max() < 0.06  # five standard errors of a median of 4,000


def test_uniform_states_fill_their_box():
    for name, low, high in (
        ("MountainCar", (-1.2, -0.07), (0.6, 0.07)),
        ("Pendulum", (-PI, -8.0), (PI, 8.0)),
    ):
        states = uniform_states(TASKS[name], 20_000, np.random.default_rng(5))
        assert states.shape == (20_000, 4)
        assert not states[:, 2:].any()
        unit = (states[:, :2] - low) / (np.array(high) - low)
        assert unit.min() >= 0
        assert unit.max() <= 1
        for column in unit.T:
            counts = np.histogram(column, 10, (0, 1))[0]
            assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000 * 0.9)
        assert abs(np.corrcoef(unit.T)[0, 1]) < 5 / np.sqrt(20_000)
    with pytest.raises(ValueError, match="MountainCar and Pendulum"):
        uniform_states(TASKS["CartPole"], 3, np.random.default_rng(0))


def test_isometry_sizes_are_those_of_appendix_c():
    sizes = {"CartPole": (4, 6, 8), "Acrobot": (6, 9, 18)}
    sizes |= {"MountainCar": (2, 5, 6), "Pendulum": (3, 6, 9)}
    for env in ENVS:
        expected = dict(zip(("iso_o", "iso_p", "iso_t"), sizes[env], strict=True))
        assert isometry_sizes(env) == expected | {"iso_3": 3}


ORDER = """
import sys
import numpy as np
from numba import njit
from lnqlib import data, tasks

@njit(fastmath=True)
def caller(state, action):
    return tasks.acrobot_step(state, action)

if sys.argv[1] == "inside":
    caller(np.array([0.1, 0.2, 0.3, 0.4]), 1)  # tasks compile while a fastmath caller does
print(data.offline_dataset("Acrobot", 0).obs.tobytes().hex())
"""


def test_a_fastmath_caller_that_compiles_them_first_changes_no_bit(tmp_path):
    """numba hands a caller's fastmath down to functions that set none, and caches them so."""
    outputs = {
        order: subprocess.run(
            [sys.executable, "-c", ORDER, order],
            env=os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / order)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("alone", "inside")
    }
    assert outputs["alone"] == outputs["inside"]
