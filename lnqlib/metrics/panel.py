"""Everything that can be said of one network on one batch, measured in one go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Unpack

import numpy as np
import pandas as pd
import torch
from torch import nn

from .companions import dormant, feature_norm, readings, stable_rank
from .definitions import NAMES, SEEM, interference_of, isometry, seem_of
from .grams import grams
from .problem import Measured, Options, Problem, problem

if TYPE_CHECKING:
    from ..data import Transitions

FEATURES = ("stable_rank", "dormant", "feature_norm")
ISO = ("iso_3", "iso_p")
PANEL = (*dict.fromkeys((*NAMES, "grad_norm2", *SEEM, *ISO, *FEATURES)),)
"""What `panel` measures; `iso_p` is NaN where an observation is no vector."""


class Panel(NamedTuple):
    """A network on a batch."""

    values: Measured  # by the names of PANEL
    layers: pd.DataFrame  # one row a layer: what it reads, and the size of its gradient
    size: int  # transitions


def panel(
    q: nn.Module,
    batch: Transitions,
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    rng: np.random.Generator | None = None,
    **options: Unpack[Options],
) -> Panel:
    """`interference`, `seem`, and of the features that the last layer reads: isometry, stable rank,
    dormant share and norm; by layer the same of what each layer reads, and E |grad Q|^2.

    **Arguments**, **Raises** as for `interference`; `rng` draws the subsets of `isometry`.
    """
    with problem(q, batch, lr, gamma, terminal_mask, **options) as p:
        values = dict.fromkeys(PANEL, math.nan)
        g = grams(p) if p.finite else None
        if g is not None and g.finite:
            found = interference_of(g, lr)
            values |= {name: float(x) for name, x in found.items() if name in values}
            values |= seem_of(g if p.target is None else grams(p._replace(target=None)))
        with torch.no_grad():
            read = readings(p.net, p.obs, p.rows)
        layers = pd.DataFrame(
            [{"layer": name, **_features(x)} for name, x in read.items()]
        ).set_index("layer")
        layers.iloc[0, :] = math.nan  # the first layer reads the observations themselves
        norms = {} if g is None else {n: float(x.mean()) for n, x in g.by_layer.items()}
        layers = layers.reindex([*layers.index, *(n for n in norms if n not in layers.index)])
        layers["grad_norm2"] = pd.Series(norms, dtype=float)
        if p.net.finite:  # else the numbers would be those of another precision
            features = read[list(read)[-1]]
            values |= _features(features) | _isometries(p, features, rng)
        else:
            layers[:] = math.nan
        return Panel(Measured(values, p.net), layers, len(p.rows))


def _features(x: np.ndarray) -> dict[str, float]:
    return {"stable_rank": stable_rank(x), "dormant": dormant(x), "feature_norm": feature_norm(x)}


def _isometries(
    p: Problem, features: np.ndarray, rng: np.random.Generator | None
) -> dict[str, float]:
    """ISO_k for k = 3 and, where an observation is a vector, its size plus the actions."""
    x = features.reshape(len(features), -1)
    ks = {"iso_3": 3}
    shape = np.shape(p.obs) if isinstance(p.obs, np.ndarray) else getattr(p.obs, "shape", ())
    if len(shape) == 2:
        with torch.no_grad():
            ks["iso_p"] = shape[1] + p.net(p.obs, p.rows[:1]).shape[1]
    return {name: isometry(x, k, rng) if k <= len(x) else math.nan for name, k in ks.items()}
