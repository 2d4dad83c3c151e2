"""The GPU's kernel against the torch reference, on numba's simulator: the same source, no GPU.

The simulator is chosen when Python starts, so one test runs those that need it in a process of its
own. What only a GPU can show is in benchmarks/gpu.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
from numba import cuda

from lnqlib import run, training
from lnqlib.engine.fused import FusedLearner
from lnqlib.gpu.card import NoCard, card, simulated
from lnqlib.gpu.shape import covers
from lnqlib.networks import Params
from lnqlib.run import Look, dataset_of, initial_params_of
from lnqlib.spec import ENVS, OPTIMIZERS, RunSpec, study
from lnqlib.sweep import SweepError, sweep

SIMULATED: list[str] = []


def on_simulator(test):
    SIMULATED.append(test.__name__)
    return pytest.mark.skipif(not simulated(), reason="runs in a process of its own")(test)


NORMS = ("none", "layer", "rms", "center")
TINY = {"width": 6, "batch_size": 9, "dataset_size": 50}  # neither fills its threads
THREADS = 4


def specs(count: int = 2, **fields) -> list[RunSpec]:
    """Runs of one group: other seeds, other learning rates, so other streams."""
    return [RunSpec(**TINY | fields, seed=seed % 2, lr=1e-3 / (1 + seed)) for seed in range(count)]


def weights(group, runs: list[RunSpec]) -> list[Params]:
    learners = [FusedLearner(r, dataset(r), initial_params_of(r)) for r in runs]
    for learner, theta in zip(learners, group.theta(), strict=True):
        learner.theta[:] = theta
    return [learner.params() for learner in learners]


def dataset(spec: RunSpec):
    return dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)


def made(runs: list[RunSpec], initial: list[Params] | None = None, threads: int = THREADS):
    """The group, and the reference's learner of each run, from the same weights."""
    from lnqlib.gpu.training import Group

    initial = initial or [initial_params_of(r) for r in runs]
    both = list(zip(runs, initial, strict=True))
    theta = np.stack([FusedLearner(r, dataset(r), params).theta for r, params in both])
    references = [training.TorchLearner(r, dataset(r), params) for r, params in both]
    return Group(runs, theta, threads=threads), references


def references_advance(references, runs: list[RunSpec], first: int, last: int, rngs) -> list:
    reports = []
    for reference, spec, rng in zip(references, runs, rngs, strict=True):
        size = (last - first, spec.batch_size)
        batches = rng.integers(spec.dataset_size, size=size, dtype=np.int32)
        reports.append(reference.advance(first, batches, np.full(last - first, spec.lr)))
    return reports


def distance(ours: Params, theirs: Params) -> float:
    """The largest difference of a weight, relative to the largest weight."""
    largest = max(np.abs(theirs[name]).max() for name in "WbVc")
    return max(np.abs(ours[name].astype(float) - theirs[name]).max() for name in "WbVc") / largest


def check(runs: list[RunSpec], steps: tuple[int, ...], bounds: tuple[float, ...], **how) -> None:
    """Weights, losses and counts after each of `steps`, against the reference's."""
    group, references = made(runs, **how)
    rngs = [spec.rng("batches") for spec in runs]
    first = 0
    for last, bound in zip(steps, bounds, strict=True):
        ours = group.advance(first, last)
        theirs = references_advance(references, runs, first, last, rngs)
        for i, params in enumerate(weights(group, runs)):
            assert distance(params, references[i].params()) <= bound
            (progress,) = ours[i]
            assert progress.loss_sum == pytest.approx(theirs[i].loss_sum, rel=1e-4)
            assert progress[1:4] == theirs[i][1:4]
        first = last


@on_simulator
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("env", ENVS)
def test_steps_agree_with_torch(env: str, norm: str, optimizer: str) -> None:
    """All six weights' arrays after one and after three steps; a launch continues the last."""
    check(specs(env=env, norm=norm, optimizer=optimizer), (1, 3), (1e-5, 1e-5))


@on_simulator
@pytest.mark.parametrize("norm", NORMS)
def test_networks_without_biases_agree(norm: str) -> None:
    check(specs(1, env="CartPole", norm=norm, bias=False), (1, 3), (1e-5, 1e-5))


CHANGES = (
    {"terminal_mask": False, "env": "CartPole"},
    {"gradient_scale": 2.0},
    {"gamma": 0.5},
    {"data": "rollout"},
    {"width": 16, "batch_size": 8},  # four units and two samples a thread, none left over
    {"width": 3, "batch_size": 2},  # threads without a unit or a sample
)


@on_simulator
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_else_a_run_can_have_agrees(change: dict) -> None:
    check(specs(1, **{"env": "MountainCar", "norm": "layer"} | change), (1, 3), (1e-5, 1e-5))


@on_simulator
@pytest.mark.parametrize("threads", [8, 16])
def test_the_number_of_threads_changes_rounding_alone(threads: int) -> None:
    check(specs(1, env="Pendulum", norm="layer"), (2,), (1e-5,), threads=threads)


