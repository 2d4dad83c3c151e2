"""Datasets against Gymnasium's episodes and the protocol's rows; files there and back."""

import sys
from zipfile import ZipFile

import gymnasium as gym
import numpy as np
import pytest

from lnqlib.data import (
    Transitions,
    episode_ends,
    from_minari,
    goal_transitions,
    load_npz,
    offline_dataset,
    sample,
    save_npz,
    to_minari,
)
from lnqlib.spec import ENVS, SpecError
from lnqlib.tasks import TASKS

BOTH = [(env, data) for env in ENVS for data in ("protocol", "rollout")]
EPISODES = [
    point for point in BOTH if point not in (("MountainCar", "protocol"), ("Pendulum", "protocol"))
]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def state_of(env, obs):
    """The state that an observation shows, to float32 precision."""
    obs = obs.astype(np.float64)
    if env == "Acrobot":
        return np.array([*np.arctan2(obs[[1, 3]], obs[[0, 2]]), obs[4], obs[5]])
    if env == "Pendulum":
        return np.array([np.arctan2(obs[1], obs[0]), obs[2]])
    return obs


@pytest.mark.parametrize(("env", "data"), BOTH)
def test_dataset_depends_on_env_and_seed_alone(env, data):
    np.random.seed(1)  # noqa: NPY002  the global state must not matter
    first = offline_dataset(env, 7, data, 2000)
    np.random.seed(2)  # noqa: NPY002
    assert_same(first, offline_dataset(env, 7, data, 2000))
    assert not np.array_equal(first.obs, offline_dataset(env, 8, data, 2000).obs)


@pytest.mark.parametrize(("env", "data"), BOTH)
def test_shapes_dtypes_and_uniform_actions(env, data):
    dataset = offline_dataset(env, 0, data)
    task, n = TASKS[env], 10_000
    shapes = [(n, task.obs_dim), (n,), (n,), (n, task.obs_dim), (n,)]
    assert [array.shape for array in dataset] == shapes
    dtypes = ["float32", "int64", "float32", "float32", "bool"]
    assert [str(array.dtype) for array in dataset] == dtypes
    counts = np.bincount(dataset.action, minlength=task.num_actions)
    p = 1 / task.num_actions
    assert len(counts) == task.num_actions
    assert np.abs(counts - n * p).max() < 5 * np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize(("env", "data"), BOTH)
def test_every_row_is_a_transition_of_gymnasium(env, data):
    dataset = offline_dataset(env, 3, data)
    gym_env = gym.make(TASKS[env].gym_id)
    gym_env.reset(seed=0)
    inner = gym_env.unwrapped
    for obs, action, reward, next_obs, terminated in list(zip(*dataset, strict=True))[::17]:
        inner.state, inner.steps_beyond_terminated = state_of(env, obs), None
        gym_action = np.array([2.0 * action - 2.0]) if env == "Pendulum" else action
        their_obs, their_reward, their_terminated, _, _ = inner.step(gym_action)
        np.testing.assert_allclose(next_obs, their_obs, rtol=1e-5, atol=1e-5)
        assert reward == pytest.approx(their_reward, rel=1e-4, abs=1e-5)
        assert terminated == their_terminated


@pytest.mark.parametrize(("env", "data"), EPISODES)
def test_episodes_start_at_the_reset_and_end_at_the_task_or_its_time_limit(env, data):
    dataset = offline_dataset(env, 1, data)
    task = TASKS[env]
    ends = np.flatnonzero(episode_ends(dataset))
    starts = np.r_[0, ends[:-1] + 1]
    lengths = ends - starts + 1
    assert lengths.max() <= task.time_limit
    finished = dataset.terminated[ends] | (lengths == task.time_limit)
    assert finished[:-1].all()  # the last one stops where the dataset is full
    assert np.array_equal(ends[dataset.terminated[ends]], np.flatnonzero(dataset.terminated))
    low, high = {
        "CartPole": (-0.05, 0.05),
        "Acrobot": (-0.1, 0.1),
        "MountainCar": ((-0.6, 0.0), (-0.4, 0.0)),
        "Pendulum": ((-np.pi, -1.0), (np.pi, 1.0)),
    }[env]
    states = np.array([state_of(env, obs) for obs in dataset.obs[starts]])
    assert (states >= np.array(low) - 1e-6).all()
    assert (states <= np.array(high) + 1e-6).all()
    assert len(np.unique(dataset.obs[starts], axis=0)) == len(starts)
    if env in ("MountainCar", "Pendulum"):  # 200 random steps never reach the car's goal
        assert (lengths == 200).all()
        assert not dataset.terminated.any()


@pytest.mark.parametrize(
    ("env", "low", "high"),
    [("MountainCar", (-1.2, -0.07), (0.6, 0.07)), ("Pendulum", (-np.pi, -8), (np.pi, 8))],
)
def test_protocol_draws_every_state_afresh_and_uniformly(env, low, high):
    dataset = offline_dataset(env, 2)
    assert episode_ends(dataset).all()
    states = np.array([state_of(env, obs) for obs in dataset.obs])
    unit = (states - low) / (np.array(high) - low)
    for column in unit.T:
        assert column.min() > -1e-6
        assert column.max() < 1 + 1e-6
        counts = np.histogram(column.clip(0, 1), 10, (0, 1))[0]
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(900)
    assert abs(np.corrcoef(unit.T, dataset.action) - np.eye(3)).max() < 0.05


