"""Pairs without a cosine: how many there are, and in words."""

from __future__ import annotations

import pandas as pd

from .findings import case
from .numbers import number


def shares(runs: pd.DataFrame) -> pd.Series:
    """The share of pairs left out for a zero gradient, by (env, norm, lr), mean over seeds."""
    pairs = runs["batch_size"].astype(float) ** 2
    part = runs["zero_gradients"] / pairs
    return part.groupby([runs[name] for name in ("env", "norm", "lr")]).mean()


def in_words(defaults: pd.Series, printed: pd.Series) -> str:
    """How many pairs have no cosine at most, under both readings.

    **Arguments** of `shares`; `printed` is empty where there are no such runs.
    """
    told = "A gradient of zero has no cosine, so its pairs are left out of QGI\u208a, SGI and MGI."
    told += case(
        (
            len(defaults) and defaults.max() > 0,
            f" With the defaults that is at most {_at(defaults)}.",
        ),
        " With the defaults there is none.",
    )
    told += case(
        (len(printed) and printed.max() > 0, f" As printed it is up to {_at(printed)}."),
        (len(printed), " As printed there is none, either."),
        "",
    )
    return told + case(
        (
            max(defaults.max() if len(defaults) else 0, printed.max() if len(printed) else 0) > 0.1,
            " Where there are many such pairs, the metric describes only transitions that still "
            "have a gradient, and counting the others as a cosine of 0 can reverse a sign; [the "
            "claims page](claims.ipynb) shows this as a separate view where it was measured.",
        ),
        "",
    )


def _at(some: pd.Series) -> str:
    """The point with the largest share; "" for none: sentences are made before one is chosen."""
    if some.empty:
        return ""
    env, norm, lr = some.idxmax()
    name = {"none": "without LN", "layer": "with LN"}[norm]
    return f"{some.max():.0%} of the pairs ({name}, in {env} at {number(lr, 1)})"
