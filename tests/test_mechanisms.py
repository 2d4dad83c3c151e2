"""The plan of the study of mechanisms: estimands and rules against numbers worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from lnqbook import frozen, mechanisms
from lnqbook.mechanisms import (
    ACCOUNTS,
    DRAWS,
    FAILS,
    NO_SHARE,
    NOT,
    PART,
    PASSES,
    UNDECIDED,
    answers,
    interval,
    named,
    one_sided,
    placebo,
    ranking,
    scores,
    shares,
    two_sided,
)
from lnqbook.mediators import (
    KEPT,
    MEDIATORS,
    OWN,
    REMOVING,
    kept,
    mediators,
    moved,
    moved_in,
    unclean,
)
from lnqbook.stats import Interval
from lnqlib.data import goal_transitions, offline_dataset
from lnqlib.spec import RunSpec, study
from lnqlib.studies import INTERVENTIONS, MECHANISM_SEEDS, PAPER_ENVS

SEEDS = range(100, 110)


def runs(returns: dict[str, dict[float, tuple[float, float]]], **fields) -> pd.DataFrame:
    """One task's runs: by name and learning rate, the return of even and of odd seeds."""
    rows = [
        vars(RunSpec("Pendulum", lr=lr, seed=seed, **INTERVENTIONS[name], **fields))
        | {"return": by_parity[seed % 2]}
        for name, rates in returns.items()
        for (lr, by_parity), seed in itertools.product(rates.items(), SEEDS)
    ]
    return pd.DataFrame(rows)


def of(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 10)


NOTHING = Interval(np.nan, np.nan, np.nan, 0)


def test_the_study_has_every_arm_on_every_task_rate_and_seed() -> None:
    specs = study("mechanisms")
    assert len({spec.key for spec in specs}) == len(specs) == (17 * 20 + 6 * 10) * 4 * 9
    assert all(spec.steps == 200_000 and spec.companions for spec in specs)
    arms = {name for ms in (mechanisms.TWO_SIDED, mechanisms.ONE_SIDED, mechanisms.PLACEBOS)
            for m in ms for name in (m.added, m.removed) if name}  # fmt: skip
    assert arms | {"none", "layer", "rms", "center"} == set(INTERVENTIONS)
    there = set(specs)  # twins are in the study, but for the schedule of a task with other seeds
    twins = {spec.twin for spec in specs if spec.twin and spec.arm != "other_decay"}
    assert twins <= there


def test_acrobot_has_the_first_seeds_whose_dataset_holds_a_goal() -> None:
    seeds = MECHANISM_SEEDS["Acrobot"]
    there = [
        s for s in range(100, seeds[-1] + 1) if goal_transitions(offline_dataset("Acrobot", s))
    ]
    assert tuple(there) == seeds and len(seeds) == 20
    assert {len(MECHANISM_SEEDS[env]) for env in PAPER_ENVS} == {20}


def test_runs_get_the_names_of_the_plan() -> None:
    table = pd.DataFrame([vars(RunSpec("Pendulum", **f)) for f in INTERVENTIONS.values()])
    assert list(named(table)["name"]) == list(INTERVENTIONS)
    assert list(named(table.assign(norm="batch"))["name"]) == [""] * len(table)


def test_each_half_chooses_the_rate_that_the_other_half_is_scored_at() -> None:
    """Even seeds choose .1, odd seeds .01: the score is (odd at .1 + even at .01) / 2."""
    table = runs({"none": {0.1: (5.0, 1.0), 0.01: (3.0, 2.0)}})
    found = scores(named(table), "Pendulum")
    assert found.means["none"] == (1.0 + 3.0) / 2
    assert found.best["none"] == (0.1, 0.01)
    assert np.unique(found.draws["none"]).tolist() == [2.0]  # all seeds of a half are alike
    assert scores(named(table), "Pendulum", "average").means["none"] == (5 + 3 + 1 + 2) / 4
    fewer = table[table["seed"] != 101]
    averaged = scores(named(fewer), "Pendulum", "average").means["none"]
    assert averaged == pytest.approx(fewer["return"].mean())


