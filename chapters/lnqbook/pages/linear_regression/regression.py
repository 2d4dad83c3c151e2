"""Sec. 3.4 beyond one step: linear regression on the features that a Q-network starts with.

Three kinds of `INPUTS` have the same directions, and by their scale the same loss at the start: the
features themselves; the same norms shuffled over the directions, so norm and direction are
independent; and one norm for all. The targets are <x, theta*>, so Assumption 1 holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from lnqlib.spec import RunSpec

from ... import theory
from ...initialization import hidden_and_features
from ...stats import geometric_mean
from ...theorem4 import squared_norms

Array = np.ndarray
INPUTS = ("spread", "shuffled", "constant")
RATES = tuple(10.0 ** (-i / 8) for i in range(4, 33))  # 0.3 to 1e-4, closer than most 1 + s^2
SAMPLES = 500  # transitions a regression has as inputs
TOGETHER = 40  # specs trained at once; their regressions take 60 MB


def features(spec: RunSpec) -> Array:
    """The features of `SAMPLES` transitions at the start of the run of `spec`: (n, width)."""
    return hidden_and_features(replace(spec, batch_size=SAMPLES))[1]


def kinds(x: Array, error: Array, rng: np.random.Generator) -> dict[str, Array]:
    """The `INPUTS` made from features x (n, d), each (n, d), for one error (d,)."""
    norms = np.sqrt(squared_norms(x))[:, None]
    shuffled = theory.with_loss_of(x, x / norms * rng.permutation(norms), error)
    made = x, shuffled, theory.constant_norm(x, error)
    return dict(zip(INPUTS, made, strict=True))


def train(specs: Sequence[RunSpec], rates: Sequence[float] = RATES) -> pd.DataFrame:
    """Definition 1, theta_{t+1} = theta_t - lr x_t <x_t, e_t>, for many steps, and with Adam.

    Each regression starts at a random error e = theta - theta* of length one, and every step takes
    one sample. All kinds of input and all learning rates see the same samples in the same order.

    **Arguments**

    - `specs`: env, norm, seed and width choose the features; steps and optimizer, the same for all,
      the training.
    - `rates`: learning rates.

    **Returns** one row for each spec, kind and learning rate: env, norm, seed, steps, optimizer,
    `inputs`, lr; `distance` R and `loss` L after the last step over those before the first, inf for
    NaN; and the kind's `spread`, `distance_ratio` and `loss_ratio`, as in `theory.ratios`.
    """
    groups = [specs[i : i + TOGETHER] for i in range(0, len(specs), TOGETHER)]
    return pd.DataFrame([row for group in groups for row in _train(group, rates)])


def constant_over(trained: pd.DataFrame, metric: str) -> pd.Series:
    """`metric` after training on constant norms over that on the others: below 1, constant is best.

    Each seed has its own best learning rate.

    **Arguments**: the rows of `train`; "distance" or "loss".

    **Returns** by (env, norm, inputs) geometric means over seeds with intervals.
    """
    ratios = {}
    for kind, rows in trained.groupby(["env", "norm"], sort=False):
        best = rows.groupby(["inputs", "seed"])[metric].min()
        for name in INPUTS[:-1]:
            ratios[*kind, name] = geometric_mean(best["constant"] / best[name])
    return pd.Series(ratios).rename_axis(["env", "norm", "inputs"])


def by_network(trained: pd.DataFrame) -> pd.DataFrame:
    """The gain of a constant norm in one step and in many, by task, network and kind of input.

    **Arguments** `trained`: the rows of `train`.

    **Returns** by (env, norm, inputs): `spread`, its mean over seeds; `one_step_distance` and
    `one_step_loss`, geometric means of `theory.ratios`, 1 / (1 + spread^2) under independence;
    `distance` and `loss`, from `constant_over`.
    """
    point = ["env", "norm", "inputs"]
    starts = trained[trained["inputs"] != "constant"].drop_duplicates([*point, "seed"])
    starts = starts.groupby(point, sort=False)
    return pd.DataFrame(
        {
            "spread": starts["spread"].mean(),
            "one_step_distance": starts["distance_ratio"].apply(geometric_mean),
            "one_step_loss": starts["loss_ratio"].apply(geometric_mean),
            "distance": constant_over(trained, "distance"),
            "loss": constant_over(trained, "loss"),
        }
    )


def errors_after(
    x: Array, error: Array, samples: Array, rates: Sequence[float], optimizer: str
) -> Array:
    """The errors after one step for each row of `samples`.

    With e = theta - theta* the residual is <x, e>, and SGD and Adam move e as they move theta.
    Their steps are proportional to the learning rate, so one optimizer, of rate 1, moves all.

    **Arguments**: inputs (P, n, d) and errors (P, d) of P regressions; `samples` (steps, P), the
    index of each step's input; learning rates; "SGD" or "Adam".

    **Returns** (P, rates, d).
    """
    x, start, which = torch.as_tensor(x), torch.as_tensor(error), np.arange(len(x))
    lrs = torch.tensor(rates, dtype=x.dtype)
    moved = torch.zeros(len(x), len(lrs), x.shape[2], dtype=x.dtype)  # e is start + lr moved
    step = getattr(torch.optim, optimizer)([moved], lr=1.0).step
    for chosen in samples:
        sample = x[which, chosen]  # (P, d)
        products = (moved @ sample[:, :, None])[:, :, 0]  # (P, rates)
        residual = (start * sample).sum(1, keepdim=True) + lrs * products
        moved.grad = residual[:, :, None] * sample[:, None]
        step()
    return (start[:, None] + lrs[:, None] * moved).numpy()


def _train(specs: Sequence[RunSpec], rates: Sequence[float]) -> list[dict]:
    abouts, xs, errors, samples = [], [], [], []
    for spec in specs:
        rng = spec.rng("batches")
        error = rng.standard_normal(spec.width)
        error /= np.linalg.norm(error)
        made = kinds(features(spec), error, rng)
        drawn = rng.integers(SAMPLES, size=spec.steps)
        for name, x in made.items():
            abouts.append(_about(spec) | {"inputs": name} | theory.ratios(x, error))
            xs.append(x)
            errors.append(error)
            samples.append(drawn)
    after = errors_after(
        np.stack(xs), np.stack(errors), np.stack(samples, axis=1), rates, specs[0].optimizer
    )
    rows = []
    for i, (about, x) in enumerate(zip(abouts, xs, strict=True)):
        with np.errstate(over="ignore", invalid="ignore"):
            distances = (after[i] ** 2).sum(1)  # (rates,), the start's is 1
            losses = ((x @ after[i].T) ** 2).mean(0) / theory.expected_loss(x, errors[i])
        for lr, *measured in zip(rates, distances, losses, strict=True):
            distance, loss = np.where(np.isfinite(measured), measured, np.inf)
            rows.append(about | {"lr": lr, "distance": distance, "loss": loss})
    return rows


def _about(spec: RunSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in ("env", "norm", "seed", "steps", "optimizer")}
