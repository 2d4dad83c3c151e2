"""What is said of two runs side by side, from curves whose story is plain."""

import pandas as pd
import pytest
import torch

from lnqbook.pages.setting import words as setting
from lnqbook.stats import NBSP, cautions
from lnqlib.networks import QNetwork

STEPS = [0, 1000, 2000, 3000]


def series(*values: float) -> pd.Series:
    return pd.Series(values, STEPS[: len(values)])


def rows(none: tuple[int, int], layer: tuple[int, int]) -> pd.DataFrame:
    """Runs of 4,000 steps with (clamped steps, first clamp)."""
    both = pd.DataFrame([none, layer], ["none", "layer"], ["clamped_steps", "first_clamp"])
    return both.assign(steps=4000).rename_axis("norm")


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ([0, 2, 3, 4], "higher with LN at 3 of the 4 checkpoints drawn and lower at 1; it is higher"
         " at all of them from step 1,000 on."),
        ([0, 2, 0, 0], "higher with LN at 1 of the 4 checkpoints drawn and lower at 3; it is lower"
         " at all of them from step 2,000 on."),
        ([1, 1, 0, 4], "it is higher at all of them from step 3,000 on."),
        ([2, 2, 2, 2], "from step 0 on."),
        ([0, 2, 2, 1], "higher with LN at 2 of the 4 checkpoints drawn and lower at 1; at the last "
         "one they are equal."),
    ],
)  # fmt: skip
def test_lead(layer, text):
    returns = pd.DataFrame({"none": 1.0, "layer": layer}, STEPS)
    assert setting.lead(returns).endswith(text)


def test_clamping():
    assert setting.clamping(rows((0, -1), (0, -1))) == "No weight reaches the bound."
    assert setting.clamping(rows((1000, 3000), (0, -1))) == (
        "Weights reach the bound: without LN first at step 3,000 and in 25% of all steps."
    )
    assert setting.clamping(rows((1000, 3000), (3999, 1))) == (
        "Weights reach the bound: without LN first at step 3,000 and in 25% of all steps; "
        "with LN first at step 1 and in 100% of all steps."
    )


def test_a_return_that_lasts_while_the_loss_explodes():
    text = setting.parting(series(1, 2, 3, 1.5e9), series(-9, -5, -1, -2), "with LN")
    assert text == (
        "Loss and return disagree with LN: both end higher than they began, the loss rising from 1 "
        f"to 1.5{NBSP}\N{MULTIPLICATION SIGN}{NBSP}10⁹ and "
        "the return from \N{MINUS SIGN}9 to \N{MINUS SIGN}2."
    )


def test_a_return_that_is_lost_while_the_loss_falls():
    text = setting.parting(series(1, 3, 2, 0.5), series(0, 1, 8, 2), "without LN")
    assert text == (
        "Loss and return disagree without LN: from the checkpoint with the highest return, step "
        "2,000, to the last one the loss falls from 2 to 0.5, and the return from 8 to 2."
    )


@pytest.mark.parametrize(
    ("loss", "returns"),
    [
        ((3, 2, 1, 0.5), (0, 1, 2, 3)),  # learned
        ((1, 2, 3, 1e9), (0, 8, 1, 2)),  # diverged, and more than half of the gain is lost
        ((3, 2, 1, 0.5), (0, 8, 8, 5)),  # less than half of it is lost
        ((1, 1, 1, 1), (0, 0, 0, 0)),  # nothing happened
        ((1, 2, 3, 4), (0, -1, -1, -1)),  # nothing was ever gained
        ((4, 3, 2, 1), (0, -1, -1, -1)),
    ],
)
def test_loss_and_return_that_agree(loss, returns):
    assert setting.parting(series(*loss), series(*returns), "with LN") == ""


def test_each_task_is_told_from_its_own_runs():
    curves = pd.DataFrame(
        [
            {"env": env, "norm": norm, "step": step, "loss": 4.0 - i, "return": i * gain}
            for env, gains in {"Pendulum": (1, 2), "CartPole": (2, 1)}.items()
            for norm, gain in zip(("none", "layer"), gains, strict=True)
            for i, step in enumerate(STEPS)
        ]
    )
    quiet, clamped = (rows((0, -1), layer).reset_index() for layer in ((0, -1), (40, 7)))
    runs = pd.concat([quiet.assign(env="Pendulum"), clamped.assign(env="CartPole")])
    told = setting.in_words(curves, runs)
    assert list(told) == ["Pendulum", "CartPole"]
    assert told["Pendulum"].endswith("higher at all of them from step 1,000 on. No weight reaches "
                                     "the bound.")  # fmt: skip
    assert "lower at all of them from step 1,000 on. Weights" in told["CartPole"]


def two(*returns: tuple[float, float], clamped=(0, 0)) -> pd.DataFrame:
    """(without LN, with LN) for each of the tasks A, B."""
    return pd.DataFrame(
        {"env": env, "norm": norm, "return": value, "clamped_steps": hit}
        for env, both in zip("AB", returns, strict=False)
        for norm, value, hit in zip(("none", "layer"), both, clamped, strict=True)
    )


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (two((1, 2), (3, 4)), "rate 0.001 the return averaged over training is higher with "
         "LN in all 2 tasks. No weight was clamped."),
        (two((1, 2), (3, 1), clamped=(0, 7)), "higher with LN in A, and lower in B. 2 of these 4 "
         "runs diverged so far that weights were [clamped](glossary.md#term-clamped)."),
        (two((2, 1)), "is lower with LN in A. No"),
        (two((1, 1)), "averaged over training are equal."),
    ],
)  # fmt: skip
def test_a_pair_of_runs(runs, said):
    assert said in setting.pair(runs, 1e-3)


def test_datasets_without_a_goal():
    counts = pd.DataFrame({"A": [0, 3], "B": [1, 1], "C": [0, 0]})
    assert setting.goals(counts) == (
        "Of 6 datasets 3 hold no terminated transition: 1 of 2 in A and 2 of 2 in C."
    )
    assert setting.goals(counts[["B"]]) == "Every dataset shown holds a terminated transition."
    assert setting.goals(counts[["A"]]).startswith("Of 2 datasets 1 holds no terminated")


def test_what_a_figure_has_of_a_run():
    assert setting.drawn(100, 25).endswith("measured at 100 checkpoints, and its averages are over "
                                           "all of them. The figure has 25, one in 4.")  # fmt: skip
    assert setting.drawn(3, 3).endswith("The figure has 3, all of them.")


def test_a_network_written_out():
    q, obs = QNetwork(4, 2, norm="layer"), torch.randn(5, 4)
    with torch.no_grad():
        mine = q(obs)
        said = setting.by_hand(mine, q, obs, "CartPole")
        assert (
            "PyTorch's own layer by at most" in said and "for CartPole has 898 parameters" in said
        )
        assert torch.equal(q(obs), mine)  # the network is left as it is
        other = setting.by_hand(mine + 0.5, q, obs, "CartPole")
    assert "by at most 0.5, rounding" in other


def test_cautions_of_few_seeds_and_short_runs():
    assert cautions(20, 200_000) == ""
    assert cautions(20, 500) == "The paper's runs take 200,000 steps, these 500."
    assert cautions(1, 500).startswith("These runs have one seed, and so no intervals. The paper's")
