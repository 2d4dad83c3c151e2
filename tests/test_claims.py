"""Claims and verdicts on made-up worlds whose answers are known, every statistic by another way."""

import re
import shlex
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from bs4 import BeautifulSoup

from lnqlib import checks, theory, verdict_tables, verdicts
from lnqlib.__main__ import _parser
from lnqlib.baselines import POLICIES, random_returns
from lnqlib.checks import FAILS, HOLDS, MISSING, NO_RUNS, UNDECIDED, UNTESTED, Check
from lnqlib.claims import CLAIMS, Claim
from lnqlib.notebook import Parameters
from lnqlib.results import CURVES, ISOMETRY
from lnqlib.spec import ENVS, LEARNING_RATES, study
from lnqlib.stats import NBSP, Interval
from lnqlib.store import Store

SEEDS = 6
# how much worse than None (0) a network is at every learning rate; LN is better by 1
SHIFT = {"layer": -1.0, "layer_affine": -0.95, "layer_after_relu": -1.05, "crossq": -0.98}
SHIFT |= {"batch": 0.2, "weight": -0.1, "project": -0.9, "own_decay": -0.1, "paired_decay": 0.1}


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> pd.DataFrame:
    """Every run that the claims need, none of them finished."""
    store = Store(tmp_path_factory.mktemp("store"))
    specs = verdicts.specs(ENVS, SEEDS, 200_000, LEARNING_RATES)
    return verdicts.frame(specs, store.results())


@pytest.fixture
def world(asked) -> pd.DataFrame:
    """A world in which the paper is right, as far as it does not contradict itself (14, 15)."""
    rng, runs = np.random.default_rng(0), asked.copy()

    def noisy(values):
        return values + 0.01 * rng.standard_normal(len(runs))

    bad = 3 * np.log10(runs["lr"]) + runs["arm"].map(SHIFT).fillna(0.0)
    drop = (runs["lr"] == 0.1) & (runs["norm"] == "none")  # where QGI+ leaves the trend
    for metric in ("sgi", "mgi", "dgi"):
        runs[metric] = noisy(bad)
    runs["loss"] = 10.0 ** noisy(bad)
    runs["qgi_plus"] = noisy(bad - 8 * drop)
    for metric in ("gi2", "gi2_scaled", "return", *ISOMETRY):
        runs[metric] = noisy(-bad)
    runs["injected_gi2"] = runs["gi2"] + noisy(1.0)
    runs["clamped_steps"] = 5.0 * (drop & (runs["optimizer"] == "SGD"))
    for policy in POLICIES:
        runs[f"{policy}_return"] = noisy(9.5)  # None returns 9 on average, LN 10
    return runs.assign(seconds=1.0)


def claim(number: int) -> Claim:
    return CLAIMS[number - 1]


def one(check: Check, runs: pd.DataFrame, **where) -> pd.Series:
    """The only row of a check on Pendulum's runs."""
    rows = verdicts.judge(Claim(0, "", "", (check,)), runs[runs["env"] == "Pendulum"], **where).rows
    assert len(rows) == 1
    return rows.iloc[0]


def pendulum(runs: pd.DataFrame, optimizer: str = "SGD", bias: bool = True) -> pd.DataFrame:
    kept = (runs["env"] == "Pendulum") & (runs["optimizer"] == optimizer) & (runs["bias"] == bias)
    return runs[kept]


def test_the_claims_are_numbered_and_each_says_what_where_and_how():
    assert [c.number for c in CLAIMS] == list(range(1, 26))
    for c in CLAIMS:
        assert c.statement.endswith((".", ").")) and c.where and c.checks


def test_in_the_papers_world_its_claims_hold_under_both_readings(world):
    board = verdicts.board(verdicts.judge_all(world)).set_index("number")
    contradictory = [14, 15]
    assert set(board["defaults"].drop(contradictory)) == {HOLDS}
    assert list(board["defaults"][contradictory]) == [FAILS] * 2
    no_study = [13, 16, 17, 21, 22]  # their norms were not trained without biases
    assert set(board["printed"].drop([*contradictory, *no_study, 25])) == {HOLDS}
    assert board["printed"][25] == ""  # theorems have one reading
    assert set(board["printed"][no_study]) == {NO_RUNS}
    assert set(board["robust"][no_study]) == {"open"}
    assert board["robust"][3] == "yes"


