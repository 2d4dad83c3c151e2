"""What the chapter on mechanisms says, for numbers of which the right sentence is plain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lnqbook import notebook
from lnqbook.figures.mechanisms import sufficiency_and_necessity
from lnqbook.mechanisms import (
    ACCOUNTS,
    FAILS,
    NO_SHARE,
    NOT,
    PART,
    PASSES,
    UNDECIDED,
    answers,
)
from lnqbook.pages.mechanisms import companions, runs, tables, words
from lnqbook.stats import Interval
from lnqlib.spec import FIELDS, RunSpec, study
from lnqlib.studies import MECHANISM_SEEDS

NOTHING = Interval(np.nan, np.nan, np.nan, 0)
TWO = ("forward pass", "learning-rate decay")


def of(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 10)


def table(*verdicts: tuple[str, str, str], kind: str = "two-sided") -> pd.DataFrame:
    """Rows as `mechanisms.answers` gives them: (mechanism, env, verdict)."""
    found = pd.DataFrame(verdicts, columns=["mechanism", "env", "verdict"])
    shares = [of(0, 1)] * len(found)
    return found.assign(kind=kind, S=shares, N=shares)


def both(forward: str, decay: str, envs: tuple[str, ...] = ("CartPole", "Pendulum")):
    return table(*((name, env, verdict) for env in envs
                   for name, verdict in zip(TWO, (forward, decay), strict=True)))  # fmt: skip


def test_one_mechanism_that_accounts_for_the_gain_everywhere() -> None:
    told = words.answer(both(ACCOUNTS, NOT))
    assert told[0] == (
        "LN's gain is made of its forward pass: added to a network without LN it brings 50% of the "
        "gain, and taken from LN it costs 50%, each surely more than half, in all 2 tasks."
    )
    assert told[1].endswith("less than a fifth: learning-rate decay in all 2 tasks.")
    assert told[2] == "No combination of mechanism and task stays open." and len(told) == 3
    assert words.answer(both(ACCOUNTS, NOT, ("Acrobot",)))[0].endswith("half, in Acrobot.")


def test_sizes_are_one_number_or_a_range() -> None:
    assert words._sizes(pd.Series([of(0.8, 0.9), of(0.5, 0.7)])) == "60% to 85%"
    assert words._sizes(pd.Series([of(0.8, 0.9)] * 2)) == "85%"


def test_mechanisms_that_account_for_it_in_some_tasks() -> None:
    found = pd.concat([both(ACCOUNTS, UNDECIDED, ("CartPole",)), both(PART, PART, ("Pendulum",))])
    told = words.answer(found)
    assert told[0].startswith("In some tasks LN's gain is made of its forward pass: added")
    assert told[0].endswith("costs 50%, each surely more than half, in CartPole.")
    assert told[1] == "None of the mechanisms can be ruled out in any task."
    assert told[2] == (
        "Of the 4 combinations of mechanism and task, 2 account for part of the gain and 1 is "
        "undecided."
    )
    found = both(ACCOUNTS, ACCOUNTS)
    assert words.main(found).endswith("the forward pass in all 2 tasks; the learning-rate decay "
                                      "in all 2 tasks.")  # fmt: skip


def test_no_mechanism_and_no_gain() -> None:
    assert words.main(both(NOT, PART)).startswith("No mechanism studied here accounts")
    some = pd.concat([both(ACCOUNTS, NOT, ("CartPole",)), both(NO_SHARE, NO_SHARE, ("Acrobot",))])
    assert words.main(some).startswith("LN's gain is made of its forward pass")
    assert words.main(some).endswith("more than half, in CartPole.")
    told = words.answer(both(NO_SHARE, NO_SHARE))
    assert len(told) == 1 and "not clear of zero in any task" in told[0]


@pytest.mark.parametrize(
    ("verdicts", "end"),
    [((PART, NOT), "2 account for part of the gain."), ((UNDECIDED, NOT), "2 are undecided.")],
)
def test_what_stays_open(verdicts: tuple[str, str], end: str) -> None:
    assert words.rest(both(*verdicts)).endswith(end)


def placebo(verdict: str, S: Interval, N: Interval | None = None) -> pd.DataFrame:
    found = table(("decay of another task", "Acrobot", verdict), kind="placebo")
    return found.assign(S=[S], N=[N])


def test_a_placebo_that_fails_comes_first() -> None:
    two = both(ACCOUNTS, NOT)
    passed = words.answer(pd.concat([two, placebo(PASSES, of(-0.1, 0.1))]))
    assert len(passed) == 3 and passed[2].endswith("stays open; the placebos pass.")
    moved = words.answer(pd.concat([two, placebo(FAILS, of(-0.1, 0.1), of(0.3, 0.5))]))
    assert len(moved) == 4 and moved[0].startswith(
        "In 1 of 1 combinations of placebo and task the placebo moves the return, which it should "
        "not, most of all decay of another task in Acrobot, 0.40"
    )
    assert "placebos" not in moved[3]
    wide = words.answer(pd.concat([two, placebo(FAILS, of(-0.1, 0.3))]))
    assert "the placebo does not pass, because its interval leaves the fifth" in wide[0]
    every = "1 combinations of placebo and task"
    assert words.placebos(placebo(PASSES, of(-0.1, 0.1))) == f"All {every} pass."
    assert words.placebos(placebo(FAILS, of(0.1, 0.3))).startswith(f"0 of {every} pass.")
    assert words.placebos(placebo(NO_SHARE, NOTHING)).startswith("There is no gain")


def test_one_sided_mechanisms_and_the_second_reading() -> None:
    rows = table(
        ("bounded features", "CartPole", "sufficient"),
        ("bounded features", "Pendulum", UNDECIDED),
        kind="one-sided",
    ).assign(N=None)
    [told] = words.one_sided(rows)
    assert told == "**Bounded features**: sufficient in CartPole; undecided in Pendulum."
    removed = rows.assign(S=None, N=rows["S"], verdict="not necessary")
    assert words.one_sided(removed)[0].endswith("not necessary in all 2 tasks.")
    assert words.printed(rows, True) == told and words.printed(rows, False) == ""
    assert "read from the study's results alone" in words.printed(rows[:0], True)
    assert "not clear of 0" in words.printed(rows.assign(verdict=NO_SHARE), True)


def test_what_averaging_changes() -> None:
    best = both(ACCOUNTS, NOT)
    assert words.changed(best, best).endswith("every verdict is the same.")
    told = words.changed(best, both(ACCOUNTS, PART))
    assert "2 of 4 verdicts change: learning-rate decay in CartPole: does not" in told
    assert words.changed(best[:0], best[:0]) == ""


def test_which_arms_are_clean() -> None:
    rows = pd.DataFrame({"env": ["Acrobot"] * 2, "arm": ["F", "B"], "unclean": [[], ["decay"]]})
    arms = "combinations of arm and task"
    assert words.cleanness(rows).startswith(f"1 of 2 {arms} are clean: F (Acrobot). The")
    assert words.cleanness(rows[:1]) == f"All 1 {arms} are clean."
    assert words.cleanness(rows[1:]).startswith(f"None of the 1 {arms} is clean")
    assert words.cleanness(rows[:0]) == ""


def test_the_ranking_and_its_contrasts() -> None:
    rows = pd.DataFrame(
        {"mechanism": TWO, "kind": "two-sided", "score": [of(0.5, 0.9), of(0.0, 0.2)]}
    )
    clear = words.order(rows.assign(ahead=[of(0.1, 0.5), None]))
    assert "forward pass (0.70" in clear
    assert clear.endswith("ahead of the next: forward pass before learning-rate decay.")
    assert "no mechanism is surely" in words.order(rows.assign(ahead=[of(-0.1, 0.5), None]))
    assert "no gain to rank" in words.order(rows.assign(ahead=None, score=[NOTHING] * 2))


def test_what_it_means_for_the_claims() -> None:
    [told] = words.bearing(both(ACCOUNTS, NOT))
    assert told.startswith(
        "Decay of the learning rate (App. D, claim 22): does not account for the"
    )


def predictors(seem: Interval, lr: Interval, ahead: Interval) -> pd.DataFrame:
    return pd.DataFrame(
        {"mean": {"seem": seem, "lr": lr}, "ahead": {"seem": ahead, "lr": of(0, 0)}}
    )


def test_whether_seem_foresees() -> None:
    better = predictors(of(0.8, 0.9), of(0.6, 0.7), of(0.1, 0.3))
    told = companions.foresees({2_000: (better, predictors(of(0.6, 0.7), NOTHING, NOTHING))})
    assert told[0].startswith("The SEEM index foresees") and told[0].endswith("which is less.")
    assert told[1].startswith("Among runs of one learning rate it still tells")
    worse = predictors(of(0.3, 0.6), of(0.8, 0.9), of(-0.5, -0.2))
    told = companions.foresees({2_000: (worse, predictors(of(0.4, 0.6), NOTHING, NOTHING))})
    assert told[0].startswith("Whether the SEEM") and told[0].endswith("which is more.")
    assert told[1].startswith("Whether it tells")
    reverse = predictors(of(0.1, 0.2), of(0.1, 0.2), of(-0.1, 0.2))
    told = companions.foresees({2_000: (reverse, reverse)})
    assert "foretells the reverse" in told[0] and told[0].endswith("better is undecided.")
    assert "misleads" in told[1]
    assert companions.foresees({}) == [companions.ONLY_THE_STUDY]
    assert "nothing to foresee" in companions.foresees({2_000: (pd.DataFrame(),) * 2})[0]


@pytest.mark.parametrize(
    ("r2", "says"),
    [
        (of(0.6, 0.8), "most of"),
        (of(0.1, 0.3), "some of"),
        (of(-0.2, 0.1), "little of"),
        (of(-0.2, 0.4), "undecided"),
    ],
)
def test_what_early_metrics_foretell(r2: Interval, says: str) -> None:
    names = ("all metrics", "the paper's metrics", "the other metrics", "early return", "lr", "dgi")
    told = companions.foretells(pd.DataFrame({"mean": dict.fromkeys(names, r2)}))
    assert says in told[0] and "`dgi`" in told[1] and len(told) == 3
    assert companions.foretells(pd.DataFrame()) == [companions.ONLY_THE_STUDY]


def parameters(**changes) -> notebook.Parameters:
    made = notebook.Parameters(
        ("Pendulum",), "SGD", 20, 200_000, tuple(sorted({s.lr for s in study("mechanisms")})),
        0, False, "",
    )  # fmt: skip
    return replace(made, **changes)


def test_seeds_come_by_turns_from_both_halves() -> None:
    assert runs.seeds_of("Acrobot", 2) == (104, 101) and runs.seeds_of("Pendulum", 3)[2] == 102
    for env, seeds in MECHANISM_SEEDS.items():
        assert set(runs.seeds_of(env, 20)) == set(seeds)


def test_runs_that_are_missing_are_said_and_not_trained(monkeypatch) -> None:
    """Of Pendulum's runs the last is missing: the task is not whole, and nothing is shown."""
    specs = [s for s in study("mechanisms") if s.env == "Pendulum"]
    rows = pd.DataFrame([vars(s) | {"key": s.key, "return": 0.0} for s in specs])
    monkeypatch.setattr(runs, "lookup", lambda asked, *_: rows[rows["key"].isin(
        {s.key for s in asked})])  # fmt: skip
    monkeypatch.setattr(notebook.Parameters, "sweep", None)
    monkeypatch.setattr(
        notebook.Parameters,
        "curves",
        lambda self, specs: pd.DataFrame({"key": [s.key for s in specs], "step": 0}),
    )
    whole = runs.load(parameters())
    assert whole.judged and whole.caution == "" and whole.envs == ["Pendulum"]
    assert len(whole.runs) == len(whole.curves) == 17 * 180 and len(whole.printed) == 6 * 90
    assert "SGD" in runs.load(parameters(optimizer="Adam")).caution
    few = runs.load(parameters(seeds=4))
    assert not few.judged and "4 seeds of 200,000 steps" in few.caution
    assert set(few.runs["seed"]) == {100, 101, 102, 103}
    rows = rows.iloc[:-1]  # as printed
    lacking = runs.load(parameters())
    assert lacking.envs == ["Pendulum"] and lacking.printed.empty
    assert lacking.caution.startswith("Of the 3,600 runs of the study that this page reads, 3,599")
    rows = rows.iloc[1:]
    assert (
        runs.load(parameters()).envs == [] and len(runs.answered(runs.load(parameters()).runs)) == 0
    )
    assert "library's own tasks alone" in runs.load(parameters(envs=("CartPole-v1",))).caution