def test_draws_are_those_of_the_seeds_within_halves_and_choose_anew() -> None:
    table = runs({"none": {0.1: (0.0, 0.0), 0.01: (0.0, 0.0)}, "layer": {0.1: (0.0, 0.0)}})
    table = table[table["norm"] == "none"]
    rng = np.random.default_rng(1)
    table["return"] = rng.normal(size=len(table))
    found = scores(named(table), "Pendulum").draws["none"]
    values = table.pivot(index="seed", columns="lr", values="return")
    halves = [values[values.index % 2 == p].to_numpy() for p in (0, 1)]
    by_hand = []
    for _ in range(4_000):
        means = [half[rng.integers(5, size=5)].mean(0) for half in halves]
        best = [mean.argmax() for mean in means]
        by_hand.append((means[1][best[0]] + means[0][best[1]]) / 2)
    for level in (0.1, 0.5, 0.9):
        assert np.quantile(found, level) == pytest.approx(np.quantile(by_hand, level), abs=0.05)
    assert len(found) == DRAWS


def test_a_missing_run_and_returns_of_which_none_is_finite_are_refused() -> None:
    table = runs({"none": {0.1: (1.0, 1.0)}, "layer": {0.1: (1.0, 1.0)}})
    for wrong in (table.iloc[:-1], table.assign(**{"return": np.nan})):
        with pytest.raises(ValueError, match="Pendulum"):
            scores(named(wrong), "Pendulum")


def test_sufficiency_and_necessity_by_hand() -> None:
    """None 10, LN 20: an arm at 17 brings 70% of the gain; LN loses 30% of it in one at 17."""
    table = {"none": 10.0, "layer": 20.0, "forward": 17.0}
    found = scores(named(runs({n: {0.1: (v, v)} for n, v in table.items()})), "Pendulum")
    assert shares(found, "forward", False)[0] == pytest.approx(0.7)
    assert shares(found, "forward", True)[0] == pytest.approx(0.3)
    assert shares(found, "layer", False)[0] == 1.0
    flat = scores(named(runs({n: {0.1: (1.0, 1.0)} for n in table})), "Pendulum")
    assert np.isnan(shares(flat, "forward", False)[0])


def test_a_draw_without_a_gain_speaks_against_every_decision() -> None:
    draws = np.linspace(0.0, 1.0, DRAWS)
    found = interval(0.5, draws, 0.05)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975), abs=2e-4)
    few = np.where(np.arange(DRAWS) % 100 == 0, np.nan, draws)  # 1%
    found = interval(0.5, few, 0.05)
    assert found.low < 0.025 - 0.005 and found.high > 0.975 + 0.004
    assert interval(0.5, few, 0.01).low == -np.inf and interval(0.5, few, 0.01).high == np.inf
    many = np.where(np.arange(DRAWS) % 30 == 0, np.nan, draws)  # 3.3%
    assert np.isnan(interval(0.5, many, 0.05).low) and np.isnan(interval(np.nan, draws, 0.05).low)


@pytest.mark.parametrize(
    ("S", "N", "verdict"),
    [
        (of(0.6, 0.9), of(0.51, 1.2), ACCOUNTS),
        (of(0.6, 0.9), of(0.5, 1.2), PART),  # .5 itself is not above it
        (of(0.6, 0.9), of(-0.1, 0.19), NOT),
        (of(-0.3, 0.1), of(0.6, 0.9), NOT),
        (of(0.01, 0.4), of(0.1, 0.9), PART),
        (of(0.01, 0.15), of(0.1, 0.9), NOT),
        (of(-0.1, 0.9), of(0.6, 0.9), UNDECIDED),
        (NOTHING, of(0.6, 0.9), NO_SHARE),
    ],
)
def test_rule_of_two_sided_mechanisms(S, N, verdict) -> None:
    assert two_sided(S, N) == verdict


def test_rules_of_one_sided_mechanisms_and_placebos() -> None:
    shares = of(0.51, 0.9), of(0.2, 0.9), of(-0.3, 0.19), NOTHING
    assert [one_sided(s) for s in shares] == ["sufficient", UNDECIDED, "not sufficient", NO_SHARE]
    assert one_sided(of(0.6, 0.7), "necessary") == "necessary"
    shares = of(-0.2, 0.2), of(-0.21, 0.1), of(0.0, 0.21), NOTHING
    assert [placebo(s) for s in shares] == [PASSES, FAILS, FAILS, NO_SHARE]


def world() -> pd.DataFrame:
    """LN gains 10. The forward pass is all of it, decay nothing, isometry half; a placebo gains."""
    added = {"forward": 20.0, "decay": 10.0, "overshoot": 10.0, "isometry": 15.0}
    removed = {"backward": 10.0, "projected": 20.0, "overshoot_layer": 14.0, "isometry_layer": 15.0}
    others = {"bounded": 19.0, "forward_projected": 11.0, "rms": 0.0, "center": 0.0}
    placebos = {"random_isometry": 10.0, "other_decay": 10.0, "other_decay_layer": 13.0}
    every = {"none": 10.0, "layer": 20.0} | added | removed | others | placebos
    return runs({name: {0.1: (value, value)} for name, value in every.items()})