NEGATED = {1: "qgi_plus", 2: "qgi_plus", 3: "sgi", 4: "mgi", 5: "dgi", 6: "gi2", 7: "sgi"}
NEGATED |= {8: "mgi", 9: "gi2", 10: "return", 12: "dgi", 13: "return", 16: "return"}
NEGATED |= {18: "iso_p", 19: "iso_t", 20: "iso_3", 24: "return"}


@pytest.mark.parametrize(("number", "metric"), NEGATED.items())
def test_a_flipped_sign_flips_the_verdict(world, number, metric):
    assert verdicts.judge(claim(number), world).verdict == HOLDS
    turned = world.assign(**{metric: -world[metric]})
    assert verdicts.judge(claim(number), turned).verdict == FAILS


@pytest.mark.parametrize(
    ("number", "change"),
    {
        11: {"injected_gi2": lambda r: r["gi2"] - 1},
        17: {"return": lambda r: r["return"] + (r["arm"] == "batch")},
        21: {"return": lambda r: r["return"] - (r["arm"] == "crossq")},
        16: {"uniform_return": lambda r: r["uniform_return"] - 1},
        22: {"return": lambda r: r["return"] + 1.2 * (r["arm"] == "paired_decay")},
        23: {"clamped_steps": lambda r: 1.0 * (r["optimizer"] == "Adam")},
    }.items(),
)
def test_another_world_refutes(world, number, change):
    assert verdicts.judge(claim(number), world).verdict == HOLDS
    assert verdicts.judge(claim(number), world.assign(**change)).verdict == FAILS


def test_where_the_paper_contradicts_itself_either_side_can_hold(world):
    car = world["env"] == "MountainCar"
    cart = (world["env"] == "CartPole") & (world["optimizer"] == "SGD")
    other = world.assign(
        sgi=np.where(car | cart, -1, 1) * world["sgi"],
        gi2=np.where(car, -1, 1) * world["gi2"],
        **{"return": np.where(cart, -1, 1) * world["return"]},
    )
    assert [verdicts.judge(claim(n), other).verdict for n in (14, 15, 3)] == [HOLDS, HOLDS, FAILS]
    assert verdicts.judge(claim(6), other).verdict == HOLDS  # MountainCar is excepted
    rows = verdicts.judge(claim(6), other).rows
    row = rows[(rows["env"] == "MountainCar") & rows["check"].str.contains("GI2,")].iloc[0]
    assert (row["verdict"], row["counts"]) == (FAILS, False)


def test_noise_is_undecided(world):
    rng = np.random.default_rng(1)
    noise = {name: rng.standard_normal(len(world)) for name in CURVES}
    noise |= {f"{policy}_return": rng.standard_normal(len(world)) for policy in POLICIES}
    noise |= {"clamped_steps": 0.0}
    runs = world.assign(**noise)
    rows = pd.concat(
        [verdicts.judge(c, runs).rows for c in CLAIMS if c.number not in (12, 19, 23, 25)]
    )
    share = (rows["verdict"] == UNDECIDED).mean()
    assert 0.75 < share < 1.0  # an interval of 6 seeds misses more often than 1 in 20


def test_a_check_is_held_against_its_number_on_its_side():
    above, below, across = Interval(3, 2.1, 4, 9), Interval(1, 0, 1.9, 9), Interval(2, 1, 3, 9)
    nothing = Interval(np.nan, np.nan, np.nan, 1)
    for sign, expected in ((1, (HOLDS, FAILS)), (-1, (FAILS, HOLDS))):
        check = Check("", lambda runs: nothing, sign, against=2.0)
        assert (check.verdict(above), check.verdict(below)) == expected
        assert check.verdict(across) == check.verdict(nothing) == UNDECIDED


def test_rho_by_scipy_with_and_without_clamped_points(world):
    runs = world.assign(sgi=world["sgi"] + np.random.default_rng(2).normal(0, 4, len(world)))
    row, points = one(checks.rho("sgi", "loss", 1), runs), pendulum(runs)
    points = points[points["arm"].isin(["none", "layer"])].groupby(["lr", "norm"])
    means, clamped = points[["sgi", "loss"]].mean(), points["clamped_steps"].max() > 0
    assert clamped.sum() == 1
    for interval, kept in ((row["interval"], means), (row["unclamped"], means[~clamped])):
        expected = scipy.stats.spearmanr(kept["sgi"], kept["loss"]).statistic
        assert interval.value == pytest.approx(expected, abs=1e-12)
        assert interval.count == len(kept)
    assert one(checks.rho("sgi", "loss", 1), runs.assign(clamped_steps=0.0))["unclamped"] is None


