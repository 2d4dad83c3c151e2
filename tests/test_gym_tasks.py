"""Tasks by Gymnasium id, against Gymnasium's own steps and against the library's CartPole."""

import hashlib

import gymnasium as gym
import numpy as np
import pytest

from lnqlib import engine, training
from lnqlib.data import episode_ends, offline_dataset
from lnqlib.engine import fused
from lnqlib.own import gym_tasks
from lnqlib.run import dataset_of, initial_params_of
from lnqlib.spec import RunSpec, SpecError, generator
from lnqlib.store.verify import COMPARED
from lnqlib.tasks import TASKS, isometry_sizes

WALK = "own_tasks:Walk-v0"
SHORT = {"steps": 30, "checkpoints": 3, "eval_episodes": 2, "dataset_size": 300, "batch_size": 16}
SHORT |= {"width": 16}


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1", WALK])
def test_the_dataset_is_what_gymnasium_gives_for_the_same_seeds_and_actions(env):
    """Replayed: every step's next state, reward and end, and a reset where the episode ended."""
    data = offline_dataset(env, seed=3, size=700)
    rng, world = generator(env, 3, "data"), gym.make(env)
    actions = rng.integers(world.action_space.n, size=700)
    assert (data.action == actions).all()
    assert set(actions) == set(range(world.action_space.n))
    seen, _ = world.reset(seed=int(rng.integers(2**31)))
    ends = 0
    for i, action in enumerate(actions):
        assert (data.obs[i] == seen.astype(np.float32)).all()
        seen, reward, terminated, truncated, _ = world.step(int(action))
        assert (data.next_obs[i] == seen.astype(np.float32)).all()
        assert data.reward[i] == np.float32(reward)
        assert data.terminated[i] == terminated  # and not where it was truncated
        if terminated or truncated:
            ends += 1
            assert episode_ends(data)[i]
            seen, _ = world.reset()
    assert ends


def test_equal_seeds_give_equal_bits_and_others_other_ones():
    a, b, c = (offline_dataset(WALK, seed=seed, size=50) for seed in (0, 0, 1))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))
    assert not (a.obs == c.obs).all()


def test_the_seeds_come_from_a_hash_that_is_the_same_in_every_process():
    """sha256 of the id, by hand; no built-in task's place is as large."""

    place = int.from_bytes(hashlib.sha256(b"CartPole-v1").digest()[:8], "big")
    expected = np.random.SeedSequence(5, spawn_key=(place, 2))
    want = np.random.Generator(np.random.PCG64(expected)).random()
    assert generator("CartPole-v1", 5, "batches").random() == want
    assert place > 2**32


@pytest.mark.parametrize("learner", [fused.FusedLearner, training.TorchLearner])
def test_cartpole_through_this_door_learns_what_the_built_in_one_does(learner):
    """The same dataset, initial weights and batches: the same weights after 100 steps."""
    ours, theirs = RunSpec("CartPole", norm="layer"), RunSpec("CartPole-v1", norm="layer")
    data, initial = dataset_of("CartPole", 0, "protocol", 10_000), initial_params_of(ours)
    batches = np.random.default_rng(0).integers(10_000, size=(100, 128), dtype=np.int32)
    after = []
    for spec, make in ((ours, training.TorchLearner), (theirs, learner)):
        trained = make(spec, data, initial)
        trained.advance(0, batches, np.full(100, 1e-3))
        after.append(trained.params())
    assert not np.allclose(after[0]["W"], initial["W"], atol=1e-4)
    for name in after[0]:
        np.testing.assert_allclose(after[1][name], after[0][name], atol=1e-5, rtol=0)


def test_what_is_known_of_a_task():
    task = TASKS[WALK]
    assert (task.name, task.gym_id) == (WALK, "Walk-v0")  # as Minari takes it
    assert (task.obs_dim, task.num_actions, task.time_limit) == (5, 5, 20)
    assert isometry_sizes(WALK) == {"iso_o": 5, "iso_p": 10, "iso_t": 25, "iso_3": 3}
    assert list(TASKS) == ["CartPole", "Acrobot", "MountainCar", "Pendulum"]
    with pytest.raises(KeyError):
        TASKS["Walker"]


