"""The sign at each learning rate, counted by hand."""

import numpy as np
import pytest
from points import RATES, noise, runs

from lnqbook.rates import Sides, calm_rates, effect_sides, joint_sides


@pytest.mark.parametrize(
    ("sides", "sign"),
    [
        ((5, 2, 2), 1),  # more than half, and twice as many
        ((5, 3, 1), 0),  # not twice as many
        ((4, 0, 5), 0),  # not more than half
        ((2, 6, 1), -1),
        ((4, 5, 0), 0),  # five against four decides nothing
        ((1, 0, 0), 1),
        ((0, 0, 0), 0),
    ],
)
def test_the_rule(sides, sign):
    assert Sides(*sides).sign == sign


def shifted(effects, seeds=8, **more):
    """LN minus None is an effect at each learning rate, in units of the noise between seeds."""
    by_rate, draw = dict(zip(RATES, effects, strict=True)), noise(7)

    def metric(lr, norm, seed):
        return draw(lr, "none", seed) + (norm == "layer") * (
            by_rate[lr] + 0.1 * draw(lr, norm, seed)
        )

    return runs(seeds=seeds, sgi=metric, **more)


def test_effects_are_counted_by_side():
    frame = shifted([1, 1, 1, 1, 1, -1, -1, 0, 0])
    found = effect_sides(frame, "sgi", seed=1)
    assert found[:2] == (5, 2) or found[:2] == (6, 2)  # one in twenty of two zeros may be decided
    assert sum(found[:3]) == 9
    mirrored = effect_sides(frame, "sgi", sign=-1, seed=1)
    assert mirrored[:3] == (found.minus, found.plus, found.open)


def test_the_level_is_that_of_the_deciding_rate():
    sure = effect_sides(shifted([1] * 9), "sgi", resamples=999)
    assert sure.p == pytest.approx(2 / 1000)  # no draw on the other side at any rate
    doubt = effect_sides(shifted([0.0] * 9), "sgi", resamples=999)
    assert doubt.p > 0.05


def test_two_effects_go_together_where_both_are_decided():
    frame = shifted([1, 1, 1, 1, -1, -1, -1, -1, 0])
    frame["loss"] = frame["sgi"]
    assert joint_sides(frame, "sgi", "loss")[:2] in ((8, 0), (9, 0))
    assert joint_sides(frame, "sgi", "loss", sign=-1)[:2] in ((0, 8), (0, 9))
    turned = frame.assign(loss=np.where(frame["lr"] > 0.02, -frame["sgi"], frame["sgi"]))
    assert joint_sides(turned, "sgi", "loss")[:2] in ((6, 2), (7, 2))  # two rates are turned
    vague = frame.assign(loss=[noise(9)(*at) for at in frame[["lr", "norm", "seed"]].values])
    assert joint_sides(vague, "sgi", "loss").open >= 5


def test_rates_with_a_clamped_run_can_be_left_out():
    frame = shifted([1, 1, 1, 1, 1, -1, -1, -1, -1])
    hit = (frame["lr"] > 5e-4) & (frame["norm"] == "none") & (frame["seed"] == 3)
    frame = frame.assign(clamped_steps=1.0 * hit)
    assert calm_rates(frame, ("layer", "none")) == sorted(lr for lr in RATES if lr < 5e-4)
    assert effect_sides(frame, "sgi")[:3] == (5, 4, 0)
    assert effect_sides(frame, "sgi", clamped=False)[:3] == (0, 4, 0)
    none_left = effect_sides(frame.assign(clamped_steps=1.0), "sgi", clamped=False)
    assert none_left[:3] == (0, 0, 0)
    assert none_left.rates == 0


def test_one_seed_decides_nothing():
    assert effect_sides(shifted([1] * 9, seeds=1), "sgi")[:3] == (0, 0, 9)
    frame = shifted([1] * 9, seeds=1)
    assert joint_sides(frame.assign(loss=frame["sgi"]), "sgi", "loss")[:3] == (0, 0, 9)
