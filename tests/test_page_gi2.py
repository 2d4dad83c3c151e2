"""Terms of the expansion beside one another: quotients by hand, and on networks that obey them."""

import numpy as np
import pandas as pd
import pytest
from points import runs as some_runs

from lnqbook.pages.gi2 import step_words, words
from lnqbook.pages.gi2.expansion import MINUS, RATIOS, chain, ratios, same_side, turns
from lnqbook.rates import Sides
from lnqbook.stats import Interval
from lnqlib.spec import grid
from lnqlib.sweep import curves, sweep


def test_quotients_are_medians_over_checkpoints():
    runs = pd.DataFrame({"key": ["a", "b"], "lr": [0.1, 0.2]})
    rows = [  # key, first_order, squared, hessian, gi2, realised, realised_held
        ("a", 2.0, 1.0, -0.5, 1.0, 0.5, 1.0),
        ("a", -1.0, 4.0, 1.0, -5.0, 1.0, -5.0),
        ("a", 1.0, 0.0, 0.0, 1.0, 4.0, 3.0),
        ("b", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    ]
    names = ["key", "first_order", "squared", "hessian", "gi2", "realised", "realised_held"]
    a, b = ratios(runs, pd.DataFrame(rows, columns=names)).to_dict("records")
    assert a["second_over_first"] == 0.5  # of 0.5, 4 and 0
    assert a["deferred_over_kept"] == 0.375  # of 0.5 and 0.25; 0 / 0 is left out
    assert a["realised_over_gi2"] == 0.5  # of 0.5, -0.2 and 4
    assert a["realised_over_whole"] == pytest.approx(1 / 3)  # of 1/3, -1/6 and 4
    assert a["held_over_gi2"] == 1.0  # of 1, 1 and 3
    assert a["same_sign"] == pytest.approx(2 / 3)
    assert a["same_sign_held"] == a["lowers"] == 1.0
    assert all(np.isnan(b[name]) for name in RATIOS)
    assert (a["lr"], b["lr"]) == (0.1, 0.2)


def test_small_steps_do_what_their_expansion_says(tmp_path):
    """As lr falls the expansion becomes exact, and each order is a factor lr above the next."""
    specs = grid(
        env="MountainCar", norm=("none", "layer"), lr=(1e-6, 1e-7), second_order=True, steps=40,
        checkpoints=4, eval_episodes=0,
    )  # fmt: skip
    runs = sweep(specs, store=tmp_path, progress=False)
    r = ratios(runs, curves(specs, store=tmp_path)).set_index(["norm", "lr"])
    for norm in ("none", "layer"):
        large, small = r.loc[norm, 1e-6], r.loc[norm, 1e-7]
        assert large["second_over_first"] / small["second_over_first"] == pytest.approx(10, rel=0.1)
        assert large["deferred_over_kept"] == pytest.approx(small["deferred_over_kept"], rel=0.1)
        assert small["realised_over_gi2"] == pytest.approx(1, rel=1e-2)
        assert small["same_sign"] == 1


def test_the_chain_ranks_each_part_against_the_loss():
    lr = [1e-4, 1e-3, 1e-2, 1e-1]
    runs = pd.DataFrame(
        {"env": "Pendulum", "norm": "none", "seed": 0, "lr": lr, "clamped_steps": 0}
        | {"loss": [1.0, 2.0, 3.0, 4.0], "first_order": [0.1, 0.2, 0.3, 0.4]}
        | {"squared": [0.0, 0.3, 0.6, 0.9], "hessian": [0.0, 0.0, 0.0, 1.0]}
        | dict.fromkeys(("mgi", "dgi", "realised", "realised_held", "realised_minibatch"), 1.0)
    )
    rho = chain(runs.assign(gi2=runs["first_order"] - runs["squared"]), "loss").loc["Pendulum"]
    assert rho["first_order"].value == 1
    assert rho["minus_kept"].value == rho["gi2"].value == rho["whole"].value == -1
    assert np.isnan(rho["mgi"].value)


def test_where_the_sign_turns():
    above, below, around = Interval(1, 0.5, 1, 9), Interval(-1, -1, -0.5, 9), Interval(0, -1, 1, 9)
    chance = Interval(0.3, 0.2, 0.4, 9)  # clear of 0, and no further than random order gets
    rows = {
        "CartPole": (above, above, above, below),  # with the second-order term
        "Acrobot": (below, above, below, above),  # with each of the three
        "MountainCar": (above, around, around, below),  # undecided in between
        "Pendulum": (chance, below, below, below),  # never
    }
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["mgi", "dgi", "first_order", "gi2"]
    )
    assert turns(table) == {
        "dgi": ["Acrobot (to +)"],
        "first_order": [f"Acrobot (to {MINUS})"],
        "gi2": [f"CartPole (to {MINUS})", "Acrobot (to +)", f"MountainCar (to {MINUS})"],
    }
    assert turns(table.loc[["Pendulum"]]) == {"dgi": [], "first_order": [], "gi2": []}
    said = step_words.turning(table, table.loc[["Pendulum"]])
    assert said[0].startswith("With all points the sign turns where the dot product replaces the")
    assert said[0].endswith(
        f"in CartPole (to {MINUS}), Acrobot (to +) and MountainCar (to {MINUS})."
    )
    assert said[1] == "Without clamped points the sign turns nowhere on the way."
    assert same_side(table, "mgi", "gi2") == 0
    assert same_side(table, "first_order", "gi2") == 1  # Pendulum; an open one is on no side


