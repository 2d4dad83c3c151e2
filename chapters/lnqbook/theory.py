"""Sec. 3.4, App. B: the gain of one SGD step on linear regression, Theorems 2 and 3.

Throughout y = <x, theta*>, e = theta - theta* is the error, and x = a z splits into its norm
a = |x| and its direction z. A law of x is a list of atoms with weights; atoms without weights are
equally likely, so a plain sample is a law too. Arrays of `fractions.Fraction` stay exact.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd

from .theorem4 import squared_norms, unit

Array = np.ndarray
Number = float | Fraction
Variance = Callable[[Array], Array | Number]
"""sigma^2(x) of the noise in y as a function of |x|^2, (n,) -> (n,) or one number for all."""


class Example(NamedTuple):
    """Two laws of equally likely atoms with one error: a spread norm against a constant norm."""

    error: tuple[int, ...]
    spread: tuple[tuple[int, ...], ...]
    constant: tuple[tuple[int, ...], ...]


EXAMPLES = {
    "fixed_r": Example((1, 0), ((4, 3), (8, -6)), ((3, 4), (3, -4))),  # Theorem 2 as printed
    "fixed_l": Example(  # Theorem 3, independent, L the same, other directions
        (1, 0), ((3, 0), (21, 0)), ((15, 20), (15, -20))
    ),
    "dependent": Example(  # Theorem 3 without independence: same L, same law of directions
        (1, 1), ((8, 0), (8, 0), (8, 0), (0, 2)), ((7, 0), (7, 0), (7, 0), (0, 7))
    ),
    "noise": Example((2, 1), ((7, 0), (0, 1)), ((5, 0), (0, 5))),  # noise 4 |x|^2, or 100
    "saturating_noise": Example(  # norm and direction independent, noise 50 min(|x|^2, 169)
        (2, 1), ((17, 0), (0, 17), (7, 0), (0, 7)), ((13, 0), (0, 13))
    ),
}


def exact(values: tuple) -> Array:
    """The same numbers as an array of fractions; with them this module's functions are exact."""
    return np.vectorize(Fraction, otypes=[object])(values)


def distance_terms(x: Array, error: Array, weights: Array | None = None) -> tuple[Number, Number]:
    """Theorem 2, A = E[<x, e>^2] and B = E[|x|^2 <x, e>^2].

    With R = |e|^2, one SGD step gives E[R(theta_{t+1})] = R(theta_t) - 2 lr A + lr^2 B.

    **Arguments**

    - `x`: atoms of the law or samples, (n, d).
    - `error`: e = theta - theta*, (d,).
    - `weights`: probabilities of the atoms, (n,); equal when left out.

    **Returns** (A, B).

    **Raises** `ValueError` where the shapes disagree or the weights are no probabilities.
    """
    x, error, weights = _law(x, error, weights)
    td_error = x @ error  # (n,), the residual <x, theta> - y
    return weights @ td_error**2, weights @ (squared_norms(x) * td_error**2)


def loss_terms(x: Array, error: Array, weights: Array | None = None) -> tuple[Number, Number]:
    """Theorem 3, C = E[<x, e> <x', e> <x, x'>] and D = E[<x', e>^2 <x, x'>^2], x and x' iid.

    With S = E[x x^T]: C = |S e|^2 and D = E[<x, e>^2 x^T S x].
    With L = E[<x, e>^2], one SGD step gives E[L(theta_{t+1})] = L(theta_t) - 2 lr C + lr^2 D.
    With norm and direction independent, C = E[a^2]^2 U and D = E[a^2] E[a^4] W, where U and W are
    the C and D of the unit vectors z.
    Arguments and errors as in `distance_terms`.

    **Returns** (C, D).
    """
    x, error, weights = _law(x, error, weights)
    second_moment = x.T @ (weights[:, None] * x)  # (d, d)
    slope = second_moment @ error  # (d,), half the gradient of L
    curvature = ((x @ second_moment) * x).sum(1)  # (n,)
    return slope @ slope, weights @ ((x @ error) ** 2 * curvature)


def expected_loss(x: Array, error: Array, weights: Array | None = None) -> Number:
    """Definition 1, L = E[<x, e>^2]; the A of Theorem 2 is the same number."""
    return distance_terms(x, error, weights)[0]


