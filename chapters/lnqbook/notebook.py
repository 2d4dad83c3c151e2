"""A chapter's checked parameters."""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pandas as pd
from IPython import get_ipython
from threadpoolctl import threadpool_limits

from lnqlib.own.names import is_own
from lnqlib.spec import (
    ENVS,
    LEARNING_RATES,
    OPTIMIZERS,
    RunSpec,
    SpecError,
    cut,
    grid,
    shown,
)
from lnqlib.store.cluster import EXAMPLE, SchedulerError, connected, is_address

from .stats import in_order

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

SPELLING = {
    "env": "-p env Pendulum",
    "optimizer": "-p optimizer Adam",
    "seeds": "-p seeds 3",
    "steps": "-p steps 20000",
    "learning_rates": "-y '{learning_rates: [1.0e-4, 1.0e-3]}'",
    "workers": "-p workers 2",
    "refresh": "-p refresh True",
    "scheduler": f"-p scheduler {EXAMPLE}",
}
"""The parameters of a chapter that sweeps, each with an example for papermill."""
OTHER = "a Gymnasium id such as CartPole-v1 or my_module:MyEnv-v0"
PATHS = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")  # of papermill --inject-paths
SHARED = ("env", "optimizer", "seeds", "steps")  # the parameters of every chapter
_USUAL = {"lr": "learning_rates", "lrs": "learning_rates", "cluster": "scheduler"}


