"""Words made from intervals whose answer is plain."""

import pandas as pd

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