def test_short_runs_are_those_of_the_networks_with_biases() -> None:
    p = parameters(steps=2_000, learning_rates=(0.5, 0.1))
    asked = [s for s in study("mechanisms") if s.env == "Pendulum" and s.seed in (100, 101)]
    specs = runs.shortened(asked, p)
    assert len(specs) == len(set(specs)) == 17 * 2 * 2
    assert {s.lr for s in specs} == {0.5, 0.1} and {s.checkpoints for s in specs} == {10}


def world(seeds: int = 4) -> pd.DataFrame:
    """All networks of one task at a few rates; LN returns 20, F 40, the others 10."""
    every = (s for s in study("mechanisms") if s.env == "Pendulum" and s.bias)
    specs = [s for s in every if s.seed < 100 + seeds and s.lr > 0.02]
    frame = pd.DataFrame([{name: getattr(s, name) for name in FIELDS} for s in specs])
    frame = runs.named(frame)
    frame["return"] = frame["name"].map({"layer": 20.0, "forward": 40.0}).fillna(10.0)
    for name in ("clamped_steps", "arm_fallbacks", "arm_bounds"):
        frame[name] = 0
    return frame.assign(diverged_step=-1, key=range(len(frame)))


def test_tables_of_a_world_made_by_hand() -> None:
    frame = world()
    found = answers(frame)
    shown = tables.verdicts(found, True)
    assert shown.loc[("forward pass", "Pendulum"), "S"].startswith("3.00")
    assert shown.loc[("bounded features", "Pendulum"), "N"] == ""
    assert list(tables.verdicts(found, False).columns) == ["S", "N"]
    scores = {"Pendulum": runs_scores(frame)}
    returns = tables.returns(scores, frame)
    assert returns.loc["F", ("Pendulum", "return")] == "40.0"
    assert returns.loc["LN", ("Pendulum", "unclamped")] == "100%" and len(returns) == 17
    assert tables.anchors(scores, True).loc["centering", "Pendulum"].value == 0
    assert tables.anchors(scores, False).loc["centering", "Pendulum"] == 0
    frame.loc[frame["name"] == "overshoot", "arm_fallbacks"] = 100
    assert list(tables.astray(frame).index) == [("Pendulum", "S+")]
    assert tables.astray(frame)["fallbacks"].item() == "<1%"


def runs_scores(frame: pd.DataFrame):
    from lnqbook.mechanisms import scores

    return scores(frame, "Pendulum")


def test_the_figure_shows_shares_verdicts_and_what_lies_outside() -> None:
    found = answers(world())
    ax = sufficiency_and_necessity(found, ["Pendulum"], "note").axes[0]
    texts = [text.get_text() for text in ax.texts]
    assert texts == list(found["verdict"])
    points = {c.get_label(): c for c in ax.collections if c.get_label()[:1] in "SN"}
    assert any(label == "S >" for label in points)  # F brings 300% and stands at the edge
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "forward pass" and len(names) == 8
    plain = sufficiency_and_necessity(found, ["Pendulum"], judged=False).axes[0]
    assert not plain.texts and len(plain.lines) == 3


def test_a_spec_of_the_page_is_one_of_the_study() -> None:
    assert RunSpec("Pendulum", seed=100, lr=0.1, companions=True) in study("mechanisms")
