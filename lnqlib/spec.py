"""RunSpec: the whole identity of a training run, and the paper's studies as grids of runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import product
from numbers import Integral, Real
from typing import NoReturn

import numpy as np

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

# What the paper's studies have, however much more becomes allowed.
PAPER_ENVS = ("CartPole", "Acrobot", "MountainCar", "Pendulum")
PAPER_OPTIMIZERS = ("SGD", "Adam")

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


_NAME = r"[A-Za-z_]\w*"
_MODULE = rf"{_NAME}(?:\.{_NAME})*"
_OWN = {
    "env": re.compile(rf"(?:{_MODULE}:(?:[\w-]+/)?[\w.-]+|(?:[\w-]+/)?[\w.-]+-v\d+)", re.ASCII),
    "norm": re.compile(rf"{_MODULE}:{_NAME}", re.ASCII),
}
_OWN_SPELLING = {
    "env": "Gymnasium's ids, such as CartPole-v1 or my_module:MyEnv-v0",
    "norm": "a function width -> nn.Module of your own, spelled my_module:factory",
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
        for name in ("bias", "terminal_mask", "second_order", "companions"):
            if not isinstance(getattr(self, name), bool):
                self._refuse(name, "True or False", "True")
        for name, low, high, example in (
            ("seed", 0, 2**32 - 1, 0),
            ("steps", 1, 10**9, 200_000),
            ("width", 2, 4096, 128),
            ("batch_size", 2, 4096, 128),
            ("dataset_size", 2, 10**7, 10_000),
            ("checkpoints", 1, 10_000, 100),
            ("eval_episodes", 0, 10_000, 10),
            ("target_period", 0, 10**9, 1_000),
        ):
            self._require_number(name, Integral, low, high, "a whole number", example)
        self._require_number("lr", Real, 1e-30, 1e30, "a positive finite number", 1e-3)
        self._require_number("gradient_scale", Real, 1e-6, 1e6, "a positive finite number", 1.0)
        self._require_number("gamma", Real, 0.0, 1.0 - 1e-12, "a number below 1", 0.99)
        self._require_number("momentum", Real, 0.0, 1.0, "a number", 0.1)
        self._require_size()
        self._require_arm()
        layer = self.norm == "layer" or self.arm == "forward"
        if self.lr_control == "project" and not layer:
            raise SpecError(
                f'lr_control is "project" with norm={self.norm!r}; projection leaves the network '
                'unchanged only under layer normalization; write norm="layer"'
            )
        if self.lr_control in ("own_decay", "paired_decay") and self.norm != "none":
            raise SpecError(
                f'lr_control is "{self.lr_control}" with norm={self.norm!r}; the decay is added to '
                'networks without normalization; write norm="none"'
            )
        if self.momentum != default("momentum") and self.norm not in ("batch", "crossq"):
            raise SpecError(
                f"momentum is {self.momentum} with norm={self.norm!r}; only batch norm and CrossQ "
                f'keep running statistics; write norm="crossq" or leave momentum out'
            )
        self._require_target()
        if self.data == "online":
            self._require_online()

    def _refuse(self, name: str, allowed: str, example: object) -> NoReturn:
        value = shown(getattr(self, name))
        raise SpecError(f"{name} is {value}; it must be {allowed}; write {name}={example}")

    def _require_number(
        self, name: str, kind: type, low: float, high: float, allowed: str, example: float
    ) -> None:
        value = getattr(self, name)
        value = value.item() if isinstance(value, np.number) else value
        number = isinstance(value, kind) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # a NaN fails here, too
            self._refuse(name, f"{allowed} from {low} to {high}", example)
        # numpy's numbers become plain ones and -0.0 is 0.0: equal specs have equal keys
        object.__setattr__(self, name, int(value) if kind is Integral else float(value) + 0.0)

    def _require_size(self) -> None:
        if self.dataset_size < self.batch_size:
            raise SpecError(
                f"dataset_size is {self.dataset_size}, smaller than batch_size={self.batch_size}; "
                "metrics need a batch of different transitions; "
                f"write dataset_size={self.batch_size} or more"
            )

    def _require_target(self) -> None:
        if self.target_period and self.norm in ("batch", "crossq"):
            raise SpecError(
                f'target_period is {self.target_period} with norm="{self.norm}"; whose statistics '
                "a target network would normalize with is not defined here; write "
                'norm="layer" or leave target_period out'
            )
        if self.target_period and self.lr_control == "paired_decay":
            raise SpecError(
                f'target_period is {self.target_period} with lr_control="paired_decay"; the run '
                "that gives the decay is defined without a target network only; write "
                'lr_control="own_decay" or leave target_period out'
            )

    def _require_online(self) -> None:
        if "env" in self.own:
            raise SpecError(
                f'data is "online" with env={shown(self.env)}; a buffer is filled in the '
                'library\'s own tasks alone; write data="rollout" or env="CartPole"'
            )
        if self.dataset_size < WARM_UP:
            raise SpecError(
                f'dataset_size is {self.dataset_size} with data="online"; the buffer must hold '
                f"the {WARM_UP:,} random steps it begins with; write dataset_size={WARM_UP} or more"
            )
        if self.batch_size > WARM_UP:
            raise SpecError(
                f'batch_size is {self.batch_size} with data="online"; the buffer begins with '
                f"{WARM_UP:,} transitions, and metrics need a batch of different ones; "
                f"write batch_size={WARM_UP} or less"
            )
        if self.lr_control == "paired_decay":
            raise SpecError(
                'lr_control is "paired_decay" with data="online"; there the LN run of the same '
                'seed sees other transitions; write lr_control="own_decay" or data="protocol"'
            )

    def _require_arm(self) -> None:
        if self.arm == "none":
            return
        if "env" in self.own:
            raise SpecError(
                f'arm is "{self.arm}" with env={shown(self.env)}; interventions are defined for '
                'the library\'s own tasks alone; write env="CartPole" or leave arm out'
            )
        if self.norm not in ARMS[self.arm]:
            allowed = " or ".join(f'"{norm}"' for norm in ARMS[self.arm])
            raise SpecError(
                f'arm is "{self.arm}" with norm="{self.norm}"; this intervention is defined for '
                f'norm={allowed} alone; write norm="{ARMS[self.arm][0]}"'
            )
        if self.optimizer != "SGD":
            raise SpecError(
                f'arm is "{self.arm}" with optimizer="{self.optimizer}"; interventions act on the '
                'step of SGD; write optimizer="SGD"'
            )
        if self.target_period or self.data == "online":
            raise SpecError(
                f'arm is "{self.arm}" with target_period={self.target_period}, data="{self.data}"; '
                "interventions are defined offline and without a target network; leave one out"
            )
        if self.lr_control in ("own_decay", "paired_decay"):
            raise SpecError(
                f'arm is "{self.arm}" with lr_control="{self.lr_control}"; these are interventions '
                "of their own; leave one of them out"
            )

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
        return {name: getattr(self, name) for name in _OWN if is_own(name, getattr(self, name))}

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


def is_own(field: str, value: object) -> bool:
    """Whether `value` is spelled as an env or norm that the library does not have itself."""
    if field not in _OWN or not isinstance(value, str) or value in _CHOICES[field]:
        return False
    return _OWN[field].fullmatch(value) is not None


def module_in(field: str, value: object) -> str:
    """The module that an env or norm names, as in "my_module:factory"; "" where it names none."""
    return value.rpartition(":")[0] if isinstance(value, str) and is_own(field, value) else ""


def allowed(field: str) -> tuple[str, ...]:
    """What `RunSpec` takes in a field of choices, in words."""
    own = _OWN_SPELLING.get(field)
    return (*_CHOICES[field], *([own] if own else []))


def in_order(envs: Iterable[str]) -> list[str]:
    """Each of `envs` once: the library's tasks in the book's order, then others as they come."""
    found = dict.fromkeys(envs)
    return [e for e in ENVS if e in found] + [e for e in found if e not in ENVS]


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


def usual_checkpoints(steps: int) -> int:
    """How many checkpoints a chapter gives a run of `steps`: 100, but 10 to 99 below 20,000 steps.

    Measuring at one takes as long as about 200 gradient steps, so that a short run would be little
    else.
    """
    return min(100, max(10, steps // 200))


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
    """The runs of one of the book's `STUDIES`, in a fixed order.

    **Raises** `SpecError` for an unknown name.
    """
    if name not in STUDIES:
        raise SpecError(
            f"study is {shown(name)}; allowed are {', '.join(STUDIES)}; "
            f'write for example study("{_closest(name, tuple(STUDIES))}")'
        )
    return STUDIES[name]()


def _core() -> list[RunSpec]:
    return grid(
        optimizer=PAPER_OPTIMIZERS,
        env=PAPER_ENVS,
        norm=("none", "layer"),
        lr=LEARNING_RATES,
        seed=range(30),
    )


def _as_printed() -> list[RunSpec]:
    return [replace(spec, bias=False) for spec in _core()]


def _both_readings(seeds: range = range(20), **axes: object) -> list[RunSpec]:
    """The paper's tasks and learning rates with SGD, by the defaults and as printed."""
    return grid(bias=(True, False), env=PAPER_ENVS, **axes, lr=LEARNING_RATES, seed=seeds)


