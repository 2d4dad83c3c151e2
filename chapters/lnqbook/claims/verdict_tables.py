"""The claims and their verdicts as HTML: a table that folds into cards on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

import pandas as pd

from .. import numbers
from ..numbers import DASH
from ..rates import Sides
from ..stats import Interval
from .checks import CONTRADICTED, NO_LINK, NO_RUNS, SUPPORTED, UNDECIDED
from .figure_numbers import figure_numbers
from .verdicts import (
    FAILS,
    HOLDS,
    MIXED,
    MOSTLY,
    NOT_SUPPORTED,
    PARTLY,
    SCALE,
    UNTESTED,
    Row,
    Unit,
    Verdict,
)

MARKS = {HOLDS: "&#10003;", MOSTLY: "&#10003;", PARTLY: "&#9684;", MIXED: "&plusmn;"}
MARKS |= {FAILS: "&#10007;", UNDECIDED: "?", NOT_SUPPORTED: "&#9675;", NO_RUNS: "&hellip;"}
MARKS |= {UNTESTED: "&ndash;", SUPPORTED: "&#10003;", CONTRADICTED: "&#10007;", NO_LINK: "&#9675;"}
DEFAULTS, PRINTED = "defaults", "as printed"
NBSP = "&nbsp;"
PLURAL = {"task": "tasks", "trend": "trends", "claim": "claims", "theorem": "statements"}
FEW_CHECKS = 3  # so many statistics have their numbers under each view shown

_SCATTER, _BY_LR = "interference#fig-interference-loss", "interference#fig-interference-by-lr"
_MORE, _ADAM = "interference#fig-interference-loss-more", "interference#fig-interference-adam"
FIGURES: dict[int, tuple[str, ...]] = {
    1: (_SCATTER,),
    2: (_SCATTER, _BY_LR),
    3: (_SCATTER,),
    4: (_MORE,),
    5: (_MORE,),
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
    24: ("gi2#fig-gi2-by-lr", "gi2#fig-gi2-return"),
    25: ("linear_regression#theorem-2", "isometry#theorem-4", "lr_decay#fig-lemma5"),
    26: ("interference#fig-interference-return",),
    27: ("gi2#fig-gi2-loss", _SCATTER),
    28: ("normalizations#fig-table1",),
    29: ("injection#fig-injected-paired", "injection#fig-injected-adam"),
    30: ("linear_regression#theorem-2",),
}
"""Where the book shows what a claim is about: page and anchor."""
STYLE = """<style>
.claims { border-collapse: collapse; width: 100%; margin: 0 0 1em; font-size: 0.9em; }
.claims :is(th, td) { padding: 0.25em 0.5em; text-align: left; vertical-align: top; }
.claims tr { border-bottom: 1px solid var(--pst-color-border, #ccc); }
.claims .uncounted { opacity: 0.75; }
.claims .views { margin-top: 0.4em; }
.claims .verdict { white-space: nowrap; font-weight: 600; }
.claims small { display: block; }
.claims td:nth-child(2):not([data-label]) { min-width: 13em; }
.claim { scroll-margin-top: 4em; }
.claim > summary { cursor: pointer; }
@media (max-width: 700px) {
  .claims thead { display: none; }
  .claims tr, .claims td { display: block; padding: 0.1em 0; }
  .claims tr { padding: 0.5em 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; font-weight: 600; }
}
</style>"""
OPENER = """<script>
(() => {
  const show = () => {
    const claim = document.getElementById(location.hash.slice(1));
    if (claim?.matches("details.claim")) { claim.open = true; claim.scrollIntoView(); }
  };
  addEventListener("hashchange", show);
  addEventListener("load", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href*="#claim-"]');
    if (link && link.hash === location.hash && link.pathname === location.pathname) show();
  });
})();
</script>"""
"""Opens a claim's evidence when a link to it is followed, from this page or another."""