def test_differences_of_rho_by_scipy(world):
    noise = np.random.default_rng(3).normal(0, 3, (2, len(world)))
    runs = world.assign(sgi=world["sgi"] + noise[0], qgi_plus=world["qgi_plus"] + noise[1])
    part = pendulum(runs)[lambda r: r["arm"].isin(["none", "layer"])]
    wide = {
        m: part.pivot(index="seed", columns=["lr", "norm"], values=m).to_numpy()
        for m in ("sgi", "qgi_plus", "loss", "clamped_steps")
    }
    free = wide["clamped_steps"].max(0) == 0

    def rank(x, y, seeds, kept=slice(None)):
        means = (wide[m][seeds].mean(0)[kept] for m in (x, y))
        return scipy.stats.spearmanr(*means).statistic

    def gap(seeds, kept=slice(None)):
        return rank("sgi", "loss", seeds, kept) - rank("qgi_plus", "loss", seeds, kept)

    def clamping(seeds):
        return rank("qgi_plus", "loss", seeds, free) - rank("qgi_plus", "loss", seeds)

    for check, by_scipy in (
        (checks.rho_gap("sgi", "qgi_plus", "loss"), gap),
        (checks.clamping_gap("qgi_plus", "loss"), clamping),
    ):
        interval = one(check, runs)["interval"]
        assert interval.value == pytest.approx(by_scipy(np.arange(SEEDS)), abs=1e-12)
        theirs = bootstrapped(by_scipy)
        assert np.allclose(interval[1:3], theirs, atol=0.1)
    unclamped = one(checks.rho_gap("sgi", "qgi_plus", "loss"), runs)["unclamped"]
    assert unclamped.value == pytest.approx(gap(np.arange(SEEDS), free), abs=1e-12)


def bootstrapped(statistic) -> tuple[float, float]:
    """scipy's percentile interval of a statistic of seeds' indices."""
    found = scipy.stats.bootstrap(
        (np.arange(SEEDS),),
        lambda seeds: statistic(np.asarray(seeds, int)),
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=4,
    )
    return found.confidence_interval


def test_without_clamped_points_there_is_nothing_to_break(world):
    row = one(checks.clamping_gap("qgi_plus", "loss"), world.assign(clamped_steps=0.0))
    assert row["interval"][:3] == (0.0, 0.0, 0.0)
    assert row["verdict"] == UNDECIDED


def test_shares_of_learning_rates_by_counting(world):
    half = world["lr"] > 2e-3  # 4 of 9 learning rates
    runs = world.assign(sgi=np.where(half, -world["sgi"], world["sgi"]))
    lowered, together = checks.moves("sgi", -1), checks.agrees("sgi", "loss", 1)
    wide = pendulum(runs).pivot_table(index="lr", columns="arm", values=["sgi", "loss"])
    change = {m: wide[m]["layer"] - wide[m]["none"] for m in ("sgi", "loss")}
    assert one(lowered, runs)["interval"].value == pytest.approx((change["sgi"] < 0).mean())
    alike = np.sign(change["sgi"]) == np.sign(change["loss"])
    assert one(together, runs)["interval"].value == pytest.approx(alike.mean())
    assert one(lowered, runs)["verdict"] == HOLDS  # 5 of 9, without doubt
    most = world.assign(sgi=np.where(world["lr"] > 5e-4, -world["sgi"], world["sgi"]))
    assert one(lowered, most)["verdict"] == FAILS


def test_injection_compares_a_run_with_itself(world):
    few = world["lr"] < 2e-5
    runs = world.assign(injected_gi2=world["gi2"] + np.where(few, -1.0, 1.0))
    row = one(checks.injection(), runs)
    assert row["interval"][:4] == (8 / 9, 8 / 9, 8 / 9, 9)
    only_none = runs[runs["arm"] == "none"]
    assert one(checks.injection(), only_none)["verdict"] == HOLDS