def _table1() -> list[RunSpec]:
    return _both_readings(norm=("batch", "weight"))


def _lr_decay() -> list[RunSpec]:
    controls = (("layer", "project"), ("none", "own_decay"), ("none", "paired_decay"))
    return [
        spec for norm, control in controls for spec in _both_readings(norm=norm, lr_control=control)
    ]


def _variants() -> list[RunSpec]:
    norms = ("crossq", "layer_affine", "layer_after_relu", "rms", "center")
    slower = _both_readings(range(10), norm="crossq", momentum=(0.01, 0.001))
    return _both_readings(norm=norms) + [spec for spec in slower if spec.bias]


def _protocol() -> list[RunSpec]:
    base = [s for s in _core() if s.optimizer == "SGD" and s.seed < 10]
    return (
        [replace(s, terminal_mask=False) for s in base if s.env != "Pendulum"]
        + [replace(s, data="rollout") for s in base if s.env in ("MountainCar", "Pendulum")]
        + [replace(s, gradient_scale=2.0) for s in base]
    )


def _second_order() -> list[RunSpec]:
    return [replace(s, checkpoints=20, second_order=True) for s in _core() if s.seed < 5]


def _zero_gradients() -> list[RunSpec]:
    """A part of core once more, for the columns that its rows lack; 25 checkpoints are enough."""
    return [replace(s, checkpoints=25) for s in _core() if s.seed < 10]