def test_goals():
    assert goal_transitions(offline_dataset("Pendulum", 0)) == 0
    assert goal_transitions(offline_dataset("CartPole", 0)) > 300  # random poles fall in 22 steps
    counts = []
    for seed in range(40):
        dataset = offline_dataset("Acrobot", seed)
        assert goal_transitions(dataset) == (dataset.reward == 0).sum()
        counts.append(goal_transitions(dataset))
    assert np.mean(np.array(counts) == 0) > 0.5  # most hold none, as the protocol says
    assert max(counts) > 0
    car = offline_dataset("MountainCar", 0)
    reached = (car.next_obs[:, 0] >= 0.5) & (car.next_obs[:, 1] >= 0)
    assert goal_transitions(car) == reached.sum() > 0


def test_settings_that_no_run_has_are_refused():
    for arguments in ({"env": "Cartpole"}, {"data": "random"}, {"seed": -1}, {"size": 0}):
        with pytest.raises(SpecError):
            offline_dataset(**({"env": "CartPole", "seed": 0} | arguments))


def test_sample_takes_different_rows_and_keeps_them_whole():
    dataset = offline_dataset("MountainCar", 0, size=300)
    batch = sample(dataset, np.random.default_rng(0), 128)
    rows = [np.flatnonzero((dataset.obs == obs).all(axis=1)).item() for obs in batch.obs]
    assert len(set(rows)) == 128
    assert_same(batch, Transitions(*(array[rows] for array in dataset)))
    assert sorted(sample(dataset, np.random.default_rng(0), 300).obs[:, 0]) == sorted(
        dataset.obs[:, 0]
    )
    for n, allowed in ((301, 300), (0, 1)):
        sentence = f"n is {n}; it must be from 1 to 300, .*; write n={allowed}$"
        with pytest.raises(ValueError, match=sentence):
            sample(dataset, np.random.default_rng(0), n)


def test_npz_there_and_back(tmp_path):
    dataset = offline_dataset("Acrobot", 0, size=600)
    for name in ("set.npz", "set"):
        save_npz(dataset, tmp_path / name)
        assert_same(dataset, load_npz(tmp_path / name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": None}, "has no array reward"),
        ({"obs": np.zeros((5, 2))}, r"obs of .* is float64; it must be float32"),
        ({"action": np.zeros(5)}, r"action of .* is float64; it must be int64"),
        ({"terminated": np.zeros(4, bool)}, r"terminated of .* has shape \(4,\)"),
        ({"obs": np.zeros(5, "f4")}, r"obs of .* has shape \(5,\)"),
        ({"next_obs": np.zeros((5, 3), "f4")}, r"next_obs of .* has shape \(5, 3\)"),
        ({"reward": np.array([None] * 5)}, "not an npz file of plain arrays"),
    ],
)
def test_npz_that_is_no_dataset_is_refused_in_one_sentence(tmp_path, change, message):
    arrays = {
        "obs": np.zeros((5, 2), np.float32),
        "action": np.zeros(5, np.int64),
        "reward": np.zeros(5, np.float32),
        "next_obs": np.zeros((5, 2), np.float32),
        "terminated": np.zeros(5, bool),
    } | change
    path = tmp_path / "set.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match=message):
        load_npz(path)


def test_other_files_are_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("obs, action")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    with ZipFile(tmp_path / "open.npz", "w") as file:  # an array's header that never closes
        file.writestr("obs.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4',(")
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match="is not an npz file"):
            load_npz(path)
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "none.npz")


def test_a_flipped_bit_is_refused_or_does_no_harm(tmp_path):
    dataset, path = offline_dataset("MountainCar", 0, size=20), tmp_path / "set.npz"
    save_npz(dataset, path)
    data, refused = path.read_bytes(), 0
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        try:
            assert_same(dataset, load_npz(path))  # a file's date, say
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > len(data) / 2