def test_answers_and_ranking_of_a_world_made_by_hand() -> None:
    table = answers(world()).set_index("mechanism")
    assert table["verdict"].to_dict() == {
        "forward pass": ACCOUNTS,
        "learning-rate decay": NOT,
        "less overshoot": NOT,
        "isometry": PART,
        "bounded features": "sufficient",
        "forward pass without decay": "not sufficient",
        "isometry in random directions": PASSES,
        "decay of another task": FAILS,
    }
    assert table.loc["less overshoot", "N"].value == pytest.approx(0.6)
    assert table.loc["bounded features", "N"] is None
    order = ranking(world())
    assert list(order["mechanism"][:2]) == ["forward pass", "isometry"]
    assert [row.value for row in order["score"]] == pytest.approx([1, 0.5, 0, 0, 0.9, 0.1])
    assert order["ahead"][0].value == pytest.approx(0.5) and order["ahead"][3] is None
    printed = world().query("lr_control == 'project' or arm in ('none', 'forward', 'overshoot')")
    second = answers(printed.assign(bias=False), bias=False).set_index("mechanism")["verdict"]
    assert second.to_dict() == {
        "forward pass": "sufficient",
        "forward pass without decay": "not sufficient",
        "learning-rate decay": "not necessary",
        "less overshoot": "not sufficient",
    }


def test_mediators_by_hand() -> None:
    """Two checkpoints: LN's weights grow to twice their norm, D+ takes a quarter of the rate."""
    base = {"feature_norm": np.sinh(1.0), "td_loss": 2.0, "iso_p_used": 0.25, "arm_setting": 1.0}
    base |= {"gi2_minibatch_used": 2.0 * np.sinh(0.5)}
    rows = [
        base | {"key": name, "name": name, "weight_norm": 3.0 * (1 + late)}
        | {"step": 50 * late, "steps": 100}
        | {"arm_setting": 0.25 if late and name == "decay" else 1.0}
        for name in ("none", "layer", "decay", "overshoot")
        for late in (0, 1)
    ]  # fmt: skip
    rows[1]["td_loss"] = 0.0  # not finite at a checkpoint: left out
    found = mediators(pd.DataFrame(rows))
    assert list(found.index) == ["none", "layer", "decay", "overshoot"]
    assert found["decay"].to_list() == pytest.approx([0, np.log(1 / 4) / 2, np.log(1 / 4) / 2, 0])
    np.testing.assert_allclose(
        found[["feature norm", "overshoot", "isometry"]], [[1, 0.5, 0.25]] * 4
    )


def test_what_an_arm_moved_and_whether_it_is_clean() -> None:
    tables = [pd.DataFrame({m: [v - 9.0, v, v + 1.0] for m in MEDIATORS}) for v in (2.0, 1.0, 3.0)]
    tables[0].iloc[0] = -1e6  # a seed that went astray
    assert moved(*tables).to_list() == [0.5] * 4
    assert moved(tables[0], tables[1], tables[1]).isna().all()
    share = dict.fromkeys(MEDIATORS, 0.0)
    assert unclean("decay", pd.Series(share | {"decay": 0.91, "isometry": -0.2})) == []
    assert unclean("decay", pd.Series(share | {"decay": 0.89, "isometry": 0.21})) == [
        "decay",
        "isometry",
    ]
    share = dict.fromkeys(MEDIATORS, 1.0)
    assert unclean("projected", pd.Series(share | {"decay": 0.0, "isometry": 1.2})) == []
    assert unclean("projected", pd.Series(share | {"overshoot": np.nan})) == ["decay"]
    assert set(REMOVING) < set(OWN) < set(INTERVENTIONS)


def test_what_each_arm_moved_at_its_best_rate() -> None:
    """The decay arm, best at .01, took half of LN's decay there and all of it at .1."""
    rates = {0.1: (1.0, 1.0), 0.01: (2.0, 2.0)}
    table = named(runs(dict.fromkeys(("none", "layer", "decay"), rates))).reset_index(drop=True)
    table["key"] = table.index.astype(str)
    curves = table.loc[table.index.repeat(2), ["key"]].assign(
        feature_norm=1.0, td_loss=1.0, gi2_minibatch_used=0.5, iso_p_used=0.5, arm_setting=1.0
    )
    curves["step"] = np.arange(len(curves)) % 2 * 100_000
    late = np.arange(len(curves)) % 2 == 1
    name, lr = (table[c].repeat(2).to_numpy() for c in ("name", "lr"))
    curves["weight_norm"] = np.where(late & (name == "layer"), 2.0, 1.0)
    curves.loc[late & (name == "decay"), "arm_setting"] = np.where(lr == 0.1, 0.25, 0.5)[
        late & (name == "decay")
    ]
    found = moved_in(table, curves)
    assert list(found.index) == ["decay"] and found.loc["decay", "lr"] == 0.01
    assert found.loc["decay", "decay"] == pytest.approx(0.5)
    assert found.loc["decay", "unclean"] == ["decay"]
    table["clamped_steps"] = np.where(table["lr"] == 0.1, 3, 0)
    assert mechanisms.unclamped(table).to_list() == [0.5] * 3


