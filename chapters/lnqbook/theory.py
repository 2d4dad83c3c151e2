"""Sec. 3.4, App. B-D: what one SGD step on linear regression gains, and Lemma 5 and Theorem 4.

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
    """The same numbers as an array of fractions, on which this module's functions are exact."""
    values = np.asarray(values)
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
    """E|e - lr x <x, e>|^2: R after one SGD step, by taking the step from every atom."""
    x, error, weights = _law(x, error, weights)
    return weights @ squared_norms(_steps(x, error, lr))


def loss_after(x: Array, error: Array, lr: float, weights: Array | None = None) -> float:
    """E[L(theta_{t+1})] after one SGD step, by taking the step from every atom."""
    x, error, weights = _law(x, error, weights)
    return weights @ ((_steps(x, error, lr) @ x.T) ** 2 @ weights)


def best_decrement(first: Number, second: Number) -> Number:
    """max over lr of 2 lr A - lr^2 B = A^2 / B, at lr = A / B; 0 where nothing can be gained.

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
    """The atoms with their directions kept and one norm for all, chosen such that L stays."""
    x = np.asarray(x, float)
    return with_loss_of(x, x / np.sqrt(squared_norms(x))[:, None], error, weights)


def with_loss_of(x: Array, other: Array, error: Array, weights: Array | None = None) -> Array:
    """`other` in the scale that gives it the L of x: (n, d)."""
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

    Assumption 1 for the normalized inputs; 0 means that it survives, 1 that nothing does.

    **Arguments**: atoms (n, d), theta* (d,), weights (n,).
    """
    x, target, weights = _law(np.asarray(x, float), target, weights)
    root = np.sqrt(weights)
    y = root * (x @ target)
    z = root[:, None] * x / np.sqrt(squared_norms(x))[:, None]
    residual = y - z @ np.linalg.lstsq(z, y, rcond=None)[0]
    return (residual @ residual) / (y @ y)


def random_laws(trials: int, dimension: int, seed: int) -> pd.DataFrame:
    """Theorems 2 and 3 on random laws, two rows a trial.

    Every trial draws directions, their probabilities, an error of length 1 and norms; the norms are
    once independent of the direction and once one for each direction.

    **Returns** one row a law: `independent`; `spread`, `distance_ratio` and `loss_ratio`, as in
    `ratios`; `distance_residual` and `loss_residual`, how far the one-step identities are off,
    relative to R and L; `rival_ratio`, A^2 / B over that of a constant norm with other directions
    (R kept).
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
    """Theorems 2 and 3, what one step can gain, relative to a constant norm.

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


def isometry_of_rows(x: Array) -> float:
    """App. C, ISO(X) = det(G)^(1/n) / (tr G / n) with the Gram matrix G = X X^T; 0 if singular.

    Theorem 4: ISO(X) = ISO(Z) times the geometric over the arithmetic mean of the squared row
    norms, Z the rows at length 1; so giving all rows one length never lowers it.

    **Arguments**: rows (n, d), not all zero.
    """
    gram = np.asarray(x, float) @ np.asarray(x, float).T
    sign, logdet = np.linalg.slogdet(gram)
    if sign <= 0 or np.linalg.matrix_rank(x) < len(gram):
        return 0.0
    return float(np.exp(logdet / len(gram)) / (np.trace(gram) / len(gram)))


def lemma5_residuals(gradient: Callable[[Array], Array], w: Array, lr: float) -> dict[str, float]:
    """Lemma 5, |w+|^2 = |w|^2 + lr^2 / |w|^2 |grad f(w^)|^2 and w^+ = w^ - lr / |w|^2 grad f(w^).

    Here w+ = w - lr grad f(w), f does not change with the scale of w, and w^ = w / |w|. The first
    is then exact. The second leaves lr^2 / (2 |w|^4) |grad f(w^)|^2 w^ and higher orders.

    **Arguments**

    - `gradient`: grad f as a function of an array like w; `autograd` makes one.
    - `w`: any shape; all scale-invariant weights together, for layer norm W and b.
    - `lr`: learning rate of the plain SGD step.

    **Returns** `norm`, the first identity's error relative to the predicted growth of |w|^2;
    `direction`, the length of the second's error; `expected`, that length for an invariant f,
    sqrt(1 + rho^2) - 1 with rho = lr / |w|^2 |grad f(w^)|; `radial`, cos(w, grad f(w)), 0 for such
    an f.
    """
    norm = np.linalg.norm(w)
    step, unit_gradient = -lr * gradient(w), gradient(w / norm)
    after = w + step
    growth = lr**2 / norm**2 * (unit_gradient**2).sum()
    measured = ((after - w) * (after + w)).sum()  # |w+|^2 - |w|^2 without its cancellation
    rho_squared = growth / norm**2
    direction = after / np.linalg.norm(after) - (w / norm - lr / norm**2 * unit_gradient)
    return {
        "norm": float(measured / growth - 1),
        "direction": float(np.linalg.norm(direction)),
        "expected": float(rho_squared / (1 + np.sqrt(1 + rho_squared))),  # without its cancellation
        "radial": float(-(step * w).sum() / (np.linalg.norm(step) * norm)),
    }


def autograd(f: Callable) -> Callable[[Array], Array]:
    """The gradient, in float64, of a torch function f from one tensor to a number."""
    import torch  # here alone, so that the rest of the module needs no torch

    def gradient(w: Array) -> Array:
        tensor = torch.tensor(w, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(f(tensor), tensor)[0].numpy()

    return gradient


def layer_norm_loss(obs: Array, targets: Array, readout: Array, eps: float = 0.0) -> Callable:
    """f(W, b) = mean of (<v, relu(LN(W s + b))> - y)^2 / 2, Eq. (3)'s loss in the first layer.

    **Arguments**: observations s (B, k), targets y (B,), v, one for all (d,) or each sample's
    (B, d), LN's `eps`.

    **Returns** f of one tensor (d, k + 1), W with b as its last column, for `autograd`.
    """
    import torch

    obs, targets, readout = (
        torch.as_tensor(v, dtype=torch.float64) for v in (obs, targets, readout)
    )

    def loss(weight: torch.Tensor) -> torch.Tensor:
        z = obs @ weight[:, :-1].T + weight[:, -1]  # (B, d)
        features = torch.relu(torch.nn.functional.layer_norm(z, z.shape[-1:], eps=eps))
        return 0.5 * (((features * readout).sum(1) - targets) ** 2).mean()

    return loss


def squared_norms(x: Array) -> Array:
    """|x|^2 of every row: (n, d) -> (n,)."""
    return (x * x).sum(1)


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
    x = rng.standard_normal((count, dimension))
    return x / np.sqrt(squared_norms(x))[:, None]


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
