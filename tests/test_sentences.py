"""Words made from intervals whose answer is plain."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import sentences
from lnqbook.stats import Interval

LOW, MIDDLE, HIGH = Interval(0.2, 0.1, 0.3, 9), Interval(0.6, 0.3, 0.7, 9), Interval(0.9, 0.7, 1, 9)


def test_tasks():
    assert sentences.tasks(pd.Series({"A": True, "B": False, "C": True})) == "A and C"
    four = {"A": True, "B": False, "C": True, "D": True}
    assert sentences.tasks(pd.Series(four)) == "A, C and D"
    assert sentences.tasks(pd.Series({"A": True, "B": True})) == "all 2 tasks"
    assert sentences.tasks(pd.Series({"A": True})) == "A"
    assert sentences.tasks(pd.Series({"A": False, "B": False})) == "no task"


@pytest.mark.parametrize(
    ("shares", "answer"),
    [
        ({"A": LOW, "B": HIGH, "C": HIGH}, "yes"),
        ({"A": MIDDLE, "B": HIGH}, "yes"),  # around one half
        ({"A": LOW, "B": HIGH, "C": MIDDLE}, "no"),  # not alone
        ({"A": HIGH, "B": HIGH, "C": HIGH}, "no"),
        ({"A": HIGH, "B": LOW, "C": LOW}, "no"),
        ({"A": LOW}, "open"),
        ({"A": LOW, "B": Interval(1, np.nan, np.nan, 9)}, "open"),
    ],
)
def test_an_exception_alone_is_not_above_one_half(shares, answer):
    assert sentences.exception("A", pd.Series(shares)) == answer


def test_exceptions_by_measure_and_optimizer():
    sides = pd.DataFrame({"raised": [1], "lowered": [2], "open": [6]}, ["A"])
    alone, among = {"A": LOW, "B": HIGH, "C": HIGH}, {"A": LOW, "B": MIDDLE, "C": HIGH}
    cases = [("SGD", "GI₂", pd.Series(alone), sides), ("Adam", "GI₂", pd.Series(among), sides)]
    table = sentences.exceptions("A", cases)
    assert table["exception"].tolist() == ["yes", "no"]
    assert table["others"].tolist() == ["2 of 2", "1 of 2"]
    assert table.loc[0, ["raised", "lowered", "open"]].tolist() == [1, 2, 6]
    assert table.loc[0, "share"] == LOW
    assert sentences.answered(table, "yes") == "GI₂ with SGD"
    assert sentences.answered(table, "no") == "GI₂ with Adam"
    assert sentences.answered(table, "open") == "none of the cases"
    assert sentences.exceptions("D", cases).empty
