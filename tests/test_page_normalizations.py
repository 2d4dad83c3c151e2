"""Clamped points and sentences, in frames whose answer is plain."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import table1
from lnqbook.pages import normalizations
from lnqbook.stats import Interval

# norm, lr: (returns of two seeds, their clamped steps)
POINTS = {
    ("layer", 1e-4): ((10, 12), (0, 0)),
    ("layer", 1e-3): ((14, 18), (9, 1)),  # all clamped, and best
    ("layer", 1e-2): ((11, 15), (9, 9)),  # all clamped, and as good: [11, 15] reaches [14, 18]
    ("layer", 1e-1): ((12, 13), (9, 9)),  # all clamped, and worse
    ("none", 1e-4): ((50, 60), (0, 7)),  # one of them is not clamped
    ("none", 1e-3): ((1, 2), (7, 7)),
}
NAMES = {"layer": "LN", "none": "None"}


def runs() -> pd.DataFrame:
    rows = [
        {"env": "CartPole", "norm": norm, "lr": lr, "seed": seed, "return": r, "clamped_steps": c}
        for (norm, lr), (returns, clamped) in POINTS.items()
        for seed, (r, c) in enumerate(zip(returns, clamped, strict=True))
    ]
    return pd.DataFrame(rows)


def test_points_at_which_every_run_is_clamped():
    found = normalizations.all_clamped(runs()).set_index(["norm", "lr"])
    assert found["as_good"].to_dict() == {
        ("layer", 1e-3): True,
        ("layer", 1e-2): True,
        ("layer", 1e-1): False,
        ("none", 1e-3): False,
    }
    assert found.loc[("none", 1e-3), "value"] == 1.5


def test_where_the_return_is_as_good_in_words():
    points = normalizations.all_clamped(runs())
    said = normalizations.clamped_return(points, NAMES)
    assert (
        said.startswith("There are 4 points") and "At 2 of them the return is clearly lower" in said
    )
    assert (
        "as good as this network gets in its task: LN in CartPole (at 0.001, 0.01). There" in said
    )
    worse = normalizations.clamped_return(points[~points["as_good"]], NAMES)
    assert worse.endswith("Each time the return is clearly lower than at the network's best "
                          "learning rate.")  # fmt: skip
    alone = normalizations.clamped_return(points.assign(low=np.nan), NAMES)
    assert alone.endswith("cannot be said: one seed has no interval.")
    one = normalizations.clamped_return(points[points["lr"] == 1e-2], NAMES)
    assert one.startswith("There is one point") and "clamped. The return is as good as" in one


def test_no_run_is_clamped():
    points = normalizations.all_clamped(runs().assign(clamped_steps=0))
    assert points.empty and list(points)[:3] == ["env", "norm", "lr"]
    assert normalizations.clamped_return(points, NAMES) == "At no point was every run clamped."


UP, DOWN, OPEN = Interval(2, 1, 3, 20), Interval(-2, -3, -1, 20), Interval(0.1, -1, 1.2, 20)
HALF_OF_IT, LITTLE, MUCH = (Interval(x, x - 0.1, x + 0.1, 20) for x in (0.5, 0.2, 1.4))


def by_task(*intervals) -> pd.Series:
    return pd.Series(dict(zip("ABCD", intervals, strict=False)), dtype=object)


@pytest.mark.parametrize(
    ("batch", "weight", "said"),
    [
        ((LITTLE, LITTLE), (LITTLE, LITTLE), "each bring less than half of LN's gain in all 2"),
        ((LITTLE, LITTLE), (LITTLE, LITTLE), "It is LN that helps, and not normalization as such"),
        ((LITTLE, MUCH), (LITTLE, MUCH), "Less than half of LN's gain is what these bring: "),
        ((LITTLE, MUCH), (HALF_OF_IT, MUCH), "bring: batch normalization in A."),
        ((LITTLE, MUCH), (LITTLE, LITTLE), "normalization in A and weight normalization in A and "),
        ((MUCH, MUCH), (HALF_OF_IT, MUCH), "is not shown here."),
    ],
)
def test_whose_gain_it_is(batch, weight, said):
    shares = pd.DataFrame({"batch": by_task(*batch), "weight": by_task(*weight)})
    assert said in normalizations.whose_gain(shares)


@pytest.mark.parametrize(
    ("scaling", "over_ln", "said"),
    [
        ((UP, UP), (UP, DOWN), "all 2 tasks; compared with LN it returns more in A and less in B."),
        ((UP, OPEN), (OPEN, OPEN), "operations, dividing by the spread alone returns more in A."),
        ((UP, UP), (UP, UP), "in all 2 tasks, and more than LN itself in all 2 tasks."),
        ((UP, UP), (DOWN, OPEN), "in all 2 tasks, and less than LN in A."),
        ((DOWN, DOWN), (DOWN, DOWN), "subtracting the mean does the work: on its own it returns "
         "more than the network without LN and more than dividing by the spread on its own in all "
         "2 tasks."),
        ((DOWN, OPEN), (DOWN, DOWN), "operations, subtracting the mean alone returns more in A."),
        ((UP, DOWN), (OPEN, OPEN), "returns more in A, subtracting the mean alone in B."),
        ((OPEN, OPEN), (UP, UP), "Which of LN's two operations does the work is undecided."),
    ],
)  # fmt: skip
def test_which_part_does_the_work(scaling, over_ln, said):
    over_none = pd.DataFrame({"rms": by_task(UP, UP), "center": by_task(UP, UP)})
    told = normalizations.which_part(by_task(*scaling), over_none, by_task(*over_ln))
    assert said in told
    over_none = pd.DataFrame({"rms": by_task(UP, OPEN), "center": by_task(UP, OPEN)})
    told = normalizations.which_part(by_task(*scaling), over_none, by_task(*over_ln))
    assert "does the work:" not in told  # nor where it does not beat None


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((LITTLE, MUCH), "It loses more than a fifth of LN's gain in A, and brings more than a "
         "fifth beyond it in B."),
        ((LITTLE, LITTLE), "It loses more than a fifth of LN's gain in all 2 tasks."),
        ((MUCH, UP._replace(low=0.9)), "It brings more than a fifth beyond LN's gain in A."),
        ((OPEN, OPEN), "It clearly loses or brings more than a fifth of LN's gain in no task."),
    ],
)  # fmt: skip
def test_a_margin_of_a_fifth(shares, said):
    assert normalizations.margin("It", by_task(*shares)) == said


def test_a_variant_beside_ln():
    shares = by_task(LITTLE, OPEN)
    said = normalizations.beside("layer_affine", by_task(UP, DOWN), by_task(DOWN, OPEN), shares)
    assert said.startswith(
        "**Affine LN** returns more than the network without LN in A and less in B, and returns "
        "less than LN in A. It loses more than"
    )
    neither = by_task(OPEN, OPEN)
    said = normalizations.beside("center", neither, neither, shares)
    assert (
        said == "**Centering alone** does not differ clearly from the network without LN or from "
        "LN."
    )


def test_crossq_with_another_momentum():
    """Its share of LN's gain is taken over the seeds that it has, three of none and LN's four."""
    frame = pd.DataFrame(
        {"env": "A", "norm": norm, "seed": seed, "lr": 0.1, "return": value, "momentum": 0.1}
        for norm, value in (("none", 0.0), ("layer", 10.0))
        for seed in range(4)
    )
    frame.loc[frame["seed"] == 3, "return"] = 1e3
    rows = frame[(frame["norm"] == "layer") & (frame["seed"] < 3)].assign(norm="crossq")
    crossq = pd.concat(
        [rows.assign(momentum=m, **{"return": r}) for m, r in ((0.01, 5), (0.001, 9))]
    )
    shares = normalizations.by_momentum(frame, crossq)
    assert {m: share["A"].value for m, share in shares.items()} == {0.01: 0.5, 0.001: 0.9}
    told = normalizations.momenta(shares)
    assert told.startswith("CrossQ's running statistics have a momentum of 0.1 there")
    assert "With 0.01 it loses more than a fifth of LN's gain in A. With 0.001 it clearly" in told


def returns(**by_norm) -> pd.DataFrame:
    """Two tasks, three seeds; the second task's returns have the opposite sign."""
    return pd.DataFrame(
        {"env": env, "norm": norm, "seed": seed, "return": sign * (value + 0.1 * seed)}
        for env, sign in (("Acrobot", 1), ("Pendulum", -1))
        for norm, value in by_norm.items()
        for seed in range(3)
    )


