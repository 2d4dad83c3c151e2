"""Sentences chosen by the data: every branch of every helper."""

import struct
from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from IPython.display import HTML
from matplotlib.figure import Figure
from points import runs

from lnqbook import (
    best_rates,
    equal_steps,
    front_page,
    left_out,
    link_words,
    placebos,
    power,
    ranks,
)
from lnqbook.claims import board
from lnqbook.claims.checks import CALM, MEDIANS
from lnqbook.findings import bullets, case, count, folded, listed, sided, tasks, told
from lnqbook.ranks import Placebo
from lnqbook.stats import NBSP, Interval

ABOVE, BELOW, AROUND = (Interval(x, x - 0.1, x + 0.1, 18) for x in (0.6, -0.6, 0.02))
FEW = Interval(np.nan, np.nan, np.nan, 1)


def test_the_first_true_case_is_told():
    assert case((0, "a"), (True, "b"), (True, "c")) == "b"
    assert case((np.bool_(False), "a"), "else") == "else"
    assert case(([], "a"), "") == ""
    with pytest.raises(ValueError, match="none of 1 cases is true; end with a sentence"):
        case((False, "a"))


def test_paragraphs_and_lists_leave_empty_sentences_out():
    assert told("One.", "", "Two is -0.5.").data == "One. Two is \N{MINUS SIGN}0.5."
    assert bullets("One.", "", "Two.").data == "- One.\n- Two."
    for nothing in (told(""), bullets("", "")):  # an empty Markdown is shown as its name
        assert isinstance(nothing, HTML) and nothing.data == ""


def test_lists_in_words():
    assert listed([]) == "no task"
    assert listed([], "none of them") == "none of them"
    assert listed(["A"]) == "A"
    assert listed("AB") == "A and B"
    assert listed([1, 2, 3]) == "1, 2 and 3"
    assert [count(n, "claim") for n in (0, 1, 3)] == ["no claim", "1 claim", "3 claims"]


def test_sides_in_words():
    assert sided({"A": 1, "B": -1, "C": 0, "D": 1}) == "above 0 in A and D, and below 0 in B"
    assert sided({"A": 0}) == sided({}) == "nowhere clear of 0"
    assert sided({"A": 1, "B": 1}) == "above 0 in all 2 tasks"
    assert tasks(pd.Series({"A": True, "B": False, "C": True})) == "A and C"
    assert tasks(pd.Series({"A": True})) == "A"
    assert tasks(pd.Series({"A": False, "B": False})) == "no task"
    assert sided({"A": -1}, "raises it", "lowers it") == "lowers it in A"


def test_outputs_fold_under_a_title():
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([0, 1])
    frame = pd.DataFrame({"rho": [0.5]}, ["Pendulum"])
    html = folded(
        "With A & B", "So **-0.5** of $\\ell_t < 1$.", frame, HTML("<p>x</p>"), None, figure
    )
    page = BeautifulSoup(html.data, "html.parser")
    assert page.details.summary.get_text() == "With A & B"
    assert page.strong.get_text() == "\N{MINUS SIGN}0.5"
    assert page.select_one(".tex2jax_process").get_text() == r"\(\ell_t < 1\)"
    assert [cell.get_text() for cell in page.select("tbody *")][1:] == ["Pendulum", "0.5"]
    kind, _, data = page.img["src"].partition(",")
    assert (kind, page.img["alt"]) == ("data:image/png;base64", "With A & B")
    width, height = struct.unpack(">II", b64decode(data)[16:24])  # where a PNG keeps its size
    assert (width, height) == (200, 100)
    assert folded("Nothing", None).data == ""


def placebo(gap: Interval, own=-0.5, others=-0.3, excess=(ABOVE, BELOW)) -> placebos.Case:
    by_task = pd.Series(dict(zip(("CartPole", "Pendulum"), excess, strict=True)), dtype=object)
    values = (Interval(x, x - 0.1, x + 0.1, 18) for x in (own, others))
    found = Placebo(pd.DataFrame(), by_task, *values, gap)
    return placebos.Case(placebos.Pair("gi2", "loss", -1), "defaults", "SGD", 30, found)


