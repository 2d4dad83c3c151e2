"""What a sweep says while it trains: how much there is to do, then a bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tqdm import tqdm

from ..spec import RunSpec

LINES = 20
"""How often the bar is written where it cannot be written over, as in a notebook or a log file."""


class Bar(tqdm):
    """A bar in runs; off a terminal it is written once for each twentieth of them."""

    def __init__(self, total: int, done: int, progress: bool):
        self._written = (-1, "")
        super().__init__(total=total, initial=done, unit="run", disable=not progress)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        shown = LINES * self.n // max(self.total, 1), self.postfix or ""
        if shown == self._written and not _terminal():
            return False
        self._written = shown
        return super().display(msg, pos)


def announce(specs: Sequence[RunSpec], finished: int, seconds: float, workers: int | None) -> None:
    """Says on stderr, and on the terminal that started a notebook, what is about to be trained.

    **Arguments** `specs`: what is missing. `finished`: how many more there are. `seconds`: on one
    core, 0 where nobody knows. `workers`: chunks at once, if known.
    """
    text = f"{len(specs):,} run{'s' if len(specs) > 1 else ''} to train"
    text += f" ({finished:,} more are finished)" if finished else ""
    if seconds:
        text += f", about {duration(seconds / (workers or 1))}"
        text += " in all" if workers else " on one core"
        kinds = len({(spec.env, spec.norm, spec.optimizer, spec.arm) for spec in specs})
        text += f"; first use compiles, some 10 s for each of {kinds} kinds"
    print(text, file=sys.stderr, flush=True)
    if not isinstance(sys.stderr, type(sys.__stderr__)):  # a kernel's, whose file is the terminal
        with suppress(OSError, ValueError, AttributeError):
            os.write(sys.stderr.fileno(), f"\n{text}\n".encode())


def duration(seconds: float) -> str:
    """`20 s`, `5 min` or `2.5 h`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
