"""Tables as the book prints them: names for codes, 178,400 for a count, a true minus sign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Integral

import numpy as np
import pandas as pd
from IPython.display import HTML

from .figures.axes import SUPERSCRIPT
from .figures.style import NAMES
from .stats import Interval

MINUS, DASH, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def shown(frame: pd.DataFrame, spec: str | Mapping[str, str] = "") -> pd.DataFrame:
    """`frame` as text, to end a cell with.

    Whole numbers are counts, networks have the figures' names, and index and columns lose theirs,
    which would take a row of the table.

    **Arguments** `spec`: the format of other numbers and of intervals, one for all or by column;
    without one, see `number`.
    """
    specs = spec if isinstance(spec, Mapping) else dict.fromkeys(frame.columns, spec)
    text = frame.apply(lambda column: column.map(lambda x: _cell(x, specs.get(column.name, ""))))
    text = text.rename(index=_label, columns=_label)
    text.index.names, text.columns.names = (
        [None] * text.index.nlevels,
        [None] * text.columns.nlevels,
    )
    return text


def words(frame: pd.DataFrame) -> HTML:
    """`shown` for a table of words, which begin at the left where numbers end at the right."""
    return HTML(shown(frame).to_html(classes="words", border=0))


def number(x: float, digits: int = 3) -> str:
    """`x` to so many digits, 178,400 or 0.0123 where that is short, else by a power of ten.

    What is whole is printed whole, and a dash where it is no number.
    """
    if not np.isfinite(x):
        return DASH
    if x == round(x) and abs(x) < 1e9:
        return minus(f"{x:,.0f}")
    if 1e-3 <= abs(x) < 1e4:
        text = np.format_float_positional(x, digits, fractional=False, trim="-")
        return minus(f"{int(text):,}" if abs(x) >= 1000 else text)
    mantissa, exponent = map(float, f"{x:.{digits - 1}e}".split("e"))
    factor = "-" * (mantissa < 0) if abs(mantissa) == 1 else f"{mantissa:g} {TIMES} "
    return minus(factor + "10") + str(int(exponent)).translate(SUPERSCRIPT)


def minus(text: str) -> str:
    """`text` with the minus sign where a hyphen stands before a number or between spaces."""
    return re.sub(r"(?<!\w)-(?=[\d.])|(?<= )-(?= )", MINUS, text)


def _label(name: object) -> object:
    return NAMES.get(name, minus(name)) if isinstance(name, str) else name


def _cell(x: object, spec: str) -> str:
    if isinstance(x, str):
        return minus(x)
    if isinstance(x, Interval):
        return minus(format(x, spec or ".3g")) if np.isfinite(x.value) else DASH
    if isinstance(x, bool | np.bool_):
        return "yes" if x else "no"
    if isinstance(x, Integral):
        return minus(f"{x:,}")
    if pd.isna(x):
        return ""
    return minus(format(x, spec)) if spec else number(x)