def test_shares_of_the_gain_by_task():
    shares = normalizations.shares_of_gain(returns(none=0, layer=4, batch=1, weight=3), ("weight",))
    assert list(shares.index) == ["Acrobot", "Pendulum"]
    first, second = shares["weight"]
    assert first.value == pytest.approx(0.75)
    assert np.isnan(second.value)  # LN gains nothing there


PAPER = pd.DataFrame(
    [
        ("Acrobot", "none", 0.05, None),
        ("Acrobot", "layer", 9.0, None),
        ("Pendulum", "none", -0.05, None),
        ("Pendulum", "layer", np.nan, None),
        ("Pendulum", "batch", -1.0, "column uncertain"),
    ],
    columns=["env", "norm", "paper", "note"],
)


def test_table_1_in_words():
    cells = table1.cells(returns(none=0, layer=4, batch=1))
    compared = table1.compare(cells, PAPER)
    said = normalizations.same_table(compared, 20)
    assert "Of the paper's 3 numbers whose column is certain" in said
    assert "2 lie in our interval; ours is the higher one in 1." in said
    assert "about 20% of all cells" in said
    alone = normalizations.same_table(compared[compared["env"] == "Pendulum"], 1)
    assert "Of the paper's one number whose" in alone and alone.endswith("prints no intervals.")
    assert "has no certain number" in normalizations.same_table(compared[:0], 20)

    assert normalizations.order(cells, []) == (
        "**Is the order the same?** The highest return is that of LN in Acrobot and the network "
        "without LN in Pendulum."
    )
    first = cells[cells["env"] == "Acrobot"]
    said = normalizations.order(first, ["Acrobot"])
    assert "The highest return is LN's in Acrobot. One caution:" in said
    assert said.endswith("LN returns less than the network without LN in Acrobot, as shown below.")

    said = normalizations.missing(compared, {"batch": "BN", "none": "None", "layer": "LN"})
    assert said.startswith("**What is missing?** 2 of the paper's cells are lost in our copy")
    assert said.endswith(
        "-1 lies in the interval of BN; the nearest mean is that of BN, \u22121.1."
    )
    assert normalizations.missing(compared[:0], {}) == ""
    own = table1.compare(cells.replace({"env": {"Acrobot": "CartPole-v1"}}), PAPER)
    assert set(own.loc[own["env"] == "CartPole-v1", "agrees"]) == {table1.ABSENT}
    names = {"none": "None", "layer": "LN", "batch": "BN"}
    assert "not in the paper" in table1.side_by_side(own, names)["within"].tolist()
    assert normalizations.missing(own[own["env"] == "CartPole-v1"], names) == ""