@pytest.fixture
def minari(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    module = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return module


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("env", "data", "size"),
    [("CartPole", "protocol", 500), ("MountainCar", "rollout", 450), ("Pendulum", "protocol", 30)],
)
def test_minari_there_and_back(minari, env, data, size):
    dataset = offline_dataset(env, 0, data, size)
    to_minari(dataset, "lnq/test-v0", env)
    assert_same(dataset, from_minari("lnq/test-v0"))
    stored = minari.load_dataset("lnq/test-v0")
    assert stored.total_steps == size
    assert stored.env_spec.id == TASKS[env].gym_id
    episodes = list(stored.iterate_episodes())
    for episode in episodes:
        ended = episode.terminations | episode.truncations
        assert ended[-1]
        assert not ended[:-1].any()
        assert not (episode.terminations & episode.truncations).any()
    lengths = [len(e.rewards) for e in episodes]
    if env == "MountainCar":
        assert lengths == [200, 200, 50]
        assert all(e.truncations[-1] for e in episodes)
    elif env == "CartPole":
        assert all(e.terminations[-1] for e in episodes[:-1])
    else:
        assert lengths == [1] * size
        assert all(e.truncations[-1] for e in episodes)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minari_episodes_written_elsewhere_are_read(minari):
    from gymnasium.spaces import Box, Discrete
    from minari.data_collector import EpisodeBuffer

    def episode(index, obs, terminated):
        flags = np.array([False, terminated])
        return EpisodeBuffer(
            id=index,
            observations=np.array(obs, np.float64)[:, None],
            actions=np.array([1, 0]),
            rewards=[1.0, 2.0],
            terminations=flags,
            truncations=np.array([False, not terminated]),
        )

    buffers = [episode(0, (1, 2, 3), True), episode(1, (5, 6, 7), False)]
    spaces = {"observation_space": Box(0, 9, (1,)), "action_space": Discrete(2)}
    stored = minari.create_dataset_from_buffers("hand/made-v0", buffers, **spaces)
    dataset = from_minari(stored)
    assert dataset.obs.ravel().tolist() == [1, 2, 5, 6]
    assert dataset.next_obs.ravel().tolist() == [2, 3, 6, 7]
    assert dataset.action.tolist() == [1, 0, 1, 0]
    assert dataset.reward.tolist() == [1, 2, 1, 2]
    assert dataset.terminated.tolist() == [False, True, False, False]
    assert episode_ends(dataset).tolist() == [False, True, False, True]

    torques = {"observation_space": Box(0, 9, (1,)), "action_space": Box(-2, 2, (1,))}
    other = minari.create_dataset_from_buffers("hand/torque-v0", [], **torques)
    with pytest.raises(ValueError, match=r"must be Discrete; write Transitions\("):
        from_minari(other)
    pictures = {"observation_space": Box(0, 9, (2, 2)), "action_space": Discrete(2)}
    other = minari.create_dataset_from_buffers("hand/pictures-v0", [], **pictures)
    with pytest.raises(ValueError, match=r"Box of vectors; write gymnasium.*FlattenObservation"):
        from_minari(other)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minari_without_episodes_and_with_actions_out_of_range(minari):
    from gymnasium.spaces import Box, Discrete
    from minari.data_collector import EpisodeBuffer

    spaces = {"observation_space": Box(0, 9, (1,)), "action_space": Discrete(2, start=3)}
    empty = minari.create_dataset_from_buffers("hand/empty-v0", [], **spaces)
    with pytest.raises(ValueError, match=r"hand/empty-v0 has no episodes; .*; write "):
        from_minari(empty)
    for actions, expected in (([3, 4], [0, 1]), ([0, 4], None)):
        episode = EpisodeBuffer(
            id=0,
            observations=np.zeros((3, 1)),
            actions=np.array(actions),
            rewards=[0.0, 0.0],
            terminations=np.array([False, True]),
            truncations=np.array([False, False]),
        )
        name = f"hand/actions-v{actions[0]}"
        stored = minari.create_dataset_from_buffers(name, [episode], **spaces)
        if expected:
            assert from_minari(stored).action.tolist() == expected
        else:
            with pytest.raises(ValueError, match=r"run from -3 to 1; they must lie in 0 to 1"):
                from_minari(stored)


class Corridor(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (5,), np.float32)
    action_space = gym.spaces.Discrete(4)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minari_of_an_environment_that_is_not_one_of_four(minari):
    gym.register("Corridor-v0", "test_data:Corridor")
    try:
        obs = np.arange(20, dtype=np.float32).reshape(4, 5) / 20
        terminated = np.array([False, False, True])
        reward = np.zeros(3, np.float32)
        dataset = Transitions(obs[:-1], np.array([0, 3, 1]), reward, obs[1:], terminated)
        assert_same(dataset, from_minari(to_minari(dataset, "hand/corridor-v0", "Corridor-v0")))
        with pytest.raises(ValueError, match="run from 0 to 4; they must lie in 0 to 3"):
            wrong = dataset._replace(action=np.array([0, 4, 1]))
            to_minari(wrong, "hand/wrong-v0", "Corridor-v0")
    finally:
        gym.registry.pop("Corridor-v0")


def test_minari_refuses_another_tasks_observations(minari):
    dataset = offline_dataset("MountainCar", 0, size=5)
    with pytest.raises(ValueError, match="obs has 2 columns; CartPole has 4"):
        to_minari(dataset, "lnq/wrong-v0", "CartPole")
    with pytest.raises(SpecError, match="env is 'mountaincar'"):
        to_minari(dataset, "lnq/wrong-v0", "mountaincar")


def test_without_minari_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r'pip install "minari\[hdf5\]"'):
        from_minari("any/set-v0")
    with pytest.raises(ImportError, match=r'pip install "minari\[hdf5\]"'):
        to_minari(offline_dataset("Pendulum", 0, size=5), "any/set-v0", "Pendulum")
