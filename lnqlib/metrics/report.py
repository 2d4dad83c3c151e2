"""One call for everything: values, how noisy they are, and whether they are high."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd
from torch import nn

from .batch import ALIASES, MetricError, column, discounts, field
from .panel import Panel, panel
from .problem import Options
from .reading import COLUMNS, GROUPS, READINGS, reading, references
from .rows import rows_of, take

COLORS = ("0.45", "#0173b2", "#de8f05")  # of GROUPS, as in the book's figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..data import Transitions


@dataclass(frozen=True, repr=False)
class Report:
    """What `report` found; print it, or take `frame`, `layers` or `plot()`.

    **Attributes**

    - `frame`: one row a metric: value, standard error, range, how to read it, and the 10, 50 and
      90% quantiles of this book's networks.
    - `layers`: one row a layer: stable rank, dormant share and norm of what it reads, and the mean
      squared gradient of its weights; means over the batches.
    - `batches`, `size`: how many batches of how many transitions.
    - `notes`: what has to be said about how it was measured.
    """

    frame: pd.DataFrame
    layers: pd.DataFrame
    batches: int
    size: int
    dtype: str
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        """A metric's value, the mean over the batches."""
        return float(self.frame.loc[name, "value"])

    def __str__(self) -> str:
        head = f"{self.batches} x {self.size} transitions, {self.dtype}".removeprefix("1 x ")
        table = self.text()
        says = [f"{name}: {said}" for name, said in table.pop("how to read it").items() if said]
        layers = self.layers.to_string(float_format="%.3g", na_rep="")
        return "\n".join([head, *self.notes, "", table.to_string(), "", *says, "", layers])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return self.text().to_html() + notes + self.layers.to_html(float_format="%.3g", na_rep="")

    def text(self) -> pd.DataFrame:
        """The table as text: 0.31 +- 0.02, and 0.1 .. 0.3 .. 0.5 for this book's networks."""
        return self.frame.apply(_row, axis=1)

    def plot(self) -> Figure:
        """Each metric that has a reference: its value over the bands of this book's networks."""
        import matplotlib.pyplot as plt

        known = self.frame[self.frame[COLUMNS[0]].notna()]
        size = (6, 0.6 * len(known) + 0.8)
        figure, axes = plt.subplots(
            max(1, len(known)), 1, figsize=size, layout="constrained", squeeze=False
        )
        for (name, row), axis in zip(known.iterrows(), axes[:, 0], strict=False):
            for height, (group, color) in enumerate(zip(GROUPS, COLORS, strict=True)):
                low, middle, high = (float(x) for x in row[_columns(group)])
                axis.plot([low, high], [height] * 2, color=color, lw=4, alpha=0.5, label=group)
                axis.plot(middle, height, "|", color=color, ms=9)
            value, error = float(row["value"]), float(row["error"])
            axis.axvline(value, color="black", lw=1.2, label="this network")
            if error > 0:
                axis.axvspan(value - error, value + error, color="black", alpha=0.15, lw=0)
            if name == "gi2_scaled":
                axis.set_xscale("symlog", linthresh=1e-3)
            axis.set_yticks([])
            axis.set_ylim(2.6, -0.6)
            axis.set_ylabel(name, rotation=0, ha="right", va="center")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        plt.close(figure)  # shown once, by whoever asked for it
        return figure


def report(
    q: nn.Module,
    batch: Transitions | Callable[[], Any],
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    batches: int = 1,
    size: int = 128,
    rng: np.random.Generator | None = None,
    **options: Unpack[Options],
) -> Report:
    """Everything `panel` measures, with how noisy each value is and how to read it.

    **Arguments**

    - `q`, `lr`, `gamma`, `terminal_mask` and `options`: as for `interference`.
    - `batch`: with `batches=1` the transitions to measure; else at least `batches x size` of them,
      which are dealt out at random, or a function that returns a batch, for example
      `lambda: buffer.sample(128)`, called once for each.
    - `batches`: how many batches; from two on there is a standard error, of the mean over them.
    - `size`: transitions in each.
    - `rng`: deals the transitions and draws isometry's subsets; default_rng(0) by default.

    **Raises** `MetricError` as `interference` does, and where there are too few transitions.
    """
    if batches < 1 or batches != int(batches):
        raise MetricError(
            f"batches is {batches!r}; it must be a whole number from 1; pass batches=10"
        )
    rng = np.random.default_rng(0) if rng is None else rng
    panels = [
        panel(q, drawn, lr, gamma, terminal_mask, rng, **dealt)
        for drawn, dealt in _deal(batch, int(batches), size, rng, options)
    ]
    return Report(
        _frame(panels),
        _average([p.layers for p in panels]),
        len(panels),
        panels[0].size,
        panels[0].values.dtype,
        panels[0].values.notes,
    )


def _average(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The mean of equal tables."""
    return pd.concat(frames, keys=range(len(frames))).groupby(level=1, sort=False).mean()


def _deal(
    batch: Any, batches: int, size: int, rng: np.random.Generator, options: Options
) -> list[tuple[Any, dict[str, Any]]]:
    """The batches to measure, each with the options that belong to it."""
    if callable(batch) and not hasattr(batch, "obs"):
        return [(batch(), dict(options)) for _ in range(batches)]
    if batches == 1:
        return [(batch, dict(options))]
    arrays = {name: field(batch, name) for name in ALIASES}
    discount = options.get("discount", discounts(batch))
    N = rows_of(arrays["obs"])
    if batches * size > N:
        raise MetricError(
            f"there are {N} transitions for {batches} batches of {size}; there must be "
            f"{batches * size}, or the standard errors would be too small; pass "
            f"size={max(1, N // batches)}, or a function that returns a fresh batch"
        )
    order = rng.permutation(N)
    dealt = []
    for start in range(0, batches * size, size):
        rows = order[start : start + size]
        part = {name: take(x, rows, lambda x: x) for name, x in arrays.items()}
        own = dict(options)
        if discount is not None:
            own["discount"] = column("discount", discount, N)[rows]
        dealt.append((part, own))
    return dealt


def _frame(panels: list[Panel]) -> pd.DataFrame:
    values = pd.DataFrame([p.values for p in panels])
    names = [name for name in values if name in READINGS or values[name].notna().any()]
    known = references()
    rows = {}
    for name in names:
        about = reading(name)
        error = values[name].std(ddof=1) / math.sqrt(len(panels)) if len(panels) > 1 else math.nan
        there = known.loc[name].to_dict() if name in known.index else {}
        rows[name] = {
            "value": values[name].mean(skipna=False),
            "error": error,
            "range": about.range,
            "unit": about.unit,
            "how to read it": about.says,
        } | {column: there.get(column, math.nan) for column in COLUMNS}
    return pd.DataFrame.from_dict(rows, orient="index")


def _columns(group: str) -> list[str]:
    return [column for column in COLUMNS if column.startswith(group)]


def _row(row: pd.Series) -> pd.Series:
    value = f"{row['value']:.3g}"
    if not math.isnan(row["error"]):
        value += f" \N{PLUS-MINUS SIGN} {row['error']:.1g}"
    cells = {"value": value}
    for group in GROUPS:
        low, middle, high = (float(x) for x in row[_columns(group)])
        missing = "depends on the task" if row["unit"] else "no reference yet"
        known = f"{low:.2g} .. {middle:.2g} .. {high:.2g}"
        cells[group] = missing if math.isnan(middle) else known
    return pd.Series(cells | {"range": row["range"], "how to read it": row["how to read it"]})
