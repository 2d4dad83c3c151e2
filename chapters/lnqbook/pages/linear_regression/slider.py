"""Why a spread norm costs: one parabola for long samples, one for short ones, and their mean."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...figures import hover
from ...figures.drawn import record
from ...figures.style import GREY, LABELS, LOOKS, WIDTH, in_style
from ...theory import best_decrement, distance_terms

SPREADS = tuple(i / 20 for i in range(21))
START = 0.8
ERROR = np.array([1.0])
RATES = np.linspace(0, 2, 51)
HEIGHT = (-0.6, 1.05)
YLABEL = "expected decrement\nof the distance $R$"


@dataclass(frozen=True)
class Curve:
    """A line of the figure: who steps, with which terms A and B, and how it is drawn."""

    name: str
    terms: tuple[float, float]
    color: str
    width: float
    dash: str = "-"
    top: bool = False

    @property
    def best(self) -> tuple[float, float]:
        """The learning rate A / B, and the decrement A^2 / B there."""
        first, second = self.terms
        return first / second, best_decrement(first, second)

    def decrement(self, rates: np.ndarray) -> np.ndarray:
        """2 lr A - lr^2 B."""
        return 2 * rates * self.terms[0] - rates**2 * self.terms[1]


def curves(spread: float) -> list[Curve]:
    """Samples along the error, half of them with |x|^2 = 1 + s and half with 1 - s.

    A and B are those of Theorem 2; the mean has A = 1 and B = 1 + s^2.
    """
    long, short = (np.array([[squared**0.5]]) for squared in (1 + spread, 1 - spread))
    one, other = LOOKS["spread"], LOOKS["constant"]
    constant = distance_terms(np.ones((1, 1)), ERROR)
    mean = distance_terms(np.concatenate([long, short]), ERROR)
    return [
        Curve("a long sample", distance_terms(long, ERROR), GREY, 1.0),
        Curve("a short sample", distance_terms(short, ERROR), GREY, 1.0, ":"),
        Curve("constant norm", constant, other.color, 1.8, "--", True),
        Curve("spread norm: the mean of both", mean, one.color, 2.2, "-", True),
    ]


@in_style
def parabolas() -> Figure:
    """2 lr A - lr^2 B at one spread; in the book, at the spread that a slider says."""
    figure, ax = plt.subplots(figsize=(0.7 * WIDTH, 3.2))
    for curve in curves(START):
        style = {"color": curve.color, "linewidth": curve.width, "linestyle": curve.dash}
        ax.plot(RATES, curve.decrement(RATES), label=curve.name, **style)
        if curve.top:
            ax.plot(*curve.best, "o", color=curve.color)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel=LABELS["lr"], ylabel=YLABEL, xlim=(0, 2), ylim=HEIGHT)
    ax.set_title(f"spread $s$ = {START:g}")
    ax.legend(loc="lower left")
    record(figure, pd.concat([_table(spread) for spread in SPREADS], ignore_index=True))
    hover.attach(figure, plot())
    return figure


def _table(spread: float) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"lr": RATES, "decrement": curve.decrement(RATES)}).assign(curve=curve.name)
        for curve in curves(spread)
    ]
    return pd.concat(tables, ignore_index=True).assign(spread=spread)


def plot() -> hover.Plot:
    """Each spread's lines, and the slider that chooses among them."""
    steps = []
    for spread in SPREADS:
        lr, best = curves(spread)[-1].best
        name = f"{spread:.2f}, best decrement {best:.2f} at η = {lr:.2f}"
        steps.append({"name": name, "data": [t for c in curves(spread) for t in _traces(c)]})
    start = SPREADS.index(START)
    x = hover.axis_of("learning rate η", [0, 2])
    y = hover.axis_of("expected decrement of the distance R", list(HEIGHT))
    layout = hover.base(1, 1) | {"xaxis": x, "yaxis": y | {"zeroline": True}}
    layout |= {"height": 340, "margin": {"t": 10, "r": 12, "b": 48, "l": 62}}
    layout["legend"] |= {"yref": "paper", "yanchor": "bottom"}  # makes room for itself
    return {
        "data": steps[start]["data"],
        "layout": layout,
        "widths": [330, 800],
        "slider": {"label": "spread s", "steps": steps, "start": start},
    }


def _traces(curve: Curve) -> list[hover.Plot]:
    """The line, and a mark at its top."""
    dash = {"-": "solid", ":": "dot", "--": "dash"}[curve.dash]
    color = "#737373" if curve.color == GREY else curve.color
    style = {"color": color, "width": curve.width, "dash": dash}
    y = [round(v, 4) for v in curve.decrement(RATES).tolist()]
    line = {"type": "scatter", "mode": "lines", "x": RATES.round(2).tolist(), "y": y}
    found = [line | {"name": curve.name, "line": style, "hoverinfo": "skip"}]
    if curve.top:
        lr, best = curve.best
        said = f"<b>{curve.name}</b><br>best decrement {best:.3f}<br>at η = {lr:.3f}"
        mark = {"type": "scatter", "mode": "markers", "x": [lr], "y": [best], "showlegend": False}
        mark |= {"hoverinfo": "text", "hovertext": [said], "marker": {"color": color, "size": 10}}
        found.append(mark)
    return found