def test_acrobots_datasets_without_a_goal():
    runs = pd.DataFrame({"env": "Acrobot", "seed": [0, 0, 1], "goal_transitions": [0, 0, 3]})
    assert "In 1 of Acrobot's 2 datasets no transition reaches" in normalizations.barren(runs)
    assert normalizations.barren(runs[2:]) == normalizations.barren(runs[:0]) == ""


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ((UP, DOWN), "return more than an untrained network in A and less in B."),
        ((UP, OPEN), "return more than an untrained network in A."),
        ((OPEN, DOWN), "return less than an untrained network in B."),
        ((OPEN, OPEN), "do not differ clearly"),
    ],
)
def test_random_in_two_readings(gaps, said):
    numbers = pd.DataFrame({"norm": ["untrained", "uniform"] * 2, "agrees": ["yes", "no"] * 2})
    both = normalizations.two_readings(by_task(*gaps), numbers)
    assert said in both
    assert both.endswith(
        "Of the paper's 2 known numbers, 2 lie in the interval of an untrained "
        "network and none lies in the interval of random actions."
    )
    one = normalizations.two_readings(by_task(*gaps), numbers[:2])
    assert "the paper's one known number, 1 lies in the interval of an" in one
    assert "known" not in normalizations.two_readings(by_task(*gaps), numbers[:0])


@pytest.mark.parametrize(
    ("free", "said"),
    [
        ((UP, UP), "Over those without a clamped run it does so in all 2 tasks."),
        ((UP, DOWN), "more in A, and less in B. The highest return is that of LN in Acrobot and"),
        ((DOWN,), "Over those without a clamped run it returns less in A. None is left in B."),
        ((OPEN, OPEN), "Over those without a clamped run no difference is clear of 0."),
        ((), "No learning rate is without a clamped run."),
    ],
)
def test_what_is_left_without_clamped_rates(free, said):
    cells = table1.cells(returns(none=0, layer=4))
    told = normalizations.without_clamped(by_task(UP, UP), by_task(*free), cells)
    assert told.startswith("Over all learning rates LN returns more than the network without LN "
                           "in all 2 tasks.")  # fmt: skip
    assert said in told
    assert "without LN in A." in normalizations.without_clamped(by_task(UP, OPEN), by_task(), cells)
    assert normalizations.turned(by_task(UP, UP), by_task(DOWN, OPEN)) == ["A"]