def _references() -> list[RunSpec]:
    """Core's best runs once more, with the companions; the first runs are those of whole seeds."""
    return [
        RunSpec(env, norm, optimizer, lr, seed, checkpoints=25, companions=True)
        for seed in range(5)
        for (optimizer, norm), rates in BEST_RATES.items()
        for env, lr in zip(PAPER_ENVS, rates, strict=True)
    ]


def _target() -> list[RunSpec]:
    return _grid_of_both_networks(target_period=(10, 100, 1_000, 10_000))


def _online() -> list[RunSpec]:
    return _grid_of_both_networks(data="online", target_period=(0, 1_000))


def _grid_of_both_networks(**axes: object) -> list[RunSpec]:
    """The paper's tasks and learning rates with SGD, None and LN, the seeds' first ten of core."""
    norms = ("none", "layer")
    return grid(**axes, env=PAPER_ENVS, norm=norms, lr=LEARNING_RATES, seed=range(10))


BEST_RATES = {
    ("SGD", "none"): (10.0**-4, 10.0**-3.5, 10.0**-1.5, 10.0**-3.5),
    ("SGD", "layer"): (10.0**-3.5, 10.0**-3.5, 10.0**-1.5, 10.0**-1.5),
    ("Adam", "none"): (10.0**-1, 10.0**-5, 10.0**-2.5, 10.0**-3.5),
    ("Adam", "layer"): (10.0**-2, 10.0**-3.5, 10.0**-3, 10.0**-2),
}
"""Core's learning rates of the highest mean return over runs without a clamped weight, by task."""


INTERVENTIONS = {
    "none": {"norm": "none"},
    "layer": {"norm": "layer"},
    "rms": {"norm": "rms"},
    "center": {"norm": "center"},
    "forward": {"norm": "none", "arm": "forward"},
    "backward": {"norm": "none", "arm": "backward"},
    "bounded": {"norm": "none", "arm": "bounded"},
    "decay": {"norm": "none", "arm": "decay"},
    "projected": {"norm": "layer", "lr_control": "project"},
    "forward_projected": {"norm": "none", "arm": "forward", "lr_control": "project"},
    "overshoot": {"norm": "none", "arm": "overshoot"},
    "overshoot_layer": {"norm": "layer", "arm": "overshoot"},
    "isometry": {"norm": "none", "arm": "isometry"},
    "isometry_layer": {"norm": "layer", "arm": "isometry"},
    "random_isometry": {"norm": "none", "arm": "random_isometry"},
    "other_decay": {"norm": "none", "arm": "other_decay"},
    "other_decay_layer": {"norm": "layer", "arm": "other_decay"},
}
"""The networks of the study of mechanisms: four anchors, then the arms."""
PRINTED = ("none", "layer", "forward", "forward_projected", "projected", "overshoot")
"""Those of them that are also trained without biases."""
MECHANISM_SEEDS = dict.fromkeys(PAPER_ENVS, tuple(range(100, 120)))
# the first twenty from 100 on whose dataset holds a goal
MECHANISM_SEEDS["Acrobot"] = (
    *(101, 103, 104, 108, 111, 112, 113, 116, 117, 119),
    *(129, 131, 132, 138, 139, 140, 149, 150, 155, 157),
)


def _mechanisms() -> list[RunSpec]:
    return [
        spec
        for bias, names, seeds in ((True, tuple(INTERVENTIONS), 20), (False, PRINTED, 10))
        for env, name in product(PAPER_ENVS, names)
        for spec in grid(
            env=env,
            lr=LEARNING_RATES,
            seed=MECHANISM_SEEDS[env][:seeds],
            bias=bias,
            companions=True,
            **INTERVENTIONS[name],
        )
    ]


STUDIES = {
    "core": _core,
    "as_printed": _as_printed,
    "table1": _table1,
    "lr_decay": _lr_decay,
    "variants": _variants,
    "protocol": _protocol,
    "second_order": _second_order,
    "zero_gradients": _zero_gradients,
    "references": _references,
    "target": _target,
    "online": _online,
    "mechanisms": _mechanisms,
}


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
