"""The metrics of one-hidden-layer networks from their structure: exact, in about a millisecond.

The gradient of Q(s, a) = <V_a, phi(s)> + c_a is rank one in each layer: grad_W Q = p s^T, with p
the gradient that reaches the hidden units, and grad_V Q is phi in row a. So its inner products
need only (B, width) arrays, never the (B, P) gradients:

    <grad Q_i, grad Q_j> = <p_i, p_j> (<s_i, s_j> + bias) + 1[a_i = a_j] (<phi_i, phi_j> + bias)

Weight norm and LN's gain and shift add diagonal blocks, collected in `extra`. `lnqlib.metrics`
holds the definitions; the tests compare the two.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..compiled import njit
from ..metrics import NAMES, SINGULAR, Batch, MetricError, check_batch, check_features
from ..networks import CHAINS, EPS, TABLE, Params

if TYPE_CHECKING:
    from ..data import Transitions

# Sums may be regrouped into vector lanes; NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
FAST: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": FASTMATH}
# Always inlined: otherwise numba compiles a function once alone and once inside its caller. Which
# of the two runs would depend on what the cache holds, and so would the bits.
PART = FAST | {"forceinline": True}


class Net(NamedTuple):
    """Every norm of `networks.CHAINS` as one chain; a stage that the norm lacks is neutral.

    z = (W s + b - mean) inv; [ReLU]; [centre]; [scale]; gain, shift; [ReLU]
    """

    W: np.ndarray  # (obs_dim, width), transposed; under weight norm it is ratio v
    b: np.ndarray  # (width,)
    V: np.ndarray  # (num_actions, width)
    c: np.ndarray  # (num_actions,)
    mean: np.ndarray  # (width,)
    inv: np.ndarray  # (width,), 1 / sqrt(var + eps)
    gain: np.ndarray  # (width,)
    shift: np.ndarray  # (width,)
    ratio: np.ndarray  # (width,), weight norm's g / |v|
    axis: np.ndarray  # (obs_dim, width), weight norm's v / |v|, else 0
    center: bool
    scale: bool
    after_relu: bool  # the norm follows the ReLU
    affine: bool
    weight: bool
    bias: bool
    shorten: bool = False  # scaling never lengthens: its factor is at most 1


class Samples(NamedTuple):
    """What the gradients of Q at n state-actions are made of."""

    obs: np.ndarray  # (n, obs_dim)
    action: np.ndarray  # (n,)
    q: np.ndarray  # (n,), Q(s, a)
    features: np.ndarray  # phi, (n, width)
    back: np.ndarray  # p, (n, width)
    extra: np.ndarray  # (n, 2 width): gain and shift, or weight norm's p and p <s, axis>; else 0


def structured_interference(
    params: Params,
    norm: str,
    bias: bool,
    batch: Transitions,
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    shorten: bool = False,
) -> dict[str, float]:
    """Eqs. (6), (8), (9), (11) and App. F, the values of `metrics.interference`, faster.

    **Arguments**

    - `params`, `norm`, `bias`: a network as in `networks.Params`; where `bias` is False, b and c
      are no parameters. Batch norm and CrossQ use their running statistics, as constants.
    - `batch`, `lr`, `gamma`, `terminal_mask`: as for `metrics.interference`.
    - `shorten`: scaling never makes a vector longer (the arm `bounded`).

    **Returns** the dict of `metrics.interference`.

    **Raises** `MetricError` as `metrics.interference` does, for an unknown norm, and for
    observations or actions that do not fit the network.
    """
    net, data, finite = prepare(params, norm, bias, batch, lr, gamma, terminal_mask, shorten)
    if not finite:
        return dict.fromkeys(NAMES, math.nan)
    return dict(zip(NAMES, map(float, _interference(net, *data, lr)), strict=True))


def prepare(
    params: Params,
    norm: str,
    bias: bool,
    batch: Transitions,
    lr: float,
    gamma: float,
    terminal_mask: bool,
    shorten: bool = False,
) -> tuple[Net, Batch, bool]:
    """The network as a `Net`, the checked batch, and whether every number of both is finite.

    **Arguments**, **Raises** as for `structured_interference`.
    """
    data = check_batch(batch, lr, gamma, terminal_mask)
    net = _net(params, norm, bias)._replace(shorten=shorten)
    _check_fit(net, data)
    finite = all(bool(np.isfinite(a).all()) for a in net if isinstance(a, np.ndarray))
    return net, data, data.finite and finite


def structured_features(
    params: Params, norm: str, obs: np.ndarray, shorten: bool = False
) -> np.ndarray:
    """phi(s), the features that the output layer reads, in float64: (B, obs_dim) -> (B, width).

    **Raises** `MetricError` for an unknown norm and for observations of another size.
    """
    net = _net(params, norm, True)._replace(shorten=shorten)
    obs = np.ascontiguousarray(obs, dtype=np.float64)
    if obs.ndim != 2 or obs.shape[1] != len(net.W):
        raise MetricError(
            f"obs has shape {obs.shape}; it must be (B, {len(net.W)}); "
            "pass observations of the network's size"
        )
    return samples(net, obs, np.zeros(len(obs), np.int64)).features


def best_values(params: Params, norm: str, bias: bool, obs: np.ndarray) -> np.ndarray:
    """max over a of Q(s, a) in float64: (B, obs_dim) -> (B,)."""
    obs = np.ascontiguousarray(obs, dtype=np.float64)
    return samples(_net(params, norm, bias), obs, np.full(len(obs), -1)).q


def structured_isometry(features: np.ndarray, k: int, permutation: np.ndarray) -> float:
    """App. C, ISO_k: the value of `metrics.isometry` whose generator draws `permutation`.

    **Arguments**

    - `features`: (B, width).
    - `k`: vectors per subset, 1 to B.
    - `permutation`: (B,), each of 0 .. B - 1 once; k consecutive entries make a subset.

    **Returns** a number from 0 to 1; NaN where a feature is not finite.

    **Raises** `MetricError` as `metrics.isometry` does, and for no permutation.
    """
    x = check_features(features, k)
    order = np.ascontiguousarray(permutation, dtype=np.int64)
    if order.shape != (len(x),) or order.min() < 0 or order.max() >= len(x):
        raise MetricError(
            f"permutation has shape {order.shape} with {len(x)} features; it must hold each of "
            f"0 to {len(x) - 1} once; pass rng.permutation({len(x)})"
        )
    return float(_isometry(x, k, order)) if np.isfinite(x).all() else math.nan


def _net(params: Params, norm: str, bias: bool) -> Net:
    if norm not in CHAINS:
        raise MetricError(
            f"norm is {norm!r}; allowed are {', '.join(CHAINS)}; write for example "
            'norm="layer", or take lnqlib.metrics, which measures any network'
        )
    kind = TABLE[norm]
    p = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in params.items()}
    width = len(p["W"])
    zeros, ones = np.zeros(width), np.ones(width)
    with np.errstate(divide="ignore", invalid="ignore"):  # a zero row or variance gives NaN
        length = np.sqrt((p["W"] ** 2).sum(1))
        ratio = p["g"] / length if kind.weight else ones
        axis = p["W"].T / length if kind.weight else np.zeros_like(p["W"].T)
        inv = 1.0 / np.sqrt(p["var"] + EPS) if kind.batch else ones
        W = np.ascontiguousarray(p["W"].T) * ratio
    return Net(
        W=W,
        b=p["b"] if bias else zeros,
        V=p["V"],
        c=p["c"] if bias else np.zeros(len(p["V"])),
        mean=p["mean"] if kind.batch else zeros,
        inv=inv,
        gain=p["gain"] if kind.affine else ones,
        shift=p["shift"] if kind.affine else zeros,
        ratio=ratio,
        axis=np.ascontiguousarray(axis),
        center=kind.center,
        scale=kind.scale,
        after_relu=kind.after_relu,
        affine=kind.affine,
        weight=kind.weight,
        bias=bool(bias),
    )


def _check_fit(net: Net, data: Batch) -> None:
    num_actions, obs_dim = len(net.V), len(net.W)
    if data.obs.shape[1] != obs_dim:
        raise MetricError(
            f"obs has shape {data.obs.shape}; the network reads (B, {obs_dim}); "
            "pass observations of its size"
        )
    if data.action.min() < 0 or data.action.max() >= num_actions:
        raise MetricError(
            f"action runs from {data.action.min()} to {data.action.max()}; the network has "
            f"actions 0 to {num_actions - 1}; pass transitions of its task"
        )


@njit(**PART)
def samples(net, obs, action):
    """Forward and backward through the network; where `action` is -1, at the greedy action."""
    B, (num_actions, width), obs_dim = len(obs), net.V.shape, obs.shape[1]
    chosen = action.copy()
    q = np.empty(B)
    features = np.empty((B, width))
    back = np.empty((B, width))
    extra = np.zeros((B, 2 * width if net.affine or net.weight else 0))
    x, d = np.empty(width), np.empty(width)
    for i in range(B):
        # forward: x becomes the normalized value, phi the feature
        for u in range(width):
            x[u] = net.b[u] - net.mean[u]
        for k in range(obs_dim):
            for u in range(width):
                x[u] += net.W[k, u] * obs[i, k]
        for u in range(width):
            x[u] *= net.inv[u]
        if net.after_relu:
            for u in range(width):
                back[i, u] = 1.0 if x[u] > 0.0 else 0.0  # the ReLU's derivative, used below
                x[u] = max(x[u], 0.0)
        if net.center:
            mean = 0.0
            for u in range(width):
                mean += x[u]
            mean /= width
            for u in range(width):
                x[u] -= mean
        spread = 1.0
        if net.scale:
            square = 0.0
            for u in range(width):
                square += x[u] * x[u]
            spread = 1.0 / math.sqrt(square / width + EPS)
            if net.shorten:
                spread = min(spread, 1.0)
            for u in range(width):
                x[u] *= spread
        for u in range(width):
            y = net.gain[u] * x[u] + net.shift[u]
            features[i, u] = y if net.after_relu or y > 0.0 else 0.0

        first, last = 0, num_actions
        if chosen[i] >= 0:
            first, last = chosen[i], chosen[i] + 1
        q[i] = -math.inf
        for a in range(first, last):
            value = net.c[a]
            for u in range(width):
                value += net.V[a, u] * features[i, u]
            if a == first or value > q[i]:
                q[i] = value
                chosen[i] = a

        # backward: d is the gradient of Q(s, a), first with respect to y, at the end to W s + b
        a = chosen[i]
        for u in range(width):
            d[u] = net.V[a, u] if net.after_relu or features[i, u] > 0.0 else 0.0
        if net.affine:
            for u in range(width):
                extra[i, u] = d[u] * x[u]
                extra[i, width + u] = d[u]
        along = 0.0
        if net.scale and not (net.shorten and spread == 1.0):
            for u in range(width):
                along += net.gain[u] * d[u] * x[u]
            along /= width
        mean = 0.0
        for u in range(width):
            d[u] = (net.gain[u] * d[u] - along * x[u]) * spread
            mean += d[u]
        mean = mean / width if net.center else 0.0
        for u in range(width):
            passed = back[i, u] if net.after_relu else 1.0
            back[i, u] = (d[u] - mean) * passed * net.inv[u]
        if net.weight:
            for k in range(obs_dim):
                for u in range(width):
                    extra[i, width + u] += back[i, u] * net.axis[k, u] * obs[i, k]
            for u in range(width):
                extra[i, u] = back[i, u]
                back[i, u] *= net.ratio[u]
    return Samples(obs, chosen, q, features, back, extra)


@njit(**PART)
def _inner(left, right, out):
    """out[j, i] = <left_j, right_i>, in blocks of two by four that stay in registers."""
    rows, columns, last = len(left), len(right), len(right) - 1
    for i in range(0, columns, 4):
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        for j in range(0, rows, 2):
            j1 = min(j + 1, rows - 1)
            a0, a1, a2, a3, b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for u in range(left.shape[1]):
                a, b = left[j, u], left[j1, u]
                r0, r1, r2, r3 = right[i, u], right[i1, u], right[i2, u], right[i3, u]
                a0 += a * r0
                a1 += a * r1
                a2 += a * r2
                a3 += a * r3
                b0 += b * r0
                b1 += b * r1
                b2 += b * r2
                b3 += b * r3
            out[j, i], out[j, i1], out[j, i2], out[j, i3] = a0, a1, a2, a3
            out[j1, i], out[j1, i1], out[j1, i2], out[j1, i3] = b0, b1, b2, b3


@njit(**PART)
def inner_products(net, x, B):
    """<grad Q_j, grad Q_i> of every sample j and the first B samples i: (n, B)."""
    n, width = x.back.shape
    gram, part = np.empty((n, B)), np.empty((n, B))
    bias = 1.0 if net.bias else 0.0
    hidden_bias = 0.0 if net.weight else bias  # weight norm's b is a block of `extra`
    _inner(x.back, x.back[:B], gram)
    _inner(x.features, x.features[:B], part)
    for j in range(n):
        for i in range(B):
            product = hidden_bias
            for k in range(x.obs.shape[1]):
                product += x.obs[j, k] * x.obs[i, k]
            same = 1.0 if x.action[j] == x.action[i] else 0.0
            gram[j, i] = gram[j, i] * product + same * (part[j, i] + bias)
    if net.affine or net.weight:
        right = x.extra[:B].copy()
        if net.weight:
            # with t = <s, axis>, g and v give p_i p_j (t_i t_j + ratio^2 (<s_i, s_j> - t_i t_j))
            for i in range(B):
                for u in range(width):
                    right[i, u] *= bias
                    right[i, width + u] *= 1.0 - net.ratio[u] ** 2
        _inner(x.extra, right, part)
        for j in range(n):
            for i in range(B):
                gram[j, i] += part[j, i]
    return gram


@njit(**PART)
def _norm(net, x, j, other, m):
    """|grad Q_j - m grad Q_other|, from the differences: subtracting squares would cancel."""
    width, bias = x.back.shape[1], 1.0 if net.bias else 0.0
    total = 0.0
    radial = np.zeros(width)  # under weight norm, v's gradient lacks its component along v
    if net.affine or net.weight:
        keep = bias if net.weight else 1.0
        for u in range(width):
            first = x.extra[j, u] - m * x.extra[other, u]
            second = x.extra[j, width + u] - m * x.extra[other, width + u]
            total += keep * first * first + second * second
            radial[u] = net.ratio[u] * second if net.weight else 0.0
    for k in range(x.obs.shape[1]):
        s, t = x.obs[j, k], m * x.obs[other, k]
        for u in range(width):
            d = x.back[j, u] * s - x.back[other, u] * t - radial[u] * net.axis[k, u]
            total += d * d
    hidden_bias = 0.0 if net.weight else bias
    same = 1.0 if x.action[j] == x.action[other] else 0.0
    total += bias * ((1.0 - same * m) ** 2 + (1.0 - same) * m * m)
    for u in range(width):
        d = x.back[j, u] - m * x.back[other, u]
        total += hidden_bias * d * d
        d = x.features[j, u] - same * m * x.features[other, u]
        e = (1.0 - same) * m * x.features[other, u]
        total += d * d + e * e
    return math.sqrt(total)


@njit(**FAST)
def _interference(net, obs, action, reward, next_obs, bootstrap, lr):
    """The values of `metrics.NAMES`, in that order."""
    B = len(obs)
    greedy = np.full(B, -1, np.int64)
    x = samples(net, np.concatenate((obs, next_obs)), np.concatenate((action, greedy)))
    gram = inner_products(net, x, B)  # rows j: grad Q_j, rows B + j: grad Q'_j
    td, sign = np.empty(B), np.empty(B)
    # reciprocal norms, 0 for a zero gradient: its pairs then add nothing to the sums of cosines
    rq, rh = np.zeros(B), np.zeros(B)
    q_count, g_count, f_count, both, grad_norm2 = 0, 0, 0, 0, 0.0
    for j in range(B):
        td[j] = x.q[j] - reward[j] - bootstrap[j] * x.q[B + j]
        sign[j] = np.sign(td[j])
        norm_q = _norm(net, x, j, j, 0.0)
        norm_h = _norm(net, x, j, B + j, bootstrap[j])
        rq[j] = 1.0 / norm_q if norm_q != 0.0 else 0.0
        rh[j] = 1.0 / norm_h if norm_h != 0.0 else 0.0
        g, f = norm_q != 0.0 and td[j] != 0.0, norm_h != 0.0 and td[j] != 0.0
        q_count += norm_q != 0.0
        g_count += g
        f_count += f
        both += g and f
        grad_norm2 += norm_q**2 / B

    td_loss, qgi, sgi_off, mgi, dgi, squared, minibatch = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(B):
        u_sum, u_square, mgi_sum, qgi_sum, sgi_sum = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(B):
            h = gram[j, i] - bootstrap[j] * gram[B + j, i]  # <grad Q_i, grad h_j>
            u = td[i] * h
            u_sum += u
            u_square += u * u
            cosine = gram[j, i] * rq[i] if i != j else 0.0
            qgi_sum += abs(cosine)
            sgi_sum += sign[i] * cosine
            mgi_sum += sign[i] * h * rq[i]
        qgi += qgi_sum * rq[j]
        sgi_off += sign[j] * sgi_sum * rq[j]
        mgi += sign[j] * mgi_sum * rh[j]
        td_loss += td[j] ** 2 / B
        dgi += td[j] * u_sum / B**2
        squared += u_square / B**2
        u_mean = u_sum / B
        minibatch += (2.0 * lr * td[j] * u_mean - (lr * u_mean) ** 2) / B

    gi2 = 2.0 * lr * dgi - lr**2 * squared
    return (
        _ratio(qgi, q_count * (q_count - 1)),
        _ratio(sgi_off + g_count, g_count**2),  # the cosine of a self pair is 1
        _ratio(sgi_off, g_count * (g_count - 1)),
        _ratio(mgi, g_count * f_count),
        dgi,
        gi2,
        _ratio(gi2, td_loss),
        minibatch,
        td_loss,
        _ratio(qgi, B * (B - 1)),
        (sgi_off + g_count) / B**2,
        _ratio(sgi_off, B * (B - 1)),
        mgi / B**2,
        grad_norm2,
        float(B * B - g_count * both),
    )


@njit(**PART)
def _ratio(total, count):
    return total / count if count != 0 else math.nan


@njit(**FAST)
def _isometry(features, k, order):
    """ISO_k of consecutive k-subsets of features[order]: modified Gram-Schmidt gives QR's R_ii."""
    B, width = features.shape
    x = np.empty((k, width))
    total = 0.0
    for start in range(0, B - k + 1, k):
        log_volume, trace, singular = 0.0, 0.0, k > width
        for i in range(k):
            square = 0.0
            for u in range(width):
                x[i, u] = features[order[start + i], u]
                square += x[i, u] ** 2
            trace += square
            for j in range(i):
                along = 0.0
                for u in range(width):
                    along += x[i, u] * x[j, u]
                for u in range(width):
                    x[i, u] -= along * x[j, u]
            distance = 0.0
            for u in range(width):
                distance += x[i, u] ** 2
            distance = math.sqrt(distance)
            if distance <= SINGULAR * math.sqrt(square):
                singular = True
                break
            log_volume += math.log(distance)
            for u in range(width):
                x[i, u] /= distance
        if not singular:
            total += math.exp(2.0 * log_volume / k) / (trace / k)
    return total / (B // k)