def distance_after(x: Array, error: Array, lr: float, weights: Array | None = None) -> float:
    """E|e - lr x <x, e>|^2: R after one SGD step, from a step on every atom."""
    x, error, weights = _law(x, error, weights)
    return weights @ squared_norms(_steps(x, error, lr))


def loss_after(x: Array, error: Array, lr: float, weights: Array | None = None) -> float:
    """E[L(theta_{t+1})] after one SGD step, from a step on every atom."""
    x, error, weights = _law(x, error, weights)
    return weights @ ((_steps(x, error, lr) @ x.T) ** 2 @ weights)


def best_decrement(first: Number, second: Number) -> Number:
    """max over lr of 2 lr A - lr^2 B = A^2 / B, at lr = A / B; 0 if B is 0.

    (The paper prints A^2 / B^2.)
    """
    return first**2 / second if second else first * 0


def distance_bound(x: Array, error: Array, weights: Array | None = None) -> Number:
    """Theorem 2, A^2 / B <= e^T E[z z^T] e, the value of every constant norm with these directions.

    Equality if and only if |x| is almost surely constant where <z, e> is not 0. An atom x = 0 has
    no direction and counts as 0. Arguments and errors as in `distance_terms`.
    """
    x, error, weights = _law(x, error, weights)
    seen = squared_norms(x) > 0
    return weights[seen] @ ((x[seen] @ error) ** 2 / squared_norms(x[seen]))


def magnitude_direction_law(
    norms: Array, norm_weights: Array, z: Array, z_weights: Array
) -> tuple[Array, Array]:
    """x = a z with norm and direction independent: every norm times every direction.

    **Arguments**: norms (m,) and directions (n, d), each with its weights.

    **Returns** atoms (m n, d) and weights (m n,).
    """
    x = (norms[:, None, None] * z).reshape(-1, z.shape[1])
    return x, (norm_weights[:, None] * z_weights).ravel()


def constant_norm(x: Array, error: Array, weights: Array | None = None) -> Array:
    """The atoms with their own directions and one norm for all that leaves L the same."""
    x = np.asarray(x, float)
    return with_loss_of(x, unit(x), error, weights)


def with_loss_of(x: Array, other: Array, error: Array, weights: Array | None = None) -> Array:
    """`other` scaled to have the L of x: (n, d)."""
    return other * np.sqrt(expected_loss(x, error, weights) / expected_loss(other, error, weights))


def norm_spread(x: Array, weights: Array | None = None) -> float:
    """The coefficient of variation of |x|^2: its standard deviation over its mean."""
    x, _, weights = _law(np.asarray(x, float), x[0], weights)
    squared = squared_norms(x)
    mean = weights @ squared
    return np.sqrt(weights @ (squared - mean) ** 2) / mean


def noisy_terms(
    x: Array, error: Array, variance: Variance, weights: Array | None = None
) -> tuple[Number, Number]:
    """A and B + N, Theorem 2's terms with noise in y, where N = E[|x|^2 sigma^2(x)].

    One SGD step gives E[R(theta_{t+1})] = R(theta_t) - 2 lr A + lr^2 (B + N).
    Arguments and errors as in `distance_terms`, and the noise's `variance`.
    """
    first, second = distance_terms(x, error, weights)
    x, _, weights = _law(x, error, weights)
    squared = squared_norms(x)
    return first, second + weights @ (squared * variance(squared))


def noisy_distances(
    x: Array, error: Array, lr: float, variance: Variance, count: int, rng: np.random.Generator
) -> Array:
    """|e - lr x (<x, e> - xi)|^2, R after each of `count` steps with normal noise xi, all from e.

    **Arguments**: equally likely atoms (n, d), e (d,), the noise's `variance`.

    **Returns** (count,); their mean estimates what `noisy_terms` predicts.
    """
    x, error = np.asarray(x, float), np.asarray(error, float)
    drawn = x[rng.integers(len(x), size=count)]
    noise = np.sqrt(variance(squared_norms(drawn))) * rng.standard_normal(count)
    return squared_norms(error - lr * drawn * (drawn @ error - noise)[:, None])


