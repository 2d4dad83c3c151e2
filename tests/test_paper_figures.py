"""The paper's figures beside ours: each row's sentence, where the answer is known."""

import pandas as pd
import pytest
from points import runs
from test_findings import ABOVE, AROUND, BELOW, CHANCE

from lnqbook import link_words, paper_figures
from lnqbook.pages import injection, isometry
from lnqbook.pages.gi2 import words as gi2
from lnqbook.pages.interference import words as interference


def rho(*sides, columns=("loss", "return", "without clamped"), metrics=()):
    """Intervals by task, or by (metric, task), the same in each column."""
    index = pd.Index(["CartPole", "Pendulum"], name="task")
    if metrics:
        index = pd.MultiIndex.from_product([metrics, index], names=["metric", "task"])
    values = list(sides) * (len(index) // len(sides))
    return pd.DataFrame({name: values for name in columns}, index, dtype=object)


def test_a_table_of_two_columns():
    made = paper_figures.beside({"Fig. 8, Adam": "About 1e-7.", "Fig. 4": "Not -1."}).data
    head, rule, *rows = made.splitlines()
    assert head.count("|") == rule.count("|") == 3
    assert [row.split("|")[2].strip() for row in rows] == ["About 10⁻⁷.", "Not \N{MINUS SIGN}1."]
    assert "**Fig. 8, Adam.** “The results are similar to the SGD case.”" in rows[0]
    assert not any("|" in said for said in paper_figures.SAYS.values())


@pytest.mark.parametrize(
    ("adam", "sgd", "said"),
    [
        (
            (ABOVE, BELOW),
            (ABOVE, ABOVE),
            "above 0 in CartPole, and below 0 in Pendulum. With SGD its sign is clearly the "
            "same only in CartPole.",
        ),
        (
            (AROUND, AROUND),
            (AROUND, BELOW),
            "nowhere clear of 0 and beyond chance. In no task is its sign clearly the same with "
            "SGD.",
        ),
        (
            (BELOW, BELOW),
            (BELOW, BELOW),
            "below 0 in all 2 tasks. With SGD its sign is the same in all 2 tasks.",
        ),
    ],
)
def test_adam_beside_sgd(adam, sgd, said):
    series = [rho(*sides)["loss"] for sides in (adam, sgd)]
    assert paper_figures.alike("SGI", "loss", *series) == f"\u03c1(SGI, loss) is {said}"


def test_a_correlation_that_chance_gives_is_open():
    some = rho(ABOVE, CHANCE)["loss"]
    assert paper_figures.signs("SGI", "loss", some) == (
        "\u03c1(SGI, loss) is above 0 in CartPole; in Pendulum its sign is undecided."
    )


def test_what_was_not_trained():
    some = rho(ABOVE, ABOVE)["loss"]
    for given, missing in (((None, some), "Adam"), ((some, None), "SGD")):
        assert paper_figures.alike("SGI", "loss", *given) == link_words.none_finished(missing)
    assert paper_figures.every_size("return", None, "Adam") == link_words.none_finished("Adam")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((ABOVE, BELOW), (ABOVE, BELOW), "is above 0 in CartPole, and below 0 in Pendulum."),
        (
            (ABOVE, ABOVE),
            (ABOVE, BELOW),
            "in Pendulum it depends on k, or is undecided.",
        ),
        ((ABOVE, AROUND), (BELOW, AROUND), "lie on one side of 0 for every k."),
    ],
)
def test_every_size_of_the_sets(first, second, said):
    table = rho(*first, *second, metrics=("ISOₒ", "ISOₚ"))
    assert paper_figures.every_size("return", table, "SGD").endswith(said)


def test_the_pages_have_a_row_for_each_figure_and_say_what_is_missing():
    some = runs(
        "Pendulum", seeds=4, **dict.fromkeys(("sgi", "gi2", "iso_p", "loss"), lambda lr, *_: lr)
    )
    some = some.assign(**{"return": some["loss"]})
    columns = ("loss", "return", "loss, without clamped")
    names = ("SGI", "QGI₊", "MGI", "DGI", "ISOₚ")
    table = rho(ABOVE, BELOW, columns=columns, metrics=names)
    for page, given, own in (
        (interference, table, ["Fig. 1, first row", "Fig. 2, first order", "Fig. 7"]),
        (gi2, rho(BELOW, BELOW), ["Fig. 1, second row", "Fig. 2, GI₂"]),
        (isometry, table, ["Fig. 4"]),
    ):
        rows = page.paper_beside({"SGD": some}, {"SGD": given})
        assert list(rows)[: len(own)] == own
        assert set(rows) < set(paper_figures.SAYS)
        assert link_words.none_finished("Adam") in rows.values()
        without = page.paper_beside({"Adam": some}, {"Adam": given})
        assert link_words.none_finished("SGD") in without.values()


def test_fig_3():
    raised = pd.Series({"CartPole": True, "MountainCar": False})
    nothing = injection.paper_beside({"SGD": raised, "Adam": ~raised}, pd.DataFrame())["Fig. 3"]
    assert nothing == (
        "Injected, LN raises GI₂ at over half of the learning rates in CartPole with SGD and in "
        "MountainCar with Adam. MountainCar is not shown here."
    )
    cases = pd.DataFrame({"exception": ["yes"]}, pd.MultiIndex.from_tuples([("SGD", "GI₂")]))
    told = injection.paper_beside({"SGD": raised}, cases)["Fig. 3"]
    assert told.endswith("Is MountainCar an exception? It is an exception by GI₂ with SGD.")
