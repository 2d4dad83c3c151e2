"""data/README.md names every column that is shipped, and the paper's table is whole."""

import re

import pandas as pd
from conftest import ROOT

from lnqlib.results import COUNTS, CURVES
from lnqlib.spec import FIELDS

README = (ROOT / "data" / "README.md").read_text(encoding="utf8")
TABLE = ROOT / "data" / "paper" / "table1.csv"


def test_every_column_is_named() -> None:
    named = re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)
    assert sorted(named) == sorted([*FIELDS, *CURVES, *COUNTS])


def test_the_papers_table_has_a_row_for_each_cell() -> None:
    cells = pd.read_csv(TABLE).pivot(index="env", columns="norm", values="return")
    assert set(cells.columns) == {"random", "none", "layer", "batch", "weight"}
    assert cells.loc["CartPole"].notna().sum() == 1  # the others were lost
    assert cells.drop("CartPole").notna().all().all()
    best = cells.drop("CartPole").idxmax(axis=1)
    assert (best == "layer").all()  # the table's own claim
