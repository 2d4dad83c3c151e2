"""Whether autograd's second derivatives of a network are the derivatives of its gradient.

They are for everything that torch itself has. A custom `autograd.Function` may hide its backward
pass from autograd (`once_differentiable`, `torch.no_grad()`), or give another gradient than that of
its forward pass (straight-through estimators): then products with the Hessian are silently wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import MetricError
from .layers import nodes
from .problem import Problem


def check_twice(p: Problem) -> None:
    """Refuses networks with custom functions of which second derivatives are wrong.

    Held against a central difference of the gradient, along the gradient, for the last transition.
    """
    custom = {
        node._forward_cls for node in nodes(_value(p)) if hasattr(node, "_forward_cls")
    }  # of functions written in Python alone
    marked = [kind for kind in custom if hasattr(kind.backward, "__wrapped__")]
    if marked:
        raise MetricError(
            f"q applies {marked[0].__name__}, whose backward pass is marked once_differentiable; "
            "second_order differentiates twice; call interference, or write that backward pass in "
            "differentiable operations"
        )
    if custom and not _agree(p):
        names = ", ".join(sorted(kind.__name__ for kind in custom))
        raise MetricError(
            f"q applies {names}, and autograd's second derivative of q is not the derivative of "
            "its gradient; second_order needs one; call interference, or write that backward pass "
            "as the derivative of its forward pass, in differentiable operations"
        )


def _value(p: Problem) -> Tensor:
    return p.net(p.obs, p.rows[-1:])[0, p.action[-1]]


def _agree(p: Problem) -> bool:
    weights = [x for x in p.net.module.parameters() if x.requires_grad]

    def gradient(create_graph: bool = False) -> Tensor:
        found = torch.autograd.grad(
            _value(p), weights, create_graph=create_graph, materialize_grads=True
        )
        return torch.cat([x.flatten() for x in found])

    slope = gradient(create_graph=True)
    size, length = slope.detach().norm(), torch.cat([x.detach().flatten() for x in weights]).norm()
    if not size > 0:
        return True
    direction = slope.detach() / size
    product = torch.zeros_like(direction)
    if slope.requires_grad:
        found = torch.autograd.grad(slope @ direction, weights, materialize_grads=True)
        product = torch.cat([x.flatten() for x in found])
    digits = torch.finfo(slope.dtype).eps ** (1 / 3)  # where rounding and curvature err alike
    step = float(digits * length.clamp(min=1e-3))
    pieces = direction.split([x.numel() for x in weights])
    start, ends = [x.detach().clone() for x in weights], []
    for sign in (1, -1):
        with torch.no_grad():
            for x, old, piece in zip(weights, start, pieces, strict=True):
                x.copy_(old + sign * step * piece.view_as(x))
        ends.append(gradient())
    with torch.no_grad():
        for x, old in zip(weights, start, strict=True):
            x.copy_(old)  # bit for bit
    difference = (ends[0] - ends[1]) / (2 * step)
    noise = size * digits**2 / step + digits * torch.maximum(product.norm(), difference.norm())
    return bool((product - difference).norm() <= 100 * noise)
