"""The paper's metrics, from their definitions: one autograd gradient per sample, any Q-network.

i is the sample that is trained on, j the sample that is evaluated;
Delta = Q(s, a) - r - gamma (1 - terminated) max_a' Q(s', a') is the TD error and
h = Q(s, a) - gamma (1 - terminated) max_a' Q(s', a') is what the TD error differentiates.

- semi-gradient g_i = Delta_i grad Q_i, what the update follows (Eq. 1),
- full gradient f_j = Delta_j grad h_j, what the loss follows.

Both are half the gradient of Delta^2. `structured.py` computes the same numbers faster for the
one-hidden-layer networks that the book trains.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .results import INTERFERENCE, SECOND_ORDER

if TYPE_CHECKING:
    from .data import Transitions

NAMES = (*INTERFERENCE, "zero_gradients")
SINGULAR = 1e-10  # a row this close to the span of the others, relative to its norm, lies in it


class MetricError(ValueError):
    """An argument that no metric is defined for; the message says what came and what to pass."""


class Batch(NamedTuple):
    """A checked batch of float64 arrays; `bootstrap` is gamma, or 0 through a terminal state."""

    obs: np.ndarray  # (B, obs_dim)
    action: np.ndarray  # (B,) int64
    reward: np.ndarray  # (B,)
    next_obs: np.ndarray  # (B, obs_dim)
    bootstrap: np.ndarray  # (B,)

    @property
    def finite(self) -> bool:
        """Whether every number of the batch is finite."""
        return all(bool(np.isfinite(array).all()) for array in self)


def interference(
    q: nn.Module, batch: Transitions, lr: float, gamma: float = 0.99, terminal_mask: bool = True
) -> dict[str, float]:
    """Eqs. (6), (8), (9), (11) and App. F, the gradient interference of a Q-network on a batch.

    With u_ij = <g_i, grad h_j> = Delta_i <grad Q_i, grad h_j>, averaging over all pairs (i, j):

    - `qgi_plus`, Eq. (6): mean |cos(grad Q_i, grad Q_j)| over i != j
    - `sgi`, Eq. (8): mean cos(g_i, g_j); `sgi_off` is the same over i != j
    - `mgi`, Eq. (9): mean cos(g_i, f_j), the second gradient being the full one
    - `dgi`, App. F: mean <g_i, f_j> = mean Delta_j u_ij
    - `gi2`, Eq. (11): mean 2 lr Delta_j u_ij - lr^2 u_ij^2; `gi2_scaled` divides it by `td_loss`
    - `gi2_minibatch`: the same for one step on the mean of g, u_ij replaced by its mean over i
    - `td_loss`: mean Delta_j^2
    - `qgi_plus_zero`, `sgi_zero`, `sgi_off_zero`, `mgi_zero`: a zero vector has no cosine, so the
      means above leave out the pairs in which one vanishes; these count such a cosine as 0
    - `grad_norm2`: mean |grad Q_i|^2
    - `zero_gradients`: pairs (i, j), self pairs included, with g_i, g_j or f_j zero

    **Arguments**

    - `q`: a Q-network, (B, obs_dim) -> (B, num_actions). A float64 copy in eval mode is measured
      and its trainable parameters are differentiated; `q` itself stays untouched.
    - `batch`: B transitions with obs, action, reward, next_obs and terminated, arrays or tensors.
    - `lr`: learning rate of the SGD step that GI2 looks ahead to, the paper's eta.
    - `gamma`: discount factor.
    - `terminal_mask`: no bootstrap through terminated transitions.

    **Returns** a dict of floats. A mean over no pair is NaN, `gi2_scaled` is NaN where the loss
    is 0, and everything is NaN where the network or the batch is not finite.

    **Raises** `MetricError` for a batch, `lr` or `gamma` that the metrics are not defined for.
    """
    data = check_batch(batch, lr, gamma, terminal_mask)
    net = _Net(q, data)
    if not (data.finite and net.finite):
        return dict.fromkeys(NAMES, math.nan)
    values, h = net.values_and_h(net.theta)
    grad_q = net.gradients(values)  # (B, P)
    grad_h = net.gradients(h)  # (B, P)
    td = (h - net.reward).detach()  # Delta, (B,)

    g = td[:, None] * grad_q  # semi-gradients
    f = td[:, None] * grad_h  # full gradients
    u = g @ grad_h.T  # u_ij, (B, B)
    all_pairs = torch.ones_like(u, dtype=torch.bool)
    other = ~torch.eye(len(u), dtype=torch.bool)
    td_loss = td.square().mean()
    gi2 = _decrement(lr, td, u).mean()
    g_zero, f_zero = _norms(g) == 0, _norms(f) == 0
    left_out = g_zero[:, None] | (g_zero | f_zero)[None, :]
    cosines = {
        "qgi_plus": _mean_cosine(grad_q, grad_q, other, absolute=True),
        "sgi": _mean_cosine(g, g, all_pairs),
        "sgi_off": _mean_cosine(g, g, other),
        "mgi": _mean_cosine(g, f, all_pairs),
    }
    metrics = {name: defined for name, (defined, _) in cosines.items()} | {
        "dgi": (g @ f.T).mean(),
        "gi2": gi2,
        "gi2_scaled": gi2 / td_loss if td_loss != 0 else math.nan,
        "gi2_minibatch": _decrement(lr, td, u.mean(0)).mean(),
        "td_loss": td_loss,
        "grad_norm2": grad_q.square().sum(1).mean(),
        "zero_gradients": left_out.sum(),
    }
    metrics |= {f"{name}_zero": of_all for name, (_, of_all) in cosines.items()}
    return {name: float(metrics[name]) for name in NAMES}


def second_order(
    q: nn.Module, batch: Transitions, lr: float, gamma: float = 0.99, terminal_mask: bool = True
) -> dict[str, float]:
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

    The Hessian is never formed: each pair takes one product with it, the gradient of
    <grad h_j, g_i>. A realised step may change the greedy next action, which no derivative
    foresees, and the active ReLUs.

    **Arguments**, **Raises** as for `interference`; torch raises `RuntimeError` for a network with
    `nn.GroupNorm`, whose second derivative it cannot take for several directions at once.

    **Returns** a dict of floats; all NaN where the network or the batch is not finite.
    """
    names = (*SECOND_ORDER, "gi2_minibatch")
    data = check_batch(batch, lr, gamma, terminal_mask)
    net = _Net(q, data)
    if not (data.finite and net.finite):
        return dict.fromkeys(names, math.nan)
    values, h = net.values_and_h(net.theta)
    td = (h - net.reward).detach()
    g = td[:, None] * net.gradients(values)
    u = g @ net.gradients(h).T
    theta = net.theta.detach()
    greedy = net(theta, net.next_obs).argmax(1)

    def curvatures(j: int) -> Tensor:
        """g_i^T (nabla^2 h_j) g_i for one sample j and every direction g_i: (B,)."""
        value = net(net.theta, net.obs[j : j + 1])[0, net.action[j]]
        next_value = net(net.theta, net.next_obs[j : j + 1])[0, greedy[j]]
        h_j = value - net.bootstrap[j] * next_value
        (gradient,) = torch.autograd.grad(h_j, net.theta, create_graph=True)
        if not gradient.requires_grad:  # h_j is linear in theta
            return torch.zeros_like(td)
        # not torch.func, which knows no weight norm and takes a second to load torch's compiler
        (products,) = torch.autograd.grad(gradient, net.theta, g, is_grads_batched=True)
        return (products * g).sum(1)

    def after(step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses at theta - lr step, losses with the actions held, which actions switched."""
        moved = theta - lr * step
        values = net(moved, net.obs).gather(1, net.action[:, None])[:, 0]
        next_values = net(moved, net.next_obs)
        held = next_values.gather(1, greedy[:, None])[:, 0]
        loss, loss_held = (
            (values - net.bootstrap * best - net.reward).square()
            for best in (next_values.max(1).values, held)
        )
        return loss, loss_held, next_values.argmax(1) != greedy

    curvature = torch.stack([curvatures(j) for j in range(len(td))])  # (B, B), a row for each j
    with torch.no_grad():
        loss = td.square()
        outcomes = [after(step) for step in g]
        loss_after, held_after, switched = map(torch.stack, zip(*outcomes, strict=True))
        terms = (
            2 * lr * td * u,
            lr**2 * u.square(),
            lr**2 * td[:, None] * curvature,
            loss - loss_after,
            loss - held_after,
            switched.double(),
            loss - after(g.mean(0))[0],
            _decrement(lr, td, u.mean(0)),
        )
    return {name: float(term.mean()) for name, term in zip(names, terms, strict=True)}


def isometry(features: np.ndarray | Tensor, k: int, rng: np.random.Generator) -> float:
    """App. C, ISO_k = mean of det(G)^(1/k) / (tr G / k), G the Gram matrix of k feature vectors.

    The mean runs over B // k disjoint subsets of a random permutation. With X^T = QR, log det G is
    2 sum log |R_ii|: slogdet of G without squaring X's condition number. A subset whose vectors
    are linearly dependent counts as 0; dependent means that one of them lies within a relative
    1e-10 of the span of those before it.

    **Arguments**

    - `features`: (B, width), what the output layer reads (after the ReLU: before it, their rank is
      at most obs_dim + 1).
    - `k`: vectors per subset, 1 to B.
    - `rng`: draws the permutation.

    **Returns** a number from 0 to 1; NaN where a feature is not finite.

    **Raises** `MetricError` for features that are no matrix and for a `k` outside 1 to B.
    """
    x = check_features(features, k)
    order = rng.permutation(len(x))
    if not np.isfinite(x).all():
        return math.nan
    subsets = x[order[: len(x) // k * k]].reshape(-1, k, x.shape[1])
    return float(np.mean([_isometry(subset) for subset in subsets]))


def _isometry(x: np.ndarray) -> float:
    """det(G)^(1/k) / (tr G / k) of the k rows of x."""
    k, width = x.shape
    norms = np.linalg.norm(x, axis=1)
    if k > width:
        return 0.0
    distances = np.abs(np.diag(np.linalg.qr(x.T, mode="r")))  # of each row to the rows before it
    if (distances <= SINGULAR * norms).any():
        return 0.0
    return float(np.exp(2 * np.log(distances).mean()) / np.mean(norms**2))


class _Net:
    """A float64 copy of a Q-network as a function of its flat trainable parameters theta (P,)."""

    def __init__(self, q: nn.Module, data: Batch):
        self.module = deepcopy(q).double().eval()
        self.obs, self.action, self.reward, self.next_obs, self.bootstrap = map(
            torch.from_numpy, data
        )
        trained = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.shapes = {name: parameter.shape for name, parameter in trained.items()}
        flat = torch.cat([parameter.detach().flatten() for parameter in trained.values()])
        self.theta = flat.requires_grad_()
        self.finite = all(bool(t.isfinite().all()) for t in self.module.state_dict().values())

    def __call__(self, theta: Tensor, obs: Tensor) -> Tensor:
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = zip(self.shapes.items(), theta.split(sizes), strict=True)
        arrays = {name: part.view(shape) for (name, shape), part in parts}
        return functional_call(self.module, arrays, (obs,))

    def values_and_h(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Q(s, a) and h, each (B,); a* is the first greedy action."""
        values = self(theta, self.obs).gather(1, self.action[:, None])[:, 0]
        next_values = self(theta, self.next_obs)
        best = next_values.gather(1, next_values.argmax(1, keepdim=True))[:, 0]
        return values, values - self.bootstrap * best

    def gradients(self, values: Tensor) -> Tensor:
        """One autograd gradient per sample: (B,) -> (B, P)."""
        rows = [torch.autograd.grad(value, self.theta, retain_graph=True)[0] for value in values]
        return torch.stack(rows)


def _decrement(lr: float, td: Tensor, u: Tensor) -> Tensor:
    """2 lr Delta_j u_ij - lr^2 u_ij^2 = Delta_j^2 - (Delta_j - lr u_ij)^2."""
    return 2 * lr * td * u - lr**2 * u.square()


def _norms(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)


def _mean_cosine(
    x: Tensor, y: Tensor, pairs: Tensor, absolute: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean of cos(x_i, y_j) over those `pairs` (i, j) in which neither vector is zero, and over all
    of them, the others as 0."""
    defined = pairs & (_norms(x) != 0)[:, None] & (_norms(y) != 0)[None, :]
    x, y = (rows / _norms(rows)[:, None] for rows in (x, y))
    cosine = (x @ y.T)[defined]
    cosine = cosine.abs() if absolute else cosine
    return cosine.mean(), cosine.sum() / pairs.sum()


def check_batch(batch: Transitions, lr: float, gamma: float, terminal_mask: bool) -> Batch:
    """The batch as float64 arrays with its per-transition bootstrap factor.

    **Raises** `MetricError` for shapes that do not fit, `lr` <= 0 or `gamma` outside 0 to 1.
    """
    if not 0 < lr < math.inf:
        raise MetricError(f"lr is {lr!r}; it must be positive and finite; pass for example lr=1e-3")
    if not 0 <= gamma <= 1:
        raise MetricError(f"gamma is {gamma!r}; it must lie in 0 to 1; pass for example gamma=0.99")
    obs = _array(batch.obs)
    if obs.ndim != 2 or len(obs) == 0:
        raise MetricError(
            f"obs has shape {obs.shape}; it must be (B, obs_dim) with B > 0; "
            "pass one observation as obs[None]"
        )
    shapes = {"action": obs.shape[:1], "reward": obs.shape[:1], "next_obs": obs.shape}
    shapes["terminated"] = obs.shape[:1]
    arrays = {name: _array(getattr(batch, name)) for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise MetricError(
                f"{name} has shape {arrays[name].shape} beside obs {obs.shape}; it must be "
                f"{shape}; pass transitions of equal number"
            )
    masked = arrays["terminated"] if terminal_mask else np.zeros(len(obs))
    bootstrap = gamma * (1.0 - masked)
    action = arrays["action"].astype(np.int64)
    return Batch(obs, action, arrays["reward"], arrays["next_obs"], bootstrap)


def check_features(features: np.ndarray | Tensor, k: int) -> np.ndarray:
    """The features as a float64 matrix (B, width).

    **Raises** `MetricError` for another shape and for a `k` outside 1 to B.
    """
    x = _array(features)
    if x.ndim != 2:
        raise MetricError(
            f"features have shape {x.shape}; they must be (B, width); pass q.features(obs)"
        )
    if not 1 <= k <= len(x):
        raise MetricError(
            f"k is {k!r} with {len(x)} features; it must lie in 1 to {len(x)}; "
            "pass for example the observation size"
        )
    return x


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    """Numbers from numpy or torch as a contiguous float64 array."""
    values = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return np.ascontiguousarray(values, dtype=np.float64)