@on_simulator
def test_a_hundred_steps_agree() -> None:
    runs = specs(1, env="MountainCar", norm="layer", width=4, batch_size=4)
    check(runs, (100,), (1e-3,))


@on_simulator
def test_clamps_are_counted_and_weights_stay_within_a_million() -> None:
    runs = specs(1, env="MountainCar", bias=False)
    params = initial_params_of(runs[0])
    params["W"] *= 3e6
    check(runs, (1, 5), (1e-5, 1e-4), initial=[params])


@on_simulator
def test_a_nan_is_reported_and_kept() -> None:
    runs = specs(1, env="MountainCar")
    for name in "WV":
        params = initial_params_of(runs[0])
        params[name][:] = np.nan
        group, _ = made(runs, [params])
        ((progress,),) = group.advance(7, 9)
        assert progress.diverged_step == 7 and np.isnan(progress.loss_sum)
        assert np.isnan(weights(group, runs)[0][name]).any()


@on_simulator
def test_layer_norm_is_accurate_where_the_mean_dwarfs_the_spread() -> None:
    runs = specs(1, env="MountainCar", norm="layer", width=16)
    params = initial_params_of(runs[0])
    params["b"] += 1000.0 * params["b"].std()
    group, (reference,) = made(runs, [params])
    reference.q.double()
    reference.data = [a.double() if a.is_floating_point() else a for a in reference.data]
    group.advance(0, 1)
    references_advance([reference], runs, 0, 1, [runs[0].rng("batches")])
    ours = weights(group, runs)[0]
    for name in "WV":
        moved = reference.q.tensors()[name].detach().numpy() - params[name]
        rounding = np.abs(params[name]).max() * 2.0**-23
        np.testing.assert_allclose(ours[name] - params[name], moved, rtol=1e-4, atol=rounding)


def seen(runs: list[RunSpec], params: Params, looks: list[Look] | None = None) -> tuple:
    """What the card measures of networks with these weights, each reference, what was drawn."""
    group, references = made(runs, [params] * len(runs))
    looks = looks or [next(run.looks(spec, dataset(spec))) for spec in runs]
    for stream, look in zip(group.streams, looks, strict=True):
        stream.looks = iter([look])
    return group.look(), references, looks


def wild(spec: RunSpec) -> Params:
    """Weights far enough from the initial ones for actions and active units to vary."""
    rng = np.random.default_rng(3)
    params = initial_params_of(spec)
    for name in "WbVc" if spec.bias else "WV":
        params[name] += rng.normal(0.0, 0.5, params[name].shape).astype(np.float32)
    return params


def check_looks(runs: list[RunSpec], params: Params, looks: list[Look] | None = None) -> None:
    """Interference, injected or not, and returns, against the reference's."""
    ours, references, looks = seen(runs, params, looks)
    for i, (reference, look) in enumerate(zip(references, looks, strict=True)):
        theirs = reference.measure(look.batch, {}, look.seed)
        assert set(ours.interference) == set(theirs)
        for name, value in theirs.items():
            here = ours.interference[name][i]
            assert here == pytest.approx(value, rel=1e-9, abs=1e-13, nan_ok=True), name
        for name, starts in look.starts.items():
            value = reference.greedy_return(starts)
            assert ours.returns[name][i] == pytest.approx(value, rel=1e-9, nan_ok=True)


MEASURED = [*product(("CartPole",), NORMS, (True, False)), *product(ENVS[1:], ("layer",), (True,))]


@on_simulator
@pytest.mark.parametrize(("env", "norm", "bias"), MEASURED)
def test_measurements_agree_with_torch(env: str, norm: str, bias: bool) -> None:
    """Two networks, each with a batch and start states of its own; some transitions terminate."""
    runs = specs(env=env, norm=norm, bias=bias, eval_episodes=2)
    looks = [next(run.looks(spec, dataset(spec))) for spec in runs]
    for look in looks:
        look.batch.terminated[::3] = True
    check_looks(runs, wild(runs[0]), looks)


@on_simulator
@pytest.mark.parametrize("change", [{"width": 3, "batch_size": 40}, {"eval_episodes": 0}], ids=str)
def test_measurements_of_other_sizes_agree(change: dict, monkeypatch) -> None:
    """More samples than threads, a whole number of tiles; no episodes."""
    monkeypatch.setattr("lnqlib.gpu.checkpoints.MEETING", 32)
    runs = specs(1, **{"env": "MountainCar", "eval_episodes": 1} | change)
    check_looks(runs, wild(runs[0]))


@on_simulator
def test_gradients_that_are_zero_are_left_out_as_by_the_reference() -> None:
    runs = specs(1, env="MountainCar", bias=False, gamma=0.5, eval_episodes=1)
    look = next(run.looks(runs[0], dataset(runs[0])))
    look.batch.obs[:4, 0] = np.abs(look.batch.obs[:4, 0])
    params = initial_params_of(runs[0])
    params["W"][:] = [1.0, 0.0]  # active where the position is positive
    check_looks(runs, params, [look])
    params["V"][:] = 0.0
    look.batch.reward[1:3] = 0.0  # TD errors of 0
    look.batch.next_obs[0], look.batch.action[0] = 2 * look.batch.obs[0], 0  # h = 0
    check_looks(runs, params, [look])
    params["W"][:] = 0.0
    check_looks(runs, params)


