"""RunSpec: the whole identity of a training run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from numbers import Integral, Real
from typing import NoReturn

import numpy as np

from .own.names import SPELLING, is_own, module_in

# What a run may have. `ENVS` and `STREAMS` grow only at their end: positions seed generators.
ENVS = ("CartPole", "Acrobot", "MountainCar", "Pendulum")
OPTIMIZERS = ("SGD", "Adam")
NORMS = (
    "none",
    "layer",
    "batch",
    "weight",
    "crossq",
    "rms",  # LN without centring
    "center",  # LN's centring alone
    "layer_affine",  # LN with a trained gain and shift
    "layer_after_relu",  # LN after the ReLU instead of before
)
DATA = ("protocol", "rollout", "online")
LR_CONTROLS = ("none", "project", "own_decay", "paired_decay")
LEARNING_RATES = tuple(10.0 ** (-i / 2) for i in range(2, 11))  # 1e-1, 10^-1.5, ..., 1e-5
ARMS = {
    "none": (),
    "forward": ("none",),
    "backward": ("none",),
    "bounded": ("none",),
    "decay": ("none",),
    "overshoot": ("none", "layer"),
    "isometry": ("none", "layer"),
    "random_isometry": ("none",),
    "other_decay": ("none", "layer"),
}
"""Interventions, `arms` says what each does, with the norms that each is defined for; "none" is no
intervention, for any norm."""
OTHER_TASK = {"CartPole": "MountainCar", "Acrobot": "Pendulum"}
OTHER_TASK |= {other: task for task, other in OTHER_TASK.items()}
CLAMP = 1e6  # App. G: every weight stays within +-1e6
WARM_UP = 1_000  # random steps before the first gradient step of online replay
STREAMS = ("data", "init", "batches", "metrics", "evaluation", "arms")

ADDED = ("momentum", "target_period", "arm", "companions")
"""Fields added after the first results were shipped. At its default such a field is no part of the
key, and a file without its column is read as that default; so an added default never changes."""

_CHOICES = {
    "env": ENVS,
    "norm": NORMS,
    "optimizer": OPTIMIZERS,
    "data": DATA,
    "lr_control": LR_CONTROLS,
    "arm": tuple(ARMS),
}
_FLAGS = ("bias", "terminal_mask", "second_order", "companions")
_POSITIVE = "a positive finite number"
_NUMBERS = {  # kind, from, to, in words, an example
    "seed": (Integral, 0, 2**32 - 1, "a whole number", 0),
    "steps": (Integral, 1, 10**9, "a whole number", 200_000),
    "width": (Integral, 2, 4096, "a whole number", 128),
    "batch_size": (Integral, 2, 4096, "a whole number", 128),
    "dataset_size": (Integral, 2, 10**7, "a whole number", 10_000),
    "checkpoints": (Integral, 1, 10_000, "a whole number", 100),
    "eval_episodes": (Integral, 0, 10_000, "a whole number", 10),
    "target_period": (Integral, 0, 10**9, "a whole number", 1_000),
    "lr": (Real, 1e-30, 1e30, _POSITIVE, 1e-3),
    "gradient_scale": (Real, 1e-6, 1e6, _POSITIVE, 1.0),
    "gamma": (Real, 0.0, 1.0 - 1e-12, "a number below 1", 0.99),
    "momentum": (Real, 0.0, 1.0, "a number", 0.1),
}


class SpecError(ValueError):
    """A setting that no run can have; the message names it, what is allowed and what to write."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines one training run; two equal specs give the same bits.

    **Arguments** (defaults: the protocol of the paper's App. G as the book reads it)

    - `env`: CartPole, Acrobot, MountainCar or Pendulum; or any Gymnasium id, such as "CartPole-v1"
      or "my_module:MyEnv-v0", whose observations are a flat Box and whose actions are Discrete.
    - `norm`: what stands between the hidden layer and the ReLU, one of `NORMS`; or one of your own,
      "my_module:factory", a function width -> nn.Module. Nothing is imported before it is trained.
    - `optimizer`: SGD (no momentum) or Adam (torch defaults).
    - `lr`: the learning rate, the paper's eta.
    - `seed`: fixes dataset, initial weights, batches and evaluation starts.
      Runs that share it are paired: they differ only in the fields that differ.
    - `steps`: gradient steps.
    - `width`: hidden units, the paper's d.
    - `batch_size`: transitions per gradient step, drawn with replacement.
    - `gamma`: discount factor.
    - `bias`: biases in both layers; False is the network as printed in Eqs. (1)-(3).
    - `terminal_mask`: no bootstrap through terminated transitions.
    - `data`: "protocol" (uniform state-actions for MountainCar and Pendulum, random-action
      episodes for the others), "rollout" (random-action episodes everywhere) or "online" (an
      experience buffer that epsilon-greedy episodes fill during training, see `replay`).
    - `dataset_size`: transitions in the offline dataset; those that the online buffer holds.
    - `gradient_scale`: 1 trains on half the squared TD error (Eq. 1), 2 on the squared error.
    - `lr_control`: App. D; "project" (LN, weights back to their initial norm after every step; also
      with the arm "forward", whose function is LN's),
      "own_decay" (no LN, lr times the ratio of initial to present squared norm), "paired_decay"
      (no LN, that ratio taken from the LN run of the same seed and lr).
    - `checkpoints`: how often metrics and return are measured, evenly spaced from step 0.
    - `eval_episodes`: greedy episodes per checkpoint.
    - `second_order`: also measure the parts of the second-order expansion (slow).
    - `momentum`: weight of a new batch in the running statistics of batch norm and CrossQ.
    - `target_period`: 0, or how often, in steps, a copy of the weights is taken whose Q(s', .) the
      target reads until the next: before step t where t is a multiple of it, t = 0 included.
    - `arm`: an intervention that adds to a network without LN one thing that LN does, or takes it
      from a network with LN, one of `ARMS`.
    - `companions`: also measure `results.COMPANIONS` (as long again as the other metrics).

    **Raises** `SpecError` where a field has a value that no run can have.
    """

    env: str
    norm: str = "none"
    optimizer: str = "SGD"
    lr: float = 1e-3
    seed: int = 0
    steps: int = 200_000
    width: int = 128
    batch_size: int = 128
    gamma: float = 0.99
    bias: bool = True
    terminal_mask: bool = True
    data: str = "protocol"
    dataset_size: int = 10_000
    gradient_scale: float = 1.0
    lr_control: str = "none"
    checkpoints: int = 100
    eval_episodes: int = 10
    second_order: bool = False
    momentum: float = 0.1
    target_period: int = 0
    arm: str = "none"
    companions: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if is_own(name, value):
                object.__setattr__(self, name, str(value))
            elif isinstance(value, str) and value in choices:
                object.__setattr__(self, name, choices[choices.index(value)])  # a plain str
            else:
                raise SpecError(
                    f"{name} is {shown(value)}; allowed are {', '.join(allowed(name))}; "
                    f'write for example {name}="{_closest(value, choices)}"'
                )
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                self._refuse(name, "True or False", "True")
        for name in _NUMBERS:
            object.__setattr__(self, name, self._number(name))
        for name, other, why, instead in self._conflicts():
            value, with_ = (
                f'"{cut(v)}"' if isinstance(v, str) else shown(v)
                for v in (getattr(self, name), getattr(self, other))
            )
            raise SpecError(f"{name} is {value} with {other}={with_}; {why}; write {instead}")

    def _refuse(self, name: str, allowed: str, example: object) -> NoReturn:
        value = shown(getattr(self, name))
        raise SpecError(f"{name} is {value}; it must be {allowed}; write {name}={example}")

    def _number(self, name: str) -> float:
        """A field's number as a plain one, 0.0 for -0.0: equal specs have equal keys."""
        kind, low, high, words, example = _NUMBERS[name]
        value = getattr(self, name)
        value = value.item() if isinstance(value, np.number) else value
        number = isinstance(value, kind) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # a NaN fails here, too
            self._refuse(name, f"{words} from {low} to {high}", example)
        return int(value) if kind is Integral else float(value) + 0.0

    def _conflicts(self) -> Iterator[tuple[str, str, str, str]]:
        """Pairs of fields that do not go together: both names, why, and what to write instead."""
        if self.dataset_size < self.batch_size:
            why = "metrics need a batch of different transitions"
            yield "dataset_size", "batch_size", why, f"dataset_size={self.batch_size} or more"
        if self.arm != "none":
            yield from self._conflicts_of_arm()
        if self.lr_control == "project" and self.norm != "layer" and self.arm != "forward":
            why = "projection leaves the network unchanged only under layer normalization"
            yield "lr_control", "norm", why, 'norm="layer"'
        if self.lr_control in ("own_decay", "paired_decay") and self.norm != "none":
            why = "the decay is added to networks without normalization"
            yield "lr_control", "norm", why, 'norm="none"'
        running = self.norm in ("batch", "crossq")
        if self.momentum != default("momentum") and not running:
            why = "only batch norm and CrossQ keep running statistics"
            yield "momentum", "norm", why, 'norm="crossq" or leave momentum out'
        if self.target_period and running:
            why = "whose statistics a target network would normalize with is not defined here"
            yield "target_period", "norm", why, 'norm="layer" or leave target_period out'
        if self.lr_control == "paired_decay":
            why = "the run that gives the decay is defined without a target network only"
            instead = 'lr_control="own_decay"'
            if self.target_period:
                yield "target_period", "lr_control", why, f"{instead} or leave target_period out"
            if self.data == "online":
                why = "there the LN run of the same seed sees other transitions"
                yield "lr_control", "data", why, f'{instead} or data="protocol"'
        if self.data == "online":
            if "env" in self.own:
                why = "a buffer is filled in the library's own tasks alone"
                yield "data", "env", why, 'data="rollout" or env="CartPole"'
            if self.dataset_size < WARM_UP:
                why = f"the buffer must hold the {WARM_UP:,} random steps that it begins with"
                yield "dataset_size", "data", why, f"dataset_size={WARM_UP} or more"
            if self.batch_size > WARM_UP:
                why = f"the buffer begins with {WARM_UP:,} transitions, and a batch has each once"
                yield "batch_size", "data", why, f"batch_size={WARM_UP} or less"

    def _conflicts_of_arm(self) -> Iterator[tuple[str, str, str, str]]:
        if "env" in self.own:
            why = "interventions are defined for the library's own tasks alone"
            yield "arm", "env", why, 'env="CartPole" or leave arm out'
        if self.norm not in (norms := ARMS[self.arm]):
            why = f"this intervention is defined for {' and '.join(norms)} alone"
            yield "arm", "norm", why, f'norm="{norms[0]}"'
        if self.optimizer != "SGD":
            yield "arm", "optimizer", "interventions act on the step of SGD", 'optimizer="SGD"'
        why = "interventions are defined offline and without a target network"
        if self.target_period:
            yield "arm", "target_period", why, "target_period=0 or leave arm out"
        if self.data == "online":
            yield "arm", "data", why, 'data="protocol" or leave arm out'
        if self.lr_control in ("own_decay", "paired_decay"):
            why = "these are interventions of their own"
            yield "arm", "lr_control", why, 'lr_control="none" or leave arm out'

    @property
    def key(self) -> str:
        """The content key: 16 hexadecimal digits that depend on every field and nothing else."""
        told = {n: v for n, v in vars(self).items() if n not in ADDED or v != default(n)}
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def twin(self) -> RunSpec | None:
        """The run whose record the arm follows; None where it follows none.

        It has the other norm of None and LN, and every other field in common; `other_decay` follows
        the LN run of another task.
        """
        env, norm = self.env, "none" if self.norm == "layer" else "layer"
        match self.arm:
            case "none" | "forward" | "backward" | "bounded":
                return None
            case "other_decay":
                env, norm = OTHER_TASK[env], "layer"
        return replace(self, arm="none", lr_control="none", env=env, norm=norm)

    @property
    def own(self) -> dict[str, str]:
        """Those of env and norm that are none of the library's: {} for most runs."""
        return {name: getattr(self, name) for name in SPELLING if is_own(name, getattr(self, name))}

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that env and norm name, and that training the run imports."""
        named = (module_in(name, value) for name, value in self.own.items())
        return tuple(dict.fromkeys(filter(None, named)))

    @property
    def checkpoint_steps(self) -> np.ndarray:
        """The steps before whose update metrics and return are measured; step 0 is the first."""
        count = min(self.checkpoints, self.steps)
        return np.arange(count, dtype=np.int64) * self.steps // count

    def rng(self, stream: str) -> np.random.Generator:
        """The generator of one of the run's random `STREAMS`."""
        return generator(self.env, self.seed, stream)


FIELDS = tuple(field.name for field in fields(RunSpec))


def allowed(field: str) -> tuple[str, ...]:
    """What `RunSpec` takes in a field of choices, in words."""
    own = SPELLING.get(field)
    return (*_CHOICES[field], *([own] if own else []))


def default(field: str) -> object:
    """What a `RunSpec` has in a field that it was not given."""
    return getattr(RunSpec, field)


def generator(env: str, seed: int, stream: str) -> np.random.Generator:
    """A generator that depends on (env, seed, stream) alone.

    It depends on neither norm nor learning rate, so runs of one seed share dataset, initial
    weights and batches: their differences are paired.
    """
    digest = hashlib.sha256(env.encode()).digest()  # not hash(): that differs between processes
    place = ENVS.index(env) if env in ENVS else int.from_bytes(digest[:8])
    spawn_key = (place, STREAMS.index(stream))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=spawn_key)))


