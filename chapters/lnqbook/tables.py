"""Tables as the book prints them: names for codes, numbers as `numbers` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

import numpy as np
import pandas as pd
from IPython.display import HTML

from .figures.style import NAMES
from .numbers import interval, minus, number
from .stats import Interval


def shown(frame: pd.DataFrame, spec: str | Mapping[str, str] = "") -> pd.DataFrame:
    """`frame` as text, to end a cell with.

    Integers are counts. Networks have the figures' names. Index and columns lose their names, which
    would take a row of the table.

    **Arguments** `spec`: the format of other numbers and of intervals, one for all or by column;
    without one, see `numbers.number`.
    """
    specs = spec if isinstance(spec, Mapping) else dict.fromkeys(frame.columns, spec)
    text = frame.apply(lambda column: column.map(lambda x: _cell(x, specs.get(column.name, ""))))
    text = text.rename(index=_label, columns=_label)
    for axis in (text.index, text.columns):
        axis.names = [None] * axis.nlevels
    return text


def words(frame: pd.DataFrame) -> HTML:
    """`shown` for a table of words: aligned left, where numbers are aligned right."""
    return HTML(shown(frame).to_html(classes="words", border=0))


def _label(name: object) -> object:
    return NAMES.get(name, minus(name)) if isinstance(name, str) else name


def _cell(x: object, spec: str) -> str:
    if isinstance(x, str):
        return minus(x)
    if isinstance(x, Interval):
        return interval(x, spec or ".3g")
    if isinstance(x, bool | np.bool_):
        return "yes" if x else "no"
    if isinstance(x, Integral):
        return number(x, spec=",")
    return "" if pd.isna(x) else number(x, spec=spec)