def test_the_chain_without_clamped_points():
    lr = [1e-4, 1e-3, 1e-2, 1e-1]
    runs = pd.DataFrame(
        {"env": "Pendulum", "norm": "none", "seed": 0, "lr": lr, "clamped_steps": [0, 0, 0, 9]}
        | {"loss": [1.0, 2.0, 3.0, 4.0], "squared": 0.0, "hessian": 0.0}
        | {name: [1.0, 2.0, 3.0, 0.0] for name in ("mgi", "dgi", "first_order", "gi2")}
        | dict.fromkeys(("realised", "realised_held", "realised_minibatch"), 1.0)
    )
    assert chain(runs, "loss")["gi2"].iloc[0].value < 0.5
    calm = chain(runs, "loss", clamped=False)["gi2"].iloc[0]
    assert (calm.value, calm.count) == (1.0, 3)


ABOVE, BELOW, AROUND = (Interval(x, x - 0.1, x + 0.1, 18) for x in (0.6, -0.6, 0.02))
LEFT, UNDER, ROUND = (x._replace(count=12) for x in (ABOVE, BELOW, AROUND))  # fewer points
FEW = Interval(0.9, 0.8, 1.0, 3)
TASKS = ("CartPole", "Acrobot", "Pendulum")


def by_task(**columns) -> pd.DataFrame:
    return pd.DataFrame({k: pd.Series(v, TASKS, dtype=object) for k, v in columns.items()})


@pytest.mark.parametrize(
    ("all_", "calm", "said"),
    [
        ((BELOW, BELOW, AROUND), (UNDER, UNDER, ROUND), "loss in CartPole and Acrobot, also"),
        ((BELOW, BELOW, AROUND), (ROUND, UNDER, ROUND), "; without the points at which a run "),
        ((BELOW, BELOW, AROUND), (ROUND, UNDER, ROUND), "was clamped, no longer in CartPole."),
        ((BELOW, BELOW, AROUND), (FEW, ROUND, LEFT), "in none of these, and with a higher loss "),
        ((AROUND, ABOVE, AROUND), (ROUND,) * 3, "In no task does more GI\u2082 clearly go w"),
        ((AROUND,) * 3, (ROUND, LEFT, ROUND), "rates; without the points at which a run wa"),
        ((BELOW,) * 3, (BELOW,) * 3, "CartPole, Acrobot and Pendulum; no run was clamped."),
        ((FEW,) * 3, (FEW,) * 3, "There are too few learning rates here for a correlation"),
    ],
)
def test_what_is_left_without_the_runs_that_diverged(all_, calm, said):
    columns = {words.GI2: all_, f"{words.GI2}, without clamped": calm}
    assert said in words.across_rates(by_task(**columns))