@pytest.mark.parametrize(("actions", "env"), [(1, "One"), (3, "Three"), (5, "Walk")])
def test_any_number_of_actions_trains_and_two_or_three_on_the_engine(actions, env):
    spec = RunSpec(f"own_tasks:{env}-v0", norm="layer", lr=1e-3, **SHORT)
    assert TASKS[spec.env].num_actions == actions
    assert engine.covers(spec) == (actions == 3)
    data, initial = dataset_of(spec.env, 0, "protocol", 300), initial_params_of(spec)
    batches = np.random.default_rng(0).integers(300, size=(30, 16), dtype=np.int32)
    makes = [training.TorchLearner] + [fused.FusedLearner] * engine.covers(spec)
    learners = [make(spec, data, initial) for make in makes]
    for learner in learners:
        learner.advance(0, batches, np.full(30, 1e-2))
    params = [learner.params() for learner in learners]
    moved = np.abs(params[0]["V"] - initial["V"]).max(axis=1)
    assert len(moved) == actions and (moved > 0).all()
    np.testing.assert_allclose(params[-1]["W"], params[0]["W"], atol=1e-5)
    starts = np.arange(4)
    assert len({learner.greedy_return(starts) for learner in learners}) == 1


def test_a_run_evaluates_in_gymnasium_from_the_default_reset():
    spec = RunSpec("CartPole-v1", lr=1e-3, **SHORT)
    result = training.train(spec)
    assert (result.curves["return"] == result.curves["return_default_start"]).all()
    # by hand, the greedy episodes of the untrained network
    learner = training.TorchLearner(
        spec, dataset_of(spec.env, 0, "protocol", 300), initial_params_of(spec)
    )
    world, total = gym.make("CartPole-v1"), 0.0
    for seed in spec.rng("evaluation").integers(2**31, size=2):
        seen, _ = world.reset(seed=int(seed))
        over = False
        while not over:
            action = learner._best_action(np.asarray(seen, np.float32))
            seen, reward, terminated, truncated, _ = world.step(action)
            total += reward
            over = terminated or truncated
    assert result.curves["return"][0] == total / 2
    again = training.train(spec)
    assert all(np.array_equal(result.row[n], again.row[n], equal_nan=True) for n in COMPARED)


REFUSED = [
    ("Nope-v0", "Gymnasium cannot make it (Environment `Nope` doesn't exist", "pip install"),
    ("nowhere:Nope-v0", "Python finds no file of that name", "PYTHONPATH"),
    ("ALE/Nope-v5", "Namespace ALE not found", "pip install"),
    ("own_tasks:Nope-v0", "Gymnasium cannot make it", 'register("Nope-v0"'),
    ("own_tasks:Dict-v0", "whose observations are Dict", "wrappers.FlattenObservation"),
    ("own_tasks:Image-v0", "whose observations are Box", "wrappers.FlattenObservation"),
    ("own_tasks:Continuous-v0", "whose actions are Box", "wrappers.DiscretizeAction"),
    ("own_tasks:Late-v0", "whose actions begin at 2", "a + 2, gymnasium.spaces.Discrete(5)"),
]


@pytest.mark.parametrize(("env", "came", "helps"), REFUSED)
def test_what_no_q_network_can_have_is_refused_in_a_sentence(env, came, helps):
    with pytest.raises(SpecError) as error:
        training.train(RunSpec(env))
    text = str(error.value)
    assert came in text and "; write " in text and helps in text.partition("; write ")[2]
    assert repr(env) in text or repr(env.partition(":")[0]) in text
    assert " must " in text
    assert "\n" not in text


@pytest.mark.parametrize("wrapper", ["FlattenObservation", "DiscretizeAction", "TransformAction"])
def test_the_wrappers_that_the_sentences_name_exist(wrapper):
    assert hasattr(gym.wrappers, wrapper)


def test_an_episode_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(gym_tasks, "LONGEST", 50)
    with pytest.raises(SpecError, match="max_episode_steps"):
        gym_tasks.returns("own_tasks:Endless-v0", lambda _: 0, np.arange(1))