def realizability_gap(x: Array, target: Array, weights: Array | None = None) -> float:
    """min over theta of E[(<z, theta> - y)^2] / E[y^2] with y = <x, theta*> and z = x / |x|.

    Assumption 1 for the normalized inputs: it holds at 0, and nothing of y is left at 1.

    **Arguments**: atoms (n, d), theta* (d,), weights (n,).
    """
    x, target, weights = _law(np.asarray(x, float), target, weights)
    root = np.sqrt(weights)
    y = root * (x @ target)
    z = root[:, None] * unit(x)
    residual = y - z @ np.linalg.lstsq(z, y, rcond=None)[0]
    return (residual @ residual) / (y @ y)


def random_laws(trials: int, dimension: int, seed: int) -> pd.DataFrame:
    """Theorems 2 and 3 on random laws, two rows a trial.

    Every trial draws directions, their probabilities, an error of length 1 and norms: once
    independent of the direction, once one for each direction.

    **Returns** one row a law: `independent`; `spread`, `distance_ratio` and `loss_ratio`, as in
    `ratios`; `distance_residual` and `loss_residual`, the errors of the one-step identities,
    relative to R and L; `rival_ratio`, A^2 / B over that of a constant norm with other directions
    and the same R.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(trials):
        z, other = _directions(rng, 8, dimension), _directions(rng, 8, dimension)
        weights, error = rng.dirichlet(np.ones(8)), _directions(rng, 1, dimension)[0]
        scale = rng.uniform(0.05, 1.2)
        norms = np.exp(scale * rng.standard_normal(4))
        product = magnitude_direction_law(norms, rng.dirichlet(np.ones(4)), z, weights)
        dependent = np.exp(scale * rng.standard_normal(8))[:, None] * z, weights
        rival = distance_bound(other, error, weights)
        for independent, (x, w) in ((True, product), (False, dependent)):
            rows.append({"independent": independent} | _measure(x, error, w, rival))
    return pd.DataFrame(rows)


def ratios(x: Array, error: Array, weights: Array | None = None) -> dict[str, float]:
    """Theorems 2 and 3, the possible gain of one step, relative to a constant norm.

    With norm and direction independent both ratios are 1 / (1 + spread^2). Arguments and errors as
    in `distance_terms`.

    **Returns** `spread` (`norm_spread`); `distance_ratio` A^2 / B and `loss_ratio` C^2 / D, each
    over its value for a constant norm with the same directions, error and L.
    """
    distance = best_decrement(*distance_terms(x, error, weights))
    loss = best_decrement(*loss_terms(x, error, weights))
    constant = best_decrement(*loss_terms(constant_norm(x, error, weights), error, weights))
    return {
        "spread": norm_spread(x, weights),
        "distance_ratio": distance / distance_bound(x, error, weights),
        "loss_ratio": loss / constant,
    }


def _law(x: Array, error: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    x, error = np.asarray(x), np.asarray(error)
    if x.ndim != 2 or error.shape != x.shape[1:]:
        raise ValueError(
            f"x has shape {x.shape}, the error {error.shape}; pass atoms (n, d) and an error (d,)"
        )
    if weights is None:
        one = Fraction(1) if x.dtype == object else 1.0
        return x, error, np.full(len(x), one / len(x))
    weights = np.asarray(weights)
    if weights.shape != x.shape[:1] or (weights < 0).any() or abs(weights.sum() - 1) > 1e-9:
        raise ValueError(
            f"weights have shape {weights.shape} and sum {weights.sum()}; "
            f"pass {len(x)} probabilities, one for each atom, that sum to 1"
        )
    return x, error, weights


def _steps(x: Array, error: Array, lr: float) -> Array:
    return error - lr * x * (x @ error)[:, None]  # (n, d), the error after a step from each atom


def _directions(rng: np.random.Generator, count: int, dimension: int) -> Array:
    return unit(rng.standard_normal((count, dimension)))


def _measure(x: Array, error: Array, weights: Array, rival: float) -> dict[str, float]:
    a, b = distance_terms(x, error, weights)
    c, d = loss_terms(x, error, weights)
    r, loss = error @ error, a
    lr, loss_lr = a / b, c / d
    return ratios(x, error, weights) | {
        "distance_residual": distance_after(x, error, lr, weights) / r - 1 + a**2 / b / r,
        "loss_residual": loss_after(x, error, loss_lr, weights) / loss - 1 + c**2 / d / loss,
        "rival_ratio": best_decrement(a, b) / rival,
    }