def overview(pairs: Iterable[tuple[Verdict, Verdict]], page: str = "") -> str:
    """The board, one row a claim: number, statement, where, verdicts under both readings, figure.

    **Arguments** `page`: the address of the page with `details`, to which the numbers lead.
    """
    rows = []
    for first, second in pairs:
        claim = first.claim
        rows.append(
            [
                f'<a href="{page}#claim-{claim.number}">{claim.number}</a>',
                f"{formula(claim.statement)}<small>{escape(claim.where)}</small>",
                _verdict(first),
                _alike(first) if second is first else _verdict(second),
                "<br>".join(_links(claim.number)),
            ]
        )
    return STYLE + _table(("", "claim", DEFAULTS, PRINTED, "shown in"), rows, plain=2)


def summary(pairs: Sequence[tuple[Verdict, Verdict]], page: str = "claims.html") -> str:
    """How many claims have each verdict under either reading, with their numbers; each adds up."""
    rows = []
    for word in SCALE:
        cells = []
        for reading in (0, 1):
            numbers = [pair[reading].claim.number for pair in pairs if pair[reading].word == word]
            links = [f'<a href="{page}#claim-{n}">{n}</a>' for n in numbers]
            cells.append(f"<b>{len(numbers)}</b>{': ' * bool(links)}{', '.join(links)}")
        if any(pair[reading].word == word for pair in pairs for reading in (0, 1)):
            rows.append([mark(word), *cells])
    rows.append(["all", *[f"<b>{len(pairs)}</b>"] * 2])
    return STYLE + _table(("verdict", DEFAULTS, PRINTED), rows, plain=1)


def details(pairs: Iterable[tuple[Verdict, Verdict]]) -> str:
    """Each claim's evidence, folded: one row a task, and links to its figures."""
    parts = []
    for first, second in pairs:
        claim = first.claim
        words = mark(first.word)
        words += "" if second is first else f", {PRINTED} {mark(second.word)}"
        note = f" {escape(claim.note)}" if claim.note else ""
        told = _evidence(first, second) if first.units else ""
        links = ", ".join(_links(claim.number))
        parts.append(
            f'<details class="claim" id="claim-{claim.number}"><summary>'
            f"<b>{claim.number}.</b> {formula(claim.statement)} {words}</summary>"
            f"<p>{escape(claim.where)}. In this book: {links}.{note}</p>{told}</details>"
        )
    return STYLE + "".join(parts) + OPENER


def tally(verdict: Verdict) -> str:
    """`2 of 3 tasks: CartPole, Acrobot`."""
    units = verdict.counted
    if not units or verdict.word == NO_RUNS:
        return ""
    found = verdict.names(SUPPORTED)
    kind = PLURAL[verdict.claim.units] if len(units) > 1 else verdict.claim.units
    text = f"{len(found)} of {len(units)} {kind}"
    short = verdict.claim.units in ("task", "claim") and len(units) > len(found) > 0
    return f"{text}: {', '.join(found)}" if short else text


def mark(verdict: str) -> str:
    """A verdict with its sign."""
    return f'<span class="verdict">{MARKS[verdict]}{NBSP}{verdict}</span>'


def number(value: Interval | Sides | None) -> str:
    """`0.83 [0.71, 0.90]`, or `6 for, 2 against, 1 undecided`; a dash for no value."""
    if isinstance(value, Sides):
        told = f"{value.plus} for, {value.minus} against"
        told += f", {value.open} undecided" if value.open else ""
        return told.replace(" ", NBSP).replace(f",{NBSP}", ", ")
    if value is None:
        return DASH
    if value.low == value.high == value.value:
        return numbers.number(value.value, spec=".3g")
    return numbers.interval(value, ".2f" if abs(value.value) < 100 else ".0f")


def formula(text: str) -> str:
    """A statement or check as HTML: `rho(GI2, loss)` with its letter and index."""
    html = re.sub(r"\b(GI|A\^|B\^|C\^|D\^)2\b", r"\1<sub>2</sub>", escape(text))
    html = re.sub(r"\^<sub>2</sub>", "<sup>2</sup>", html)
    html = re.sub(r"\bISO_(\w)", r"ISO<sub>\1</sub>", html)
    html = html.replace("2 lr DGI", "2&eta;&thinsp;DGI")
    return html.replace("QGI+", "QGI<sub>+</sub>").replace("rho(", "&rho;(")


