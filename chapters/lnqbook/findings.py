"""Findings as outputs of cells: a sentence for each case, chosen by the data.

    told(
        case((gain.low > 0, "LN returns more."), (gain.high < 0, "LN returns less."),
             "The interval contains 0."),
    )

A page's Markdown explains and holds no finding, so that what the data say is there wherever the
notebook is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from IPython.display import Markdown

from .tables import minus


def case(*cases: tuple[object, str] | str) -> str:
    """The sentence of the first case whose condition is true; a sentence alone is always true.

    **Raises** `ValueError` where no case is.
    """
    for each in cases:
        condition, sentence = (True, each) if isinstance(each, str) else each
        if condition:
            return sentence
    raise ValueError(
        f"none of {len(cases)} cases is true; end with a sentence alone, as in "
        'case((x > 0, "more"), "not more")'
    )


def told(*sentences: str) -> Markdown:
    """The sentences as one paragraph; empty ones are left out."""
    return Markdown(minus(" ".join(sentence for sentence in sentences if sentence)))


def bullets(*sentences: str) -> Markdown:
    """The sentences as a list; empty ones are left out."""
    return Markdown("\n".join(f"- {minus(sentence)}" for sentence in sentences if sentence))


def listed(names: Iterable[object], nothing: str = "no task") -> str:
    """`CartPole, Acrobot and Pendulum`; `nothing` for an empty list."""
    *first, last = [str(name) for name in names] or [nothing]
    return f"{', '.join(first)} and {last}" if first else last


def count(number: int, one: str, many: str = "") -> str:
    """`no claim`, `1 claim`, `3 claims`."""
    return f"{number or 'no'} {one if number < 2 else many or one + 's'}"