UP, DOWN, MANY, GONE = Sides(8, 0, 1), Sides(1, 8, 0), Sides(5, 4, 0), Sides(0, 0, 0)


@pytest.mark.parametrize(
    ("all_", "calm", "said"),
    [
        ((UP, UP, DOWN), (UP, UP, DOWN), "CartPole and Acrobot, and lowers it in Pendulum."),
        (
            (UP, UP, MANY),
            (UP, GONE, DOWN),
            "CartPole and Acrobot; at over half of those without a cl",
        ),
        ((UP, UP, MANY), (UP, GONE, DOWN), "it raises it in CartPole, and lowers it in Pendulum."),
        ((UP, MANY, MANY), (GONE,) * 3, "; at those without a clamped run it clearly does neither"),
        (
            (MANY,) * 3,
            (MANY,) * 3,
            "In no task does LN clearly move it at over half of the learning rates.",
        ),
    ],
)
def test_gi2_at_most_learning_rates(all_, calm, said):
    found = by_task(all=all_, calm=calm)
    assert said in words.at_most_rates(found)
    first = words.answer(
        by_task(**{words.GI2: (FEW,) * 3, f"{words.GI2}, without clamped": all_}), found
    )
    assert first[0].startswith("**The catch is the scale of the loss.**")


def test_gi2_rate_by_rate():
    said = words.rate_by_rate(by_task(all=(UP, DOWN, MANY), calm=(Sides(2, 0, 0), GONE, DOWN)))
    assert "above 0: 8 of 9 in CartPole, 1 of 9 in Acrobot and 5 of 9 in Pendulum; " in said
    same = words.rate_by_rate(by_task(all=(UP,) * 3, calm=(UP,) * 3))
    assert same.endswith("8 of 9 in Pendulum; no run was clamped.")
    assert said.endswith("clamped, 2 of 2 in CartPole, 0 of 0 in Acrobot and 1 of 9 in Pendulum.")


def test_gi2_where_none_always_diverged():
    frame = some_runs(
        rates=(1e-1, 1e-2, 1e-3),
        gi2=lambda lr, norm, seed: (norm == "layer") * (1.0 if lr > 0.05 else -1.0) + 1e-3 * seed,
    )
    hit = (frame["lr"] > 0.05) & (frame["norm"] == "none")
    clamped = frame.assign(clamped_steps=1.0 * hit)
    said = words.clamped_rates(clamped)
    assert said.startswith(
        "The learning rates at which LN raises it in Pendulum (1) are exactly those"
    )
    assert words.clamped_rates(frame) == ""
    found = words.sides(clamped).loc["Pendulum"]
    assert (found["all"].plus, found["all"].minus, found["calm"].rates) == (1, 2, 2)