@pytest.mark.parametrize(
    ("gap", "others", "said"),
    [
        (BELOW, -0.3, "is linked more strongly to its own task's loss than to others', as claimed"),
        (ABOVE, -0.3, "is linked more strongly to other tasks' loss than to its own."),
        (AROUND, -0.3, "The interval contains 0: GI\u2082 is not shown to be linked more strongly"),
        (
            Interval(-0.03, -0.04, -0.02, 18),
            -0.48,
            "small: most of the link is there with other tasks'",
        ),
        (Interval(-0.03, -0.04, -0.02, 18), 0.1, "That is clear of 0, and small."),
    ],
)
def test_what_a_placebo_says(gap, others, said):
    (sentence,) = placebos.sentences([placebo(gap, others=others)])
    assert said in sentence
    start = (
        "**GI\u2082 and loss, SGD, defaults.** Averaged over tasks, \u03c1 is -0.50 with the same"
    )
    assert sentence.startswith(start)


@pytest.mark.parametrize(
    ("excess", "said"),
    [
        ((BELOW, ABOVE), "on the claimed side in CartPole, and on the other in Pendulum."),
        ((BELOW, BELOW), "claimed side in CartPole and Pendulum, and on the other in none."),
        ((ABOVE, AROUND), "on the claimed side in none, and on the other in CartPole."),
        ((AROUND, AROUND), "In no single task is it clear of 0."),
    ],
)
def test_where_own_minus_others_lies(excess, said):
    assert placebos.sentences([placebo(BELOW, excess=excess)])[0].endswith(said)


@pytest.mark.parametrize(
    ("gap", "own", "others", "said"),
    [
        (BELOW, 0.1, 0.3, "is nearer to the claimed side than those with other tasks', and"),
        (ABOVE, 0.3, 0.1, "is further from the claimed side than those with other tasks', and"),
    ],
)
def test_a_link_on_the_side_that_nobody_claims_is_not_called_stronger(gap, own, others, said):
    assert said in placebos.sentences([placebo(gap, own, others)])[0]


def test_without_a_second_task_there_is_no_placebo():
    assert placebos.sentences([]) == [
        "The placebo needs finished runs of two tasks; here there are none."
    ]


def gains(*intervals) -> pd.DataFrame:
    tasks = ("CartPole", "Acrobot", "Pendulum")[: len(intervals)]
    return pd.DataFrame({"LN minus None": pd.Series(intervals, tasks, dtype=object)})


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ((ABOVE, ABOVE, ABOVE), "LN returns more than the network without LN in all 3 tasks."),
        ((ABOVE,), "LN returns more than the network without LN in CartPole."),
        ((ABOVE, ABOVE, BELOW), "without LN in CartPole and Acrobot. It returns less in Pend"),
        ((ABOVE, AROUND), "in CartPole. The interval contains 0 in Acrobot."),
        ((BELOW, AROUND), "without LN in no task. It returns less in CartPole. The interval"),
        ((ABOVE, FEW), "With so few seeds there is no half to choose a learning rate on"),
    ],
)
def test_the_gain_at_the_best_rate(intervals, said):
    assert said in best_rates.gain_in_words(gains(*intervals))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"CartPole": 0.72, "Pendulum": 1.5},
            "72% in CartPole and 150% in Pendulum of LN's gain. A share above",
        ),
        ({"CartPole": 0.72, "Acrobot": 0.0}, "account for 72% in CartPole of LN's gain."),
        ({"Acrobot": 0.0}, "No part of LN's gain, averaged over learning rates, comes"),
        ({"Acrobot": np.nan}, "LN gains nothing on average here"),
    ],
)
def test_how_much_of_the_gain_is_nones_divergence(values, said):
    shares = pd.Series({k: Interval(v, v, v, 9) for k, v in values.items()}, dtype=object)
    assert said in best_rates.clamped_in_words(shares)


