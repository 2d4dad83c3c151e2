"""App. D, Lemma 5: one SGD step on weights whose scale leaves the loss unchanged.

It is exact for the first layer, W and b, of a Q-network with LN and eps = 0; `cases` departs from
that in four ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .numbers import number

if TYPE_CHECKING:
    from lnqlib.data import Transitions
    from lnqlib.networks import Params

Array = np.ndarray
ADAM_EPS = 1e-8  # torch's default


def lemma5_residuals(gradient: Callable[[Array], Array], w: Array, lr: float) -> dict[str, float]:
    """Lemma 5, |w+|^2 = |w|^2 + lr^2 / |w|^2 |grad f(w^)|^2 and w^+ = w^ - lr / |w|^2 grad f(w^).

    Here w+ = w - lr grad f(w), f does not change with the scale of w, and w^ = w / |w|. Then the
    first is exact. The second leaves lr^2 / (2 |w|^4) |grad f(w^)|^2 w^ and higher orders.

    **Arguments**

    - `gradient`: grad f as a function of an array like w, as from `autograd`.
    - `w`: any shape; all scale-invariant weights together, for layer norm W and b.
    - `lr`: learning rate of the plain SGD step.

    **Returns** `norm`, the first identity's error relative to the predicted growth of |w|^2;
    `direction`, the length of the second's error; `expected`, that length for an invariant f,
    sqrt(1 + rho^2) - 1 with rho = lr / |w|^2 |grad f(w^)|; `radial`, cos(w, grad f(w)), 0 for such
    an f.
    """
    norm = np.linalg.norm(w)
    step, unit_gradient = -lr * gradient(w), gradient(w / norm)
    after = w + step
    growth = lr**2 / norm**2 * (unit_gradient**2).sum()
    measured = ((after - w) * (after + w)).sum()  # |w+|^2 - |w|^2 without its cancellation
    rho_squared = growth / norm**2
    direction = after / np.linalg.norm(after) - (w / norm - lr / norm**2 * unit_gradient)
    return {
        "norm": float(measured / growth - 1),
        "direction": float(np.linalg.norm(direction)),
        "expected": float(rho_squared / (1 + np.sqrt(1 + rho_squared))),  # without its cancellation
        "radial": float(-(step * w).sum() / (np.linalg.norm(step) * norm)),
    }


def autograd(f: Callable) -> Callable[[Array], Array]:
    """The gradient, in float64, of a torch function f from one tensor to a number."""
    import torch  # late: claims import this module and rarely call it

    def gradient(w: Array) -> Array:
        tensor = torch.tensor(w, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(f(tensor), tensor)[0].numpy()

    return gradient


def layer_norm_loss(obs: Array, targets: Array, readout: Array, eps: float = 0.0) -> Callable:
    """f(W, b) = mean of (<v, relu(LN(W s + b))> - y)^2 / 2, Eq. (3)'s loss in the first layer.

    **Arguments**: observations s (B, k), targets y (B,), v, one for all (d,) or each sample's
    (B, d), LN's `eps`.

    **Returns** f of one tensor (d, k + 1), W with b as its last column, for `autograd`.
    """
    import torch

    obs, targets, readout = (
        torch.as_tensor(v, dtype=torch.float64) for v in (obs, targets, readout)
    )

    def loss(weight: torch.Tensor) -> torch.Tensor:
        z = obs @ weight[:, :-1].T + weight[:, -1]  # (B, d)
        features = torch.relu(torch.nn.functional.layer_norm(z, z.shape[-1:], eps=eps))
        return 0.5 * (((features * readout).sum(1) - targets) ** 2).mean()

    return loss


def first_layer_loss(
    params: Params, batch: Transitions, bootstrap: Array, eps: float
) -> Callable[[Array], Array]:
    """f(W, b), the training loss of the LN network as a function of its first layer alone.

    The output layer and the targets r + bootstrap are fixed, as in one training step.

    **Arguments**: `params`; `batch` of B transitions; `bootstrap`, gamma (1 - terminated)
    max Q(s', .), (B,); LN's `eps`.

    **Returns** f of one torch tensor (width, obs_dim + 1), for `autograd`.
    """
    targets = batch.reward + bootstrap - params["c"][batch.action]
    return layer_norm_loss(batch.obs, targets, params["V"][batch.action], eps)


def first_layer(params: Params) -> Array:
    """(W, b) as one array, b its last column: (width, obs_dim + 1), float64."""
    return np.column_stack([params["W"], params["b"]]).astype(float)


def cases(loss: Callable[[float], Callable], w: Array, eps: float) -> dict[str, tuple]:
    """Lemma 5's setting, and four departures from it: another eps, step or choice of weights.

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
        f"W and b, eps = {number(eps)}": (autograd(loss(eps)), w),
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
