"""The placebo on the pages: a metric correlated with every task's loss or return.

What a metric knows about its own task it cannot know about another's: only learning rate and
network are common to the two. A correlation that is as strong with other tasks' losses needs
nothing that belongs to the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lnqlib.spec import OPTIMIZERS

from . import tables
from .figures.drawn import record
from .figures.style import WIDTH, in_style, label
from .findings import bullets, case, folded, listed
from .notebook import Parameters
from .numbers import number
from .ranks import Placebo, placebo

SMALL = 0.1  # a difference of rhos that no scatter plot shows
MOST = 0.75  # of the own rho: what is left is a quarter
READINGS = {"defaults": True, "as printed": False}
NAMES = {"gi2": "GI\N{SUBSCRIPT TWO}", "gi2_scaled": "GI\N{SUBSCRIPT TWO} / loss", "sgi": "SGI"}
NAMES |= {"qgi_plus": "QGI\N{SUBSCRIPT PLUS SIGN}", "mgi": "MGI", "dgi": "DGI"}
NAMES |= {f"iso_{k}": f"ISO{sub}" for k, sub in zip("opt3", "ₒₚₜ₃", strict=True)}


class Pair(NamedTuple):
    """A metric, what it is correlated with, and the sign that the paper gives the correlation."""

    x: str
    y: str
    sign: int


class Case(NamedTuple):
    """A placebo and what it is of."""

    pair: Pair
    reading: str
    optimizer: str
    seeds: int
    found: Placebo


def measure(p: Parameters, pairs: Sequence[Pair]) -> list[Case]:
    """Each pair's placebo under both readings, with both optimizers, from finished runs alone.

    A reading and optimizer with an unfinished run is left out, and so is all of it for one task.
    """
    cases = []
    for reading, bias in READINGS.items():
        for optimizer in OPTIMIZERS:
            runs = p.finished(p.specs(optimizer=optimizer, bias=bias))
            for pair in pairs if len(runs) else ():
                found = placebo(runs, pair.x, pair.y)
                if found is not None:
                    seeds = runs["seed"].nunique()
                    cases.append(Case(pair, reading, optimizer, seeds, found))
    return sorted(cases, key=lambda one: pairs.index(one.pair))


def table(cases: Sequence[Case]) -> pd.DataFrame:
    """One row a case: rho with the own task and with the others, means over tasks; the gap."""
    rows = [
        {
            "rho of": f"{NAMES[case.pair.x]} and {case.pair.y}",
            "optimizer": case.optimizer,
            "reading": f"{case.reading} ({case.seeds} seeds)",
            "own task": case.found.own,
            "other tasks": case.found.others,
            "own minus others": case.found.difference,
        }
        for case in cases
    ]
    return pd.DataFrame(rows).set_index(["rho of", "optimizer", "reading"])


def of(cases: Sequence[Case], x: str, optimizer: str) -> list[Case]:
    """The cases of one metric and optimizer, under each reading."""
    return [one for one in cases if one.pair.x == x and one.optimizer == optimizer]


def others(cases: Sequence[Case], shown: Sequence[Case], title: str) -> HTML:
    """All cases in numbers, and in words those that are not among `shown`, folded."""
    if not cases:
        return folded(title)
    rest = [one for one in cases if not any(one is other for other in shown)]
    return folded(title, tables.shown(table(cases), ".2f"), bullets(*map(_sentence, rest)))


def sentences(cases: Sequence[Case]) -> list[str]:
    """What each case says, in words."""
    return [_sentence(one) for one in cases] or [
        "The placebo needs finished runs of two tasks; here there are none."
    ]


@in_style
def matrices(cases: Sequence[Case]) -> Figure:
    """Each case's matrix: a row for the metric's task, a column for the other quantity's."""
    rows = list(dict.fromkeys((one.pair, one.reading) for one in cases))
    columns = list(dict.fromkeys(one.optimizer for one in cases))
    tasks = max(len(one.found.matrix) for one in cases)
    size = (WIDTH, (0.26 * tasks + 0.45) * len(rows) + 0.9)
    figure, axes = plt.subplots(len(rows), len(columns), figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    image = None
    for one in cases:
        row, column = rows.index((one.pair, one.reading)), columns.index(one.optimizer)
        ax, matrix = axes[row, column], one.found.matrix
        ax.set_axis_on()
        rhos = matrix.rename_axis("metric of", axis=0).rename_axis("other of", axis=1)
        named = {"metric": one.pair.x, "other": one.pair.y}
        named |= {"optimizer": one.optimizer, "reading": one.reading}
        record(figure, rhos.stack().rename("rho").reset_index().assign(**named))
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        for i, j in ((i, j) for i in range(len(matrix)) for j in range(len(matrix))):
            value = matrix.iloc[i, j]
            text = number(value, spec=".2f")
            ax.text(j, i, text, ha="center", va="center", color=_ink(value))
        for i in range(len(matrix)):
            ax.add_patch(
                Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6)
            )
        ax.grid(False)
        last = row + 1 == len(rows) or rows[row + 1][0] != one.pair  # of its pair
        ax.set_xticks(range(len(matrix)), matrix.columns if last else [""] * len(matrix))
        ax.set_yticks(range(len(matrix)), matrix.index if column == 0 else [""] * len(matrix))
        ax.set_title(f"{one.optimizer}, {one.reading}")
        ax.set_xlabel(f"{one.pair.y} of" if last else "")
        if column == 0:
            ax.set_ylabel(f"{label(one.pair.x)} of")
    if image is not None:
        where = {"location": "bottom", "shrink": 0.4, "aspect": 30}
        figure.colorbar(image, ax=axes, **where, label="Spearman's \N{GREEK SMALL LETTER RHO}")
    return figure


