"""Protocols picked out of a frame of runs, and distances worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lnqbook import initialization, table1
from lnqbook.pages import protocol as protocols
from lnqbook.pages.protocol import CHANGES, DEFAULTS, by_protocol, distances
from lnqlib import metrics
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


def test_the_nearest_is_decisive_where_no_other_is_nearer_in_most_resamples():
    close = distances(pd.DataFrame(seeds("a", [0.5, 0.5]) + seeds("b", [0.1, 0.2])), PAPER)
    best, word = protocols.nearest(close)
    assert (best["protocol"], word) == ("b", "decisive")
    open_ = distances(pd.DataFrame(seeds("a", [0.2, 0.2]) + seeds("b", [0.0, 0.3])), PAPER)
    best, word = protocols.nearest(open_)
    assert (best["protocol"], word) == ("b", "not decisive")
    one = distances(pd.DataFrame(seeds("a", [0.5]) + seeds("b", [0.1])), PAPER)
    assert protocols.nearest(one)[1] == "not decisive"  # one seed decides nothing
    best, word = protocols.nearest(close[:0])
    assert (best["protocol"], word) == ("none", "not decisive")
    assert np.isnan(best["value"])


def test_protocols_are_compared_on_the_seeds_that_all_have():
    longer = pd.DataFrame(seeds("a", [0.5, 0.1, 9.0]) + seeds("b", [0.2, 0.3]))
    both = pd.DataFrame(seeds("a", [0.5, 0.1]) + seeds("b", [0.2, 0.3]))
    pd.testing.assert_frame_equal(distances(longer, PAPER), distances(both, PAPER))
    lacking = both.assign(**{"return": both["return"].where(both["seed"] == 5)})
    assert distances(lacking, PAPER).empty


def test_the_nearest_in_words():
    away = pd.DataFrame(
        {"protocol": ["defaults", "b"], "value": [0.5, 0.25], "nearest": [0.1, 0.9]}
        | {"cells": 4, "within": [1, 2]}
    )
    said = protocols.in_words(away)
    assert said.startswith("The nearest is: b, at 0.25, against 0.50 for the defaults, in 90.0% of")
    assert "not decisive" in said and "2 of the paper's 4 certain numbers" in said
    said = protocols.in_words(away.assign(value=[0.2, 0.25], nearest=[0.96, 0.04]))
    assert said.startswith("The nearest is: defaults, at 0.20, in 96.0% of")
    assert "that is decisive" in said
    assert protocols.in_words(away[:0]).startswith("None of the tasks shown")


def test_in_a_task_by_gymnasium_id_what_its_dataset_and_reset_leave_open_changes_something():
    applied = [change.name for change in CHANGES if change.applies("CartPole-v1")]
    assert applied == ["defaults", "no terminal mask", "gradient factor 2", "as printed"]
    assert CHANGES[1].applies("Acrobot") and not CHANGES[1].applies("Pendulum")
