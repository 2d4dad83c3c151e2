"""Numbers as text: 178,400 for a count, a true minus sign, 10⁻⁷ and no 1e-07, a dash for NaN."""

from __future__ import annotations

import re

import numpy as np

from .stats import NBSP, Interval

MINUS, DASH, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")  # drawn ten times as fast as $10^{3}$


def number(x: float, digits: int = 3, spec: str = "") -> str:
    """`x` to so many digits, 178,400 or 0.0123 where that is short, else by a power of ten.

    Whole numbers keep all their digits. A dash stands for what is not finite.

    **Arguments** `spec`: a format to use instead, as in ".2f".
    """
    if not np.isfinite(x):
        return DASH
    if spec:
        return printed(format(x, spec))
    if x == round(x) and abs(x) < 1e9:
        return minus(f"{x:,.0f}")
    if 1e-3 <= abs(x) < 1e4:
        text = np.format_float_positional(x, digits, fractional=False, trim="-")
        return minus(f"{int(text):,}" if abs(x) >= 1000 else text)
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return printed(f"{float(mantissa):g}e{exponent}")


def interval(x: Interval, spec: str = ".3g") -> str:
    """`0.83 [0.71, 0.90]`; a dash where there is no value."""
    return printed(format(x, spec)) if np.isfinite(x.value) else DASH


def printed(text: str) -> str:
    """A formatted number as print sets it: -0.83 with a minus sign, 4e-15 by a power of ten."""
    text = re.sub(r"(?<![\d.])1e([+-]\d+)", lambda m: power(int(m[1])), text)
    times = f"{NBSP}{TIMES}{NBSP}"
    return minus(re.sub(r"(?<=\d)e([+-]\d+)", lambda m: times + power(int(m[1])), text))


def minus(text: str) -> str:
    """`text` with the minus sign where a hyphen stands before a number or between spaces."""
    return re.sub(r"(?<!\w)-(?=[\d.])|(?<= )-(?= )", MINUS, text)


def power(exponent: int) -> str:
    """10 to that power, as in 10⁻⁷."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)