def test_what_went_astray_is_counted() -> None:
    table = runs({"none": {0.1: (1.0, np.nan)}, "overshoot": {0.1: (1.0, 1.0)}})
    odd = table["seed"] % 2 == 1
    table["clamped_steps"] = np.where(odd, 5, 0)
    table["diverged_step"] = np.where(table["seed"] == 101, 7, -1)
    table["arm_fallbacks"] = np.where(table["arm"] == "none", 0, table["steps"] // 4)
    table["arm_bounds"] = np.where(odd, 0, table["steps"])
    found = mechanisms.counted(table)
    assert found.loc[("Pendulum", "none")].to_dict() == {
        "clamped": 0.5,
        "diverged": 0.1,
        "no_return": 0.5,
        "fallbacks": 0.0,
        "bounds": 0.5,
        "runs": 10,
    }
    assert found.loc[("Pendulum", "overshoot"), "fallbacks"] == 0.25


def test_a_return_that_is_not_finite_counts_as_the_lowest_of_its_task() -> None:
    table = runs({"none": {0.1: (1.0, -7.0)}, "layer": {0.1: (5.0, np.nan), 0.01: (3.0, 3.0)}})
    table = named(table[(table["norm"] == "layer") | (table["lr"] == 0.1)])
    none = table[table["norm"] == "none"]
    both = pd.concat([table, none.assign(lr=0.01)])
    assert scores(both, "Pendulum").means["layer"] == (-7.0 + 3.0) / 2
    assert scores(both, "Pendulum", "average").means["layer"] == (5.0 - 7.0 + 3.0 + 3.0) / 4


def test_mediators_are_averages_over_training_of_the_checkpoints_that_are_shipped() -> None:
    spec = RunSpec("Pendulum")
    table = pd.DataFrame([vars(spec) | {"key": "a", "name": "layer"}])
    curves = pd.DataFrame({"key": "a", "step": spec.checkpoint_steps, "td_loss": 1.0})
    curves = curves.assign(arm_setting=1.0, gi2_minibatch_used=1.0, iso_p_used=0.0)
    curves = curves.assign(feature_norm=1.0, weight_norm=1.0)
    curves.loc[curves["step"] == 8_000, "iso_p_used"] = 1.0  # holds until 16,000
    curves.loc[curves["step"] == 10_000, "iso_p_used"] = 50.0
    shipped = curves.iloc[[*KEPT]]
    for told in (curves, shipped):
        found = mediators(kept(table, told).assign(name="layer"))
        assert found["isometry"].item() == pytest.approx(8_000 / 200_000)
    short = table.assign(steps=2_000, checkpoints=10)
    assert len(kept(short, curves)) == 100  # all of a run that is not a full-length one
    odd = RunSpec("Pendulum", steps=777)
    told = pd.DataFrame({"key": "a", "step": odd.checkpoint_steps})
    assert list(kept(table.assign(steps=777), told)["step"]) == [i * 777 // 100 for i in KEPT]


def test_the_digest_is_of_what_is_decided(monkeypatch) -> None:
    monkeypatch.setattr(frozen, "study", lambda _: [RunSpec("Pendulum")])
    before = frozen.digest("mechanisms")
    source = frozen.source

    def changed(old: str, new: str) -> str:
        monkeypatch.setattr(frozen, "source", lambda m: source(m).replace(old, new))
        return frozen.digest("mechanisms")

    assert changed('"""The verdict', '"""A verdict') == before
    assert changed("MOST = 0.5  #", "MOST = 0.5  # a comment") == before
    for decided in ("MOST = 0.5", "OWN_WITHIN = 0.1", "EARLY = 32_000", "LANDMARKS = (2_000",
                    "RENEW = 2_000", "choice.argmax", "class ArmLearner"):  # fmt: skip
        assert changed(decided, decided[:-1]) != before
    monkeypatch.setattr(frozen, "study", lambda _: [RunSpec("Pendulum", seed=1)])
    assert changed("", "") != before