def test_gains_by_numpy_and_scipy(world):
    noise = np.random.default_rng(5).normal(0, 2, len(world))
    runs = world.assign(**{"return": world["return"] + noise})
    wide = pendulum(runs).pivot_table(index="seed", columns="arm", values="return")  # means over lr
    none = pendulum(runs)[lambda r: r["arm"] == "none"].groupby("seed")

    gained = (wide["layer"] - wide["none"]).to_numpy()
    row = one(checks.gain("layer", "none", 1), runs)
    assert row["interval"].value == pytest.approx(gained.mean())
    assert np.allclose(row["interval"][1:3], bootstrapped(lambda s: gained[s].mean()), atol=0.15)

    for policy in POLICIES:
        row = one(checks.gain("layer", policy, 1), runs)
        first = none[f"{policy}_return"].mean()
        assert row["interval"].value == pytest.approx((wide["layer"] - first).mean())

    part = (wide["own_decay"] - wide["none"]).to_numpy()
    row = one(checks.gain_share("own_decay", "none", -1, 0.5), runs)
    assert row["interval"].value == pytest.approx(part.mean() / gained.mean())
    theirs = bootstrapped(lambda s: part[s].mean() / gained[s].mean())
    assert np.allclose(row["interval"][1:3], theirs, atol=0.3)


def test_a_share_of_no_gain_is_undecided(world):
    worse = world.assign(**{"return": world["return"] - 2 * (world["arm"] == "layer")})
    row = one(checks.gain_share("batch", "none", -1, 0.5), worse)
    assert np.isnan(row["interval"].value)
    assert row["verdict"] == UNDECIDED
    seed = world["seed"].to_numpy() - (SEEDS - 1) / 2  # of LN's gain: as often a loss
    unsure = world.assign(**{"return": world["return"] + seed * (world["arm"] == "layer") - 0.99})
    unsure.loc[unsure["arm"] == "none", "return"] += 0.98
    row = one(checks.gain_share("batch", "none", -1, 0.5), unsure)
    assert np.isnan(row["interval"].low)
    assert row["verdict"] == UNDECIDED


def test_theorems_are_checked_against_something_that_breaks_them():
    def dependent():
        laws = theory.random_laws(200, 5, 0)
        return laws.loc[~laws["independent"], "loss_ratio"].max(), 200

    broken = checks.theorem("Theorem 3 without independence", dependent, 1 + 1e-9)
    nothing = pd.DataFrame({"env": [], "bias": [], "optimizer": [], "arm": [], "seconds": []})
    assert verdicts.judge(Claim(0, "", "", (broken,)), nothing).verdict == FAILS
    good = verdicts.judge(claim(25), nothing)
    assert good.verdict == HOLDS
    assert all(0 <= interval.value <= 1 + 1e-9 for interval in good.rows["interval"])


def test_one_unfinished_run_is_missing_and_the_command_trains_it(world):
    at = world.index[(world["env"] == "Acrobot") & (world["arm"] == "layer")][3]
    runs = world.copy()
    runs.loc[at, "seconds"] = np.nan
    result = verdicts.judge(claim(3), runs)
    assert result.verdict == MISSING
    assert dict(zip(result.rows["env"], result.rows["verdict"], strict=True)) == {
        env: MISSING if env == "Acrobot" else HOLDS for env in ENVS
    }
    line = result.rows.set_index("env")["commands"]["Acrobot"]
    assert line == ["python -m lnqlib run core --optimizer SGD --env Acrobot"]
    assert verdicts.judge(claim(3), runs.assign(sgi=-runs["sgi"])).verdict == FAILS


def test_the_commands_are_ones_that_the_command_line_takes(asked):
    lines = verdicts.commands(asked)
    taken = [_parser().parse_args(shlex.split(line)[3:]) for line in lines]
    assert {options.study for options in taken} == set(verdicts.STUDIES)
    own = asked.assign(steps=500)
    assert verdicts.commands(own) == ["add -p refresh True to this page's parameters"]
    assert verdicts.commands(asked.assign(seconds=1.0)) == []


def test_with_nothing_finished_everything_but_the_theorems_is_missing(asked):
    board = verdicts.board(verdicts.judge_all(asked)).set_index("number")
    assert set(board["defaults"][:24]) == {MISSING}
    assert (board["defaults"][25], board["robust"][25]) == (HOLDS, "")  # no network, no readings