def compared(one: Case) -> str:
    """How the link with the own task compares with those with other tasks.

    "stronger", "weaker" or "not shown to be stronger"; where the stronger one of the two does not
    even lie on the side that the paper claims: "nearer to the claimed side", "further from it".
    """
    own, others, gap = one.found.own, one.found.others, one.found.difference
    side = gap.sign * one.pair.sign
    stronger = own if side > 0 else others
    if stronger.value * one.pair.sign > 0:
        return {1: "stronger", -1: "weaker", 0: "not shown to be stronger"}[side]
    words = {1: "nearer to the claimed side", -1: "further from the claimed side"}
    return words.get(side, "not shown to be stronger")


def _sentence(one: Case) -> str:
    """How strong a correlation is with the own task, how strong with the others, and where."""
    own, others, gap = one.found.own, one.found.others, one.found.difference
    name, y = NAMES[one.pair.x], one.pair.y
    side = gap.sign * one.pair.sign
    small = abs(gap.value) < SMALL
    numbers = f"Averaged over tasks, \u03c1 is {own.value:.2f} with the same task's {y} and "
    numbers += f"{others.value:.2f} with the other tasks'; own minus others is {gap:.2f}. "
    meaning = case(
        (
            side > 0 and small and others.value * one.pair.sign > MOST * abs(own.value),
            f"That is clear of 0 but small: most of the link is there with other tasks' {y}, too.",
        ),
        (side > 0 and small, "That is clear of 0, and small."),
        (
            side and compared(one) not in ("stronger", "weaker"),
            f"So its link with its own task's {y} is {compared(one)} than those with other tasks', "
            "and does not lie on that side.",
        ),
        (
            side > 0,
            f"So {name} is linked more strongly to its own task's {y} than to others', as claimed.",
        ),
        (side < 0, f"So {name} is linked more strongly to other tasks' {y} than to its own."),
        f"The interval contains 0: {name} is not shown to be linked more strongly to its own "
        f"task's {y} than to other tasks'.",
    )
    signs = one.found.excess.map(lambda excess: excess.sign * one.pair.sign)
    ahead, behind = list(signs.index[signs > 0]), list(signs.index[signs < 0])
    task = " Task by task, own minus others lies"
    where = case(
        (
            ahead and behind,
            f"{task} on the claimed side in {listed(ahead)}, and on the other in {listed(behind)}.",
        ),
        (ahead, f"{task} on the claimed side in {listed(ahead)}, and on the other in none."),
        (behind, f"{task} on the claimed side in none, and on the other in {listed(behind)}."),
        " In no single task is it clear of 0.",
    )
    return f"**{name} and {y}, {one.optimizer}, {one.reading}.** {numbers}{meaning}{where}"


def _ink(value: float) -> str:
    return "white" if abs(value) > 0.65 else "black"