def grid(**axes: object) -> list[RunSpec]:
    """One `RunSpec` for each combination; a list or tuple is an axis, anything else is fixed.

    ```python
    len(grid(env="Pendulum", norm=("none", "layer"), seed=range(3)))  # 6
    ```
    """
    names = list(axes)
    values = [v if isinstance(v, list | tuple | range) else (v,) for v in axes.values()]
    return [RunSpec(**dict(zip(names, point, strict=True))) for point in product(*values)]


def study(name: str) -> list[RunSpec]:
    """The runs of one of the book's `studies.STUDIES`, in a fixed order.

    **Raises** `SpecError` for an unknown name.
    """
    from .studies import STUDIES  # here, for its grids are made of what stands above

    if name not in STUDIES:
        raise SpecError(
            f"study is {shown(name)}; allowed are {', '.join(STUDIES)}; "
            f'write for example study("{_closest(name, tuple(STUDIES))}")'
        )
    return [run for axes in STUDIES[name] for run in grid(**axes)]


def shown(value: object) -> str:
    """`value` as an error's sentence shows it: its repr on one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of more digits than Python prints
        text = f"a {type(value).__name__}"
    return cut(text)


def cut(text: str) -> str:
    """`text` in at most 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _closest(value: object, choices: tuple[str, ...]) -> str:
    """The choice that `value` differs from in case alone, else the first."""
    lower = value.lower() if isinstance(value, str) else ""
    return next((c for c in choices if c.lower() == lower), choices[0])
