"""The paper's theorems on random instances: the worst of many against its bound."""

from __future__ import annotations

import numpy as np

from .. import theory
from ..lemma5 import autograd, layer_norm_loss, lemma5_residuals
from ..theorem4 import isometry_of_rows, unit


def distance_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 2, A^2 / B over its value for a constant norm, on random laws: at most 1."""
    ratios = theory.random_laws(trials, 5, seed=0)["distance_ratio"]
    return ratios.max(), len(ratios)


def loss_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 3, the same for C^2 / D, norm and direction independent."""
    laws = theory.random_laws(trials, 5, seed=0)
    ratios = laws.loc[laws["independent"], "loss_ratio"]
    return ratios.max(), len(ratios)


def isometry_ratio(trials: int = 200) -> tuple[float, int]:
    """Theorem 4, ISO of random rows over ISO of the same rows at length 1: at most 1."""
    rng, ratios = np.random.default_rng(0), []
    for _ in range(trials):
        x = rng.standard_normal((4, 8)) * np.exp(rng.standard_normal((4, 1)))
        ratios.append(isometry_of_rows(x) / isometry_of_rows(unit(x)))
    return max(ratios), trials


def lemma5_norm(trials: int = 8) -> tuple[float, int]:
    """Lemma 5, how far the growth of |w|^2 in one step is from the identity's, relatively: 0."""
    residuals = [_lemma5(seed, 0.1)["norm"] for seed in range(trials)]
    return max(map(abs, residuals)), trials


def lemma5_order(trials: int = 8) -> tuple[float, int]:
    """Lemma 5, how far the error of the direction's identity is from falling as lr^2: 0."""
    orders = [
        np.log2(_lemma5(seed, 2e-3)["direction"] / _lemma5(seed, 1e-3)["direction"])
        for seed in range(trials)
    ]
    return max(abs(order - 2) for order in orders), trials


def _lemma5(seed: int, lr: float) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    obs, targets, readout = rng.standard_normal((4, 8)), rng.standard_normal(4), np.ones(16)
    gradient = autograd(layer_norm_loss(obs, targets, readout))
    return lemma5_residuals(gradient, rng.standard_normal((16, 9)), lr)