def test_shares_and_sides_of_gi2():
    means = {"gi2": 0.61, "loss": 0.92, "return": 0.9, "opposite": 0.53}
    assert words.mean_shares(means, TASKS).startswith(
        "Averaged over the tasks, by the mean differen"
    )
    assert words.mean_shares(means, TASKS[:1]).startswith(
        "In CartPole, by the mean difference LN min"
    )
    rho = by_task(
        **{"loss": (BELOW, BELOW, AROUND), "without clamped": (UNDER, LEFT, ROUND)},
        **{"medians": (AROUND,) * 3, "return": (ABOVE, AROUND, BELOW)},
        **{"scaled": (BELOW,) * 3, "scaled without clamped": (LEFT,) * 3},
    )
    all_, calm, medians, gained = words.correlations(rho)
    assert all_ == "All points: below 0 in CartPole and Acrobot."
    assert calm.endswith("12): above 0 in Acrobot, and below 0 in CartPole.")
    assert medians.endswith("means: nowhere clear of 0 and beyond chance.")
    assert gained.endswith("above 0 in CartPole, and below 0 in Pendulum.")
    assert words.diverged(rho).startswith("In Acrobot the correlation depends on clamped runs: ")
    free = rho.assign(**{"without clamped": rho["loss"]})
    assert words.diverged(free) == ""
    assert words.correlations(free)[1] == "No point has a clamped seed."
    assert "; without clamped points it is above 0 in all 3 tasks." in words.scaled(
        rho, 0, 0, means
    )
    free = rho.assign(**{"scaled without clamped": rho["scaled"]})
    assert "without clamped points" not in words.scaled(free, 0, 0, means)
    said = words.scaled(rho, 0.64, 0.56, means)
    assert "by -0.21 on average. " in said  # (-0.6 - 0.6 - 0.6) / 3 - (-0.6 - 0.6 + 0.02) / 3
    assert "LN raises GI\u2082 / loss at 64% of the learning rates (GI\u2082: 61%)" in said
    nothing = rho.map(lambda _: Interval(np.nan, np.nan, np.nan, 1))
    assert words.scaled(nothing, 0.5, 0.5, means).startswith("\u03c1(GI\u2082 / loss, loss) is now")


def test_the_other_optimizer():
    rho = {"loss": pd.Series({"CartPole": BELOW}), "return": pd.Series({"CartPole": AROUND})}
    assert words.other("Adam", rho) == (
        "With Adam, \u03c1(GI\u2082, loss) is below 0 in CartPole; \u03c1(GI\u2082, return) is "
        "nowhere clear of 0 and beyond chance."
    )


def test_what_a_step_does_in_words():
    nothing = step_words.measured(pd.DataFrame(), 20, "SGD", "Adam")
    assert "`python -m lnqlib run second_order --optimizer SGD` trains" in nothing
    terms = pd.DataFrame(
        {"env": "Pendulum", "norm": "none", "lr": [0.1, 0.1, 0.2, 0.2], "seed": [0, 1, 0, 1]}
        | dict.fromkeys(RATIOS, 1.0)
        | {"second_over_first": [2.0, 2.0, 0.5, 0.5], "deferred_over_kept": [0.3, 0.3, 0.01, 0.01]}
        | {"lowers": [1.0, 0.0, 0.0, 0.0], "held_over_gi2": [3.0, 3.0, 1.0, 1.0]}
    )
    assert step_words.measured(terms, 20, "SGD", "Adam").startswith(
        "These runs measured all of Eq. (10) at 20 checkpoints, with 2 seeds and SGD (`-p "
    )
    sizes, sign, size = step_words.predicted(terms)
    assert sizes.startswith("At 50% of the 2 points") and "a tenth of it at 50% of" in sizes
    assert "at 100.0% of the checkpoints" in sign and "would be right at 75.0%" in sign
    assert "these are 50% and 100%" in size
    assert "no more than always guessing" in step_words.prediction(0.5, 0.6)
    assert step_words.batch_step(0, 2, 4).endswith("DGI, and in 2 on that of GI\u2082's.")


def test_the_factor_two_and_the_orders_in_words():
    assert step_words.factor_two(1.0, 0.1, 0.8, -3.3).endswith(
        "gives \N{MINUS SIGN}3.3: the opposite sign."
    )
    assert step_words.factor_two(-1.0, 0.1, -0.8, -3.3).startswith(
        "For this network A is negative."
    )
    assert step_words.factor_two(-1.0, 0.1, -0.8, -3.3).endswith("gives \N{MINUS SIGN}3.3.")
    lr = np.logspace(-5, -2, 10)
    errors = pd.DataFrame({"lr": lr, "first order": lr**2, "gi2": 0.4 * lr**2})
    said = step_words.orders(errors.assign(**{"all of Eq. (10)": lr**3}))
    assert said.startswith("The measured orders are 2.00 to first order, 2.00 for GI\u2082 and")
    assert "is 0.40 times the first-order one" in said
    assert step_words.minibatch(-0.5, 4.0).startswith("For the batch above, Eq. (11) is")
