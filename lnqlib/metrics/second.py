"""Eq. (10) to second order: the term that Eq. (11) defers, and what one step really does.

Along theta + t g_i every h_j is a function of one number, so the deferred term is its second
derivative. Layers of known kind move with a step length of their own for each row,
y = W a + t (G a), and two backward passes give the derivatives of a whole batch. Other networks
take one product with the Hessian for each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..results import SECOND_ORDER
from .definitions import decrement
from .layers import Found, Layer, find
from .problem import Measured, Options, Problem, accumulator, nothing, problem
from .twice import check_twice

if TYPE_CHECKING:
    from ..data import Transitions

NAMES = (*SECOND_ORDER, "gi2_minibatch")
Direction = dict[str, Tensor]  # a tensor for each trainable parameter, under its name


def second_order(
    q: nn.Module,
    batch: Transitions,
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    **options: Unpack[Options],
) -> Measured:
    """Eq. (10), the loss decrement of one update to second order, with the term Eq. (11) defers.

    l_j(theta) - l_j(theta - lr g_i) = first_order - squared - hessian + O(lr^3), l = Delta^2, where

    - `first_order` = mean 2 lr Delta_j u_ij = 2 lr DGI
    - `squared` = mean lr^2 u_ij^2, so that GI2 = first_order - squared
    - `hessian` = mean lr^2 Delta_j g_i^T (nabla^2 h_j) g_i, the deferred second part of (*)
    - `realised` = mean over (i, j) of l_j(theta) - l_j(theta - lr g_i), each update on one sample
    - `realised_held`: the same with the greedy next actions held at those of theta
    - `switched`: the share of pairs (i, j) whose greedy next action the update changes
    - `realised_minibatch` = mean over j of l_j(theta) - l_j(theta - lr mean_i g_i)
    - `gi2_minibatch`: as in `interference`

    A realised step may change the greedy next action, which no derivative foresees, and the active
    ReLUs. `switched` counts terminated transitions, too, and alone reads their next_obs. With a
    target network what bootstraps stays; only double DQN's choice can switch.

    **Arguments**, **Raises** as for `interference`; also `MetricError` for a custom function whose
    backward pass autograd cannot differentiate, or differentiates wrongly.

    **Returns** a dict of floats; all NaN where `interference` is.
    """
    plain = sdpa_kernel(SDPBackend.MATH)  # fused attention cannot be differentiated twice
    with problem(q, batch, lr, gamma, terminal_mask, **options) as p, plain:
        if not p.finite:
            return nothing(NAMES, p.net)
        found = find(p.net, p.obs, p.rows, p.action)
        check_twice(p)
        terms = _Terms(p, found, lr).all()
        if not all(bool(term.isfinite().all()) for term in terms.values()):
            return nothing(NAMES, p.net)
        return Measured({name: float(terms[name].mean()) for name in NAMES}, p.net)


class _Terms:
    """Every term before its mean: (B, B), a row for each step i, or (B,)."""

    def __init__(self, p: Problem, found: Found, lr: float):
        self.p, self.lr, self.found = p, lr, found
        self.parameters = {n: x for n, x in p.net.module.named_parameters() if x.requires_grad}
        self.start = {name: x.detach().clone() for name, x in self.parameters.items()}
        self.float = accumulator(p.net.device)
        self.now = p.rows  # whose values the network is asked for
        self.table: Tensor | None = None
        if p.target is not None:
            with torch.no_grad():
                self.table = p.target(p.next_obs, p.rows)  # (B, num_actions)
        with torch.no_grad():
            h, self.best = self.h()
        self.td = (h - p.reward).to(self.float)

    def all(self) -> dict[str, Tensor]:
        lr, td = self.lr, self.td
        steps = map(self.step, range(len(td)))
        fast = not self.found.rest
        firsts, seconds, outcomes, kept = [], [], [], []
        mean = {name: torch.zeros_like(x) for name, x in self.start.items()}
        for g in steps:
            for name, x in g.items():
                mean[name] += x / len(td)
            if fast:
                first, second = self.along(g)
                firsts.append(first)
                seconds.append(second)
            else:
                kept.append(torch.cat([x.flatten() for x in g.values()]))
            outcomes.append(self.after(g))
        if not fast:
            firsts, seconds = self.by_hessians(torch.stack(kept))
        u, curvature = (torch.stack(x).to(self.float) for x in (firsts, seconds))
        loss_after, held_after, switched = map(torch.stack, zip(*outcomes, strict=True))
        loss = td.square()
        return {
            "first_order": 2 * lr * td * u,
            "squared": lr**2 * u.square(),
            "hessian": lr**2 * td * curvature,
            "realised": loss - loss_after,
            "realised_held": loss - held_after,
            "switched": switched.to(self.float),
            "realised_minibatch": loss - self.after(mean)[0],
            "gi2_minibatch": decrement(lr, td, u.mean(0)),
        }

    def h(self, held: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """h (B,) and the actions at s', greedy in every row unless they are `held`."""
        p = self.p
        h = self.ask(p.obs, p.rows).gather(1, p.action[:, None])[:, 0]
        rows = p.rows if held is None else p.live  # what is terminated has no value, but an action
        if held is not None and not len(rows):
            return h, held
        values = self.ask(p.next_obs, rows) if self.table is None else self.table[rows]
        if held is None:
            chooser = self.ask(p.next_obs, rows) if p.double else values
            best, values = chooser.argmax(1), values[p.live]
        else:
            best = held
        value = values.gather(1, best[p.live][:, None])[:, 0]
        live = torch.as_tensor(p.live, device=h.device)
        return h.index_add(0, live, -(p.bootstrap[p.live] * value).to(h.dtype)), best

    def ask(self, obs: object, rows: np.ndarray) -> Tensor:
        self.now = rows
        return self.p.net(obs, rows)

    def step(self, i: int) -> Direction:
        """g_i, the semi-gradient of sample i."""
        value = self.p.net(self.p.obs, self.p.rows[i : i + 1])[0, self.p.action[i]]
        found = torch.autograd.grad(
            value, list(self.parameters.values()), allow_unused=True, materialize_grads=True
        )
        scale = float(self.td[i])
        return {name: scale * x for name, x in zip(self.parameters, found, strict=True)}

    @torch.no_grad()
    def after(self, step: Direction) -> tuple[Tensor, Tensor, Tensor]:
        """Losses at theta - lr step, losses with the actions held, which actions switched."""
        for name, x in step.items():
            self.parameters[name].sub_(x, alpha=self.lr)
        h, chosen = self.h()
        switched = chosen != self.best
        held = self.h(self.best)[0] if bool(switched.any()) else h
        for name, x in self.start.items():
            self.parameters[name].copy_(x)  # bit for bit
        reward = self.p.reward
        return (h - reward).square(), (held - reward).square(), switched

    def along(self, g: Direction) -> tuple[Tensor, Tensor]:
        """First and second derivative of every h_j along g, (B,) each.

        Each row has a step length t_j of its own, so sums of derivatives come apart by row.
        """
        t = torch.zeros(len(self.p.rows), dtype=self.p.net.dtype, device=self.p.net.device)
        t.requires_grad_()
        with self.moving(g, t):
            h, _ = self.h(self.best)
            (first,) = torch.autograd.grad(h.sum(), t, create_graph=True)
            if not first.requires_grad:  # h is linear along g
                return first, torch.zeros_like(first)
            (second,) = torch.autograd.grad(first.sum(), t, allow_unused=True)
        return first.detach(), torch.zeros_like(first) if second is None else second

    @contextmanager
    def moving(self, g: Direction, t: Tensor) -> Iterator[None]:
        """Every layer's output plus t times what its direction makes of its input."""

        def hook(layer: Layer):
            prefix = f"{layer.name}." if layer.name else ""
            weight = g[f"{prefix}weight"] if layer.weight else torch.zeros_like(layer.module.weight)
            bias = g[f"{prefix}bias"] if layer.bias else None

            def moved(module: nn.Module, inputs: tuple, named: dict, output: Tensor) -> Tensor:
                a = inputs[0] if inputs else named["input"]
                rows = t[self.now].view(-1, *[1] * (output.ndim - 1))
                return output + rows * _applied(module, a, weight, bias)

            return moved

        layers = self.found.layers
        handles = [x.module.register_forward_hook(hook(x), with_kwargs=True) for x in layers]
        for x in self.parameters.values():
            x.requires_grad_(False)
        try:
            yield
        finally:
            for x in self.parameters.values():
                x.requires_grad_(True)
            for handle in handles:
                handle.remove()

    def by_hessians(self, g: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """u and g_i^T (nabla^2 h_j) g_i, rows i, from one gradient for each j."""
        p, parameters = self.p, list(self.parameters.values())
        alive = set(p.live.tolist()) if self.table is None else ()
        u, curvature = torch.zeros(2, *[len(p.rows)] * 2, dtype=g.dtype, device=g.device)
        for j in range(len(p.rows)):
            row = p.rows[j : j + 1]
            h = p.net(p.obs, row)[0, p.action[j]]
            if j in alive:
                h = h - p.bootstrap[j].to(h.dtype) * p.net(p.next_obs, row)[0, self.best[j]]
            found = torch.autograd.grad(
                h, parameters, create_graph=True, allow_unused=True, materialize_grads=True
            )
            gradient = torch.cat([x.flatten() for x in found])
            u[:, j] = g @ gradient.detach()
            if gradient.requires_grad:  # else h_j is linear in theta
                curvature[:, j] = (_products(gradient, parameters, g) * g).sum(1)
        return list(u), list(curvature)


def _applied(module: Any, a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a layer with these weights makes of its input."""
    if isinstance(module, nn.Linear):
        return F.linear(a, weight, bias)
    if isinstance(module, nn.LayerNorm):
        return F.layer_norm(a, module.normalized_shape, weight, bias, module.eps)
    return module._conv_forward(a, weight, bias)


def _products(gradient: Tensor, parameters: Sequence[Tensor], g: Tensor) -> Tensor:
    """Rows of g times the Hessian whose gradient this is."""

    def product(rows: Tensor, batched: bool) -> Tensor:
        # not torch.func, which knows no weight norm and takes a second to load torch's compiler
        found = torch.autograd.grad(
            gradient,
            parameters,
            rows,
            retain_graph=True,
            is_grads_batched=batched,
            allow_unused=True,
            materialize_grads=True,
        )
        return torch.cat([x.reshape(*rows.shape[:-1], -1) for x in found], -1)

    try:
        return product(g, batched=True)
    except RuntimeError:  # group norm's second derivative takes one direction at a time
        return torch.stack([product(row, batched=False) for row in g])
