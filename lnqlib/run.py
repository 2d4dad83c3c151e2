"""One training run as the protocol describes it, whoever does the learning.

`run` draws the data, the batches and the measurements and keeps the books; a `Learner` holds the
network and takes the gradient steps. There are two: `training.TorchLearner`, the plain reference,
and `fused.FusedLearner`, the fast one. Everything random is drawn here, so both see the same.
`course` is a run without its gradient steps, for whoever takes those of many runs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

from .beyond import replay
from .beyond.replay import Explorer, Moves, Replay
from .data import Transitions, goal_transitions, offline_dataset, sample
from .networks import Params, initial_params
from .results import Result, make_result
from .spec import RunSpec
from .tasks import OUTSIDE, TASKS, isometry_sizes, start_states


class Progress(NamedTuple):
    """What a stretch of gradient steps reports."""

    loss_sum: float  # squared TD error of each step's batch, summed over the stretch
    clamped_steps: int
    first_clamp: int  # -1 if no weight was clamped
    diverged_step: int  # the first step whose loss was not finite, -1 if none
    norms: np.ndarray | None = None  # (steps,) Frobenius norm of (W, b) before each step
    rates: np.ndarray | None = None  # (steps,) rate of (W, b) over lr, where an arm sets it
    fallbacks: int = 0  # see `results.COUNTS`
    bounds: int = 0


class Learner(Protocol):
    """A Q-network in training."""

    def advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None = None
    ) -> Progress:
        """Takes one gradient step for each row of dataset indices in `batches` (steps, B).

        Before each, where there are `moves`, it takes one step of the task into its dataset.
        """

    def params(self) -> Params: ...

    def measure(self, batch: Transitions, ks: dict[str, int], seed: int) -> dict[str, float]:
        """Every metric of `results.INTERFERENCE`, `ISOMETRY` (sizes `ks`) and `INJECTED`.

        Those of `SECOND_ORDER` and `TARGET`, too, where the run's spec says so, and what an arm
        makes of GI2.
        """

    def companions(self, batch: Transitions) -> dict[str, float]:
        """Every metric of `results.COMPANIONS`; churn is that since the last call, 0 at first."""

    def greedy_return(self, starts: np.ndarray) -> float:
        """Mean undiscounted return of greedy episodes from `starts`, as `start_states` draws them.

        NaN where an array of `params()` is not finite: such a network has no best action.
        """


MakeLearner = Callable[[RunSpec, Transitions | Replay, Params], Learner]
STRETCH = 2_000  # steps whose batch indices are drawn at once, so memory does not grow with steps


def dataset_of(env: str, seed: int, data: str, size: int) -> Transitions:
    """`offline_dataset`, remembered: runs that share a seed follow one another in a sweep."""
    return _dataset_of(env, seed, data, size, TASKS[env].source)


@lru_cache(maxsize=8)
def _dataset_of(env: str, seed: int, data: str, size: int, source: str) -> Transitions:
    return offline_dataset(env, seed, data=data, size=size)


def run(spec: RunSpec, make_learner: MakeLearner) -> Result:
    """Trains and measures one run.

    **Arguments**: `spec`, the run; `make_learner(spec, dataset, initial)`, the learner to use.

    **Returns** the run's `Result`.
    """
    started = perf_counter()
    dataset: Transitions | Replay
    explorer: Explorer | None = None
    if spec.data == "online":
        dataset, explorer = replay.begin(spec)
    else:
        dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    learner = make_learner(spec, dataset, initial_params_of(spec))
    ratios = _paired_ratios(spec, make_learner) if spec.lr_control == "paired_decay" else None
    batch_rng = spec.rng("batches")
    running = course(spec, dataset, learner, started, ratios)
    first, last = next(running)
    while True:
        stretch = _advance(spec, learner, first, last, batch_rng, ratios, explorer)
        try:
            first, last = running.send(stretch)
        except StopIteration as end:
            return end.value


def course(
    spec: RunSpec,
    dataset: Transitions | Replay,
    learner: Learner,
    started: float,
    ratios: np.ndarray | None = None,
) -> Generator[tuple[int, int], list[Progress], Result]:
    """Everything of a run but its gradient steps.

    **Arguments** `started`: when, by `perf_counter`; `ratios`: of `paired_decay`, the learning rate
    of every step over `lr`.

    **Yields** a first and a last step; the caller lets `learner` take the steps from `first` up to
    `last` and sends what those stretches of steps report.

    **Returns** the run's `Result`.
    """
    ks = isometry_sizes(spec.env)
    initial_norm = weight_norm(learner.params())
    curves: dict[str, list[float]] = {}
    parts: list[Progress] = []

    checkpoints = [*spec.checkpoint_steps.tolist(), spec.steps]
    for (first, last), look in zip(pairwise(checkpoints), looks(spec, dataset), strict=False):
        measured = learner.measure(look.batch, ks, look.seed)
        for name, starts in look.starts.items():
            measured[name] = learner.greedy_return(starts)
        if look.starts:  # a task whose reset is the protocol's
            measured.setdefault("return_default_start", measured["return"])
        if spec.companions:
            measured |= learner.companions(look.batch)
        norm = weight_norm(learner.params())
        stretch = yield first, last
        parts += stretch
        lr = _lr_in_use(spec, first, norm, initial_norm, ratios)
        if spec.arm != "none":
            setting = float(np.mean(np.concatenate([part.rates for part in stretch])))
            lr *= setting
            measured.setdefault("arm_setting", setting)
        measured["weight_norm"] = norm
        # of the direction W/|W|, LN's learning rate is lr / |W|^2 (Lemma 5)
        layer = spec.norm == "layer" or spec.arm == "forward"
        measured["effective_lr"] = lr / norm**2 if layer else lr
        for name in ("gi2", "gi2_minibatch"):
            if f"{name}_used" not in measured:  # an arm that changes more than the rate says itself
                used = gi2_at(lr * spec.gradient_scale, spec.lr, measured, name)
                measured[f"{name}_used"] = used
        measured.setdefault("iso_p_used", measured["iso_p"])
        measured["loss"] = sum(part.loss_sum for part in stretch) / (last - first)
        for name, value in measured.items():
            curves.setdefault(name, []).append(value)

    counts = {
        "clamped_steps": sum(part.clamped_steps for part in parts),
        "first_clamp": next((p.first_clamp for p in parts if p.first_clamp >= 0), -1),
        "diverged_step": next((p.diverged_step for p in parts if p.diverged_step >= 0), -1),
        "zero_gradients": float(np.mean(curves.pop("zero_gradients"))),
        "goal_transitions": (
            int(dataset.counts[2]) if isinstance(dataset, Replay) else goal_transitions(dataset)
        ),
        "arm_fallbacks": sum(part.fallbacks for part in parts),
        "arm_bounds": sum(part.bounds for part in parts),
        "seconds": perf_counter() - started,
    }
    mean_loss = sum(part.loss_sum for part in parts) / spec.steps
    return make_result(spec, {k: np.array(v) for k, v in curves.items()}, mean_loss, counts)


class Look(NamedTuple):
    """What is drawn for one checkpoint."""

    batch: Transitions  # that the metrics are measured on
    seed: int  # of isometry's subsets
    starts: dict[str, np.ndarray]  # start states of each return's episodes


def looks(spec: RunSpec, dataset: Transitions | Replay) -> Iterator[Look]:
    """What a run draws, checkpoint after checkpoint; it depends on env and seed alone."""
    task = TASKS[spec.env]
    metrics_rng, start_rng = map(spec.rng, ("metrics", "evaluation"))
    widened = {"return": True, "return_default_start": False}
    if task.index == OUTSIDE:  # its reset is the default one
        del widened["return_default_start"]
    while True:
        held = dataset.filled if isinstance(dataset, Replay) else dataset
        batch = sample(held, metrics_rng, spec.batch_size)
        seed = int(metrics_rng.integers(2**62))
        starts = {
            name: start_states(task, spec.eval_episodes, start_rng, wide)
            for name, wide in widened.items()
            if spec.eval_episodes
        }
        yield Look(batch, seed, starts)


def initial_params_of(spec: RunSpec) -> Params:
    """The run's initial weights; they depend on env, seed, width and bias alone."""
    task = TASKS[spec.env]
    return initial_params(spec.rng("init"), task.obs_dim, task.num_actions, spec.width, spec.bias)


