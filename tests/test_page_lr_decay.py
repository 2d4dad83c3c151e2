"""What the page on the decay measures and says, from weights and shares whose answer is plain."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnqbook.pages.lr_decay import measured, words
from lnqbook.stats import Interval

FULL, PART, HARM = (Interval(x, x - 0.2, x + 0.2, 20) for x in (1.4, 0.5, -0.5))
FEW = Interval(np.nan, np.nan, np.nan, 1)


def shares(*rows) -> pd.DataFrame:
    """(projection loses, own decay brings, LN's decay brings) for each of the tasks A, B."""
    names = ["projection loses", "own decay brings", "LN's decay brings"]
    return pd.DataFrame(rows, list("AB")[: len(rows)], names, dtype=object)


@pytest.mark.parametrize(
    ("average", "best", "said"),
    [
        (((FULL, FULL, PART), (PART, FULL, FULL)), ((PART,) * 3,) * 2, "Averaged over learning "
         "rates, the decay could explain all of LN's gain in A: without it LN loses more than its "
         "whole gain, and None given a decay gains more than LN does. At each network's own best "
         "learning rate it could explain all of it in no task."),
        (((PART,) * 3,) * 2, ((FULL, PART, FULL),) * 2, "At each network's own best learning rate, "
         "the decay could explain all of LN's gain in all 2 tasks: without it LN loses more than "
         "its whole gain, and None given a decay gains more than LN does. Averaged over learning "
         "rates it could explain all of it in no task."),
        (((FULL, PART, PART), (PART,) * 3), ((PART,) * 3,) * 2, "The decay is not shown to be all "
         "of LN's gain in any task, neither averaged over learning rates nor at each network's own "
         "best one: in no task does LN lose its whole gain without the decay and the network "
         "without LN reach all of it when given one. By every test here it is less than "
         "all of the gain in B."),
        (((FEW,) * 3,), ((FEW,) * 3,), "LN has no clear gain here that a decay could account for."),
    ],
)  # fmt: skip
def test_whether_the_decay_is_all_of_the_gain(average, best, said):
    assert words.whole_gain({"average": shares(*average), "best": shares(*best)}) == said


def test_shares_beyond_the_gain_and_below_none():
    table = shares((FULL, PART, HARM), (PART, HARM, HARM))
    assert words.beyond(table, "on average") == (
        "On average, these are clearly more than all of LN's gain: projection loses 1.40 of it "
        "in A."
    )
    assert words.harm(table, "on average") == (
        "On average, a decay clearly harms: own decay in B and LN's decay in A and B."
    )
    calm = shares((PART,) * 3)
    assert words.beyond(calm, "here") == "Here, nothing is clearly more than all of LN's gain."
    assert words.harm(calm, "here") == ""


def test_the_network_of_the_page_has_the_gradient_of_training():
    net, batch, bootstrap = measured.untrained("Pendulum")
    found = measured.training_gradient(net, batch, bootstrap)
    obs, action = torch.as_tensor(batch.obs).double(), torch.as_tensor(batch.action).long()
    next_obs = torch.as_tensor(batch.next_obs).double()
    net.zero_grad()
    with torch.no_grad():  # Pendulum never terminates
        target = torch.as_tensor(batch.reward) + 0.99 * net(next_obs).max(1).values
    errors = net(obs)[torch.arange(len(action)), action] - target
    (errors.square().sum() / (2 * len(errors))).backward()
    by_hand = np.column_stack([net.hidden.weight.grad, net.hidden.bias.grad])
    assert np.allclose(found, by_hand, rtol=1e-6, atol=0)  # float32 rewards


def test_scaling_an_untrained_network():
    changes = measured.scalings(["CartPole"]).loc["CartPole"]
    assert changes["longer"] < 1e-3 < changes["shorter"]  # eps counts for short weights
    assert changes["weights"] > 0.1 and changes["rows"] > 0.1
    said = words.invariance(pd.DataFrame([changes, changes], ["A", "B"]).assign(turning=[1e-4, 0]))
    assert said.endswith("below 10⁻⁴ in A, at smaller ones elsewhere.")
    one = pd.DataFrame([changes], ["A"])
    assert words.invariance(one.assign(turning=1e-4)).endswith("at $\\eta$ below 10⁻⁴.")
    assert words.invariance(one.assign(turning=-1.0)).endswith("No first step shortens $(W, b)$.")


def checkpoints(norm: str = "layer", growth=(1, 2, 4), **more) -> pd.DataFrame:
    """One run of two seeds with a first layer that grows by these factors."""
    fields = {"env": "A", "norm": norm, "lr_control": "none", "optimizer": "SGD", "lr": 0.1}
    return pd.DataFrame(
        {"key": f"{norm}{seed}", "seed": seed, "step": 10 * i, "steps": 20, "clamped_steps": 0}
        | {"first_clamp": -1, "weight_norm": 3.0 * g, "effective_lr": 0.1 / g**2}
        | fields
        | more
        for seed in range(2)
        for i, g in enumerate(growth)
    )


def over(frame: pd.DataFrame) -> pd.DataFrame:
    curves = frame[["key", "step", "weight_norm", "effective_lr"]]
    fields = frame.drop(columns=["step", "weight_norm", "effective_lr"]).drop_duplicates()
    return measured.over_training(curves, fields)


def test_weights_over_training():
    found = over(checkpoints())
    assert found["norm_growth"].tolist() == [1, 2, 4] * 2
    assert found["lr_decay"].tolist() == pytest.approx([1, 1 / 4, 1 / 16] * 2)
    some = pd.concat([found, over(checkpoints("none", (1, 2, 1.5)))])
    fell = measured.falls(over(checkpoints(growth=(1, 2, 1.5))))
    assert fell.to_dict() == {0.1: 0.5}
    assert measured.falls(over(checkpoints(clamped_steps=3))).empty
    grown = measured.growth(some[some["step"] == 20])
    assert grown.loc["layer"].tolist() == [4, 4] and grown.loc["none"].tolist() == [1.5, 1.5]
    said = words.norms(grown, fell)
    assert "4 and 4 times as long with LN" in said and "1.5 and 1.5 times without" in said
    assert "it falls in 50.0% of the stretches between checkpoints at $\\eta$ = 0.1" in said
    assert words.norms(grown, fell * 0).endswith("falls in no stretch between checkpoints.")
    only = measured.growth(found[found["step"] == 20])
    assert words.norms(only, fell).startswith("Without LN, or with it, every run was clamped")


def test_controls_that_do_what_they_say():
    training = over(checkpoints())
    project = over(checkpoints("project", (1, 1.01, 1)))
    own = over(checkpoints("own_decay", (1, 3, 5)))
    paired = over(checkpoints("paired_decay", (1, 7, 9)))
    paired["effective_lr"] = 0.1 / training["norm_growth"].to_numpy() ** 2 * 1.02
    strays = measured.strays(pd.concat([project, own, paired]), training, 0.1)
    assert strays["norm"] == pytest.approx(0.01)
    assert strays["own"] == pytest.approx(0, abs=1e-12)
    assert strays["paired"] == pytest.approx(0.02)
    assert strays["compared"] == 6
    said = words.checked(strays, 0.1)
    assert "by at most 0.01 of it (float32" in said and "at 6 checkpoints" in said


def test_counts_of_learning_rates():
    arms = {"project": (0, 7), "own_decay": (6, 2), "paired_decay": (5, 1)}
    counts = pd.DataFrame(
        {(arm, side): [n, 1] for arm, both in arms.items() for side, n in zip(
            ("raised", "lowered"), both, strict=True)}
    )  # fmt: skip
    said = words.counted(counts, 18)
    assert "Over 18 pairs" in said and "own decay at 7 and lowered at 3; LN's decay raises" in said
    assert said.endswith("LN without its decay returns clearly more at 1 and less at 8.")


def by_lr() -> pd.DataFrame:
    """Direction errors of second order in the exact case, of first in the other."""
    rates = np.logspace(-4, 0, 9)
    cases = {"exact": rates**2, "eps": rates}
    return pd.concat(
        pd.DataFrame(
            {"case": name, "lr": rates, "direction": errors, "expected": errors * 1.1}
        ).assign(norm=[0.5] + [-0.25] * 8, radial=0.125)
        for name, errors in cases.items()
    )


def test_how_exact_the_lemma_is():
    said = words.exactness("A", 2e-16, by_lr())
    assert said.startswith("On A this $f$ has the training gradient up to a relative error of 2")
    assert "relative error of 0.2 (" in said or "relative error of 0.3 (" in said
    assert "with order 2.00, and its length" in said and said.endswith("relative error of 0.09.")
    table = words.departures(by_lr())
    assert table["order of the direction's error"].tolist() == pytest.approx([2, 1])
    assert table["cos(w, step)"].tolist() == [-0.125] * 2
    assert table["error of the norm"].tolist() == [0.25] * 2
    said = words.role_of_eps(0.5, 0.25, by_lr())
    assert "is 0.5 by automatic" in said and "is 0.25 by finite" in said
    assert said.endswith("10⁻⁴ the lemma's growth of the norm is off by 0.5 times itself.")
