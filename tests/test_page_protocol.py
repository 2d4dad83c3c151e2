"""Protocols picked out of a frame of runs, and distances worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lnqbook import initialization, table1
from lnqbook.pages.protocol import changes as protocols
from lnqbook.pages.protocol import checks, words
from lnqbook.pages.protocol.changes import CHANGES, DEFAULTS, by_protocol, distances
from lnqbook.stats import NBSP
from lnqlib import metrics
from lnqlib.data import Transitions
from lnqlib.spec import ENVS, RunSpec, study


def rows(specs):
    number = {"gi2": 0.0, "dgi": 0.0}
    return pd.DataFrame(
        vars(s) | number | {"key": s.key, "return": float(i), "return_default_start": -1000.0 - i}
        for i, s in enumerate(specs)
    )


@pytest.fixture(scope="module")
def runs():
    """All the protocols' runs at one learning rate, two seeds."""
    base = [
        RunSpec(env=env, norm=norm, seed=seed)
        for env in ENVS
        for norm in ("none", "layer")
        for seed in range(2)
    ]
    changed = [
        replace(s, **c.fields) for c in CHANGES for s in base if s.env in c.envs and c.fields
    ]
    return rows(base + changed).sample(frac=1, random_state=0)


def test_gi2_is_that_of_the_step_that_the_protocol_takes():
    """Twice the gradient is a step at twice the learning rate; Adam divides the factor out."""
    spec = RunSpec("Pendulum", lr=0.02)
    net, batch = initialization.network(spec), initialization.batch(spec)
    once, twice = (metrics.interference(net, batch, lr) for lr in (spec.lr, 2 * spec.lr))
    doubled = replace(spec, gradient_scale=2.0)
    runs = rows([spec, doubled]).assign(gi2=once["gi2"], dgi=once["dgi"])
    found = by_protocol(runs).query("env == 'Pendulum'").set_index("protocol")["gi2"]
    assert found["defaults"] == pytest.approx(once["gi2"])
    assert found["gradient factor 2"] == pytest.approx(twice["gi2"])
    assert twice["gi2"] != pytest.approx(2 * once["gi2"], rel=0.1)  # it is no matter of units
    adam = by_protocol(runs.assign(optimizer="Adam")).set_index("protocol")["gi2"]
    assert adam["gradient factor 2"] == pytest.approx(once["gi2"])


def test_the_changes_are_the_studies_runs():
    base = [s for s in study("core") if s.optimizer == "SGD" and s.seed < 10]
    keys = {
        replace(s, **c.fields).key for c in CHANGES for s in base if c.fields and s.env in c.envs
    }
    printed = [s for s in study("as_printed") if s.optimizer == "SGD" and s.seed < 10]
    assert keys == {s.key for s in [*study("protocol"), *printed]}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_protocol_is_the_defaults_with_one_thing_changed(runs, change):
    found = by_protocol(runs)
    found = found[found["protocol"] == change.name]
    assert len(found) == 16  # 4 tasks, 2 norms, 2 seeds: each once, whatever applies
    assert not found.duplicated(["env", "norm", "seed"]).any()
    for row in found.itertuples():
        applies = row.env in change.envs
        fields = change.fields if applies else {}
        assert row.key == RunSpec(env=row.env, norm=row.norm, seed=row.seed, **fields).key
        assert row.changed == (applies and change is not DEFAULTS)
    other_starts = (found["return"] < -999).to_numpy()
    expected = found["changed"] & (change.metric == "return_default_start")
    assert (other_starts == expected).all()


def test_a_frame_without_a_protocols_runs_lacks_it(runs):
    found = by_protocol(runs[runs["bias"]])
    assert "as printed" not in set(found["protocol"])
    assert not CHANGES[-1].bias
    assert all(change.bias for change in CHANGES[:-1])


PAPER = pd.DataFrame(
    [
        ("Acrobot", "none", -400.0, None),
        ("Acrobot", "layer", -200.0, None),
        ("Pendulum", "none", -1000.0, None),
        ("Pendulum", "layer", -500.0, None),
        ("CartPole", "none", 100.0, "column uncertain"),
        ("CartPole", "layer", 200.0, None),
    ],
    columns=["env", "norm", "paper", "note"],
)


def seeds(protocol, offsets):
    """Every cell `offset` times the paper's gain above the paper, one offset a seed."""
    gain = {"Acrobot": 200.0, "Pendulum": 500.0, "CartPole": 1.0}
    return [
        {"env": env, "norm": norm, "protocol": protocol, "seed": seed}
        | {"return": np.nan_to_num(paper) + offset * gain[env]}
        for env, norm, paper, _ in PAPER.itertuples(index=False)
        for seed, offset in enumerate(offsets)
    ]