def words(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of verdicts with their signs."""
    return frame.map(mark)


def _verdict(verdict: Verdict) -> str:
    """A verdict, how many units support it, and whether it is firm."""
    firm = {True: "firm", False: "not firm", None: ""}[verdict.firm]
    return f"{mark(verdict.word)}<small>{escape(tally(verdict))}</small><small>{firm}</small>"


def _alike(verdict: Verdict) -> str:
    return mark(verdict.word) if verdict.word == UNTESTED else "<small>the same</small>"


def _evidence(first: Verdict, second: Verdict) -> str:
    """One row a unit: under each reading the primary statistics and what the views say."""
    others = {unit.name: unit for unit in second.units}
    same = second is first
    few = len({(r.check.text, r.optimizer) for u in first.units for r in u.rows}) <= FEW_CHECKS
    rows, dim = [], []
    for unit in first.units:
        other = others.get(unit.name)
        name = f"claim {unit.name}" if first.claim.units == "claim" else formula(unit.name)
        excepted = "" if unit.counts else "<small>excepted</small>"
        cells = [f"<b>{name}</b>{excepted}", _read(unit, few)]
        cells += [] if same else [_read(other, few) if other else "&ndash;"]
        rows.append(cells)
        dim.append(not unit.counts)
    heads = (first.claim.units, DEFAULTS, *([] if same else [PRINTED]))
    return _table(heads, rows, plain=1, dim=dim)


def _read(unit: Unit, few: bool) -> str:
    """A unit under one reading: its word, its statistics, and what the other views say."""
    views = _views(unit, few)
    return _primary(unit, few) + (f'<div class="views">{views}</div>' if views else "")


def _primary(unit: Unit, few: bool) -> str:
    """The word, and the primary statistics; gray where one does not count or need not hold."""
    if unit.verdict:
        return mark(unit.verdict)
    alone = few and len(unit.rows) == 1
    lines = []
    for row in unit.rows:
        told = number(row.evidence.value)
        if not alone:
            told = f"{MARKS[row.evidence.word]}{NBSP}{_named(row)}: {told}"
        excepted = unit.counts and not row.counts
        aside = "excepted" if excepted else "enough elsewhere" if row.elsewhere else ""
        lines.append(
            f'<small class="uncounted">{told} ({aside})</small>'
            if aside
            else f"<small>{told}</small>"
        )
    return mark(unit.word) + "".join(lines)


def _views(unit: Unit, few: bool) -> str:
    """Each view's word for the unit, with its numbers where the statistics are few."""
    lines = []
    for view, word in unit.under.items():
        told = [number(row.views[view].value) for row in unit.rows if view in row.views]
        numbers = f" ({'; '.join(told)})" if few and not unit.verdict else ""
        changed = f"<b>{word}</b>" if view in unit.turned else word
        lines.append(f"<small>{view}: {changed}{numbers}</small>")
    return "".join(lines)


def _named(row: Row) -> str:
    optimizer = f" {row.optimizer}" if row.check.optimizer else ""
    return f"{formula(row.check.text)}{optimizer}"


def _links(number: int) -> list[str]:
    """The claim's figures by their numbers, each leading there."""
    names = figure_numbers()
    links = []
    for place in FIGURES[number]:
        page, _, anchor = place.partition("#")
        usual = anchor.removeprefix("fig-").replace("-", " ").capitalize()
        links.append(f'<a href="{page}.html#{anchor}">{names.get(anchor, usual)}</a>')
    return [link.replace("Fig. ", f"Fig.{NBSP}") for link in links]


def _table(
    heads: tuple[str, ...], rows: list[list[str]], plain: int, dim: list | None = None
) -> str:
    """The first `plain` columns need no label on a narrow screen."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = ""
    for row, faint in zip(rows, dim or [False] * len(rows), strict=True):
        labels = ["" if i < plain else f' data-label="{heads[i]}"' for i in range(len(row))]
        cells = "".join(f"<td{label}>{cell}</td>" for label, cell in zip(labels, row, strict=True))
        body += f"<tr{' class=uncounted' if faint else ''}>{cells}</tr>"
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
