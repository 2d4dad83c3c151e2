"""The features that runs start with as sets of Theorem 4, and what stands before their ReLU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch

from lnqlib.spec import RunSpec
from lnqlib.tasks import isometry_sizes

from .. import link_words, paper_figures, stats
from ..findings import case
from ..initialization import hidden_and_features
from ..numbers import number
from ..theorem4 import isometry_of_rows, terms, unit

CHECKS = {
    "count": "sets of independent vectors",
    "dependent": "sets left out as dependent",
    "residual": "largest relative error of the identity",
    "most": "largest ISO(X) / ISO(Z)",
    "gain": "median gain ISO(Z) / ISO(X)",
}
"""What `theorem4.identity` returns."""


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


def example(hidden: np.ndarray, iso: Mapping[str, float]) -> pd.DataFrame:
    """What the output layer reads of two hidden vectors, and its isometry.

    **Arguments** `iso`: of `before_relu`.
    """
    moved = centred(hidden)
    rows = {
        "the hidden vectors themselves": (_vectors(hidden), isometry_of_rows(hidden)),
        "after the ReLU": (_vectors(np.maximum(hidden, 0)), iso["relu"]),
        "scaled to length one before it": ("multiples of these", iso["scaled"]),
        f"centered, {_vectors(moved)}, and scaled": (
            f"multiples of {_vectors(np.maximum(moved, 0))}",
            iso["centred"],
        ),
        "PyTorch's LN without its \u03b5": ("the same", iso["ln"]),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["features", "isometry"])


def gains_before_training(before: pd.DataFrame) -> pd.DataFrame:
    """ISO_p of untrained networks without LN, with it, and the paired difference, by task.

    **Arguments** `before`: of `initialization.isometry`.
    """
    wide = before.pivot(index="seed", columns=["env", "norm"], values="iso_p")
    rows = {}
    for env in dict.fromkeys(before["env"]):
        none, layer = wide[env, "none"], wide[env, "layer"]
        columns = {"None": none, "LN": layer, "LN minus None": layer - none}
        rows[env] = {name: stats.bootstrap_interval(x) for name, x in columns.items()}
    return pd.DataFrame(rows, dtype=object).T


def before_the_relu(before: pd.DataFrame) -> str:
    """The largest ISO_p before the ReLU, where most sets are dependent."""
    most = before["before_relu"][before["norm"] == "none"].max()
    return case(
        (most == 0, "Before the ReLU all sets of that size are dependent: there ISO\u209a is 0."),
        f"Before the ReLU the largest ISO\u209a in any of these networks is {number(most, 1)}.",
    )


def paper_beside(
    runs: Mapping[str, pd.DataFrame], rhos: Mapping[str, pd.DataFrame]
) -> dict[str, str]:
    """What is seen here of each of the paper's figures.

    **Arguments** `runs`: one row a run, by optimizer. `rhos`: with its column return, intervals by
    (metric, task); Adam or SGD may be missing.
    """
    rows = {}
    if "SGD" in rhos:
        fixed = link_words.fixed_rates(runs["SGD"], "iso_p", "return", 1)
        rho = rhos["SGD"].loc["ISOₚ", "return"]
        rows["Fig. 4"] = (
            f"{link_words.at_single_rates(fixed, 'return', 1, 'ISOₚ')} Across learning rates "
            + paper_figures.signs("ISOₚ", "return", rho)
        )
    for figure, optimizer in ((5, "Adam"), (6, "SGD")):
        said = paper_figures.every_size("return", rhos.get(optimizer), optimizer)
        rows[f"Fig. {figure}, {optimizer}"] = said
    return rows


def _vectors(x: np.ndarray) -> str:
    """`(1, 0, 0) and (0, 1, 0)`."""
    return " and ".join(f"({', '.join(f'{value:g}' for value in row)})" for row in x)
