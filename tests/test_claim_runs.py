"""The runs behind the claims: which they are, their rows, and the commands for missing ones."""

import shlex
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lnqbook.baselines import POLICIES, random_returns
from lnqbook.claims import runs as claim_runs
from lnqbook.notebook import Parameters
from lnqlib.__main__ import _parser
from lnqlib.results import CURVES
from lnqlib.spec import ENVS, LEARNING_RATES, RunSpec, study
from lnqlib.store import Store


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> pd.DataFrame:
    """Every run that the claims need, none of them finished."""
    store = Store(tmp_path_factory.mktemp("store"))
    specs = claim_runs.specs(ENVS, 3, 200_000, LEARNING_RATES)
    return claim_runs.frame(specs, store.results(), policies=False)


def test_the_runs_asked_for_are_those_that_the_studies_train():
    full = claim_runs.specs(ENVS, 30, 200_000, LEARNING_RATES)
    assert set(full) == set(claim_runs.STUDIES)
    for name, specs in full.items():
        assert {s.key for s in specs} == {s.key for s in study(name)}
    small = claim_runs.specs(("Pendulum",), 2, 500, (1e-3,))
    assert all((s.env, s.steps, s.lr) == ("Pendulum", 500, 1e-3) for s in small["core"])
    assert len(small["core"]) == 2 * 2 * 2  # optimizers, norms, seeds


@pytest.mark.parametrize("steps", [5, 2_000, 30_000])
def test_the_runs_asked_for_are_those_that_a_chapter_trains(steps):
    p = Parameters(("Pendulum",), "Adam", 2, steps, (1e-3,), 0, False, "")
    asked = claim_runs.specs(p.envs, p.seeds, p.steps, p.learning_rates)
    assert set(p.specs()) <= set(asked["core"])
    assert set(p.specs(bias=False)) <= set(asked["as_printed"])


def test_the_commands_are_ones_that_the_command_line_takes(asked):
    taken = [_parser().parse_args(shlex.split(line)[3:]) for line in claim_runs.commands(asked)]
    assert {options.study for options in taken} == set(claim_runs.STUDIES)
    own = asked.assign(steps=500)
    assert claim_runs.commands(own) == ["add -p refresh True to this page's parameters"]
    assert claim_runs.commands(asked.assign(seconds=1.0)) == []
    one = asked.assign(seconds=1.0)
    at = (one["study"] == "core") & (one["env"] == "Acrobot") & (one["optimizer"] == "Adam")
    one.loc[one.index[at][3], "seconds"] = np.nan
    assert claim_runs.commands(one) == ["python -m lnqlib run core --optimizer Adam --env Acrobot"]


def test_the_frame_has_results_and_the_returns_without_training():
    specs = claim_runs.specs(("CartPole",), 2, 200_000, (1e-3,))
    first = specs["core"][0]
    numbers = {"seconds": 2.0, "return": 40.0, "dgi": 7.0}
    results = pd.DataFrame([vars(first) | {"key": first.key} | numbers])
    curves = pd.DataFrame({"key": first.key, "step": [9, 0], "weight_norm": [6.0, 2.0]})
    runs = claim_runs.frame(specs, results, curves=curves)
    row = runs.set_index("key").loc[first.key]
    assert (row["return"], row["network"]) == (40.0, "none")
    assert row["first_order"] == pytest.approx(2 * first.lr * 7)
    assert row["log_growth"] == pytest.approx(np.log(9))  # the squared norm has grown ninefold
    assert runs["seconds"].notna().sum() == runs["log_growth"].notna().sum() == 1
    assert set(runs["network"]) >= {"project", "own_decay", "paired_decay", "crossq"}
    for bias in (True, False):
        known = random_returns(["CartPole"], [0, 1], bias=bias).set_index(["policy", "seed"])
        for seed, policy in product((0, 1), POLICIES):
            here = runs[(runs["bias"] == bias) & (runs["seed"] == seed)]
            assert set(here[f"{policy}_return"]) == {known.loc[(policy, seed), "return"]}


