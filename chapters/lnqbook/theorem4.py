"""App. C, Theorem 4: ISO of a set of vectors, at their own lengths and at length one.

ISO(X) = ISO(Z) times the geometric over the arithmetic mean of the squared lengths.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def isometry_of_rows(x: np.ndarray) -> float:
    """App. C, ISO(X) = det(G)^(1/n) / (tr G / n) with the Gram matrix G = X X^T; 0 if singular.

    By Theorem 4 one length for all rows never lowers it.

    **Arguments**: rows (n, d), not all zero.
    """
    gram = np.asarray(x, float) @ np.asarray(x, float).T
    sign, logdet = np.linalg.slogdet(gram)
    if sign <= 0 or np.linalg.matrix_rank(x) < len(gram):
        return 0.0
    return float(np.exp(logdet / len(gram)) / (np.trace(gram) / len(gram)))


def terms(x: np.ndarray) -> dict[str, float]:
    """Theorem 4's three numbers for the rows of x (n, d), none of them zero.

    **Returns** `iso_x` = ISO(X), `iso_z` = ISO(Z), and `lengths`, the geometric over the arithmetic
    mean of the squared lengths; each of the three is computed on its own.
    """
    squares = squared_norms(x)
    lengths = np.exp(np.log(squares).mean()) / squares.mean()
    return {"iso_x": isometry_of_rows(x), "iso_z": isometry_of_rows(unit(x)), "lengths": lengths}


def random_sets(trials: int, seed: int) -> pd.DataFrame:
    """`terms` of random sets: 2 to 6 normal vectors in up to 12 dimensions, lengths log-normal."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(trials):
        n = rng.integers(2, 7)
        x = rng.standard_normal((n, rng.integers(n, 13)))
        rows.append(terms(x * np.exp(rng.uniform(0, 1.5) * rng.standard_normal((n, 1)))))
    return pd.DataFrame(rows)


def identity(sets: pd.DataFrame) -> dict[str, float]:
    """Theorem 4 on rows of `terms`, without sets of dependent vectors, for which it says 0 = 0.

    **Returns** `count` of the sets used and of the `dependent` ones; `residual`, the identity's
    largest relative error; `most`, the largest ISO(X) / ISO(Z); `gain`, the median ISO(Z) / ISO(X).
    """
    found = sets[sets["iso_z"] > 0]
    residual = found["iso_x"] / (found["iso_z"] * found["lengths"]) - 1
    return {
        "count": len(found),
        "dependent": len(sets) - len(found),
        "residual": residual.abs().max(),
        "most": (found["iso_x"] / found["iso_z"]).max(),
        "gain": 1 / found["lengths"].median(),
    }


def unit(x: np.ndarray) -> np.ndarray:
    """Every row of x (n, d) at length one."""
    return x / np.sqrt(squared_norms(x))[:, None]


def squared_norms(x: np.ndarray) -> np.ndarray:
    """|x|^2 of every row: (n, d) -> (n,)."""
    return (x * x).sum(1)
