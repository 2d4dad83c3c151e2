"""A scatter figure that answers the mouse: its panels and marks as plotly takes them.

The picture stays what is printed and what plain viewers show. In the book `_static/plots.js` draws
this in its place, from the same axes, ticks and points.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..numbers import number
from .layout import SEED_CLAMPED
from .style import CLAMPED, LOOKS, NAMES, WORDS

MIME = "application/vnd.lnqbook.plot+json"
"""The kind of output that holds a plot; no viewer knows it, so all of them show the picture."""
PIXELS = 96 / 72  # of a point on the screen
GRID, EDGE, INK = "#ebebeb", "#999999", "#222222"
SYMBOLS = {"o": "circle", "s": "square", "D": "diamond", "v": "triangle-down", "P": "cross"}
SYMBOLS |= {"X": "x", CLAMPED: "triangle-up"}
_OFFERED, _PLOT = "_lnq_offered", "_lnq_plot"

Plot = dict[str, object]


def offer(ax: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    """Keeps a panel's points for `plot`.

    **Arguments** `points`: norm, lr, value, low, high, clamped, y_value, y_low and y_high as they
    are drawn; size, the mark's area; seeds and clamped_seeds. `x`, `y`: the metrics.
    """
    kept = getattr(ax.figure, _OFFERED, [])
    setattr(ax.figure, _OFFERED, [*kept, (ax, points, x, y)])


def attach(figure: Figure, plot: Plot) -> None:
    """Gives a figure a plot of its own making, such as one with a slider."""
    setattr(figure, _PLOT, plot)


def plot(figure: Figure) -> Plot | None:
    """`data` and `layout` for plotly, and the `widths`, from least to most, that suit it.

    None where no points were offered and nothing was attached.
    """
    panels = getattr(figure, _OFFERED, [])
    if not panels:
        return getattr(figure, _PLOT, None)
    data, axes, titles, knees = [], {}, [], []
    for n, (ax, points, x, y) in zip(numbers(len(panels)), panels, strict=False):
        data += _traces(ax, points, x, y, n)
        first = bool(ax.get_ylabel())  # of its row
        axes |= {f"xaxis{n}": _axis(ax, "x", _word(x))}
        axes |= {f"yaxis{n}": _axis(ax, "y", _word(y) if first else "")}
        titles.append(title(ax.get_title().replace("\n", "<br>"), n))
        knees += _knees(ax, n)
    named: set[str] = set()
    for trace in data:
        trace["showlegend"] = trace["legendgroup"] not in named
        named.add(trace["legendgroup"])
    data += _keys(pd.concat([points for _, points, _, _ in panels]))
    layout = base(*panels[0][0].get_subplotspec().get_gridspec().get_geometry()) | axes
    layout |= {"annotations": [*titles, _foot(figure.get_supxlabel())], "shapes": knees}
    columns = layout["grid"]["columns"]
    return {"data": data, "layout": layout, "widths": [max(600, 175 * columns), 600 * columns]}


def numbers(panels: int) -> list[str]:
    """What plotly appends to the names of each panel's axes."""
    return [str(n) if n > 1 else "" for n in range(1, panels + 1)]


def base(rows: int, columns: int) -> Plot:
    """What layouts share: the look, and so many panels."""
    grid = {"rows": rows, "columns": columns, "pattern": "independent", "xgap": 0.25, "ygap": 0.42}
    legend = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": 1, "yanchor": "top"}
    label = {"bgcolor": "white", "bordercolor": EDGE, "align": "left"}
    return {
        "grid": grid,
        "height": 240 * rows + (60 if columns > 1 else 110),
        "font": {"size": 12, "color": INK},
        "paper_bgcolor": "white",  # as the pictures, so that colors stay what the captions say
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": label | {"font": {"color": INK, "size": 12}},
        "dragmode": False,  # a finger scrolls the page
        "margin": {"t": 72, "r": 12, "b": 62, "l": 62},
        "legend": legend | {"yref": "container", "itemsizing": "trace"},
    }


def title(text: str, n: str) -> Plot:
    """A panel's title, above it."""
    place = {"xref": f"x{n} domain", "yref": f"y{n} domain", "x": 0.5, "y": 1, "yshift": 2}
    return {"text": text, "showarrow": False, "yanchor": "bottom"} | place


