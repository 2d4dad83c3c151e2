"""The features that runs start with as sets of Theorem 4, and what stands before their ReLU."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from lnqlib.spec import RunSpec
from lnqlib.tasks import isometry_sizes

from ..initialization import hidden_and_features
from ..theorem4 import isometry_of_rows, terms, unit


def feature_sets(specs: Iterable[RunSpec]) -> pd.DataFrame:
    """`theorem4.terms` of each run's starting features, one batch in sets of ISO_p's size."""
    rows = []
    for spec in specs:
        k = isometry_sizes(spec.env)["iso_p"]
        _, features = hidden_and_features(spec)
        sets = features[: len(features) // k * k].reshape(-1, k, spec.width)
        rows += [terms(x) for x in sets]
    return pd.DataFrame(rows)


def before_relu(hidden: np.ndarray) -> dict[str, float]:
    """ISO of relu(t(hidden)) for several maps t before the ReLU; hidden (n, width).

    **Returns** `relu` without a map, `scaled` for length one, `centred` for centring and then
    length one, `ln` for torch's layer norm with eps = 0, the same as `centred` up to a factor.
    """
    layer_norm = torch.nn.LayerNorm(hidden.shape[1], elementwise_affine=False, eps=0)
    before = {
        "relu": hidden,
        "scaled": unit(hidden),
        "ln": layer_norm(torch.tensor(hidden)).numpy(),
        "centred": unit(centred(hidden)),
    }
    return {name: isometry_of_rows(np.maximum(x, 0)) for name, x in before.items()}


def centred(x: np.ndarray) -> np.ndarray:
    """Every row of x (n, d) without its mean."""
    return x - x.mean(1, keepdims=True)
