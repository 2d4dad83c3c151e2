"""The effect of an SGD step on one transition on the others: by autograd, and from real steps.

A step trains on transition i, and transition j is evaluated. `metrics.py` measures the same faster;
nothing here calls it, so each can check the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.func import functional_call
from torch.nn.functional import normalize

from lnqlib.data import Transitions


class Flat:
    """A Q-network on a batch as functions of one flat vector theta (P,) of its parameters.

    q(theta) = Q(s, a), h(theta) = Q(s, a) - gamma (1 - terminated) max_a' Q(s', a') and
    td_error(theta) = h(theta) - r, each (B,).

    **Arguments** `net`: any float64 Q-network, (B, obs_dim) -> (B, num_actions). `batch`: B
    transitions. `gamma`: the discount factor.

    `theta` holds the network's own parameters.
    """

    def __init__(self, net: nn.Module, batch: Transitions, gamma: float = 0.99):
        obs, action, reward, next_obs, terminated = (torch.as_tensor(x) for x in batch)
        self.net, self.obs, self.next_obs = net, obs.double(), next_obs.double()
        self.action, self.reward = action[:, None], reward
        self.bootstrap = gamma * (1 - terminated.double())
        self.shapes = {name: x.shape for name, x in net.named_parameters()}
        self.theta = torch.cat([x.detach().flatten() for x in net.parameters()]).requires_grad_()

    def values(self, theta: Tensor, obs: Tensor) -> Tensor:
        """Q(s, .) under theta: (B, obs_dim) -> (B, num_actions)."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        shapes = self.shapes.items()
        named = {name: x.view(shape) for (name, shape), x in zip(shapes, parts, strict=True)}
        return functional_call(self.net, named, (obs,))

    def q(self, theta: Tensor) -> Tensor:
        """Q(s, a), (B,)."""
        return self.values(theta, self.obs).gather(1, self.action)[:, 0]

    def h(self, theta: Tensor) -> Tensor:
        """Q(s, a) minus the discounted value of the greedy next action, (B,)."""
        return self.q(theta) - self.bootstrap * self.values(theta, self.next_obs).max(1).values

    def td_error(self, theta: Tensor) -> Tensor:
        """Delta = h - r, (B,)."""
        return self.h(theta) - self.reward


def semi_gradients(flat: Flat) -> Tensor:
    """Eq. (1), g_i = Delta_i grad Q_i, half the gradient that training follows: (B, P)."""
    return flat.td_error(flat.theta).detach()[:, None] * jacobian(flat.q, flat.theta)


def full_gradients(flat: Flat) -> Tensor:
    """f_j = Delta_j grad h_j, half the gradient of Delta_j^2: (B, P)."""
    return flat.td_error(flat.theta).detach()[:, None] * jacobian(flat.h, flat.theta)


def cosines(x: Tensor, y: Tensor) -> Tensor:
    """cos(x_i, y_j) of all rows: (B, P), (B, P) -> (B, B)."""
    return normalize(x) @ normalize(y).T


def first_order(flat: Flat, lr: float) -> dict[str, float]:
    """Eqs. (5) and (7), checked on real steps theta - lr g_i.

    Q_j changes by about -lr <g_i, grad Q_j>, and Delta_j^2 by about -2 lr <g_i, f_j>.

    **Arguments** `lr`: the steps' learning rate, small.

    **Returns**

    - `moved`: share of the pairs (i, j) in which Q_j changes at all.
    - `first_order_gap`: Eq. (5)'s error over the norm of the changes.
    - `same_direction`: share of the i with their own value moved against its TD error.
    - `factor`: the changes of Delta_j^2 in units of -lr <g_i, f_j>, by least squares.
    """
    with torch.no_grad():
        q, td_error = flat.q(flat.theta), flat.td_error(flat.theta)
    g, f = semi_gradients(flat), full_gradients(flat)
    with torch.no_grad():
        stepped = [flat.theta - step for step in lr * g]
        change = torch.stack([flat.q(theta) for theta in stepped]) - q  # (B, B)
        increment = torch.stack([flat.td_error(theta) for theta in stepped]) ** 2 - td_error**2
    predicted, printed = -lr * g @ jacobian(flat.q, flat.theta).T, -lr * g @ f.T
    return {
        "moved": float((change != 0).double().mean()),
        "first_order_gap": float((change - predicted).norm() / change.norm()),
        "same_direction": float((change.diag() * td_error < 0).double().mean()),
        "factor": float((increment * printed).sum() / (printed**2).sum()),
    }


def mean_cosines(flat: Flat) -> dict[str, float]:
    """Eq. (8), SGI = |mean of g_i / |g_i||^2, and Eq. (9), MGI = mean cos(g_i, f_j).

    **Returns** `sgi` and `mgi`, over all pairs; no gradient may be zero.
    """
    g, f = semi_gradients(flat), full_gradients(flat)
    sgi, mgi = normalize(g).mean(0).square().sum(), cosines(g, f).mean()
    return {"sgi": float(sgi), "mgi": float(mgi)}