def test_the_runs_asked_for_are_those_that_the_studies_train(asked):
    full = verdicts.specs(ENVS, 30, 200_000, LEARNING_RATES)
    for name, specs in full.items():
        assert {s.key for s in specs} == {s.key for s in study(name)}
    assert asked["seed"].max() == SEEDS - 1
    small = verdicts.specs(("Pendulum",), 2, 500, (1e-3,))
    assert all((s.env, s.steps, s.lr) == ("Pendulum", 500, 1e-3) for s in small["core"])
    assert len(small["core"]) == 2 * 2 * 2  # optimizers, norms, seeds


@pytest.mark.parametrize("steps", [5, 2_000, 30_000])
def test_the_runs_asked_for_are_those_that_a_chapter_trains(steps):
    p = Parameters(("Pendulum",), "Adam", 2, steps, (1e-3,), 0, False, "")
    asked = verdicts.specs(p.envs, p.seeds, p.steps, p.learning_rates)
    assert set(p.specs()) <= set(asked["core"])
    assert set(p.specs(bias=False)) <= set(asked["as_printed"])


def test_the_frame_has_results_and_the_returns_without_training():
    specs = verdicts.specs(("CartPole",), 2, 200_000, (1e-3,))
    first = specs["core"][0]
    results = pd.DataFrame([vars(first) | {"key": first.key, "seconds": 2.0, "return": 40.0}])
    runs = verdicts.frame(specs, results)
    row = runs.set_index("key").loc[first.key]
    assert (row["return"], row["arm"]) == (40.0, "none")
    assert runs["seconds"].notna().sum() == 1
    assert set(runs["arm"]) >= {"project", "own_decay", "paired_decay", "crossq"}
    for bias in (True, False):
        known = random_returns(["CartPole"], [0, 1], bias=bias).set_index(["policy", "seed"])
        for seed, policy in product((0, 1), POLICIES):
            here = runs[(runs["bias"] == bias) & (runs["seed"] == seed)]
            assert set(here[f"{policy}_return"]) == {known.loc[(policy, seed), "return"]}


def test_without_clamped_points_a_claim_can_turn(world):
    """Claim 4 in a world whose trend rests on the clamped points alone."""
    clamped = (world["lr"] > 2e-4) & (world["arm"].isin(["none", "layer"]))
    runs = world.assign(
        mgi=np.where(clamped, 100 + world["mgi"], -world["mgi"]), clamped_steps=1.0 * clamped
    )
    verdict = verdicts.judge(claim(4), runs)
    assert (verdict.verdict, verdicts.under(verdict, "unclamped")) == (HOLDS, FAILS)
    row = verdicts.board([(verdict, verdict)]).iloc[0]
    assert (row["defaults"], row["unclamped"]) == (HOLDS, FAILS)
    free = verdicts.judge(claim(4), world.assign(clamped_steps=0.0))
    assert verdicts.under(free, "unclamped") == ""


def test_with_medians_one_diverged_seed_does_not_turn_a_claim(world):
    """Claim 4 in a world in which the means of its points rest on one seed of six."""
    odd = world["seed"] == 3
    runs = world.assign(mgi=np.where(odd, 1000 * world["mgi"], -world["mgi"]))
    for turn, expected in ((1, HOLDS), (-1, FAILS)):
        verdict = verdicts.judge(claim(4), world.assign(mgi=turn * world["mgi"]))
        assert verdicts.under(verdict, "medians") == expected
    row = one(checks.rho("mgi", "loss", 1), runs)
    points = pendulum(runs)[lambda r: r["arm"].isin(["none", "layer"])].groupby(["lr", "norm"])
    medians = points[["mgi", "loss"]].median()
    expected = scipy.stats.spearmanr(medians["mgi"], medians["loss"]).statistic
    assert row["medians"].value == pytest.approx(expected, abs=1e-12)
    assert row["interval"].value > 0 > row["medians"].value
    assert one(checks.moves("mgi", -1), runs)["medians"] is None  # no rank correlation


def test_the_board_counts_the_checks_that_hold_and_those_that_agree(world):
    turned = (world["env"] == "Acrobot") & ~world["bias"]
    runs = world.assign(sgi=np.where(turned, -world["sgi"], world["sgi"]))
    pair = verdicts.judge(claim(3), runs), verdicts.judge(claim(3), runs, bias=False)
    row = verdicts.board([pair]).iloc[0]
    assert (row["held"], row["alike"], row["counted"]) == (4, 3, 4)
    assert (row["defaults"], row["printed"], row["robust"]) == (HOLDS, FAILS, "no")