def weight_norm(params: Params) -> float:
    """Frobenius norm of the hidden layer's (W, b), in float64."""
    return float(np.sqrt(sum(np.sum(params[name].astype(np.float64) ** 2) for name in "Wb")))


def _advance(
    spec: RunSpec,
    learner: Learner,
    first: int,
    last: int,
    rng: np.random.Generator,
    ratios: np.ndarray | None,
    explorer: Explorer | None = None,
) -> list[Progress]:
    """Steps `first` to `last`, in stretches that end at multiples of `STRETCH`."""
    parts = []
    for start, stop in stretches(first, last):
        lrs = np.full(stop - start, spec.lr)
        if ratios is not None:
            lrs *= ratios[start:stop]
        if explorer:
            batches = replay.rows(spec, rng, start, stop)
            parts.append(learner.advance(start, batches, lrs, explorer.moves(start, stop)))
        else:
            size = (stop - start, spec.batch_size)
            batches = rng.integers(spec.dataset_size, size=size, dtype=np.int32)
            parts.append(learner.advance(start, batches, lrs))
    return parts


def stretches(first: int, last: int) -> Iterable[tuple[int, int]]:
    """Where the steps from `first` to `last` are cut, so that batches are always drawn alike."""
    ends = range(first - first % STRETCH + STRETCH, last, STRETCH)
    return pairwise([first, *ends, last])


def _paired_ratios(spec: RunSpec, make_learner: MakeLearner) -> np.ndarray:
    """App. D: |W_0|^2 / |W_t|^2 before each step t of the LN run of the same seed and lr."""
    fields = {"norm": "layer", "lr_control": "none"}
    paired = RunSpec(**(vars(spec) | fields))
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    learner = make_learner(paired, dataset, initial_params_of(paired))
    parts = _advance(paired, learner, 0, spec.steps, spec.rng("batches"), None)
    norms = np.concatenate([part.norms for part in parts])
    return norms[0] ** 2 / norms**2


def gi2_at(lr: float, measured_lr: float, measured: dict[str, float], name: str = "gi2") -> float:
    """Eq. (11), GI2 = 2 lr DGI - lr^2 mean u_ij^2, at another `lr` than it was measured with.

    **Arguments** `measured`: `dgi`, and at `measured_lr` the GI2 called `name`; "gi2_minibatch"
    has the same first-order term.
    """
    dgi, gi2 = measured["dgi"], measured[name]
    if lr == measured_lr:
        return gi2
    return 2 * lr * dgi - (lr / measured_lr) ** 2 * (2 * measured_lr * dgi - gi2)


def _lr_in_use(
    spec: RunSpec, step: int, norm: float, initial_norm: float, ratios: np.ndarray | None
) -> float:
    """The learning rate that the next step is taken with."""
    if spec.lr_control == "own_decay":
        return spec.lr * initial_norm**2 / norm**2
    return spec.lr if ratios is None else spec.lr * float(ratios[step])
