"""App. D: Lemma 5 on the first layer of a Q-network, where it is exact and where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from lnqlib.data import Transitions
from lnqlib.networks import Params

from ...theory import Array, autograd, layer_norm_loss, lemma5_residuals

ADAM_EPS = 1e-8  # torch's default


def first_layer_loss(
    params: Params, batch: Transitions, bootstrap: Array, eps: float
) -> Callable[[Array], Array]:
    """f(W, b), the training loss of the LN network as a function of its first layer alone.

    The output layer and the targets r + bootstrap stay as they are, as in one training step.

    **Arguments**: `params`; `batch` of B transitions; `bootstrap`, gamma (1 - terminated)
    max Q(s', .), (B,); LN's `eps`.

    **Returns** f of one torch tensor (width, obs_dim + 1), for `theory.autograd`.
    """
    targets = batch.reward + bootstrap - params["c"][batch.action]
    return layer_norm_loss(batch.obs, targets, params["V"][batch.action], eps)


def first_layer(params: Params) -> Array:
    """(W, b) as one array, b its last column: (width, obs_dim + 1), float64."""
    return np.column_stack([params["W"], params["b"]]).astype(float)


def cases(loss: Callable[[float], Callable], w: Array, eps: float) -> dict[str, tuple]:
    """Lemma 5's setting, and four departures from it: what takes the step, and on which weights.

    **Arguments**: `loss`, LN's eps -> f of (W, b) = `w`; `eps`, that of the second case.

    **Returns** by name (gradient, weights), the first two arguments of `lemma5_residuals`; under
    "Adam" the gradient is Adam's first step over lr, grad / (|grad| + 1e-8) entry by entry.
    """
    gradient, bias, rest = autograd(loss(0.0)), w[:, -1:], w[1:]

    def of_weights_alone(weights: Array) -> Array:
        return gradient(np.hstack([weights, bias]))[:, :-1]

    def of_one_row(row: Array) -> Array:
        return gradient(np.vstack([row, rest]))[:1]

    def adam(w: Array) -> Array:
        return gradient(w) / (np.abs(gradient(w)) + ADAM_EPS)

    return {
        "W and b, eps = 0": (gradient, w),
        f"W and b, eps = {eps:g}": (autograd(loss(eps)), w),
        "W alone": (of_weights_alone, w[:, :-1]),
        "one row": (of_one_row, w[:1]),
        "Adam": (adam, w),
    }


def residuals(steps: dict[str, tuple], rates: Iterable[float]) -> pd.DataFrame:
    """`lemma5_residuals` of each of the `cases` at each learning rate, one row each."""
    return pd.DataFrame(
        [
            {"case": name, "lr": lr} | lemma5_residuals(gradient, weights, lr)
            for name, (gradient, weights) in steps.items()
            for lr in rates
        ]
    )