@on_simulator
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nothing_is_measured_of_a_network_that_is_not_finite() -> None:
    runs = specs(1, env="MountainCar", norm="layer", eval_episodes=1)
    params = initial_params_of(runs[0])
    params["V"][0, 0] = np.inf
    ours, _, _ = seen(runs, params)
    assert np.isnan([*ours.interference.values(), *ours.returns.values()]).all()


@on_simulator
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_no_order_of_threads_or_blocks_changes_anything(norm: str) -> None:
    """Two launches of two steps each, two networks, all that is measured."""
    from races import watched

    runs = specs(env="CartPole", norm=norm, optimizer="Adam", eval_episodes=1)
    group, _ = made(runs)
    with watched() as watch:
        group.look()
        group.advance(0, 2)
        group.advance(2, 4)
    assert watch.by_block and not watch.found


@on_simulator
def test_races_are_found() -> None:
    from races import watched

    @cuda.jit
    def reverse(there, waits, apart):
        t, size = cuda.threadIdx.x, cuda.blockDim.x
        here = cuda.shared.array(4, np.int64)
        start = size * cuda.blockIdx.x if apart else 0
        here[t] = there[start + t]
        if waits:
            cuda.syncthreads()
        there[start + size - 1 - t] = here[size - 1 - t]

    for waits, apart, kinds in (
        (True, True, set()),
        (False, True, {"threads"}),
        (True, False, {"blocks"}),
    ):
        with watched() as watch:
            reverse[2, 4](np.arange(8), waits, apart)
        assert {place.split()[0] for place in watch.found} == kinds


@on_simulator
def test_whole_runs_have_every_column_of_the_reference() -> None:
    from lnqlib.gpu.training import train

    runs = [
        replace(spec, steps=6, checkpoints=3, eval_episodes=1)
        for norm in ("none", "layer")
        for spec in specs(env="MountainCar", norm=norm)
    ]
    results = {r.spec: r for r in train(runs, apart=False)}
    assert set(results) == set(runs)
    for spec in runs:
        ours, theirs = results[spec], training.train(spec)
        for name, value in theirs.row.items():
            if name != "seconds":
                assert ours.row[name] == pytest.approx(value, rel=1e-3, abs=1e-7, nan_ok=True), name


@pytest.mark.skipif(simulated(), reason="is what starts it")
def test_what_needs_the_simulator_passes_there() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-q", "-n", "0", "-k", " or ".join(SIMULATED)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "skipped" not in ended.stdout.splitlines()[-1]


@pytest.mark.skipif(simulated(), reason="the simulator is a card")
def test_without_a_gpu_one_sentence_says_what_is_missing() -> None:
    try:
        card()
    except NoCard as error:
        assert str(error).startswith('backend "gpu" needs ')
        assert "\n" not in str(error)


def python(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True)


def test_nothing_else_imports_it() -> None:
    code = "import sys, lnqlib.sweep, lnqlib.engine, lnqlib.training, lnqlib.__main__; "
    code += "print([m for m in sys.modules if m.startswith(('lnqlib.gpu', 'numba.cuda'))])"
    ended = python("-c", code)
    assert ended.stdout.strip() == "[]", ended.stderr


def test_the_help_does_not_offer_what_was_never_run() -> None:
    from lnqlib.gpu import PROVEN

    assert ("--backend" in python("-m", "lnqlib", "run", "--help").stdout) == PROVEN


BEYOND = (
    {"norm": "batch"},
    {"env": "CartPole-v1"},
    {"target_period": 10},
    {"data": "online"},
    {"arm": "forward"},
    {"lr_control": "own_decay"},
    {"width": 96},  # three units a thread
    {"batch_size": 512},
    {"dataset_size": 100_000},
)


@pytest.mark.parametrize("change", BEYOND, ids=str)
def test_what_it_was_not_written_for_is_refused_by_name(change: dict, tmp_path) -> None:
    spec = RunSpec(**{"env": "CartPole"} | change)
    assert not covers(spec)
    with pytest.raises(SweepError) as caught:
        sweep([spec], store=tmp_path, backend="gpu", progress=False)
    message = str(caught.value)
    assert message.startswith("1 of 1 runs are not supported") and "engine" in message


def test_the_core_study_is_covered() -> None:
    assert not covers(RunSpec("CartPole", norm="my_module:factory"))
    assert all(map(covers, study("core")))


@pytest.mark.skipif(simulated(), reason="the simulator is a card")
def test_the_command_line_says_what_is_missing() -> None:
    if find_spec("numba_cuda"):
        pytest.skip("something else, or nothing, is missing")
    ended = python("-m", "lnqlib", "run", "as_printed", "--env", "Pendulum", "--backend", "gpu")
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert "needs the package numba-cuda" in ended.stderr
