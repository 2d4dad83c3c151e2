"""Theorem 4 on sets of vectors: ISO(X), ISO(Z) for the vectors at length one, and what LN does.

ISO(X) = ISO(Z) times the geometric over the arithmetic mean of the squared lengths.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from lnqlib.spec import RunSpec
from lnqlib.tasks import isometry_sizes

from ..initialization import hidden_and_features
from ..theory import isometry_of_rows, squared_norms


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


def feature_sets(specs: Iterable[RunSpec]) -> pd.DataFrame:
    """`terms` of the features that each run starts with, a batch cut into sets of ISO_p's size."""
    rows = []
    for spec in specs:
        k = isometry_sizes(spec.env)["iso_p"]
        _, features = hidden_and_features(spec)
        sets = features[: len(features) // k * k].reshape(-1, k, spec.width)
        rows += [terms(x) for x in sets]
    return pd.DataFrame(rows)


def identity(sets: pd.DataFrame) -> dict[str, float]:
    """Theorem 4 on the rows of `terms`; sets of dependent vectors say 0 = 0 and are left out.

    **Returns** `count` of the others, `dependent` of those; `residual`, the identity's largest
    relative error; `most`, the largest ISO(X) / ISO(Z); `gain`, the median ISO(Z) / ISO(X).
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


def before_relu(hidden: np.ndarray) -> dict[str, float]:
    """ISO of relu(t(hidden)) by what t stands before the ReLU; hidden (n, width).

    **Returns** `relu` for nothing, `scaled` for length one, `centred` for centring and then length
    one, `ln` for torch's layer norm with eps = 0, which is the same up to a factor.
    """
    layer_norm = torch.nn.LayerNorm(hidden.shape[1], elementwise_affine=False, eps=0)
    before = {
        "relu": hidden,
        "scaled": unit(hidden),
        "ln": layer_norm(torch.tensor(hidden)).numpy(),
        "centred": unit(centred(hidden)),
    }
    return {name: isometry_of_rows(np.maximum(x, 0)) for name, x in before.items()}


def unit(x: np.ndarray) -> np.ndarray:
    """Every row of x (n, d) at length one."""
    return x / np.sqrt(squared_norms(x))[:, None]


def centred(x: np.ndarray) -> np.ndarray:
    """Every row of x (n, d) without its mean."""
    return x - x.mean(1, keepdims=True)
