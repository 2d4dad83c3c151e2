"""Sec. 3.4 beyond one step: linear regression on the features that a Q-network starts with.

The inputs x are a task's features with their norms as they are ("spread"), or with one norm for all
("constant"): the same directions, the same error e = theta - theta* and the same loss, as the
theorems ask. The targets are <x, theta*> each time, so Assumption 1 holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from . import theory
from .spec import RunSpec
from .start import hidden_and_features
from .stats import geometric_mean

Array = np.ndarray
NORMS = ("spread", "constant")
RATES = tuple(10.0 ** (-i / 4) for i in range(17))  # 1 to 1e-4; a factor 1 + s^2 may separate two
SAMPLES = 1_000  # transitions whose features are the inputs


def inputs(spec: RunSpec) -> Array:
    """The features with which the run of `spec` starts, of `SAMPLES` transitions: (n, width)."""
    return hidden_and_features(replace(spec, batch_size=SAMPLES))[1]


def train(specs: Sequence[RunSpec], rates: Sequence[float] = RATES) -> pd.DataFrame:
    """Definition 1, theta_{t+1} = theta_t - lr x_t <x_t, e_t>, for many steps, and with Adam.

    Each regression starts at a random error of length one, and every step takes one sample.
    Both norms and all learning rates see the same samples in the same order.

    **Arguments**

    - `specs`: env, norm, seed and width say which features; steps and optimizer, the same for all,
      how they are learned from.
    - `rates`: learning rates.

    **Returns** one row for each spec, of `NORMS` and learning rate: env, norm, seed, steps,
    optimizer, `inputs`, lr; `distance` R and `loss` L after the last step over those before the
    first, inf where they are no numbers any more; and of its inputs `spread`, `distance_ratio` and
    `loss_ratio`, as in `theory.ratios`.
    """
    rows = []
    for env in dict.fromkeys(spec.env for spec in specs):  # all of a task at once, for speed
        rows += _train([spec for spec in specs if spec.env == env], rates)
    return pd.DataFrame(rows)


def constant_over_spread(trained: pd.DataFrame, metric: str) -> pd.Series:
    """`metric` after training with constant norms over that with spread ones: below 1, they help.

    Each at its best learning rate, where the mean over seeds of the logarithm is lowest.

    **Arguments**: the rows of `train`; "distance" or "loss".

    **Returns** by (env, norm) geometric means over seeds with intervals.
    """
    ratios = {}
    for kind, rows in trained.groupby(["env", "norm"], sort=False):
        table = rows.pivot(index="seed", columns=["inputs", "lr"], values=metric)
        spread, constant = (table[name][np.log(table[name]).mean().idxmin()] for name in NORMS)
        ratios[kind] = geometric_mean(constant / spread)
    return pd.Series(ratios).rename_axis(["env", "norm"])


def by_network(trained: pd.DataFrame) -> pd.DataFrame:
    """What constant norms gain in one step and in many, for each task and network.

    **Arguments** `trained`: the rows of `train`.

    **Returns** by (env, norm): `spread`, its mean over seeds; `one_step_distance` and
    `one_step_loss`, geometric means of `theory.ratios`, 1 / (1 + spread^2) under independence;
    `distance` and `loss`, `constant_over_spread`.
    """
    starts = trained.drop_duplicates(["env", "norm", "seed"]).groupby(["env", "norm"], sort=False)
    return pd.DataFrame(
        {
            "spread": starts["spread"].mean(),
            "one_step_distance": starts["distance_ratio"].apply(geometric_mean),
            "one_step_loss": starts["loss_ratio"].apply(geometric_mean),
            "distance": constant_over_spread(trained, "distance"),
            "loss": constant_over_spread(trained, "loss"),
        }
    )


def sides(ratios: pd.Series) -> dict[str, int]:
    """How many of some ratios' intervals lie `below` 1, how many `above`."""
    return {
        "below": sum(ratio.high < 1 for ratio in ratios),
        "above": sum(ratio.low > 1 for ratio in ratios),
    }


def errors_after(
    x: Array, error: Array, samples: Array, rates: Sequence[float], optimizer: str
) -> Array:
    """The errors after one step for each row of `samples`.

    With e = theta - theta* the residual is <x, e>, and SGD and Adam move e as they move theta.

    **Arguments**: inputs (P, n, d) and errors (P, d) of P regressions; `samples` (steps, P), which
    input each of them steps on; learning rates; "SGD" or "Adam".

    **Returns** (rates, P, d).
    """
    x, which = torch.as_tensor(x), np.arange(len(x))
    errors = [torch.tensor(error) for _ in rates]
    groups = [{"params": [e], "lr": lr} for e, lr in zip(errors, rates, strict=True)]
    step = getattr(torch.optim, optimizer)(groups).step
    for chosen in samples:
        sample = x[which, chosen]  # (P, d)
        residuals = (torch.stack(errors) * sample).sum(2, keepdim=True)  # (rates, P, 1)
        for e, gradient in zip(errors, residuals * sample, strict=True):
            e.grad = gradient
        step()
    return torch.stack(errors).numpy()


def _train(specs: Sequence[RunSpec], rates: Sequence[float]) -> list[dict]:
    rngs = [spec.rng("batches") for spec in specs]
    errors = [rng.standard_normal(spec.width) for rng, spec in zip(rngs, specs, strict=True)]
    errors = [e / np.linalg.norm(e) for e in errors]
    samples = [rng.integers(SAMPLES, size=specs[0].steps) for rng in rngs]
    spread = [inputs(spec) for spec in specs]
    constant = [theory.constant_norm(x, e) for x, e in zip(spread, errors, strict=True)]
    about = [_about(*of) for of in zip(specs, spread, errors, strict=True)]

    x, error = np.stack(spread + constant), np.stack(2 * errors)  # (P, n, d), (P, d)
    after = errors_after(x, error, np.stack(2 * samples, axis=1), rates, specs[0].optimizer)
    rows = []
    for i, e in enumerate(error):
        row = about[i % len(specs)] | {"inputs": NORMS[i // len(specs)]}
        start = theory.expected_loss(x[i], e)
        for lr, e in zip(rates, after[:, i], strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                measured = {"distance": e @ e, "loss": theory.expected_loss(x[i], e) / start}
            measured = {name: v if np.isfinite(v) else np.inf for name, v in measured.items()}
            rows.append(row | {"lr": lr} | measured)
    return rows


def _about(spec: RunSpec, x: Array, error: Array) -> dict:
    fields = ("env", "norm", "seed", "steps", "optimizer")
    return {name: getattr(spec, name) for name in fields} | theory.ratios(x, error)
