"""LN switched for the measurement, on runs whose answer is plain to see."""

import numpy as np
import pandas as pd
import pytest
from points import runs

from lnqbook import stats
from lnqbook.pages import injection
from lnqbook.rates import Sides
from lnqlib.results import INTERFERENCE


def switched(env: str = "Pendulum", change: float = 1.0) -> pd.DataFrame:
    """LN injected adds `change` to GI2 of every run, and half of it to the ratio."""
    zero = {name: lambda *run: 0.0 for name in INTERFERENCE}
    frame = runs(env, seeds=4, **zero)
    frame = frame.assign(**{f"injected_{name}": 0.0 for name in INTERFERENCE})
    down = frame["norm"] == "layer"  # there it is removed
    moved = np.where(down, -change, change) + 1e-3 * frame["seed"]
    return frame.assign(injected_gi2=moved, injected_gi2_scaled=moved / 2, injected_td_loss=-moved)


def test_shares_have_the_sign_that_is_claimed():
    four = stats.with_switched(switched())
    for kind, heads in (
        ("injected", ["GI₂ raised", "GI₂ / loss raised", "batch loss lowered"]),
        ("removed", ["GI₂ lowered", "GI₂ / loss lowered", "batch loss raised"]),
    ):
        found = injection.table(four, kind)
        assert list(found.columns) == heads
        assert [share.value for share in found.loc["Pendulum"]] == [1.0] * 3
    assert injection.shares(four, "injected") == (
        "In Pendulum injecting LN raises GI₂ at 100% of the learning rates and GI₂ / loss at 100%, "
        "and lowers the batch loss at 100%."
    )
    both = stats.with_switched(pd.concat([switched(), switched("CartPole", -1.0)]))
    assert injection.shares(both, "removed") == (
        "Averaged over the tasks, removing LN lowers GI₂ at 50% of the learning rates and "
        "GI₂ / loss at 50%, and raises the batch loss at 50%."
    )
    assert injection.trained_shares(four).endswith("GI₂ at 0% and the higher GI₂ / loss at 0%.")
    assert injection.run_by_run(switched()) == (
        "In Pendulum injecting LN raises GI₂ in 100% of the single runs and GI₂ / loss in 100%."
    )


def test_what_the_page_answers():
    both = stats.with_switched(pd.concat([switched(), switched("CartPole", -1.0)]))
    found = injection.sides(both)
    assert found.keys() == {"raised", "scaled", "lowered"}
    assert all(list(some.index[some]) == ["Pendulum"] for some in found.values())
    raises, lowers, enough, _ = injection.answer(found, "SGD")
    assert raises.endswith("in Pendulum, and GI₂ / loss in Pendulum.") and "with SGD, LN" in raises
    assert lowers.endswith("trained with it lowers GI₂ in Pendulum.")
    assert enough == (
        "Both happen in Pendulum: there LN by itself is enough, whether the weights were trained "
        "with it or without."
    )
    nothing = injection.answer(found | {"lowered": found["lowered"] & False}, "SGD")
    assert nothing[1].endswith("in no task.") and nothing[2] == ""


def test_the_first_checkpoints():
    rows = [("Pendulum", norm, 0, 2.0, 2.0) for norm in ("none", "layer")]
    first = pd.DataFrame(rows, columns=["env", "norm", "seed", "gi2", "injected_gi2"])
    said = injection.checks(first, 1.0, "Pendulum", 1e-3)
    assert "differs from the number above by 1 of its size. Over 1 pair of runs" in said
    assert said.endswith("largest relative difference is 0, and 0 for LN removed.")


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ({"MountainCar": (2, 5, 2), "B": (9, 0, 0), "C": (5, 2, 2)}, "yes"),
        ({"MountainCar": (2, 2, 5), "B": (9, 0, 0)}, "undecided"),  # most learning rates undecided
        ({"MountainCar": (2, 5, 2), "B": (9, 0, 0), "C": (0, 9, 0)}, "no"),  # not alone
        ({"MountainCar": (2, 5, 2), "B": (9, 0, 0), "C": (5, 4, 0)}, "no"),  # five against four
        ({"MountainCar": (9, 0, 0), "B": (9, 0, 0)}, "no"),
        ({"MountainCar": (2, 5, 2)}, "undecided"),
        ({"MountainCar": (2, 5, 2), "B": (0, 0, 9)}, "undecided"),
    ],
)
def test_an_exception_alone_is_not_raised(found, answer):
    sides = {env: Sides(*counts) for env, counts in found.items()}
    assert injection.exception(pd.Series(sides, dtype=object)) == answer


def test_exceptions_by_measure_and_optimizer():
    car = pd.concat([switched(), switched("MountainCar", -1.0)])
    cases = injection.exceptions({"SGD": car, "Adam": pd.DataFrame()})
    assert list(cases.index) == [("SGD", "GI₂"), ("SGD", "GI₂ / loss")]
    row = cases.loc[("SGD", "GI₂")]
    assert row[["raised", "lowered", "both sides"]].tolist() == [0, 9, 0]
    assert (row["others raised"], row["exception"]) == ("1 of 1", "yes")
    assert injection.exceptions({"SGD": switched()}).empty


def test_exceptions_in_words():
    index = pd.MultiIndex.from_tuples([("SGD", "GI₂"), ("Adam", "GI₂")])
    told = injection.exceptions_in_words
    for words, said in (
        (["yes", "no"], "It is an exception by GI₂ with SGD, but not by GI₂ with Adam."),
        (["yes", "yes"], "It is an exception by GI₂ with SGD and GI₂ with Adam."),
        (["no", "no"], "By GI₂ with SGD and GI₂ with Adam it is no exception."),
        (["undecided", "undecided"], "With these runs the rule decides nothing."),
    ):
        assert told(pd.DataFrame({"exception": words}, index)) == said
    assert told(pd.DataFrame()) == "MountainCar is not shown here."