def test_the_distance_is_in_units_of_the_papers_gain():
    frame = pd.DataFrame(seeds("a", [0.5, 0.5]) + seeds("b", [-0.1, -0.3]) + seeds("c", [-1, 1]))
    found = distances(frame, PAPER, theirs=None).set_index("protocol")
    assert found["value"].to_dict() == pytest.approx({"a": 0.5, "b": 0.2, "c": 0.0})
    assert found.loc["a", ["low", "high"]].tolist() == pytest.approx([0.5, 0.5])
    assert found.loc["b", ["low", "high"]].tolist() == pytest.approx([0.1, 0.3])
    assert found["cells"].tolist() == [4, 4, 4]  # one of CartPole's two is uncertain
    # c is nearest in the half of the resamples that hold both seeds, b in the others
    assert found["nearest"].to_dict() == pytest.approx({"a": 0, "b": 0.5, "c": 0.5}, abs=0.05)


def test_the_papers_cells_have_the_noise_of_their_own_seeds():
    """Nearest is b, whose seeds have a spread of 0.2 in units of the gain; a has none."""
    frame = pd.DataFrame(seeds("a", [2.0, 2.0, 2.0]) + seeds("b", [0.8, 1.0, 1.2]))
    found = distances(frame, PAPER, theirs=25).set_index("protocol")
    assert found["value"].to_dict() == pytest.approx({"a": 2.0, "b": 1.0})
    # a mean over 4 cells, each with a noise of 0.2 / sqrt(25)
    width = 2 * 1.96 * 0.2 / 5 / 2
    assert found.loc["a", "high"] - found.loc["a", "low"] == pytest.approx(width, rel=0.05)
    exact = distances(frame, PAPER, theirs=None).set_index("protocol")
    assert exact.loc["a", "high"] == exact.loc["a", "low"]


def test_one_cell_that_is_off_counts_as_one_of_all():
    frame = pd.DataFrame(seeds("a", [0.0]))
    off = (frame["env"] == "Acrobot") & (frame["norm"] == "layer")
    found = distances(frame.assign(**{"return": frame["return"] - 100.0 * off}), PAPER)
    assert found["value"].tolist() == pytest.approx([0.5 / 4])
    assert found[["low", "high", "nearest"]].isna().all(axis=None)  # one seed has no spread


def test_without_a_certain_cell_there_is_no_distance():
    frame = pd.DataFrame(seeds("a", [0.0, 0.1]))
    assert distances(frame[frame["env"] == "CartPole"], PAPER).empty
    assert distances(frame[frame["env"] == "Pendulum"], PAPER)["cells"].tolist() == [2]
    assert set(table1.paper().columns) == set(PAPER.columns)


def test_protocols_are_compared_on_the_seeds_that_all_have():
    longer = pd.DataFrame(seeds("a", [0.5, 0.1, 9.0]) + seeds("b", [0.2, 0.3]))
    both = pd.DataFrame(seeds("a", [0.5, 0.1]) + seeds("b", [0.2, 0.3]))
    pd.testing.assert_frame_equal(distances(longer, PAPER), distances(both, PAPER))
    lacking = both.assign(**{"return": both["return"].where(both["seed"] == 5)})
    assert distances(lacking, PAPER).empty


def test_the_nearest_in_words():
    away = pd.DataFrame(
        {"protocol": ["defaults", "b"], "value": [0.5, 0.25], "nearest": [0.1, 0.9], "cells": 4}
    ).assign(low=0.2, high=0.6, within=[1, 2])
    said = words.nearest(away)
    assert "is b (at a distance of 0.25, the defaults at 0.50), in 90.0% of the resamples." in said
    assert said.endswith("which protocol the paper used is undecided.")
    said = words.nearest(away.assign(value=[0.2, 0.25], nearest=[0.96, 0.04]))
    assert "is that of the defaults, in 96.0% of the resamples. That is past the 95%" in said
    one = words.nearest(away.assign(nearest=np.nan))
    assert one.endswith("; one seed cannot say how clearly.")
    assert words.nearest(away[:0]).startswith("None of the tasks shown")
    table = protocols.distance_table(away)
    row = [text.replace(NBSP, " ") for text in table.loc["b"]]
    assert row == ["0.25 [0.20, 0.60]", "90.0%", "2 of 4"]
    assert protocols.distance_table(away[:0]).empty


def gains(**by_protocol) -> pd.DataFrame:
    """(value, low, high) of LN's gain in CartPole and Acrobot."""
    return pd.DataFrame(
        {"env": env, "protocol": name, "value": value, "low": low, "high": high}
        for name, both in by_protocol.items()
        for env, (value, low, high) in zip(("CartPole", "Acrobot"), both, strict=False)
    )


