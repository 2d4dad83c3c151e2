"""Table 1's arithmetic on frames whose averages are known by hand."""

import numpy as np
import pandas as pd
import pytest

from lnqbook import numbers, stats, table1
from lnqbook.claims.checks import Draws
from lnqbook.claims.kinds import gain_share

DASH = "\N{EN DASH}"
RNG = np.random.default_rng(0)


def frame(returns, env="Acrobot", clamped=(), lrs=(1e-3, 1e-2, 1e-1)):
    """Runs of one env; `returns` by norm: (seeds, lrs)."""
    return pd.DataFrame(
        {"env": env, "norm": norm, "seed": seed, "lr": lrs[j], "return": float(value)}
        | {"clamped_steps": int((norm, seed, lrs[j]) in clamped)}
        for norm, values in returns.items()
        for (seed, j), value in np.ndenumerate(np.array(values))
    ).sample(frac=1, random_state=0)


def test_learning_rates_are_averaged_within_a_seed_first():
    runs = frame({"none": [[0, 3, 6], [10, 10, 10]], "layer": [[1, 1, 1], [2, 2, 5]]})
    seeds = table1.by_seed(runs).set_index(["norm", "seed"])["return"]
    assert seeds["none"].to_dict() == {0: 3.0, 1: 10.0}
    assert seeds["layer"].to_dict() == {0: 1.0, 1: 3.0}


def test_a_seed_without_all_learning_rates_has_no_average():
    runs = frame({"none": [[0, 3, 6], [10, 10, 10]]})
    seeds = table1.by_seed(runs[(runs.seed != 1) | (runs.lr != 1e-2)])
    (cell,) = table1.cells(seeds).itertuples()
    assert (cell.value, cell.count, cell.left_out) == (3.0, 1, 1)
    with pytest.raises(ValueError, match="several runs of one"):
        table1.by_seed(pd.concat([runs, runs]))


def test_a_cell_is_stats_table_cell_in_every_env():
    parts = [
        frame({"none": RNG.normal(size=(8, 3)), "layer": RNG.normal(size=(8, 3))}, env, lrs=lrs)
        for env, lrs in (("Acrobot", (1, 2, 3)), ("Pendulum", (2, 3, 4)))  # own lrs in each
    ]
    runs = pd.concat(parts)
    cells = table1.cells(table1.by_seed(runs)).set_index(["env", "norm"])
    assert len(cells) == 4
    for (env, norm), group in runs.groupby(["env", "norm"]):
        expected = stats.table_cell(group)
        assert cells.loc[(env, norm)].tolist() == pytest.approx(list(expected))


def test_differences_are_of_the_same_seed():
    seeds = table1.by_seed(
        pd.concat(
            [
                frame({"layer": [[100.0], [0.0]], "rms": [[90.0], [-5.0]]}, lrs=(1,)),
                frame({"layer": [[7.0]], "rms": [[9.0], [1.0]]}, "Pendulum", lrs=(1,)),
            ]
        )
    )
    found = table1.differences(seeds, "norm", "layer")
    assert set(found["norm"]) == {"rms"}
    assert found.set_index(["env", "seed"])["return"].to_dict() == {
        ("Acrobot", 0): -10.0,
        ("Acrobot", 1): -5.0,
        ("Pendulum", 0): 2.0,  # seed 1 has no LN run to be held against
    }


def test_the_share_of_the_gain_by_hand_and_as_the_claims_count_it():
    seeds = pd.DataFrame(
        {"norm": norm, "seed": seed, "return": value}
        for norm, values in {"none": (0, 10), "layer": (4, 18), "crossq": (3, 13)}.items()
        for seed, value in enumerate(values)
    )
    share = table1.share_of_gain(seeds, "crossq")
    assert share.value == pytest.approx(3 / 6)  # mean gains 3 and 6, not the mean of 3/4 and 3/8
    assert (share.low, share.high) == pytest.approx((3 / 8, 3 / 4))  # one seed, drawn twice
    draws = {norm: RNG.normal(mean, 1, 30) for norm, mean in (("none", 0), ("layer", 3))}
    draws["crossq"] = draws["none"] + 2 + RNG.normal(size=30)
    many = pd.DataFrame(
        {"norm": n, "network": n, "lr": 0.1, "seed": i, "return": v, "clamped_steps": 0}
        for n, x in draws.items()
        for i, v in enumerate(x)
    )
    ours = table1.share_of_gain(many, "crossq")
    theirs = gain_share("crossq", "none", 1, 0.5).primary(many, Draws(0)).value
    assert ours.value == pytest.approx(theirs.value)
    assert ours[1:3] == pytest.approx(theirs[1:3], abs=0.02)


