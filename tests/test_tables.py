"""Tables as the book prints them."""

import numpy as np
import pandas as pd

from lnqbook import tables
from lnqbook.stats import NBSP, Interval


def test_shown_names_networks_and_drops_the_names_of_the_axes():
    index = pd.MultiIndex.from_product([["CartPole"], ["none", "layer"]], names=["env", "norm"])
    frame = pd.DataFrame({"LN > -0.2": [1000, 2], "rms": [0.5, np.nan]}, index).rename_axis(
        columns="x"
    )
    table = tables.shown(frame)
    assert table.index.tolist() == [("CartPole", "None"), ("CartPole", "LN")]
    assert table.columns.tolist() == ["LN > \N{MINUS SIGN}0.2", "scaling (RMS)"]
    assert table.to_numpy().tolist() == [["1,000", "0.5"], ["2", ""]]
    rows = table.to_html().split("</thead>")[0].count("<tr")
    assert rows == 1  # a name of the index would take a second one
    assert frame.index.names == ["env", "norm"]  # its own


def test_shown_formats_intervals_and_numbers_as_asked():
    interval = Interval(-0.123, -0.2, 0.1, 5)
    frame = pd.DataFrame({"rho": [interval, Interval(np.nan, np.nan, np.nan, 0)], "x": [1.0, 2.5]})
    table = tables.shown(frame, {"rho": ".1f"})
    minus = "\N{MINUS SIGN}"
    assert table["rho"].tolist() == [f"{minus}0.1{NBSP}[{minus}0.2,{NBSP}0.1]", "\N{EN DASH}"]
    assert table["x"].tolist() == ["1", "2.5"]
    assert tables.shown(frame[["x"]], ".2f")["x"].tolist() == ["1.00", "2.50"]


def test_words_are_marked_as_such():
    html = tables.words(pd.DataFrame({"side": ["above", "below"], "sure": [True, False]})).data
    assert 'class="dataframe words"' in html
    assert "<td>yes</td>" in html
