"""Random baselines against Gymnasium: the same episodes, and the same distribution."""

import subprocess
import sys
from functools import cache

import gymnasium as gym
import numpy as np
import pytest
import torch

from lnqbook.baselines import POLICIES, _episodes, action_returns, random_returns
from lnqlib.networks import QNetwork, initial_params
from lnqlib.spec import ENVS, generator
from lnqlib.tasks import TASKS, start_states

WIDENED = {  # the protocol's start states, as Gymnasium's own reset draws them
    "MountainCar": {"low": -1.2, "high": 0.6},
    "Pendulum": {"x_init": np.pi, "y_init": 8.0},
}

each_env = pytest.mark.parametrize("env", ENVS)


make = cache(gym.make)


def gym_action(env, action):
    return np.array([2.0 * (action - 1)], np.float32) if env == "Pendulum" else int(action)


def gym_return(env, policy, start=None, seed=None):
    """One episode of Gymnasium to its end; `policy(obs, t)` gives an action counted from 0."""
    task, world = TASKS[env], make(TASKS[env].gym_id)
    obs, _ = world.reset(seed=seed, options=WIDENED.get(env))
    if start is not None:
        world.unwrapped.state = np.array(start[: task.state_dim])
        obs = observed(env, start)
    total, done, t = 0.0, False, 0
    while not done:
        obs, reward, terminated, truncated, _ = world.step(gym_action(env, policy(obs, t)))
        total, done, t = total + float(reward), terminated or truncated, t + 1
    return total


def observed(env, state):
    if env == "Acrobot":
        a, b = state[:2]
        state = (np.cos(a), np.sin(a), np.cos(b), np.sin(b), *state[2:])
    elif env == "Pendulum":
        state = (np.cos(state[0]), np.sin(state[0]), state[1])
    return np.array(state[: TASKS[env].obs_dim], np.float32)


@each_env
def test_the_same_actions_give_gymnasiums_return(env):
    starts, actions = _episodes(TASKS[env], 0, 60 if env == "MountainCar" else 15)
    theirs = [
        gym_return(env, lambda _, t, row=row: row[t], start)
        for start, row in zip(starts, actions, strict=True)
    ]
    ours = action_returns(TASKS[env], starts.copy(), actions)
    assert ours == pytest.approx(theirs, rel=1e-6)
    # random actions rarely swing Acrobot up, and MountainCar's count only from near the goal
    assert np.ptp(theirs) > 0 or env == "Acrobot"


@each_env
def test_uniform_actions_return_what_gymnasium_returns_on_average(env):
    theirs = []
    rng = np.random.default_rng(1)
    for seed in range(40 if env == "Acrobot" else 100):
        row = rng.integers(TASKS[env].num_actions, size=TASKS[env].time_limit)
        theirs.append(gym_return(env, lambda _, t, row=row: row[t], seed=seed))
    starts, actions = _episodes(TASKS[env], 3, 2_000)
    ours = action_returns(TASKS[env], starts, actions)
    error = np.hypot(np.std(theirs) / len(theirs) ** 0.5, np.std(ours) / 2_000**0.5)
    # Acrobot's rare goals leave Gymnasium's few episodes without a spread: then one step a return
    assert abs(np.mean(theirs) - ours.mean()) < 3 * error + (1 if env == "Acrobot" else 0)


@each_env
def test_the_untrained_net_plays_as_torch_does_in_gymnasium(env):
    task, seed = TASKS[env], 5
    params = initial_params(generator(env, seed, "init"), task.obs_dim, task.num_actions, 128, True)
    q = QNetwork(task.obs_dim, task.num_actions).load_params(params)

    def greedy(obs, _):
        with torch.no_grad():
            return int(q(torch.as_tensor(obs)[None]).argmax())

    starts, _ = _episodes(task, seed, 6)
    theirs = np.mean([gym_return(env, greedy, start) for start in starts])
    found = random_returns([env], [seed], episodes=6).set_index("policy")["return"]
    assert found["untrained"] == pytest.approx(theirs, rel=1e-4)


@each_env
def test_actions_are_uniform_and_no_other_stream_has_the_starts(env):
    starts, actions = _episodes(TASKS[env], 0, 200)
    shares = np.bincount(actions.ravel()) / actions.size
    assert shares == pytest.approx(np.full(TASKS[env].num_actions, 1 / len(shares)), abs=0.01)
    used = start_states(TASKS[env], 200, generator(env, 0, "evaluation"), widened=True)
    assert not np.isin(starts[:, 0], used[:, 0]).any()


def test_one_row_for_each_env_policy_and_seed():
    frame = random_returns(("CartPole", "Pendulum"), range(3), episodes=4)
    assert frame[["env", "policy", "seed"]].drop_duplicates().shape == (12, 3)
    assert set(frame["policy"]) == set(POLICIES)
    again = random_returns(["Pendulum"], [2], episodes=4)
    both = frame.merge(again, on=["env", "policy", "seed"])
    assert (both["return_x"] == both["return_y"]).all()  # a seed does not depend on the others
    assert len(both) == 2
    assert frame.groupby(["env", "policy"])["return"].nunique().gt(1).all()


def test_claims_and_figures_load_no_training_code():
    program = (
        "import sys, lnqbook.figures.plots, lnqbook.claims.verdicts; "
        "print({'torch', 'numba'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.stdout == "set()\n", finished.stderr