def test_there_is_no_share_of_a_gain_that_is_none():
    rows = [("none", 0, 5.0), ("layer", 0, 4.0), ("rms", 0, 6.0)]
    rows += [("none", 1, 5.0), ("layer", 1, 9.0), ("rms", 1, 7.0)]
    seeds = pd.DataFrame(rows, columns=["norm", "seed", "return"])
    share = table1.share_of_gain(seeds, "rms")
    assert share.value == pytest.approx(1.5 / 1.5)
    assert np.isnan(share.low)  # a quarter of the resamples hold seed 0 alone
    assert np.isnan(table1.share_of_gain(seeds[seeds.seed == 0], "rms").value)


def test_without_clamped_keeps_the_same_learning_rates_for_all_norms():
    returns = {"none": np.zeros((2, 3)), "layer": np.zeros((2, 3))}
    runs = pd.concat(
        [
            frame(returns, clamped={("none", 1, 1e-1)}),
            frame(returns, "Pendulum", clamped={("layer", 0, 1e-3), ("none", 0, 1e-2)}),
        ]
    )
    kept = table1.without_clamped(runs)
    left = kept.groupby(["env", "norm"])["lr"].unique().map(sorted).to_dict()
    assert left == {
        ("Acrobot", "none"): [1e-3, 1e-2],
        ("Acrobot", "layer"): [1e-3, 1e-2],
        ("Pendulum", "none"): [1e-1],
        ("Pendulum", "layer"): [1e-1],
    }


def ours(rows):
    return pd.DataFrame(rows, columns=["env", "norm", "value", "low", "high"])


def test_agreement_is_read_off_our_interval():
    cells = ours(
        [
            ("Acrobot", "none", -380.0, -390.0, -370.0),
            ("Acrobot", "layer", -200.0, -210.0, -190.0),
            ("Acrobot", "batch", -500.0, -510.0, -490.0),
            ("Acrobot", "untrained", -452.0, np.nan, np.nan),
            ("CartPole", "none", 160.0, 150.0, 170.0),
            ("CartPole", "layer", 200.0, 190.0, 210.0),
            ("Acrobot", "crossq", -200.0, -210.0, -190.0),
        ]
    )
    found = table1.compare(cells, table1.paper()).set_index(["env", "norm"])
    assert found["agrees"].tolist() == [
        "yes",
        "no",  # the paper's is lower
        "no",  # the paper's is higher
        "no interval",
        "uncertain",
        "lost",
        "lost",
    ]
    assert found.loc[("Acrobot", "layer"), "difference"] == pytest.approx(-200.0 - -267.2)
    assert found["difference"].isna().tolist() == [False, False, False, False, True, True, True]


def test_the_papers_random_column_stands_for_both_policies():
    paper = table1.paper().set_index(["env", "norm"])["paper"]
    assert paper["Acrobot", "untrained"] == paper["Acrobot", "uniform"] == -452.604
    assert paper["MountainCar", "layer"] == -122.2
    assert np.isnan(paper["CartPole", "layer"])  # lost, and never filled in
    assert "random" not in paper.index.get_level_values("norm")


def test_leaders_are_the_highest_and_what_overlaps_it():
    cells = ours(
        [
            ("Acrobot", "none", 1.0, 0.5, 2.0),
            ("Acrobot", "layer", 3.0, 2.5, 3.5),
            ("Acrobot", "batch", 2.2, 1.8, 2.5),
            ("Pendulum", "none", 5.0, np.nan, np.nan),
            ("Pendulum", "layer", 4.0, np.nan, np.nan),
        ]
    )
    assert table1.leaders(cells).tolist() == [False, True, True, True, False]


def test_side_by_side_shows_every_number_and_names_what_is_lost():
    cells = ours(
        [
            ("CartPole", "layer", 205.24, 190.0, 220.0),
            ("CartPole", "none", 33.9, 31.9, 36.4),
            ("Acrobot", "none", -307.94, -318.0, -297.0),
        ]
    )
    table = table1.side_by_side(
        table1.compare(cells, table1.paper()), {"none": "None", "layer": "LN", "batch": "BN"}
    )
    assert table.index.tolist() == [("CartPole", "LN"), ("CartPole", "None"), ("Acrobot", "None")]
    rows = [[text.replace(numbers.MINUS, "-") for text in row] for row in table.to_numpy()]
    assert rows == [
        ["205.2", "190 to 220", "lost", DASH, "lost"],
        ["33.9", "32 to 36", "(163.5)", DASH, "uncertain"],
        ["-307.9", "-318 to -297", "-384.0", "+76.1", "no"],
    ]


