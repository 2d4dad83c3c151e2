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
DATA = ("protocol", "rollout")
LR_CONTROLS = ("none", "project", "own_decay", "paired_decay")
LEARNING_RATES = tuple(10.0 ** (-i / 2) for i in range(2, 11))  # 1e-1, 10^-1.5, ..., 1e-5
CLAMP = 1e6  # App. G: every weight stays within +-1e6
STREAMS = ("data", "init", "batches", "metrics", "evaluation")

# What the paper's studies have, however much more becomes allowed.
PAPER_ENVS = ("CartPole", "Acrobot", "MountainCar", "Pendulum")
PAPER_OPTIMIZERS = ("SGD", "Adam")

ADDED = ("momentum",)
"""Fields added after the first results were shipped. At its default such a field is no part of the
key, and a file without its column is read as that default; so an added default never changes."""

_CHOICES = {
    "env": ENVS,
    "norm": NORMS,
    "optimizer": OPTIMIZERS,
    "data": DATA,
    "lr_control": LR_CONTROLS,
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
      episodes for the others) or "rollout" (random-action episodes everywhere).
    - `dataset_size`: transitions in the offline dataset.
    - `gradient_scale`: 1 trains on half the squared TD error (Eq. 1), 2 on the squared error.
    - `lr_control`: App. D; "project" (LN, weights back to their initial norm after every step),
      "own_decay" (no LN, lr times the ratio of initial to present squared norm), "paired_decay"
      (no LN, that ratio taken from the LN run of the same seed and lr).
    - `checkpoints`: how often metrics and return are measured, evenly spaced from step 0.
    - `eval_episodes`: greedy episodes per checkpoint.
    - `second_order`: also measure the parts of the second-order expansion (slow).
    - `momentum`: weight of a new batch in the running statistics of batch norm and CrossQ.

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
        for name in ("bias", "terminal_mask", "second_order"):
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
        ):
            self._require_number(name, Integral, low, high, "a whole number", example)
        self._require_number("lr", Real, 1e-30, 1e30, "a positive finite number", 1e-3)
        self._require_number("gradient_scale", Real, 1e-6, 1e6, "a positive finite number", 1.0)
        self._require_number("gamma", Real, 0.0, 1.0 - 1e-12, "a number below 1", 0.99)
        self._require_number("momentum", Real, 0.0, 1.0, "a number", default("momentum"))
        self._require_size()
        if self.lr_control == "project" and self.norm != "layer":
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
                f'keep running statistics; leave momentum out or write norm="crossq"'
            )

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
            self._refuse(name, f"{allowed} from {low:g} to {high:g}", example)
        # numpy's numbers become plain ones and -0.0 is 0.0: equal specs have equal keys
        object.__setattr__(self, name, int(value) if kind is Integral else float(value) + 0.0)

    def _require_size(self) -> None:
        if self.dataset_size < self.batch_size:
            raise SpecError(
                f"dataset_size is {self.dataset_size}, smaller than batch_size={self.batch_size}; "
                "metrics need a batch of different transitions; "
                f"write dataset_size={self.batch_size} or more"
            )

    @property
    def key(self) -> str:
        """The content key: 16 hexadecimal digits that depend on every field and nothing else."""
        told = {n: v for n, v in vars(self).items() if n not in ADDED or v != default(n)}
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

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
    known = value in _CHOICES[field] if isinstance(value, str) else True
    return field in _OWN and not known and bool(_OWN[field].fullmatch(value))


def module_in(field: str, value: object) -> str:
    """The module that an env or norm names, as in "my_module:factory"; "" where it names none."""
    module, colon, _ = value.partition(":") if is_own(field, value) else ("", "", "")
    return module if colon else ""


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


STUDIES = {
    "core": _core,
    "as_printed": _as_printed,
    "table1": _table1,
    "lr_decay": _lr_decay,
    "variants": _variants,
    "protocol": _protocol,
    "second_order": _second_order,
    "zero_gradients": _zero_gradients,
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
