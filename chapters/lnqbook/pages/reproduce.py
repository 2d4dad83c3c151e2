"""How long the studies take: predicted from measured costs, and as finished runs measured it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lnqlib.spec import RunSpec, study
from lnqlib.store import Store
from lnqlib.store.chunks import predicted_seconds
from lnqlib.store.shipped import Shipped
from lnqlib.studies import STUDIES
from lnqlib.sweep import lookup


def by_study(cores: int, store: Store, shipped: Shipped) -> pd.DataFrame:
    """Every study's size and time.

    **Arguments** `cores`: that train. `store`, `shipped`: where finished runs are looked up.

    **Returns** one row a study: runs, finished, "predicted hours" on that many cores, "predicted s
    a run", and "measured s a run", the mean of the finished ones on one core, NaN without any.
    """
    rows = {}
    for name in STUDIES:
        specs = study(name)
        done = lookup(specs, store, shipped)
        rows[name] = {
            "runs": len(specs),
            "finished": len(done),
            "predicted hours": hours(specs, cores),
            "predicted s a run": 3600 * hours(specs) / len(specs),
            "measured s a run": done["seconds"].mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("study")


def hours(specs: Iterable[RunSpec], cores: int = 1) -> float:
    """The predicted hours that the engine takes for `specs` on `cores` with nothing else to do.

    A run stays on one core, so its own time is the least.
    """
    seconds = [predicted_seconds(spec) for spec in specs]
    return max(sum(seconds) / cores, max(seconds, default=0)) / 3600


def slower() -> float:
    """The predicted time of a run on the torch reference, as a multiple of the engine's."""
    spec = RunSpec("CartPole")
    return predicted_seconds(spec, "reference") / predicted_seconds(spec)
