"""The paper's metrics of any Q-network on a batch, from the inner products of its gradients.

i is the sample that is trained on, j the sample that is evaluated;
Delta = Q(s, a) - r - gamma (1 - terminated) max_a' Q(s', a') is the TD error and
h = Q(s, a) - gamma (1 - terminated) max_a' Q(s', a') is what the TD error differentiates.

- semi-gradient g_i = Delta_i grad Q_i, what the update follows (Eq. 1),
- full gradient f_j = Delta_j grad h_j, what the loss follows.

Both are half the gradient of Delta^2. The tests hold all of it against a plain loop of autograd,
one transition at a time. `structured.py` computes the same numbers faster for the
one-hidden-layer networks that the book trains.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ..results import INTERFERENCE
from .batch import MetricError, check_features
from .grams import Grams, grams
from .problem import Measured, Options, nothing, problem

if TYPE_CHECKING:
    from ..data import Transitions

NAMES = (*INTERFERENCE, "zero_gradients")
SEEM = ("seem", "seem_scaled")
SINGULAR = 1e-10  # a row this close to the span of the others, relative to its norm, lies in it


def interference(
    q: nn.Module,
    batch: Transitions,
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    **options: Unpack[Options],
) -> Measured:
    """Eqs. (6), (8), (9), (11) and App. F, the gradient interference of a Q-network on a batch.

    With u_ij = <g_i, grad h_j> = Delta_i <grad Q_i, grad h_j>, averaging over all pairs (i, j):

    - `qgi_plus`, Eq. (6): mean |cos(grad Q_i, grad Q_j)| over i != j
    - `sgi`, Eq. (8): mean cos(g_i, g_j); `sgi_off` is the same over i != j
    - `mgi`, Eq. (9): mean cos(g_i, f_j), the second gradient being the full one
    - `dgi`, App. F: mean <g_i, f_j> = mean Delta_j u_ij
    - `gi2`, Eq. (11): mean 2 lr Delta_j u_ij - lr^2 u_ij^2; `gi2_scaled` divides it by `td_loss`
    - `gi2_minibatch`: the same for one step on the mean of g, u_ij replaced by its mean over i
    - `td_loss`: mean Delta_j^2
    - `qgi_plus_zero`, `sgi_zero`, `sgi_off_zero`, `mgi_zero`: pairs of a zero gradient count as
      cosine 0, where the means above leave them out, since a zero vector has no cosine
    - `grad_norm2`: mean |grad Q_i|^2
    - `zero_gradients`: pairs (i, j), self pairs included, with g_i, g_j or f_j zero

    **Arguments**

    - `q`: a Q-network, (B, ...) -> (B, num_actions). A copy in eval mode, in float64, is measured
      and its trainable parameters are differentiated; `q` and torch's random state stay untouched.
      Hooks do not run. Networks that insist on their own precision are measured in it.
    - `batch`: B transitions with obs, action, reward, next_obs and terminated, arrays or tensors,
      (B,) or (B, 1); observations of any shape, dicts and TensorDicts where `forward` reads them;
      the samples of a stable-baselines3 replay buffer as they come. Equal rows are transitions of
      their own: a batch drawn with replacement has pairs of cosine 1.
    - `lr`: learning rate of the SGD step that GI2 looks ahead to, the paper's eta.
    - `gamma`: discount factor.
    - `terminal_mask`: no bootstrap through terminated transitions, whose next_obs is never read.
    - `forward`: `lambda q, obs: ...`, Q-values (B, num_actions) of a network that is called
      otherwise, or answers with a tuple, an object or quantiles.
    - `target`: a target network, which then gives the value of s' as a constant, so grad h is
      grad Q; `double=True` takes the action at s' from q.
    - `discount`: gamma^n for each transition of n-step batches, (B,), instead of `gamma`; by
      default what the batch has as `discounts`.
    - `num_actions`: checked against what q returns. Flat quantiles, (B, num_actions x N), pass for
      so many actions without it.
    - `dtype`: a precision to insist on; by default float64, or the network's own where it insists.

    **Returns** a dict of floats, whose `dtype` and `notes` say how it was measured. A mean over no
    pair is NaN, `gi2_scaled` is NaN where the loss is 0, and everything is NaN where a value, a
    reward or a gradient is not finite, in double or in the network's own precision.

    **Raises** `MetricError` for a batch, a network or a setting that the metrics are not defined
    for: one sentence says what came and what to pass.
    """
    with problem(q, batch, lr, gamma, terminal_mask, **options) as p:
        if not p.finite:
            return nothing(NAMES, p.net)
        g = grams(p)
        if not g.finite:
            return nothing(NAMES, p.net)
        means = interference_of(g, lr)
        return Measured({name: float(means[name]) for name in NAMES}, p.net)


def interference_of(g: Grams, lr: float) -> dict[str, Tensor | float]:
    """The metrics of `interference` from inner products and TD errors."""
    td, sign = g.td, g.td.sign()
    u = td[:, None] * g.kh  # u_ij, (B, B)
    everything = torch.ones_like(u, dtype=torch.bool)
    other = ~torch.eye(len(u), dtype=torch.bool, device=u.device)
    norm_q, norm_h = g.k.diagonal().sqrt(), g.hh.sqrt()
    has_q, has_g, has_f = norm_q != 0, (norm_q != 0) & (td != 0), (norm_h != 0) & (td != 0)
    cosine = _cosine(g.k, norm_q, norm_q)
    signs = sign[:, None] * sign
    means = {
        "qgi_plus": _means(cosine.abs(), has_q, has_q, other),
        "sgi": _means(signs * cosine, has_g, has_g, everything),
        "sgi_off": _means(signs * cosine, has_g, has_g, other),
        "mgi": _means(signs * _cosine(g.kh, norm_q, norm_h), has_g, has_f, everything),
    }
    td_loss = td.square().mean()
    gi2 = decrement(lr, td, u).mean()
    defined = has_g[:, None] & (has_g & has_f)
    return (
        {name: mean for name, (mean, _) in means.items()}
        | {
            "dgi": (td * u).mean(),
            "gi2": gi2,
            "gi2_scaled": gi2 / td_loss if td_loss != 0 else math.nan,
            "gi2_minibatch": decrement(lr, td, u.mean(0)).mean(),
            "td_loss": td_loss,
        }
        | {f"{name}_zero": mean for name, (_, mean) in means.items()}
        | {"grad_norm2": g.k.diagonal().mean(), "zero_gradients": (~defined).sum()}
    )


def seem(
    q: nn.Module,
    batch: Transitions,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    **options: Unpack[Options],
) -> Measured:
    """Yue et al. 2023, SEEM: the largest real part of the eigenvalues of gamma K(X', X) - K(X, X).

    K is the Gram matrix of grad Q, X the batch's (s, a) and X' its (s', a*) with a* greedy; rows of
    terminated transitions have no X'. A positive index says that the TD errors of the batch, under
    gradient flow on it, grow.

    **Arguments**, **Raises** as for `interference`, without a target network.

    **Returns** `seem`, and `seem_scaled`, divided by tr K / B; NaN where `interference` is.
    """
    if options.get("target") is not None:
        raise MetricError(
            "seem takes no target network: both Gram matrices are of q's own gradients; leave "
            "target out"
        )
    with problem(q, batch, 1.0, gamma, terminal_mask, **options) as p:
        g = grams(p) if p.finite else None
        if g is None or not g.finite:
            return nothing(SEEM, p.net)
        return Measured(seem_of(g), p.net)


def seem_of(g: Grams) -> dict[str, float]:
    """The metrics of `seem` from inner products: the matrix is -<grad h_j, grad Q_i>."""
    index = float(torch.linalg.eigvals(-g.kh.T).real.max())
    size = float(g.k.diagonal().mean())
    return {"seem": index, "seem_scaled": index / size if size else math.nan}


def isometry(
    features: np.ndarray | Tensor, k: float, rng: np.random.Generator | None = None
) -> float:
    """App. C, ISO_k = mean of det(G)^(1/k) / (tr G / k), G the Gram matrix of k feature vectors.

    The mean runs over B // k disjoint subsets of a random permutation. With X^T = QR, log det G is
    2 sum log |R_ii|: slogdet of G without squaring X's condition number. A subset whose vectors
    are linearly dependent counts as 0; dependent means that one of them lies within a relative
    1e-10 of the span of those before it.

    **Arguments**

    - `features`: (B, width), what the output layer reads (after the ReLU: before it, their rank is
      at most obs_dim + 1).
    - `k`: vectors per subset, a whole number from 1 to B.
    - `rng`: draws the permutation; by default numpy.random.default_rng(0), always the same one.

    **Returns** a number from 0 to 1; NaN where a feature is not finite.

    **Raises** `MetricError` for features that are no matrix and for a `k` outside 1 to B.
    """
    x = check_features(features, k)
    rng = np.random.default_rng(0) if rng is None else rng
    return isometry_in_order(x[rng.permutation(len(x))], int(k))


def isometry_in_order(features: np.ndarray, k: int) -> float:
    """ISO_k of subsets of k rows after one another, as `isometry` of permuted features."""
    if not np.isfinite(features).all():
        return math.nan
    subsets = features[: len(features) // k * k].reshape(-1, k, features.shape[1])
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


def decrement(lr: float, td: Tensor, u: Tensor) -> Tensor:
    """2 lr Delta_j u_ij - lr^2 u_ij^2 = Delta_j^2 - (Delta_j - lr u_ij)^2."""
    return 2 * lr * td * u - lr**2 * u.square()


def _cosine(products: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """<x_i, y_j> / (|x_i| |y_j|), 0 where a vector is zero."""
    inverse = (torch.where(norm != 0, 1 / norm, 0.0) for norm in (rows, columns))
    return products * next(inverse)[:, None] * next(inverse)


def _means(cosine: Tensor, rows: Tensor, columns: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Means over `pairs` in which neither vector is zero, and over all with 0 for the others."""
    defined = pairs & rows[:, None] & columns
    return cosine[defined].mean(), torch.where(defined, cosine, 0.0)[pairs].mean()
