"""Eqs. (10) and (11), the second order of one step's loss decrement, checked against torch.

The Jacobians and Hessians are torch's own, independent of the book's formulas.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian

from lnqlib.data import Transitions
from lnqlib.metrics import second_order

from .one_step import Flat, full_gradients, semi_gradients


def gradient_gap(flat: Flat) -> float:
    """The largest error of d Delta^2 / d theta = 2 f, relative to its largest entry."""
    autodiff = jacobian(lambda theta: flat.td_error(theta) ** 2, flat.theta)
    return float((autodiff - 2 * full_gradients(flat)).abs().max() / autodiff.abs().max())


def hessian_identity(flat: Flat) -> dict[str, float]:
    """(1/2) Hessian of l_j = f_j f_j^T / l_j + Delta_j Hessian of h_j, for the j of largest l.

    **Returns** `hessian_gap`: the largest difference of the two sides, relative to the largest
    entry; `deferred_size`: the norm of the last term, not in GI2, over that of the whole.
    """
    td_error = flat.td_error(flat.theta).detach()
    j = int(td_error.abs().argmax())
    f = full_gradients(flat)[j]
    half = hessian(lambda theta: flat.td_error(theta)[j] ** 2, flat.theta) / 2
    deferred = td_error[j] * hessian(lambda theta: flat.h(theta)[j], flat.theta)
    identity = torch.outer(f, f) / td_error[j] ** 2 + deferred
    return {
        "hessian_gap": float((half - identity).abs().max() / half.abs().max()),
        "deferred_size": float(deferred.norm() / half.norm()),
    }


def updates(flat: Flat) -> tuple[Tensor, Tensor]:
    """Delta (B,) and u (B, B), u_ij = <g_i, grad h_j>: a step on i lowers Delta_j by lr u_ij.

    That is to first order.
    """
    u = semi_gradients(flat) @ jacobian(flat.h, flat.theta).T
    return flat.td_error(flat.theta).detach(), u


def gi2_as_squares(flat: Flat, lr: float) -> float:
    """Eq. (11), GI2 = mean of Delta_j^2 - (Delta_j - lr u_ij)^2."""
    td_error, u = updates(flat)
    return float((td_error**2 - (td_error - lr * u) ** 2).mean())


def expansion_errors(net: nn.Module, batch: Transitions, rates: np.ndarray) -> pd.DataFrame:
    """Eq. (10), the error of each approximation of the mean decrement of real steps.

    **Arguments** `rates`: learning rates, one row of the frame each.

    **Returns** `lr` and absolute errors: `first order`, off by O(lr^2); `gi2`, by O(lr^2) with
    another constant; `all of Eq. (10)`, with the deferred Hessian part, by O(lr^3).
    """
    terms = pd.DataFrame([second_order(net, batch, lr) for lr in rates])
    approximations = {
        "first order": terms.first_order,
        "gi2": terms.first_order - terms.squared,
        "all of Eq. (10)": terms.first_order - terms.squared - terms.hessian,
    }
    errors = {name: (terms.realised - x).abs() for name, x in approximations.items()}
    return pd.DataFrame({"lr": rates} | errors)
