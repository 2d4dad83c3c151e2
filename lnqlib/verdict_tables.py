"""The claims and their verdicts as HTML: a table that folds into cards on a narrow screen."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np
import pandas as pd

from .checks import FAILS, HOLDS, MISSING, UNDECIDED
from .stats import Interval
from .verdicts import Verdict, board

MARKS = {HOLDS: "&#10003;", FAILS: "&#10007;", UNDECIDED: "?", MISSING: "&hellip;"}
STYLE = """<style>
.claims { border-collapse: collapse; width: 100%; margin: 0 0 1em; }
.claims :is(th, td) { padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
.claims tr { border-bottom: 1px solid var(--pst-color-border, #ccc); }
.claims .unvoted { opacity: 0.65; }
.claims .verdict { white-space: nowrap; }
.claim > summary { cursor: pointer; }
@media (max-width: 700px) {
  .claims thead { display: none; }
  .claims tr, .claims td { display: block; padding: 0.1em 0; }
  .claims tr { padding: 0.5em 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; opacity: 0.7; }
}
</style>"""


def overview(pairs: Iterable[tuple[Verdict, Verdict]], page: str = "") -> str:
    """One row a claim: number, statement, where in the paper, both verdicts, whether robust.

    **Arguments** `page`: the address of the page with `details`, to which the numbers lead.
    """
    heads = ("", "claim", "in the paper", "defaults", "as printed", "robust")
    rows = [
        [
            f'<a href="{page}#claim-{row.number}">{row.number}</a>',
            escape(row.statement),
            escape(row.where),
            mark(row.defaults),
            mark(row.printed),
            row.robust,
        ]
        for row in board(list(pairs)).itertuples()
    ]
    return STYLE + _table(heads, rows, plain=2)


def details(pairs: Iterable[tuple[Verdict, Verdict]]) -> str:
    """Each claim with the rows that decide it, folded; the first reading, then the second."""
    parts = []
    for first, second in pairs:
        claim = first.claim
        verdicts = f"{mark(first.verdict)}, as printed {mark(second.verdict)}"
        parts.append(
            f'<details class="claim" id="claim-{claim.number}"><summary>'
            f"<b>{claim.number}.</b> {escape(claim.statement)} <b>{verdicts}</b></summary>"
            f"{_rows(first, second)}</details>"
        )
    return STYLE + "".join(parts)


def mark(verdict: str) -> str:
    """A verdict with its sign."""
    return f'<span class="verdict">{MARKS[verdict]} {verdict}</span>'


def interval(value: Interval | None) -> str:
    """`0.83 [0.71, 0.9]`; the value alone where all resamples agree, a dash where there is none."""
    if value is None or np.isnan(value.value):
        return "&ndash;"
    if value.low == value.high == value.value:
        return f"{value.value:.3g}"
    return format(value, ".3g")


def _rows(first: Verdict, second: Verdict) -> str:
    printed = second.rows if len(second.rows) == len(first.rows) else first.rows
    heads = ("check", "task", "defaults", "without clamped", "verdict", "as printed", "verdict")
    rows, dim = [], []
    for (_, a), (_, b) in zip(first.rows.iterrows(), printed.iterrows(), strict=True):
        where = " ".join(filter(None, (a["env"], a["optimizer"])))
        cells = [escape(a["check"]), where, interval(a["interval"]), _unclamped(a)]
        rows.append([*cells, _verdict(a), interval(b["interval"]), _verdict(b)])
        dim.append(not a["counts"])
    return _table(heads, rows, plain=1, dim=dim)


def _unclamped(row: pd.Series) -> str:
    """The interval without clamped points, and how many points that leaves."""
    if not isinstance(row["unclamped"], Interval):
        return "&ndash;"
    return f"{interval(row['unclamped'])} ({row['unclamped'].count} points)"


def _verdict(row: pd.Series) -> str:
    return mark(row["verdict"]) + ("" if row["counts"] else " (no vote)")


def _table(heads: tuple[str, ...], rows: list[list[str]], plain: int, dim: list | None = None):
    """The first `plain` columns need no label on a narrow screen."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = ""
    for row, faint in zip(rows, dim or [False] * len(rows), strict=True):
        labels = ["" if i < plain else f' data-label="{heads[i]}"' for i in range(len(row))]
        cells = "".join(f"<td{label}>{cell}</td>" for label, cell in zip(labels, row, strict=True))
        body += f"<tr{' class=unvoted' if faint else ''}>{cells}</tr>"
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
