"""The numbers that the book gives its figures, read from the pages' sources."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from lnqlib.store.local import ROOT


@cache
def figure_numbers(root: Path = ROOT) -> dict[str, str]:
    """`Fig. 4.2` for each figure's name; the pages of the contents are counted from 1.

    The front page has no number of its own, and its figures are `Fig. 1` and so on. Empty where the
    sources are not there.
    """
    toc = root / "_toc.yml"
    if not toc.exists():
        return {}
    pages = re.findall(r"(?:root|file): *(\S+)", toc.read_text())
    numbers: dict[str, str] = {}
    for place, page in enumerate(pages):
        for index, name in enumerate(_names(root / f"{page}.ipynb"), 1):
            numbers[name] = f"Fig. {f'{place}.' if place else ''}{index}"
    return numbers


def _names(path: Path) -> list[str]:
    """A notebook's figures in their order."""
    if not path.exists():
        return []
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    figures = [cell["metadata"].get("mystnb", {}).get("figure") for cell in cells]
    return [figure["name"] for figure in figures if figure]