def verdict(number: int, word: str, firm=None, turned=()) -> SimpleNamespace:
    claim = SimpleNamespace(number=number)
    return SimpleNamespace(claim=claim, word=word, firm=firm, turned=list(turned), units=())


def test_the_board_in_sentences():
    pairs = [
        (verdict(1, "holds"), verdict(1, "mostly")),
        (verdict(2, "fails"), verdict(2, "fails")),
        (verdict(3, "holds"), verdict(3, "mixed")),
        (verdict(4, "mixed"), verdict(4, "undecided")),
        (verdict(5, "holds"), verdict(5, "no runs")),
    ]
    assert board.answers(pairs) == [
        "**Of 5 claims**, claim 1 holds in all or most of the tasks under both readings.",
        "Under both readings claim 2 fails.",
        "The two readings give different verdicts on claim 3.",
        "Neither confirmed nor refuted under either reading: claim 4.",
        "Lacking runs under a reading, or not testable: claim 5.",
    ]
    good = [(verdict(n, "holds"), verdict(n, "holds")) for n in (1, 2)]
    assert board.answers(good) == [
        "**Of 2 claims**, claims 1 and 2 hold in all or most of the tasks under both readings.",
        "No claim fails under both readings.",
        "No verdict differs between the two readings.",
        "",
        "",
    ]


def test_firmness_in_sentences():
    loose = verdict(2, "holds", False, [f"{CALM} (Pendulum)"])
    both = verdict(3, "holds", False, [f"{CALM} (Pendulum)", f"{MEDIANS} (Acrobot)"])
    none = verdict(4, "no runs")
    said = board.firmness([(v, v) for v in (verdict(1, "holds", True), loose, both, none)])
    assert said.startswith("Under the defaults the verdicts on claim 1 are firm")
    assert said.endswith(
        "changes the result of some task in 2 claims; in 1 of these it is the only view that does."
    )
    assert board.firmness([(none, none)]) == (
        "Under the defaults no verdict is firm: a view changes each that has one."
    )
    assert board.firmness([(both, both)]).endswith(
        "in none of these it is the only view that does."
    )


def test_adam_in_a_sentence():
    units = [SimpleNamespace(name=n, verdict=v) for n, v in (("1", "fails"), ("6", "holds"))]
    units.append(SimpleNamespace(name="9", verdict="holds"))
    said = board.repeated(SimpleNamespace(units=units))
    assert said == "With Adam alone, claim by claim: fails: 1; holds: 6 and 9."
    assert board.repeated(SimpleNamespace(units=[])) == ""


def test_missing_runs_in_a_sentence():
    frame = pd.DataFrame({"seconds": [1.0] * 1999 + [np.nan]})
    assert board.found_in_words(frame) == (
        "Of the 2,000 runs that the claims need, 1,999 were found. These commands train the others:"
    )
    assert board.found_in_words(frame[:3]).endswith("3 were found. Nothing is missing.")


def test_the_papers_scale_is_said_of_what_has_its_seeds():
    rows = [("none", True, 30), ("layer", True, 30), ("batch", True, 20), ("weight", True, 20)]
    rows += [("none", False, 10), ("layer", False, 12)]
    frame = pd.DataFrame(
        {"env": "Pendulum", "network": network, "bias": bias, "seed": seed, "seconds": 1.0}
        for network, bias, seeds in rows
        for seed in range(seeds)
    )
    assert board.scale_in_words(frame) == (
        "With the defaults, None and LN have the paper's 30 seeds and BN and WN have the paper's "
        "20 seeds; as printed, None and LN have 10 of its 30 seeds and BN and WN have no runs yet."
    )


