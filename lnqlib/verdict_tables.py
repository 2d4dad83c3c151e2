"""The claims and their verdicts as HTML: a table that folds into cards on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

import numpy as np

from .checks import FAILS, HOLDS, MISSING, NO_RUNS, UNDECIDED, UNTESTED, VIEWS
from .stats import Interval
from .verdicts import Verdict, board

MARKS = {HOLDS: "&#10003;", FAILS: "&#10007;", UNDECIDED: "?", MISSING: "&hellip;"}
MARKS |= {NO_RUNS: "&ndash;", UNTESTED: "&ndash;"}
READINGS = ("without clamped", "medians", "as printed")  # VIEWS, and the second reading
MINUS = "\N{MINUS SIGN}"
OF = "&nbsp;of&nbsp;"
_SCATTER, _BY_LR = "interference#fig-interference-loss", "interference#fig-interference-by-lr"
_ADAM = "interference#fig-interference-adam"
FIGURES: dict[int, tuple[str, ...]] = {
    1: (_SCATTER,),
    2: (_SCATTER, _BY_LR),
    3: (_SCATTER,),
    4: (_SCATTER,),
    5: (_SCATTER,),
    6: ("gi2#fig-gi2-loss", "gi2#fig-gi2-scaled"),
    7: (_BY_LR, "gi2#fig-gi2-by-lr"),
    8: ("interference#fig-interference-paired",),
    9: ("gi2#fig-gi2-by-lr",),
    10: ("gi2#fig-gi2-by-lr",),
    11: ("injection#fig-injected-paired", "injection#fig-injected-adam"),
    12: (_ADAM, "gi2#fig-gi2-adam"),
    13: ("normalizations#fig-table1",),
    14: ("index#fig-headline",),
    15: (_SCATTER, "interference#fig-interference-return", _ADAM),
    16: ("normalizations#fig-table1",),
    17: ("normalizations#fig-table1",),
    18: ("isometry#fig-isometry-return", "isometry#fig-isometry-by-lr"),
    19: ("isometry#fig-isometry-by-lr", "isometry#fig-isometry-adam"),
    20: ("isometry#fig-isometry-paired", "isometry#fig-isometry-by-lr"),
    21: ("normalizations#fig-ln-parts", "normalizations#fig-ln-parts-by-lr"),
    22: ("lr_decay#fig-controls",),
    23: (_BY_LR, _ADAM),
    24: ("gi2#fig-gi2-return",),
    25: ("linear_regression#theorem-2", "isometry#theorem-4", "lr_decay#fig-lemma5"),
}
"""Where the book shows what a claim is about: page and anchor."""
STYLE = """<style>
.claims { border-collapse: collapse; width: 100%; margin: 0 0 1em; font-size: 0.9em; }
.claims :is(th, td) { padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
.claims tr { border-bottom: 1px solid var(--pst-color-border, #ccc); }
.claims .unvoted { opacity: 0.65; }
.claims .verdict { white-space: nowrap; }
.claims small { opacity: 0.75; }
.claims td:nth-child(2):not([data-label]) { min-width: 15em; }
.claim > summary { cursor: pointer; }
@media (max-width: 700px) {
  .claims thead { display: none; }
  .claims tr, .claims td { display: block; padding: 0.1em 0; }
  .claims tr { padding: 0.5em 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; opacity: 0.7; }
}
</style>"""


def overview(pairs: Iterable[tuple[Verdict, Verdict]], page: str = "") -> str:
    """One row a claim: number, statement, where in the paper, its verdicts, whether robust.

    **Arguments** `page`: the address of the page with `details`, to which the numbers lead.
    """
    rows = [
        [
            f'<a href="{page}#claim-{row.number}">{row.number}</a>',
            f"{formula(row.statement)}<br><small>{escape(row.where)}</small>",
            f"{mark(row.defaults)}<br>{row.held}{OF}{row.counted}",
            mark(row.unclamped),
            mark(row.medians),
            mark(row.printed),
            f"{row.robust}<br>{row.alike}{OF}{row.counted}"
            if row.robust in ("yes", "no")
            else row.robust or "&ndash;",
        ]
        for row in board(list(pairs)).itertuples()
    ]
    heads = ("", "claim", "defaults", *READINGS, "robust")
    return STYLE + _table(heads, rows, plain=2)


def details(pairs: Iterable[tuple[Verdict, Verdict]]) -> str:
    """Each claim with the rows that decide it and links to its figures, folded."""
    parts = []
    for first, second in pairs:
        claim = first.claim
        printed = "" if second is first else f", as printed {mark(second.verdict)}"
        verdicts = f"{mark(first.verdict)}{printed}"
        parts.append(
            f'<details class="claim" id="claim-{claim.number}"><summary>'
            f"<b>{claim.number}.</b> {formula(claim.statement)} <b>{verdicts}</b></summary>"
            f"<p>{_links(claim.number)}</p>{_rows(first, second)}</details>"
        )
    return STYLE + "".join(parts)


def mark(verdict: str) -> str:
    """A verdict with its sign; a dash for none."""
    if not verdict:
        return "&ndash;"
    return f'<span class="verdict">{MARKS[verdict]} {verdict}</span>'


def interval(value: Interval | None) -> str:
    """`0.83 [0.71, 0.90]`; the value alone where all resamples agree, a dash for no value."""
    if value is None or np.isnan(value.value):
        return "&ndash;"
    if value.low == value.high == value.value:
        return f"{value.value:.3g}".replace("-", MINUS)
    return format(value, ".2f" if abs(value.value) < 100 else ".0f").replace("-", MINUS)


def formula(text: str) -> str:
    """A statement or check as HTML: `rho(GI2, loss)` with its letter and index."""
    html = re.sub(r"\b(GI|A\^|B\^|C\^|D\^)2\b", r"\1<sub>2</sub>", escape(text))
    html = re.sub(r"\^<sub>2</sub>", "<sup>2</sup>", html)
    html = re.sub(r"\bISO_(\w)", r"ISO<sub>\1</sub>", html)
    return html.replace("QGI+", "QGI<sub>+</sub>").replace("rho(", "&rho;(")


def _rows(first: Verdict, second: Verdict) -> str:
    rows, dim = [], []
    for (_, a), (_, b) in zip(first.rows.iterrows(), second.rows.iterrows(), strict=True):
        where = " ".join(filter(None, (a["env"], a["optimizer"])))
        own = _cell(a["interval"], a["verdict"]) + ("" if a["counts"] else " (no vote)")
        views = [_cell(a[view], a[f"{view}_verdict"], view == "unclamped") for view in VIEWS]
        printed = "&ndash;" if second is first else _cell(b["interval"], b["verdict"])
        rows.append([formula(a["check"]), where, own, *views, printed])
        dim.append(not a["counts"])
    return _table(("check", "task", "defaults", *READINGS), rows, plain=1, dim=dim)


def _cell(value: Interval | None, verdict: object, points: bool = False) -> str:
    """An interval, if asked for how many points it is of, and its verdict."""
    if not isinstance(verdict, str):
        return "&ndash;"
    return f"{interval(value)}{f' ({value.count} points)' if points else ''}<br>{mark(verdict)}"


def _links(number: int) -> str:
    """`In this book: gi2 loss, gi2 scaled`, each leading to a figure."""
    links = []
    for place in FIGURES[number]:
        page, _, anchor = place.partition("#")
        name = (anchor or page).removeprefix("fig-").replace("-", " ")
        links.append(f'<a href="{page}.html#{anchor}">{name}</a>')
    return f"In this book: {', '.join(links)}."


def _table(heads: tuple[str, ...], rows: list[list[str]], plain: int, dim: list | None = None):
    """The first `plain` columns need no label on a narrow screen."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = ""
    for row, faint in zip(rows, dim or [False] * len(rows), strict=True):
        labels = ["" if i < plain else f' data-label="{heads[i]}"' for i in range(len(row))]
        cells = "".join(f"<td{label}>{cell}</td>" for label, cell in zip(labels, row, strict=True))
        body += f"<tr{' class=unvoted' if faint else ''}>{cells}</tr>"
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