def test_clamped_runs_are_counted_by_cell():
    returns = {"none": np.zeros((2, 3)), "layer": np.zeros((2, 3))}
    runs = frame(returns, clamped={("none", 0, 1e-1), ("none", 1, 1e-1), ("none", 1, 1e-2)})
    cells = ours([("Acrobot", norm, 0.0, 0.0, 0.0) for norm in ("layer", "none", "uniform")])
    assert table1.with_clamped(cells, runs)["clamped"].tolist() == [0, 3, 0]


def test_only_our_leading_numbers_are_bold():
    cells = ours(
        [("Acrobot", "none", -300.0, -310.0, -290.0), ("Acrobot", "layer", -200.0, -210.0, -190.0)]
    )
    names = {"none": "None", "layer": "LN"}
    table = table1.side_by_side(table1.compare(cells, table1.paper()), names)
    styler = table1.highlight(table, cells, names)
    styler._compute()
    bold = {at for at, style in styler.ctx.items() if ("font-weight", "bold") in style}
    assert bold == {(1, 0)}  # LN's row, the first column
    assert 'class="dataframe"' in styler.to_html()


def test_intervals_as_a_table():
    columns = ["env", "norm", "value", "low", "high", "count", "left_out"]
    rows = [("Pendulum", "rms", 1.0, -0.5, 2.0, 9, 0), ("Acrobot", "rms", 7.0, 6.0, 8.0, 9, 0)]
    rows += [("Acrobot", "none", 3.0, np.nan, np.nan, 1, 0)]
    table = table1.as_table(pd.DataFrame(rows, columns=columns), ["env"], "norm", ".2g")
    assert table.replace(stats.NBSP, " ", regex=True).to_dict("index") == {
        "Pendulum": {"rms": f"1 [{numbers.MINUS}0.5, 2]", "none": ""},
        "Acrobot": {"rms": "7 [6, 8]", "none": "3"},
    }
    assert table.index.tolist() == ["Pendulum", "Acrobot"]  # as they came
    assert table.columns.tolist() == ["rms", "none"]
    long = table1.as_table(pd.DataFrame(rows, columns=columns).assign(x=""), ["env", "norm"], "x")
    assert long.index.tolist() == [("Pendulum", "rms"), ("Acrobot", "rms"), ("Acrobot", "none")]


def test_the_number_without_a_column_is_held_against_all():
    values = [
        ("none", 34.0, 32.0, 36.0),
        ("layer", 205.0, 190.0, 220.0),
        ("weight", 160.0, 150, 170),
    ]
    cells = ours([("CartPole", *row) for row in values])
    found = table1.stray(table1.compare(cells, table1.paper()))
    assert (
        "163.5 lies in the interval of weight; the nearest mean is that of weight, 160.0" in found
    )
    found = table1.stray(table1.compare(cells[:2], table1.paper()))
    assert "of none of our columns; the nearest mean is that of layer, 205.0" in found
    pendulum = ours([("Pendulum", "none", -1300.0, -1310.0, -1290.0)])
    assert table1.stray(table1.compare(pendulum, table1.paper())) == ""


def test_the_gain_of_each_task_is_paired():
    rows = [
        ("Pendulum", "layer", 0, 5.0),
        ("Pendulum", "none", 0, 1.0),
        ("Pendulum", "rms", 0, 9.0),
    ]
    rows += [("Pendulum", "layer", 1, 2.0), ("Pendulum", "none", 1, 4.0)]
    rows += [("Acrobot", "layer", 3, 0.0), ("Acrobot", "none", 3, 7.0)]
    seeds = pd.DataFrame(rows, columns=["env", "norm", "seed", "return"])
    found = table1.gain_by_env(seeds)
    assert found["Pendulum"][:4] == (1.0, -2.0, 4.0, 2)  # the mean of 4 and -2
    assert found["Acrobot"].value == -7.0
    assert table1.gain_by_env(seeds[:0]).empty


def test_expected_miss():
    """Many seeds: the difference of two equal means has sqrt(2) times the spread of one."""
    assert table1.expected_miss(100, 100) == pytest.approx(0.166, abs=0.04)
    assert table1.expected_miss(100, 10**8) == pytest.approx(0.05, abs=0.025)
    # two seeds: their range misses the true mean in half of all cases
    assert table1.expected_miss(2, 10**8) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(table1.expected_miss(1))