def test_the_power_of_seeds():
    # 2.8 standard errors: (1.96 + 0.84) / sqrt(49) = 0.4
    assert power.detectable(1.0, 49) == pytest.approx(2.8016 / 7, rel=1e-3)
    rng = np.random.default_rng(0)
    found = [
        abs(x.mean() / (x.std(ddof=1) / 7)) > 2.01  # t of 48 degrees of freedom
        for x in rng.normal(power.detectable(1.0, 49), 1, (2000, 49))
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
    frame = runs(seeds=4, **{"return": lambda lr, norm, seed: (norm == "layer") * (2.0 + seed)})
    seen = power.differences_seen(frame, [16])
    assert seen.loc["Pendulum", "gain"] == pytest.approx(3.5)
    spread = np.std([2, 3, 4, 5], ddof=1)
    assert seen.loc["Pendulum", 16] == pytest.approx(2.8016 * spread / 4 / 3.5, rel=1e-3)


def test_coverage_of_a_mean():
    values = np.random.default_rng(1).normal(size=2000)
    assert power.coverage_of_mean(values, 40) == pytest.approx(0.94, abs=0.03)
    # 2 seeds: the interval is their range, which misses a symmetric law's mean in half the cases
    assert power.coverage_of_mean(values, 2) == pytest.approx(0.5, abs=0.08)


def test_power_and_coverage_in_words():
    low = pd.DataFrame({5: [0.85, 0.95], 30: [0.93, 0.91]})
    high = pd.DataFrame({30: [0.93, 0.95]})
    said = "With 30 seeds each is at least 91%, the smallest of all 85%: intervals from few seeds"
    assert said in power.coverage_in_words(low)
    assert "None is below 93%, so" in power.coverage_in_words(high)
    assert power.coverage_in_words(pd.DataFrame()) == ""
    assert "*undecided* is no evidence" in power.seen_in_words(low)
    assert power.seen_in_words(pd.DataFrame()).startswith("There are too few runs")


def rhos(**columns) -> pd.DataFrame:
    tasks = ("CartPole", "Acrobot", "Pendulum")
    names = {"sgi": "SGI", "gi2": "GI\u2082", "calm": "GI\u2082, without clamped"}
    return pd.DataFrame(
        {names[name]: pd.Series(values, tasks, dtype=object) for name, values in columns.items()}
    )


CHANCE = Interval(0.3, 0.2, 0.4, 18)  # clear of 0, and no more than random order gives


def test_a_side_needs_more_than_chance():
    assert [ranks.side(x) for x in (ABOVE, BELOW, AROUND, CHANCE)] == [1, -1, 0, 0]
    assert ranks.side(ABOVE._replace(count=7)) == 0


@pytest.mark.parametrize(
    ("intervals", "title"),
    [
        ((ABOVE, ABOVE), "LN helps."),
        ((ABOVE, AROUND), "LN helps in some of the tasks."),
        ((ABOVE, BELOW), "LN helps in some of the tasks and harms in others."),
        ((AROUND, BELOW), "LN is not shown to help."),
    ],
)
def test_whether_ln_helps(intervals, title):
    said = front_page.helps(gains(*intervals), "And more.")
    assert said.startswith(f"**{title}** Each network at its own") and said.endswith(" And more.")


def test_whether_gi2_is_about_the_task():
    cases = [placebo(gap) for gap in (AROUND, BELOW, ABOVE)]
    cases = [c._replace(reading=r) for c, r in zip(cases, ("defaults", "b", "c"), strict=True)]
    said = front_page.about_the_task(cases, "SGD")
    numbers = "(mean \u03c1 -0.50 and -0.30)"
    assert said == (
        "With the defaults GI\u2082's correlation with its own task's loss is not shown to be "
        f"stronger than those with other tasks' losses {numbers}; b it is stronger {numbers}; "
        f"c it is weaker {numbers}."
    )
    said = front_page.about_the_task(cases[1:2], "SGD")
    assert said.startswith("B GI\u2082's correlation with its own task's loss is stronger than")
    assert front_page.about_the_task(cases, "Adam") == ""


@pytest.mark.parametrize(
    ("sgi", "said"),
    [
        ((ABOVE, CHANCE, ABOVE), "higher in CartPole and Pendulum; neither clearly higher nor "
         "lower in Acrobot."),
        ((ABOVE, BELOW, BELOW), "higher in CartPole; lower in Acrobot and Pendulum."),
        ((BELOW, CHANCE, AROUND), "the loss is lower in CartPole; neither clearly higher nor "
         "lower in Acrobot and Pendulum."),
        ((FEW, AROUND, CHANCE), "the loss is neither clearly higher nor lower in Acrobot and "
         "Pendulum; undecided (too few points) in CartPole."),
    ],
)  # fmt: skip
def test_first_order_on_the_front_page(sgi, said):
    assert front_page.first_order(rhos(sgi=sgi)).endswith(said)


@pytest.mark.parametrize(
    ("gi2", "calm", "said"),
    [
        ((BELOW, BELOW, AROUND), (BELOW, AROUND, AROUND), "is lower in CartPole and Acrobot; "),
        ((BELOW, ABOVE, AROUND), (AROUND,) * 3, "higher in Acrobot; lower in CartPole; neither"),
        ((BELOW,) * 3, (BELOW, AROUND, FEW), "clamped it is lower in CartPole; neither clearly hi"),
        (
            (BELOW,) * 3,
            (BELOW, AROUND, FEW),
            "So in Acrobot the correlation depends on clamped runs.",
        ),
        (
            (BELOW,) * 3,
            (FEW,) * 3,
            "was clamped it is undecided (too few points) in CartPole, Acrobot ",
        ),
    ],
)
def test_second_order_on_the_front_page(gi2, calm, said):
    table = rhos(sgi=(ABOVE,) * 3, gi2=gi2, calm=calm)
    assert said in front_page.second_order(table)
    assert ("depends on" in front_page.second_order(table)) == (FEW not in calm[:2])
    assert front_page.sides_table(table).shape == (3, 4)


def test_pairs_without_a_cosine():
    some = pd.Series({("Pendulum", "none", 0.1): 0.74, ("Pendulum", "layer", 0.1): 0.0})
    nothing = some * 0
    said = left_out.in_words(nothing, some)
    assert "With the defaults there is none. As printed it is up to 74% of the pairs (with" in said
    assert said.endswith("where it was measured.")
    assert left_out.in_words(nothing, nothing).endswith("none. As printed there is none, either.")
    assert left_out.in_words(nothing, some[:0]).endswith("With the defaults there is none.")
    assert "at most 5% of the pairs" in left_out.in_words(some * 0.05 / 0.74, nothing)
    frame = runs(zero_gradients=lambda lr, norm, seed: 4.0 * (norm == "none")).assign(batch_size=4)
    shares = left_out.shares(frame)
    assert set(shares.xs("none", level="norm")) == {0.25}
    assert set(shares.xs("layer", level="norm")) == {0.0}


def test_equal_rates_are_not_equal_steps():
    ratios = pd.Series({"CartPole": 5.5, "Pendulum": 0.39})
    chosen = {"CartPole": ([1e-3, 3e-3], [1e-4]), "Pendulum": ([1e-2], [1e-4])}
    said = equal_steps.in_words(ratios, chosen)
    assert f"of Q by 5.5{NBSP}in CartPole and 0.39{NBSP}in Pendulum." in said
    assert said.endswith("lie up to 100 times apart (Pendulum).")
    same = equal_steps.in_words(ratios, {"CartPole": ([1e-3], [1e-3])})
    assert same.endswith("Their best learning rates are the same.")
    assert equal_steps.in_words(ratios, {"CartPole": ([], [])}).endswith("in Pendulum. ")


def test_correlations_metric_by_metric():
    index = pd.MultiIndex.from_product(
        [["SGI"], ["CartPole", "Pendulum"]], names=["metric", "task"]
    )
    table = pd.DataFrame({"loss": [ABOVE, BELOW], "return": [AROUND, FEW]}, index, dtype=object)
    said = link_words.correlations(table, {"loss": "with the loss ", "return": "with the return "})
    assert said == [
        "**SGI**: with the loss above 0 in CartPole, and below 0 in Pendulum; with the return "
        "nowhere clear of 0 and beyond chance."
    ]


def test_some_placebos_are_shown_and_all_are_folded():
    cases = [placebo(BELOW), placebo(ABOVE)._replace(optimizer="Adam")]
    shown = placebos.of(cases, "gi2", "SGD")
    assert [one is cases[0] for one in shown] == [True]
    page = BeautifulSoup(placebos.others(cases, shown, "All").data, "html.parser")
    assert len(page.select("tbody tr")) == 2
    assert [item.strong.get_text() for item in page.select("li")] == [
        "GI₂ and loss, Adam, defaults."
    ]
    assert placebos.others([], [], "All").data == ""


def test_what_a_metric_does_at_the_end_of_a_page():
    def up(lr, norm, seed):
        return (norm == "layer") + 1e-3 * seed + np.log10(lr)

    both = pd.concat([runs(sgi=up, loss=up), runs("CartPole", sgi=up, loss=up)])
    names = {"sgi": "SGI", "loss": "loss"}
    assert link_words.moved(both, names, 1) == (
        "At over half of the learning rates LN clearly raises SGI in CartPole and Pendulum; loss "
        "in CartPole and Pendulum."
    )
    assert link_words.moved(both, names, -1) == (
        "In no task does LN clearly lower SGI or loss at over half of the learning rates."
    )
    mixed = both.assign(loss=-both["loss"])
    assert link_words.moved(mixed, names, 1).endswith("CartPole and Pendulum; loss in none.")
    said = link_words.linked(both, "sgi", "loss", 1, "SGI")
    assert said == (
        "Across learning rates, runs with more SGI have a clearly higher loss in CartPole and "
        "Pendulum, also without the points at which a run was clamped. At over half of the "
        "learning rates LN clearly moves SGI and loss in the same direction in CartPole and "
        "Pendulum. All three statements hold in CartPole and Pendulum."
    )
    assert link_words.linked(both, "sgi", "loss", -1, "SGI") == (
        "In no task do runs with more SGI have a clearly lower loss across learning rates. In no "
        "task does LN clearly move SGI and loss in opposite directions at over half of the "
        "learning rates."
    )
    hit = both.assign(clamped_steps=1.0 * (both["lr"] < 0.02))  # few points are left
    said = link_words.linked(hit, "sgi", "loss", 1, "SGI")
    assert "a run was clamped, in none. In CartPole and Pendulum too few points are" in said
    assert said.endswith("In no task do all three statements hold.")
    few = link_words.linked(both[both["lr"] > 0.05], "sgi", "loss", 1, "SGI")
    assert few == "There are too few learning rates here for a correlation of SGI and loss."
    assert "`-p optimizer Adam` trains them" in link_words.none_finished("Adam")
    gains = pd.Series({"CartPole": ABOVE, "Pendulum": BELOW}, dtype=object)
    told_ = link_words.before_training
    assert told_(gains, "ISO") == (
        "Before any training LN raises ISO in CartPole, and lowers ISO in Pendulum."
    )
    assert told_(gains[:1], "ISO").endswith("LN raises ISO in CartPole.")
    assert told_(gains[1:], "ISO").endswith("LN lowers ISO in Pendulum.")
    assert told_(gains.map(lambda _: AROUND), "ISO").endswith("moves ISO in no task.")