def usual_checkpoints(steps: int) -> int:
    """How many checkpoints a chapter gives a run of `steps`: 100, but 10 to 99 below 20,000 steps.

    Measuring at one takes as long as about 200 gradient steps, so that a short run would be little
    else.
    """
    return min(100, max(10, steps // 200))


class ParameterError(ValueError):
    """A parameter that a chapter cannot use; the message names it, what is allowed, what to write.

    IPython, and so papermill, shows only the message, as the last line of the output.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen=True)
class Parameters:
    """A chapter's parameters after `parameters` has checked them."""

    envs: tuple[str, ...]
    optimizer: str
    seeds: int
    steps: int
    learning_rates: tuple[float, ...]
    workers: int
    refresh: bool
    scheduler: str

    def specs(self, norms: tuple[str, ...] = ("none", "layer"), **fields: object) -> list[RunSpec]:
        """The runs of these parameters, one for each env, norm, learning rate and seed.

        They have the `usual_checkpoints` of their steps. `fields` sets further fields of
        `RunSpec`; a list or tuple is one more axis.
        """
        axes = {
            "env": self.envs,
            "norm": norms,
            "optimizer": self.optimizer,
            "lr": self.learning_rates,
            "seed": range(self.seeds),
            "steps": self.steps,
            "checkpoints": usual_checkpoints(self.steps),
        }
        return grid(**axes | fields)

    def sweep(self, specs: list[RunSpec]) -> pd.DataFrame:
        """`lnqlib.sweep.sweep` of `specs` with these parameters' workers, refresh and scheduler.

        **Raises** `ParameterError` where the scheduler cannot be used.
        """
        from lnqlib.sweep import sweep  # late: checking parameters need not wait for torch

        try:
            with connected(self.scheduler) as executor:
                return sweep(specs, executor, workers=self.workers or None, refresh=self.refresh)
        except SchedulerError as error:
            raise ParameterError(str(error)) from None

    def curves(self, specs: list[RunSpec]) -> pd.DataFrame:
        """`lnqlib.sweep.curves` of `specs`, from the same runs as the rows of `sweep`."""
        from lnqlib.sweep import curves

        return curves(specs, local_first=self.refresh)

    @property
    def other(self) -> str:
        """The optimizer that was not asked for."""
        return next(name for name in OPTIMIZERS if name != self.optimizer)

    def finished(self, specs: list[RunSpec]) -> pd.DataFrame:
        """The rows of those of `specs` that are finished; trains none.

        As many seeds count as all have finished.
        """
        from lnqlib.store import Store
        from lnqlib.store.shipped import Shipped
        from lnqlib.sweep import lookup

        runs = lookup(specs, Store(), Shipped())
        asked = Counter(spec.seed for spec in specs)
        done = runs.groupby("seed")["key"].transform("size")
        return runs[done == runs["seed"].map(asked)].reset_index(drop=True)


def parameters(
    env: object,
    optimizer: object,
    seeds: object,
    steps: object,
    learning_rates: object = LEARNING_RATES,
    workers: object = 0,
    refresh: object = False,
    scheduler: object = "",
    own: Mapping[str, str] | None = None,
) -> Parameters:
    """Checks a chapter's parameters; call it in the cell that follows the `parameters` cell.

    Papermill is lenient: an unknown name only causes a warning, and a list or `false` given with
    `-p` arrives as a string. Here each of them stops the chapter before anything is trained.

    **Arguments**

    - `env`: one of `ENVS`, or "all"; or a Gymnasium id, such as "my_module:MyEnv-v0"; or several of
      them in one string, with commas between.
    - `optimizer`: one of `OPTIMIZERS`.
    - `seeds`: how many seeds, counted from 0.
    - `steps`: gradient steps a run; below 20,000 it has fewer than 100 checkpoints.
    - `learning_rates`: a list of positive numbers.
    - `workers`: how many threads train; 0 is one for each core. On a cluster, how many workers.
    - `refresh`: train again even if the results hold the runs.
    - `scheduler`: the address of a dask scheduler with workers that train, as in
      tcp://localhost:8786; "" is this machine.
    - `own`: the parameters besides `SHARED` of a chapter that does not sweep, each with an example
      for papermill; the chapter checks their values.

    **Raises** `ParameterError`.
    """
    shared = {name: SPELLING[name] for name in SHARED}
    _check_names(SPELLING if own is None else shared | own)
    checked = Parameters(
        envs=_envs("env", env),
        optimizer=choice("optimizer", optimizer, OPTIMIZERS),
        seeds=whole_number("seeds", seeds, 1, 10_000),
        steps=whole_number("steps", steps, 1, 10**9),
        learning_rates=_learning_rates(learning_rates),
        workers=whole_number("workers", workers, 0, 1024),
        refresh=_boolean("refresh", refresh),
        scheduler=_address("scheduler", scheduler),
    )
    if shell := get_ipython():
        from .display import prepare  # here, for wrong input need not wait for matplotlib

        prepare(shell)
        threadpool_limits(1, "blas")  # a page's matrices are small: more threads wait in spinning
    return checked


def whole_number(name: str, value: object, low: int, high: int, example: str = "") -> int:
    """`value` as an int from `low` to `high`; 2e4 on the command line arrives as 20000.0.

    **Arguments**: `example`, for papermill; needed for names not in `SPELLING`.

    **Raises** `ParameterError`.
    """
    value = value.item() if isinstance(value, np.number) else value
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not low <= value <= high or value != int(value):
        _fail(name, value, f"a whole number from {low:,} to {high:,}", example)
    return int(value)


def choice(name: str, value: object, choices: tuple[str, ...], other: str = "") -> str:
    """`value`, exactly one of `choices`; the error names the closest one.

    **Arguments** `other`: what else is allowed, in words; the caller has looked for it.

    **Raises** `ParameterError`.
    """
    if not isinstance(value, str) or value not in choices:
        lower = {choice.lower(): choice for choice in choices}
        closest = difflib.get_close_matches(_text(value).lower(), lower, n=1, cutoff=0.5)
        example = f"-p {name} {lower[closest[0]]}" if closest else ""
        allowed = f"one of {', '.join(choices)}" + (f", or {other}" if other else "")
        _fail(name, value, allowed, example)
    return value


def _envs(name: str, value: object) -> tuple[str, ...]:
    """The tasks that `value` stands for; one by Gymnasium id is made, to see that it can be."""
    if isinstance(value, str) and (parts := value.split(","))[1:] and all(map(str.strip, parts)):
        return tuple(in_order(env for part in parts for env in _envs(name, part.strip())))
    if is_own("env", value):
        from lnqlib.tasks import TASKS  # here, for no other check need wait for it

        try:
            return (TASKS[value].name,)
        except SpecError as error:
            raise ParameterError(f"{error}; spelled for example {SPELLING[name]}") from error
    return ENVS if choice(name, value, (*ENVS, "all"), OTHER) == "all" else (value,)


def _check_names(spelling: Mapping[str, str]) -> None:
    """Stops the chapter if papermill was given a name that is not in `spelling`.

    Papermill adds a cell of plain assignments under the comment "# Parameters"; the kernel's
    history has that cell with the names. JupyterLab and the book have none, and nothing to check.
    """
    for name, value in _injected(get_ipython()).items():
        if name not in spelling and name not in PATHS:
            meant = _USUAL.get(name, name)
            closest = difflib.get_close_matches(meant, spelling, n=1, cutoff=0.25)
            example = spelling[closest[0]] if closest else list(spelling.values())[-1]
            raise ParameterError(
                f"{name} is {cut(value)}, but no parameter is called {name}; "
                f"allowed are {', '.join(spelling)}; write for example {example}"
            )


def _injected(shell: InteractiveShell | None) -> dict[str, str]:
    """Names and values, as written, of the newest cell that papermill injected into `shell`."""
    cells = shell.history_manager.input_hist_raw if shell else []
    cell = next((c for c in reversed(cells) if c.startswith("# Parameters\n")), "")
    assignments = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.unparse(node.value) for node in assignments}


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        false = _text(value).strip().lower() in ("false", "no", "off", "0")
        _fail(name, value, "True or False with a capital letter", f"-p {name} {not false}")
    return bool(value)


def _address(name: str, value: object) -> str:
    if not isinstance(value, str) or (value and not is_address(value)):
        _fail(name, value, 'tcp://HOST:PORT, or "" for this machine')
    return value


def _learning_rates(value: object) -> tuple[float, ...]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value:
        _fail("learning_rates", value, "a list of positive numbers", _list_spelling(_text(value)))
    for lr in value:
        number = isinstance(lr, Real) and not isinstance(lr, bool)
        if not number or not 1e-30 <= lr <= 1e30:
            example = _list_spelling(" ".join(map(_text, value)))
            allowed = "positive finite numbers from 1e-30 to 1e30, 1e-4 spelled 1.0e-4"
            _fail("learning_rates", value, f"a list of {allowed}", example, f"holds {_shown(lr)}")
    return tuple(dict.fromkeys(float(lr) for lr in value))


def _list_spelling(text: str) -> str:
    """An example for papermill with the learning rates in `text`."""
    found = re.findall(r"(?<![\w.+-])\d*\.?\d+(?:[eE][-+]?\d+)?(?![\w.])", text[:1000])
    rates = [float(number) for number in found if 1e-30 <= float(number) <= 1e30][:9]
    if not rates:
        return SPELLING["learning_rates"]
    return f"-y '{{learning_rates: [{', '.join(map(_yaml_number, rates))}]}}'"


def _yaml_number(x: float) -> str:
    """`x` as a float in YAML: with a point, and a sign in the exponent."""
    mantissa, _, exponent = repr(x).partition("e")
    if not exponent:
        return mantissa
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{int(exponent):+d}"


def _fail(name: str, value: object, allowed: str, example: str = "", verb: str = "") -> NoReturn:
    said = verb or f"is {_shown(value)}"
    raise ParameterError(f"{name} {said}; it must be {allowed}; write {example or SPELLING[name]}")


def _shown(value: object) -> str:
    return shown(value.item() if isinstance(value, np.generic) else value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