def _traces(ax: Axes, points: pd.DataFrame, x: str, y: str, n: str) -> list[Plot]:
    """One a network."""
    at = {"x": ax.xaxis.get_transform().transform(points["value"].to_numpy(float))}
    at |= {"y": ax.yaxis.get_transform().transform(points["y_value"].to_numpy(float))}
    seen = points.assign(**at)
    seen = seen[np.isfinite(seen[["x", "y"]]).all(axis=1)]
    found = []
    for norm in (norm for norm in LOOKS if (seen["norm"] == norm).any()):
        some, look = seen[seen["norm"] == norm], LOOKS[norm]
        hollow = "-open" if look.fill == "white" else ""
        shapes = [SYMBOLS[CLAMPED if hit else look.marker] + hollow for hit in some["clamped"]]
        mark = {"size": [round(PIXELS * area**0.5, 1) for area in some["size"]], "symbol": shapes}
        mark |= {"color": look.color if hollow else look.fill, "opacity": 1}
        found.append(
            {"type": "scatter", "mode": "markers", "xaxis": f"x{n}", "yaxis": f"y{n}"}
            | {name: [float(f"{v:.6g}") for v in some[name]] for name in "xy"}
            | {"name": NAMES[norm], "legendgroup": norm, "cliponaxis": False}
            | {"hoverinfo": "text", "hovertext": [_said(row, x, y) for row in some.itertuples()]}
            | {"marker": mark | {"line": {"color": look.color, "width": 1.6}}}
        )
    return found


def _said(row: object, x: str, y: str) -> str:
    """What stands beside a mark that is pointed at."""
    seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
    return "<br>".join(
        (
            f"<b>{row.env}, {NAMES[row.norm]}</b>",
            f"η = {number(row.lr)}",
            f"{_word(x)}: {_span(row.value, row.low, row.high)}",
            f"{_word(y)}: {_span(row.y_value, row.y_low, row.y_high)}",
            f"{seeds}, {row.clamped_seeds or 'none'} clamped",
        )
    )


def _word(metric: str) -> str:
    return WORDS.get(metric, metric.replace("_", " "))


def _span(value: float, low: float, high: float) -> str:
    ends = f" [{number(low)}, {number(high)}]" if np.isfinite([low, high]).all() else ""
    return number(value) + ends


def axis_of(text: str, ends: list[float]) -> Plot:
    """An axis from one end to the other."""
    title = {"text": text, "standoff": 6, "font": {"size": 12}}
    found = {"title": title, "range": ends, "gridcolor": GRID, "zeroline": False}
    found |= {"fixedrange": True, "linecolor": EDGE, "ticks": "outside"}
    return found | {"tickangle": 0, "nticks": 5, "automargin": True}


def _axis(ax: Axes, which: str, text: str) -> Plot:
    """An axis as the picture has it; on a linear one plotly finds its own ticks."""
    axis = getattr(ax, f"{which}axis")
    place = axis.get_transform().transform
    ends = place(np.array(getattr(ax, f"get_{which}lim")()))
    found = axis_of(text, ends.tolist())
    if axis.get_scale() == "linear":
        return found
    ticks = axis.get_majorticklocs()
    labels = axis.get_major_formatter().format_ticks(ticks)
    return found | {"tickvals": place(ticks).tolist(), "ticktext": labels}


def _knees(ax: Axes, n: str) -> list[Plot]:
    """The dotted lines beyond which decades are drawn closer together."""
    found = []
    for line in ax.get_lines():
        (x, _), (y, _) = line.get_data()
        upright = len(set(line.get_xdata())) == 1
        which, value = ("x", x) if upright else ("y", y)
        at = getattr(ax, f"{which}axis").get_transform().transform(np.array([value])).item()
        other = "y" if upright else "x"
        ends = {f"{which}0": at, f"{which}1": at, f"{other}0": 0, f"{other}1": 1}
        refs = {f"{which}ref": f"{which}{n}", f"{other}ref": f"{other}{n} domain"}
        style = {"line": {"dash": "dot", "color": EDGE, "width": 1}, "layer": "below"}
        found.append({"type": "line"} | ends | refs | style)
    return found


def _keys(points: pd.DataFrame) -> list[Plot]:
    """Entries of the legend for what size and triangles mean."""
    sizes = points.groupby("lr")["size"].first()
    ends = sizes.iloc[[0, -1]] if len(sizes) > 1 else {}
    marks = [(f"η = {number(lr)}", "circle-open", area**0.5) for lr, area in ends.items()]
    if points["clamped"].any():
        marks.append((SEED_CLAMPED, "triangle-up", 5.0))
    return [
        {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "name": name}
        | {"marker": {"symbol": symbol, "size": PIXELS * size, "color": "#737373"}}
        for name, symbol, size in marks
    ]


def _foot(text: str) -> Plot:
    """The runs behind the figure."""
    place = {"xref": "paper", "yref": "paper", "x": 1, "xanchor": "right", "y": 0, "yshift": -42}
    return {
        "text": text,
        "showarrow": False,
        "yanchor": "top",
        "font": {"color": "#666666"},
    } | place
