"""Numbers as text: what the book's tables, ticks and findings print."""

import numpy as np
import pytest

from lnqbook import numbers
from lnqbook.stats import NBSP, Interval

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
TIMES = f"{NBSP}\N{MULTIPLICATION SIGN}{NBSP}"


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"),
        (178_400.0, "178,400"),
        (-1001.0, f"{MINUS}1,001"),
        (264.3, "264"),
        (1234.5, "1,230"),
        (-1000.6, f"{MINUS}1,000"),
        (0.012345, "0.0123"),
        (5.772e27, "5.77 x 10²⁷"),
        (-0.0002299, f"{MINUS}2.3 x 10⁻⁴"),
        (1e-5, "10⁻⁵"),
        (-1e20, f"{MINUS}10²⁰"),
        (np.nan, DASH),
        (np.inf, DASH),
    ],
)
def test_a_number_is_short_and_has_no_e(x, text):
    assert numbers.number(x) == text.replace(" x ", TIMES)


def test_a_hyphen_is_a_minus_before_a_number_and_between_spaces():
    assert numbers.minus("-0.8 [-0.9, -.7], LN - None").count(MINUS) == 4
    for text in ("CartPole-v1", "one-hot", "1e-05", "2-3"):
        assert numbers.minus(text) == text


@pytest.mark.parametrize(
    ("formatted", "printed"),
    [
        ("-0.83 [-0.90, 0.71]", f"{MINUS}0.83 [{MINUS}0.90, 0.71]"),
        ("+0.05", "+0.05"),
        ("4e-15", f"4{TIMES}10⁻¹⁵"),
        ("-1.5e+20", f"{MINUS}1.5{TIMES}10²⁰"),
        ("1e-07", "10⁻⁷"),
        ("1.1e-07", f"1.1{TIMES}10⁻⁷"),
        ("-1e-07", f"{MINUS}10⁻⁷"),
        ("x86-64-v3", "x86-64-v3"),
        ("1,458", "1,458"),
        ("-7/25", f"{MINUS}7/25"),
        ("Theorem 2 and SGD", "Theorem 2 and SGD"),
    ],
)
def test_a_number_as_print_sets_it(formatted, printed):
    assert numbers.printed(formatted) == printed


@pytest.mark.parametrize(
    ("x", "spec", "text"),
    [
        (-0.5, "+.2f", f"{MINUS}0.50"),
        (2.2e-16, ".2g", f"2.2{TIMES}10⁻¹⁶"),
        (178_400, ",", "178,400"),
        (np.inf, ".1f", DASH),
    ],
)
def test_a_number_in_a_given_format(x, spec, text):
    assert numbers.number(x, spec=spec) == text


def test_an_interval_has_the_minus_signs_and_is_a_dash_without_a_value():
    text = numbers.interval(Interval(-0.5, -0.75, 2e-5, 9), ".2g")
    assert text == f"{MINUS}0.5{NBSP}[{MINUS}0.75,{NBSP}2{TIMES}10⁻⁵]"
    assert numbers.interval(Interval(np.nan, np.nan, np.nan, 0)) == DASH