UP, DOWN, OPEN, ONE = (40, 30, 50), (-7, -9, -5), (1, -1, 3), (5, np.nan, np.nan)


@pytest.mark.parametrize(
    ("by_protocol", "said"),
    [
        ({"defaults": (UP, UP), "a": (UP,)}, "returns more than the network without LN in all 2"),
        ({"defaults": (UP, UP), "rollout data": (UP, DOWN)}, "in 3 of 4 combinations of protocol "
         "and task. It returns less with rollout data in Acrobot."),
        ({"defaults": (UP, OPEN), "as printed": (OPEN, DOWN)}, "It returns less as printed in "
         "Acrobot. The interval contains 0 with defaults in Acrobot and as printed in CartPole."),
        ({"defaults": (ONE, ONE)}, "cannot be said: one seed has no interval."),
    ],
)  # fmt: skip
def test_whether_the_gain_survives(by_protocol, said):
    assert said in words.survival(gains(**by_protocol))


def test_how_large_the_gain_is():
    said = words.sizes(gains(defaults=(UP, UP), b=((38, 1, 2), (-20, 1, 2))))
    assert said.endswith("most of all in Acrobot: from \N{MINUS SIGN}20 (b) to 40 (defaults).")
    assert words.sizes(gains(defaults=(UP, UP))) == ""


def test_how_far_cells_move():
    shifts = pd.DataFrame(
        [("CartPole", "none", "a", 3.0, 2.0, 4.0), ("CartPole", "layer", "b", -5.0, -11.0, 1.0)],
        columns=["env", "norm", "protocol", "value", "low", "high"],
    )
    half = pd.Series({("CartPole", "none"): 4.0, ("CartPole", "layer"): 2.0})
    said = words.shifts_in_words(shifts, half)
    assert "Of 2 returns under a change, 1 differs clearly from the defaults'," in said
    assert "and 1 by more than half" in said
    assert said.endswith("The largest shifts: \N{MINUS SIGN}5 in CartPole (LN, b).")
    still = words.shifts_in_words(shifts.assign(value=0.0, low=-1.0), half)
    assert "under a change, none differs clearly from the" in still and "and none by" in still
    goals = pd.DataFrame({"env": ["Acrobot"] * 2 + ["CartPole"], "goal_transitions": [0, 1, 9]})
    assert words.without_end(goals).endswith("no terminated transition: 1 of 2 in Acrobot.")
    assert "Every dataset here" in words.without_end(goals[1:])


def test_verdicts_that_a_change_turns():
    board = pd.DataFrame({"claim 8": ["holds", "fails"], "claim 9": ["mixed", "mixed"]})
    assert words.flips(board) == "Of 2 verdicts under a change, 1 differs from the defaults'."
    assert words.flips(board[["claim 9"]]).startswith("None of the 1 verdicts")
    assert words.flips(board[:1]) == "No change applies here."


def dataset(rewards, terminated) -> Transitions:
    nothing = np.zeros((len(rewards), 1), np.float32)
    reward = np.array(rewards, np.float32)
    return Transitions(nothing, np.zeros(len(rewards), int), reward, nothing, np.array(terminated))


def test_where_a_constant_solves_the_printed_equation():
    one, without = dataset([1, 1], [False, True]), dataset([-1, -1], [False, False])
    said = checks.printed_solutions({"a": one, "b": without}, 0.9)
    assert (
        "solves the printed equation in a (Q = 10; with the mask a TD error of 9). In b it" in said
    )
    alone = checks.printed_solutions({"a": one}, 0.9)
    assert alone.endswith("TD error of 9).")
    assert "In b the constant solves the equation with the mask and" in (
        checks.printed_solutions({"b": without}, 0.9)
    )
    other = checks.printed_solutions({"c": dataset([1, 0], [False, True])}, 0.9)
    assert other.endswith("their rewards differ.")


def test_the_factor_two_is_sgds_learning_rate_and_not_adams():
    torch.set_num_threads(1)
    twice = checks.weights_after("CartPole", 1e-3, 2, steps=5)
    assert torch.equal(twice, checks.weights_after("CartPole", 2e-3, 1, steps=5))
    assert not torch.equal(twice, checks.weights_after("CartPole", 1e-3, 1, steps=5))
    said = checks.factor_two("CartPole")
    assert "those at twice the learning rate are the same bits. With Adam" in said


def test_in_a_task_by_gymnasium_id_what_its_dataset_and_reset_leave_open_changes_something():
    applied = [change.name for change in CHANGES if change.applies("CartPole-v1")]
    assert applied == ["defaults", "no terminal mask", "gradient factor 2", "as printed"]
    assert CHANGES[1].applies("Acrobot") and not CHANGES[1].applies("Pendulum")
