"""How long the studies take, predicted and measured, and what the page says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import pandas as pd
from IPython.display import HTML

from lnqlib.spec import RunSpec, study
from lnqlib.store import Store
from lnqlib.store.chunks import predicted_seconds
from lnqlib.store.local import ROOT
from lnqlib.store.shipped import Shipped
from lnqlib.studies import STUDIES
from lnqlib.sweep import lookup

from ..findings import case, count, listed


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


def there(studies: pd.DataFrame, cores: int) -> str:
    """How much of all studies is finished, and what the whole would take.

    **Arguments** `studies`: of `by_study` for `cores`.
    """
    runs, finished = int(studies["runs"].sum()), int(studies["finished"].sum())
    told = case(
        (finished == runs, f"All {runs:,} runs behind this book are here to be looked up."),
        (
            finished,
            f"Of the {runs:,} runs of this book's studies {finished:,} are here to be looked up; "
            "the others take one command per study.",
        ),
        f"None of the {runs:,} runs of this book's studies is here; each study is one command.",
    )
    total = studies["predicted hours"].sum()
    return (
        f"{told} To train them all takes a predicted {total:.1f} hours on {count(cores, 'core')}."
    )


def took(studies: pd.DataFrame) -> str:
    """What the finished runs took, and how that compares with the prediction.

    **Arguments** `studies`: of `by_study`.
    """
    done = studies["finished"]
    spent, foreseen = (
        (done * studies[f"{kind} s a run"].fillna(0)).sum() / 3600
        for kind in ("measured", "predicted")
    )
    if not spent:
        return "No run is finished here, so none was timed."
    told = f"The finished runs took {spent:.1f} core hours, {spent / foreseen:.1f} times their "
    return f"{told}prediction{', with other work beside them' if spent > 1.1 * foreseen else ''}."


def measured(name: str) -> HTML:
    """A measurement of `benchmarks/` as it was printed."""
    return HTML(f"<pre>{escape((ROOT / 'benchmarks' / name).read_text())}</pre>")


def one_sweep(
    specs: Sequence[RunSpec], envs: Sequence[str], optimizer: str, seeds: int, cores: int
) -> str:
    """How long a sweep takes such as most chapters show."""
    minutes = 60 * hours(specs, cores)
    return (
        "A sweep such as most pages show, with LN and without at every learning rate of the "
        f"paper, here of {listed(envs)} with {optimizer}, {specs[0].steps:,} steps and "
        f"{count(seeds, 'seed')}, is {len(specs):,} runs and a predicted {minutes:.1f} minutes."
    )


def not_covered() -> str:
    """What a run costs that the engine does not cover."""
    return (
        "Runs that the compiled engine does not cover are trained with PyTorch, about "
        f"{_slower():.0f} times slower by the same costs; the sweep says so when it starts."
    )


def resumed(specs: Sequence[RunSpec], same: bool, seconds: float) -> str:
    """Whether an interruption changed a bit, and how long looking everything up took."""
    first = specs[0]
    told = case(
        (
            same,
            f"All {len(specs)} runs ({first.env}, {first.optimizer}), continued in one store and "
            "trained without a break and in reverse order in another, are the same bits.",
        ),
        f"The {len(specs)} runs ({first.env}, {first.optimizer}), continued in one store and "
        "trained without a break in another, differ. That should not happen; please report it.",
    )
    return f"{told} Asking once more takes {seconds:.2f} s: everything is looked up."


def _slower() -> float:
    """The predicted time of a run on the torch reference, as a multiple of the engine's."""
    spec = RunSpec("CartPole")
    return predicted_seconds(spec, "reference") / predicted_seconds(spec)