def test_what_a_run_is_called():
    names = {("none", "own_decay"): "own_decay", ("layer", "project"): "project"}
    names |= {(norm, "none"): norm for norm in ("layer", "crossq", "weight")}
    for (norm, control), name in names.items():
        assert claim_runs.network_of(RunSpec("Pendulum", norm=norm, lr_control=control)) == name
    for momentum, name in ((0.1, "crossq"), (0.01, "crossq_0.01"), (0.001, "crossq_0.001")):
        spec = SimpleNamespace(norm="crossq", lr_control="none", momentum=momentum)
        assert claim_runs.network_of(spec) == name


def test_the_weights_that_are_watched_are_lns_and_wns_with_sgd():
    specs = claim_runs.specs(("Pendulum",), 1, 200_000, (1e-3,))
    watched = claim_runs.weights_watched(specs)
    assert {(s.norm, s.optimizer, s.lr_control) for s in watched} == {
        ("layer", "SGD", "none"),
        ("weight", "SGD", "none"),
    }


def rows(study: str, **more) -> pd.DataFrame:
    return pd.DataFrame(
        {"study": study, "env": "Pendulum", "norm": norm, "network": norm, "optimizer": "SGD"}
        | {"bias": True, "lr": 0.1, "seed": seed}
        | {name: value(norm, seed) for name, value in more.items()}
        for norm in ("none", "layer")
        for seed in range(3)
    )


def test_a_study_lends_the_columns_that_the_first_results_lack():
    core = rows("core", sgi_zero=lambda norm, seed: np.nan if seed else 5.0)
    again = rows("zero_gradients", sgi_zero=lambda norm, seed: seed + (norm == "layer") * 10.0)
    both = claim_runs._with_zeros(pd.concat([core, again[again["seed"] < 2]], ignore_index=True))
    mine = both[both["study"] == "core"].set_index(["norm", "seed"])["sgi_zero"]
    assert mine["none"].tolist()[:2] == [5.0, 1.0]  # its own where it has one
    assert mine["layer"].tolist()[:2] == [5.0, 11.0]
    assert mine.xs(2, level="seed").isna().all()  # nobody measured that seed
    assert claim_runs._with_zeros(core) is core


def test_runs_are_handed_out_task_by_task_without_the_lenders():
    frame = pd.concat([rows("core"), rows("zero_gradients")], ignore_index=True)
    runs = claim_runs.Runs(frame)
    assert runs.envs == ["Pendulum"]
    assert len(runs.of("Pendulum", "SGD", True, ("none",))) == 3
    assert len(runs.of("Pendulum", "SGD", True, ("none", "layer"))) == 6
    assert runs.of("Pendulum", "SGD", False, ("none",)).empty
    assert "dgi" in CURVES


def test_a_run_of_two_studies_is_one_row_in_each() -> None:
    """Short runs have few checkpoints anyway, so that core's and zero_gradients' are the same."""
    asked = claim_runs.specs(("Pendulum",), 2, 200, (1e-3,))
    some = {name: asked[name] for name in ("core", "zero_gradients")}
    assert {s.key for s in some["core"]} == {s.key for s in some["zero_gradients"]}
    results = pd.DataFrame([vars(s) | {"key": s.key, "seconds": 1.0} for s in some["core"]])
    frame = claim_runs.frame(some, pd.concat([results, results]), policies=False)
    assert len(frame) == len(some["core"]) + len(some["zero_gradients"])


def test_a_study_that_is_still_growing_counts_with_its_whole_seeds() -> None:
    specs = claim_runs.specs(("Pendulum",), 3, 200_000, (1e-3, 1e-2))["as_printed"]
    have = [s for s in specs if s.seed == 0 or (s.seed == 1 and s.lr == 1e-3)]
    results = pd.DataFrame([vars(s) | {"key": s.key, "seconds": 1.0} for s in have])
    frame = claim_runs.frame({"as_printed": specs}, results, policies=False)
    assert set(frame["seed"]) == {0} and frame["seconds"].notna().all()
    none = claim_runs.frame({"as_printed": specs}, results[:0], policies=False)
    assert len(none) == len(specs) and none["seconds"].isna().all()
