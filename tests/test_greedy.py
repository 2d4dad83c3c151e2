"""Greedy evaluation of networks at the edge: what is not finite has no best action."""

import math

import numpy as np
import pytest

from lnqlib import training
from lnqlib.engine import fused
from lnqlib.networks import Params, initial_params
from lnqlib.run import Learner, MakeLearner, dataset_of
from lnqlib.spec import CLAMP, RunSpec
from lnqlib.tasks import TASKS, start_states

ARRAYS = [("none", name) for name in ("W", "b", "V", "c")] + [("weight", "g")]
ARRAYS += [("layer_affine", "gain"), ("layer_affine", "shift"), ("batch", "mean"), ("batch", "var")]
TASK = TASKS["MountainCar"]
STARTS = start_states(TASK, 3, np.random.default_rng(0))
each_learner = pytest.mark.parametrize("make", [fused.FusedLearner, training.TorchLearner])


def params() -> Params:
    return initial_params(np.random.default_rng(1), TASK.obs_dim, TASK.num_actions, 8, True)


def learner(make: MakeLearner, norm: str, initial: Params) -> Learner:
    spec = RunSpec(TASK.name, norm=norm, width=8)
    return make(spec, dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size), initial)


@each_learner
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("norm", "name"), ARRAYS)
def test_one_number_that_is_not_finite_makes_the_return_nan(make, norm, name, value):
    poisoned = params()
    poisoned[name].ravel()[-1] = value
    assert math.isnan(learner(make, norm, poisoned).greedy_return(STARTS))


@each_learner
@pytest.mark.parametrize("norm", ["none", "layer", "weight", "layer_affine", "batch"])
def test_clamped_weights_play_on(make, norm):
    clamped = params()
    for name in ("W", "b", "V", "c"):
        clamped[name][:] = np.where(clamped[name] > 0, CLAMP, -CLAMP)
    assert -200.0 <= learner(make, norm, clamped).greedy_return(STARTS) < 0.0
