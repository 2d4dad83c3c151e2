"""Companions of the paper's metrics: measures that others link to divergence or plasticity.

K holds <grad Q(s_j, a_j), grad Q(s_i, a_i)>, K' holds <grad Q(s'_j, a*_j), grad Q(s_i, a_i)> with
the greedy action a*, and zeros in the rows of terminated transitions:

    SEEM = max Re eigenvalue of (gamma K' - K) = max Re eigenvalue of -<grad h_j, grad Q_i>

(Yue et al. 2023, arXiv 2310.04411). With Phi the features of the batch's states, (B, width),

    stable rank = |Phi|_F^2 / |Phi|_2^2,
    unit u is dormant where mean_s |Phi_su| <= tau mean_u mean_s |Phi_su|, tau = .025

(Sokar et al. 2023, arXiv 2302.12902). Churn compares Q on the batch with the last checkpoint's.
"""

from __future__ import annotations

import math

import numpy as np

from ..arms.definition import function_of
from ..data import Transitions
from ..networks import Params
from ..results import COMPANIONS
from ..spec import RunSpec
from .structured import Net, inner_products, prepare, samples

TAU = 0.025

Array = np.ndarray


def companions(
    spec: RunSpec, params: Params, batch: Transitions, before: Params | None
) -> dict[str, float]:
    """The values of `results.COMPANIONS` for a run's network on a batch.

    **Arguments** `params`: the network. `before`: the one at the last checkpoint, None at the
    first.

    **Returns** a dict of floats, NaN where the network that they need is not finite.
    """
    norm, shorten = function_of(spec)

    def prepared(params: Params) -> tuple:
        return prepare(params, norm, spec.bias, batch, 1.0, spec.gamma, spec.terminal_mask, shorten)

    net, data, finite = prepared(params)
    if not finite:
        return dict.fromkeys(COMPANIONS, math.nan)
    B = len(data.obs)
    greedy = np.full(B, -1)
    x = samples(net, np.concatenate((data.obs, data.next_obs)), np.append(data.action, greedy))
    measured = seem(inner_products(net, x, B), data.bootstrap) | plasticity(x.features[:B])
    measured |= {"churn": 0.0, "switched_actions": 0.0}
    if before is not None:
        old, _, finite = prepared(before)
        q, old_q = (_values(n, samples(n, data.obs, greedy).features) for n in (net, old))
        measured["churn"] = float(np.abs(q - old_q).mean()) if finite else math.nan
        switched = q.argmax(1) != old_q.argmax(1)
        measured["switched_actions"] = float(switched.mean()) if finite else math.nan
    return measured


def seem(gram: Array, bootstrap: Array) -> dict[str, float]:
    """The SEEM index, plain and divided by tr K / B.

    **Arguments** `gram`: <grad Q_j, grad Q_i> of the (s, a), then of the (s', a*), (2 B, B).
    `bootstrap`: gamma, or 0 through a terminal state, (B,).
    """
    B = len(bootstrap)
    K, next_K = gram[:B], gram[B:]
    size = np.trace(K) / B
    scale = size if size > 0 else 1.0  # eigenvalues of a matrix near 1 lose nothing to overflow
    eigenvalues = np.linalg.eigvals((bootstrap[:, None] * next_K - K) / scale)
    scaled = float(eigenvalues.real.max())
    return {"seem": scaled * float(scale), "seem_scaled": scaled if size > 0 else math.nan}


def plasticity(features: Array) -> dict[str, float]:
    """Stable rank, dormant share and mean norm of features (B, width); NaN where all are 0."""
    largest = np.linalg.norm(features, 2) ** 2
    activity = np.abs(features).mean(0)
    return {
        "stable_rank": float(np.sum(features**2) / largest) if largest > 0 else math.nan,
        "dormant": float(np.mean(activity <= TAU * activity.mean())),
        "feature_norm": float(np.linalg.norm(features, axis=1).mean()),
    }


def _values(net: Net, features: Array) -> Array:
    return features @ net.V.T + net.c  # (B, num_actions)