def test_a_claim_about_other_tasks_is_not_tested(world):
    pendulum_only = world[world["env"] == "Pendulum"]
    assert verdicts.judge(claim(14), pendulum_only).verdict == UNTESTED
    excepted = verdicts.judge(claim(6), world[world["env"] == "MountainCar"])
    assert (excepted.verdict, verdicts.under(excepted, "unclamped")) == (UNTESTED, UNTESTED)
    assert verdicts.board([(excepted, excepted)])["robust"].tolist() == ["open"]


MINUS = "\N{MINUS SIGN}"
SIGNS = "\N{CHECK MARK}\N{BALLOT X}?\N{HORIZONTAL ELLIPSIS}\N{EN DASH} "


def read_table(html: str) -> pd.DataFrame:
    """A page's only table, a line break read as a space."""
    rows = BeautifulSoup(html, "html.parser").find_all("tr")
    head, *body = [[c.get_text(" ") for c in row.find_all(["th", "td"])] for row in rows]
    return pd.DataFrame(body, columns=head)


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.replace("rho", "\N{GREEK SMALL LETTER RHO}"))


def test_the_tables_say_what_the_verdicts_say(world):
    pairs = verdicts.judge_all(world[world["env"].isin(["Pendulum", "CartPole"])])
    board = verdicts.board(pairs)
    page = read_table(verdict_tables.overview(pairs))
    told = board["statement"] + board["where"]
    assert page["claim"].map(plain).tolist() == told.map(plain).tolist()
    shown = {"unclamped": "without clamped", "medians": "medians", "printed": "as printed"}
    for column, name in shown.items():
        assert [text.strip(SIGNS) for text in page[name]] == board[column].tolist()
    for text, row in zip(page["defaults"], board.itertuples(), strict=True):
        assert plain(text) == plain(f"{row.defaults}{row.held}of{row.counted}")

    first = pairs[5][0]  # claim 6: one counted check and two for context
    page = read_table(verdict_tables.details([pairs[5]]))
    assert page["check"].map(plain).tolist() == first.rows["check"].map(plain).tolist()
    assert page["defaults"][0].endswith("\N{CHECK MARK} holds")
    assert page["defaults"].str.contains("no vote").tolist() == (~first.rows["counts"]).tolist()
    for text, interval in zip(page["defaults"], first.rows["interval"], strict=True):
        numbers = [float(x) for x in re.findall(r"-?[\d.]+", text.replace(MINUS, "-"))]
        assert numbers[0] == pytest.approx(interval.value, abs=5e-3)
    assert page["without clamped"][0].endswith("(17 points) \N{CHECK MARK} holds")


def test_formulas_are_set_as_html():
    assert verdict_tables.formula("rho(GI2 / loss, x) < 0") == (
        "&rho;(GI<sub>2</sub> / loss, x) &lt; 0"
    )
    assert verdict_tables.formula("QGI+, ISO_p, A^2/B") == (
        "QGI<sub>+</sub>, ISO<sub>p</sub>, A<sup>2</sup>/B"
    )


def test_a_claim_is_linked_to_its_figures():
    assert list(verdict_tables.FIGURES) == [c.number for c in CLAIMS]
    verdict = verdicts.Verdict(claim(6), HOLDS, pd.DataFrame())
    page = BeautifulSoup(verdict_tables.details([(verdict, verdict)]), "html.parser")
    links = [a["href"] for a in page.select("p a")]
    assert links == ["gi2.html#fig-gi2-loss", "gi2.html#fig-gi2-scaled"]


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(-0.5, -0.75, 0.25, 9), "\N{MINUS SIGN}0.50 [\N{MINUS SIGN}0.75, 0.25]"),
        (Interval(120.4, 99.6, 130.2, 9), "120 [100, 130]"),
        (Interval(3.0, 3.0, 3.0, 9), "3"),
        (Interval(0.5, np.nan, np.nan, 1), "0.50"),
        (Interval(np.nan, np.nan, np.nan, 0), "&ndash;"),
        (None, "&ndash;"),
    ],
)
def test_an_interval_on_the_page(interval, text):
    assert verdict_tables.interval(interval).replace(NBSP, " ") == text
