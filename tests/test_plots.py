"""Figures drawn from frames whose means, ranks and clamps are known in advance."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from conftest import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from lnqbook import stats
from lnqbook.claims.checks import NETWORKS
from lnqbook.figures import axes, layout, plots
from lnqbook.figures.style import LOOKS
from lnqbook.pages.linear_regression import figures as plots_theory
from lnqbook.pages.setting import pictures as setting
from lnqlib.data import Transitions
from lnqlib.spec import ENVS, LEARNING_RATES

LRS = (1e-3, 1e-2, 1e-1)
CLAMPED = ("none", 1e-1)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def runs():
    """Two environments; None at the largest lr has one clamped seed and a loss of 10^25."""
    rows = [
        {"env": env, "norm": norm, "lr": lr, "seed": seed, "steps": 1500, "optimizer": "Adam"}
        | {"loss": 10 ** RNG.normal(25 if (norm, lr) == CLAMPED else 0, 0.3)}
        | {"gi2": RNG.normal() * (-1e20 if (norm, lr) == CLAMPED else 0.1)}
        | {"return": RNG.normal(), "clamped_steps": int((norm, lr) == CLAMPED and seed == 1)}
        for env in ("Acrobot", "Pendulum")
        for norm in ("none", "layer")
        for lr in LRS
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def drawn(ax, norm, marker):
    """The marked points of a norm: (points, 2)."""
    found = [c for c in ax.collections if c.get_label() == f"{norm} {marker}"]
    return np.concatenate([np.asarray(c.get_offsets()) for c in found])


def texts(figure):
    return [text.get_text() for text in figure.findobj(plt.Text)]


def ink(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].std()


def test_metric_by_lr_draws_means_and_marks_clamped_points(runs):
    figure = plots.metric_by_lr(runs, ["gi2", "loss", "return"])
    assert np.shape(figure.axes) == (6,)
    means = runs.groupby(["env", "norm", "lr"]).mean(numeric_only=True)
    for index, (metric, env) in enumerate(
        (m, e) for m in ("gi2", "loss", "return") for e in ("Acrobot", "Pendulum")
    ):
        ax = figure.axes[index]
        circles, triangles = drawn(ax, "none", "o"), drawn(ax, "none", "^")
        assert circles[:, 0].tolist() == [1e-3, 1e-2]
        assert triangles[:, 0].tolist() == [1e-1]
        assert triangles[0, 1] == pytest.approx(means.loc[(env, "none", 1e-1), metric])
        expected = means.loc[(env, "layer"), metric]
        assert drawn(ax, "layer", "o") == pytest.approx(np.array([LRS, expected]).T)
        assert ax.get_xscale() == "log"
    assert len(drawn(ax, "layer", "^")) == 0


def test_bands_are_the_bootstrap_intervals(runs):
    figure = plots.metric_by_lr(runs, ["return"], ["Pendulum"])
    (band,) = (
        c
        for c in figure.axes[0].collections
        if c.get_alpha() and to_rgb(c.get_facecolor()[0]) == to_rgb(LOOKS["layer"].color)
    )
    low, high = band.get_paths()[0].get_extents().intervaly
    # three seeds: with probability 1/27 a resample is one seed three times, so the 95% interval
    # reaches from the smallest seed to the largest
    point = runs[(runs.env == "Pendulum") & (runs.norm == "layer")].groupby("lr")["return"]
    assert (low, high) == pytest.approx((point.min().min(), point.max().max()))


def test_paired_differences_are_of_the_same_seed(runs):
    figure = plots.paired_by_lr(runs, ["return"], ["Pendulum"])
    (ax,) = figure.axes
    table = runs[runs.env == "Pendulum"].pivot(
        index="lr", columns=["norm", "seed"], values="return"
    )
    means = (table["layer"] - table["none"]).mean(axis=1)
    circles, triangles = drawn(ax, "layer", "o"), drawn(ax, "layer", "^")
    assert circles == pytest.approx(np.array([LRS[:2], means[:2]]).T)
    assert triangles == pytest.approx(np.array([LRS[2:], means[2:]]).T)  # None's clamp counts, too
    assert "LN \N{MINUS SIGN} None" in texts(figure)
    turned = plots.paired_by_lr(runs, ["return"], ["Pendulum"], "none", "layer").axes[0]
    assert drawn(turned, "none", "o")[:, 1] == pytest.approx(-circles[:, 1])
    raised = runs.assign(gi2=np.where(runs.norm == "layer", 2.0, 1.0))
    low, high = plots.paired_by_lr(raised, ["gi2"], ["Pendulum"]).axes[0].get_ylim()
    assert low < 0 < 1 < high  # zero is in view on a logarithmic axis, too


def test_a_switched_measurement_has_a_color_and_a_band_of_its_own_and_fills_as_measured(runs):
    four = pd.concat(
        [runs, runs.assign(norm=runs.norm.map({"none": "injected", "layer": "removed"}))]
    )
    figure = plots.metric_by_lr(four, ["return"], ["Pendulum"])
    marks = {
        norm: next(
            c for c in figure.axes[0].collections if c.get_label() == f"{norm} {look.marker}"
        )
        for norm, look in LOOKS.items()
        if (four.norm == norm).any()
    }
    rims = {to_rgb(mark.get_edgecolor()[0]) for mark in marks.values()}
    assert len(rims) == len(marks) == 4
    fill = {norm: to_rgb(marks[norm].get_facecolor()[0]) for norm in marks}
    assert fill["injected"] == fill["layer"] != fill["none"] == fill["removed"]
    assert {"None", "LN", "None, LN injected", "LN, removed"} <= set(texts(figure))
    bands = [c for c in figure.axes[0].collections if c.get_alpha()]
    assert sorted(bool(band.get_hatch()) for band in bands) == [False, False, True, True]


def test_controls_of_the_learning_rate_have_names_and_looks_of_their_own(runs):
    copies = {"project": "layer", "own_decay": "none", "paired_decay": "none"}
    arms = [runs[runs.norm == norm].assign(norm=name) for name, norm in copies.items()]
    figure = plots.metric_by_lr(pd.concat([runs, *arms]), ["return"], ["Pendulum"])
    assert {NETWORKS[name] for name in ("none", "layer", *copies)} <= set(texts(figure))
    marks = {
        norm: next(
            c for c in figure.axes[0].collections if c.get_label() == f"{norm} {look.marker}"
        )
        for norm, look in LOOKS.items()
        if norm in ("none", "layer", *copies)
    }
    rims = {to_rgb(mark.get_edgecolor()[0]) for mark in marks.values()}
    assert len(rims) == len(marks) == 5
    filled = [n for n, c in marks.items() if to_rgb(c.get_facecolor()[0]) != (1.0, 1.0, 1.0)]
    assert sorted(filled) == ["layer", "project"]  # those with LN


def test_a_single_environment_has_its_panels_side_by_side(runs):
    figure = plots.metric_by_lr(runs, ["gi2", "loss", "return"], ["Pendulum"])
    assert len({ax.get_position().y0 for ax in figure.axes}) == 1
    assert [ax.get_title() for ax in figure.axes] == ["Pendulum"] * 3


def test_scatter_states_the_rank_correlation(runs):
    figure = plots.scatter_vs(runs, ["gi2", "return"], "loss")
    assert len(figure.axes) == 4
    means = runs.groupby(["env", "norm", "lr"]).mean(numeric_only=True)
    for ax, (metric, env) in zip(
        figure.axes,
        [(m, e) for m in ("gi2", "return") for e in ("Acrobot", "Pendulum")],
        strict=True,
    ):
        points = means.loc[env]
        rho = scipy.stats.spearmanr(points[metric], points["loss"]).statistic
        assert f"= {rho:.2f}\n[".replace("-", "\N{MINUS SIGN}") in ax.get_title()
        assert not any(marks.get_clip_on() for marks in ax.collections)  # whole at the edge, too
        offsets = [drawn(ax, norm, marker) for norm in ("none", "layer") for marker in "o^"]
        together = np.concatenate(offsets)
        assert sorted(together[:, 0]) == pytest.approx(sorted(points[metric]))
        assert drawn(ax, "none", "^")[0] == pytest.approx(
            points.loc[CLAMPED, [metric, "loss"]].tolist()
        )


def test_a_scatters_legend_shows_marks_and_what_their_size_means(runs):
    (legend,) = plots.scatter_vs(runs, "gi2").legends
    assert [handle.get_linestyle() for handle in legend.get_lines()] == ["None"] * 5
    sizes = {t.get_text(): h for t, h in zip(legend.get_texts(), legend.get_lines(), strict=True)}
    small, large = (sizes[rf"$\eta = 10^{{{power}}}$"].get_markersize() for power in (-3, -1))
    collections = plots.scatter_vs(runs, "gi2").axes[0].collections
    drawn_sizes = np.concatenate([c.get_sizes() for c in collections if len(c.get_offsets())])
    assert (small**2, large**2) == pytest.approx((drawn_sizes.min(), drawn_sizes.max()))


def test_figures_say_what_they_were_drawn_from(runs):
    assert "3 seeds, 1,500 steps, Adam" in texts(plots.metric_by_lr(runs, ["loss"]))
    fewer = runs[~((runs.env == "Acrobot") & (runs.seed == 2))]
    assert "2 to 3 seeds, 1,500 steps, Adam" in texts(plots.scatter_vs(fewer, "gi2"))
    one = runs[runs.seed == 0].assign(optimizer="SGD")
    assert layout.provenance(one) == "1 seed, 1,500 steps, SGD"
    assert layout.provenance(one.assign(steps=1)) == "1 seed, 1 step, SGD"


def test_a_single_checkpoint_is_a_point(runs):
    steps = pd.concat([runs.assign(step=step) for step in (0, 50)])
    for curves, marker in ((steps[steps.step == 0], "."), (steps, "None")):
        ax = plots.learning_curves(curves, ["return"]).axes[0]
        assert {line.get_marker() for line in ax.get_lines()} == {marker}


def test_the_legend_speaks_of_clamping_only_where_it_happened(runs):
    clamped = "at least one seed was clamped"
    assert clamped in texts(plots.metric_by_lr(runs, ["loss"]))
    assert clamped not in texts(plots.metric_by_lr(runs.assign(clamped_steps=0), ["loss"]))


def test_values_without_a_place_on_the_axis_do_no_harm(runs):
    broken = runs.assign(gi2=np.where(runs.lr == 1e-1, np.nan, 0.0))
    broken.loc[broken.seed == 0, "loss"] = np.inf
    assert ink(plots.metric_by_lr(broken, ["gi2", "loss"])) > 5
    assert ink(plots.scatter_vs(broken, "gi2")) > 5


def test_learning_curves_draw_each_run(runs):
    steps = np.arange(0, 1500, 500)
    curves = pd.concat(
        [
            runs[(runs.seed == 0) & (runs.lr == 1e-2)].assign(step=step, loss=10.0 + step)
            for step in steps
        ]
    )
    figure = plots.learning_curves(curves, ["loss", "return"])
    assert len(figure.axes) == 4
    for line in figure.axes[0].get_lines()[:2]:
        assert line.get_xydata() == pytest.approx(np.array([steps, 10.0 + steps]).T)


def test_learning_curves_by_lr_have_a_darker_line_for_a_larger_one(runs):
    curves = pd.concat([runs.assign(step=step, loss=runs.lr * (1 + step)) for step in (0, 500)])
    curves = curves[curves.norm == "layer"]
    figure = plots.learning_curves(curves, ["loss"], ["Pendulum"], by_lr=True)
    lines = {line.get_ydata()[0]: line for line in figure.axes[0].get_lines()[: len(LRS)]}
    assert sorted(lines) == pytest.approx(LRS)
    light = [sum(to_rgb(lines[lr].get_color())) for lr in sorted(lines)]
    assert light == sorted(set(light), reverse=True)
    assert {rf"$\eta = 10^{{{power}}}$" for power in (-3, -2, -1)} <= set(texts(figure))


def test_learning_curves_mark_the_median_first_clamp_on_the_drawn_line(runs):
    one = runs[(runs.lr == 1e-2) & (runs.norm == "layer") & (runs.env == "Pendulum")]
    first = one.seed.map({0: 300, 1: -1, 2: 500})  # the seed in between was never clamped
    steps = {0: 1.0, 1000: 1e20}
    curves = pd.concat([one.assign(step=s, loss=x, first_clamp=first) for s, x in steps.items()])
    figure = plots.learning_curves(curves, ["loss"], ["Pendulum"])
    (mark,) = (line for line in figure.axes[0].get_lines() if line.get_marker() == "^")
    assert mark.get_xydata() == pytest.approx(np.array([[400.0, 1e8]]))  # straight on a log axis
    assert "first clamped step" in texts(figure)
    calm = plots.learning_curves(curves.assign(first_clamp=-1), ["loss"], ["Pendulum"])
    assert "first clamped step" not in texts(calm)
    assert not any(line.get_marker() == "^" for line in calm.axes[0].get_lines())


def test_learning_curves_average_runs_and_band_them(runs):
    one = runs[(runs.lr == 1e-2) & (runs.norm == "layer")]
    curves = pd.concat([one.assign(step=step) for step in (0, 500)])
    ax = plots.learning_curves(curves, ["return"], ["Pendulum"]).axes[0]
    seeds = one.loc[one.env == "Pendulum", "return"]
    assert ax.get_lines()[0].get_ydata() == pytest.approx([seeds.mean()] * 2)
    (band,) = ax.collections
    # three seeds: the 95% interval reaches from the smallest to the largest
    assert band.get_paths()[0].get_extents().intervaly == pytest.approx([seeds.min(), seeds.max()])


def test_learning_curves_of_several_learning_rates_band_the_seeds(runs):
    layer = runs[(runs.env == "Pendulum") & (runs.norm == "layer")]
    curves = pd.concat([layer.assign(step=step) for step in (0, 500)])
    ax = plots.learning_curves(curves, ["return"]).axes[0]
    seeds = [layer.loc[layer.seed == seed, "return"].mean() for seed in range(3)]
    assert ax.get_lines()[0].get_ydata() == pytest.approx([np.mean(seeds)] * 2)
    (band,) = ax.collections
    assert band.get_paths()[0].get_extents().intervaly == pytest.approx([min(seeds), max(seeds)])


def test_learning_curves_leave_a_seed_out_where_one_of_its_learning_rates_has_no_value(runs):
    layer = runs[(runs.env == "Pendulum") & (runs.norm == "layer")].copy()
    layer.loc[(layer.seed == 1) & (layer.lr == LRS[0]), "return"] = np.nan
    curves = pd.concat([layer.assign(step=step) for step in (0, 500)])
    line = plots.learning_curves(curves, ["return"]).axes[0].get_lines()[0]
    seeds = [layer.loc[layer.seed == seed, "return"].mean() for seed in (0, 2)]
    assert line.get_ydata() == pytest.approx([np.mean(seeds)] * 2)


def test_a_band_on_a_logarithmic_axis_ends_at_a_thousandth_of_its_mean(runs):
    far = runs[(runs.env == "Pendulum") & (runs.norm == "layer")].copy()
    far["loss"] = far["seed"].map({0: 1e-20, 1: 1.0, 2: 2.0})
    (band,) = (c for c in plots.metric_by_lr(far, ["loss"]).axes[0].collections if c.get_alpha())
    assert band.get_paths()[0].get_extents().y0 == pytest.approx(1e-3)


def test_dataset_coverage_counts_terminated_transitions():
    obs = RNG.normal(size=(50, 2)).astype(np.float32)
    terminated = np.arange(50) % 10 == 0
    data = Transitions(obs, np.zeros(50, int), np.zeros(50), obs + 1, terminated)
    figure = setting.dataset_coverage({"MountainCar": data}, note="seed 7")
    assert "MountainCar\n5 of 50 terminated" in texts(figure)
    assert "seed 7" in texts(figure)
    (crosses,) = figure.axes[0].get_lines()
    assert crosses.get_xydata() == pytest.approx(obs[terminated] + 1)
    assert figure.axes[0].collections[0].get_array().sum() == 50


def test_task_pictures_draw_every_task():
    figure = setting.task_pictures()
    assert [ax.get_title() for ax in figure.axes] == list(ENVS)
    assert ink(figure) > 5
    assert len(setting.task_pictures(("Pendulum",)).axes) == 1


def test_drawing_leaves_no_figure_open_and_no_style_behind(runs, monkeypatch):
    monkeypatch.setitem(plt.rcParams, "font.size", 3.5)
    monkeypatch.setitem(plt.rcParams, "axes.grid", False)
    plots.scatter_vs(runs, "gi2")
    setting.task_pictures()
    assert plt.get_fignums() == []
    assert (plt.rcParams["font.size"], plt.rcParams["axes.grid"]) == (3.5, False)


def test_expansion_errors_draws_each_approximation():
    errors = pd.DataFrame({"lr": LRS, "first order": [1e-6, 1e-4, 1e-2], "gi2": [1e-7, 1e-5, 1e-3]})
    (ax,) = plots.expansion_errors(errors).axes
    for line, name in zip(ax.get_lines(), ["first order", "gi2"], strict=True):
        assert line.get_xydata() == pytest.approx(errors[["lr", name]].to_numpy())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_the_largest_ratio_is_drawn_even_where_most_points_are_not():
    count = 3 * plots_theory.SHOWN
    ratios = RNG.uniform(0.1, 0.9, (2, count))
    ratios[1, -1] = 17.0  # a row that is otherwise left out
    laws = pd.DataFrame({"spread": 1.0, "distance_ratio": ratios[0], "loss_ratio": ratios[1]})
    laws = pd.concat([laws.assign(independent=side) for side in (True, False)], ignore_index=True)
    loss = plots_theory.ratios_by_spread(laws).axes[1]
    for points in loss.collections:
        assert len(points.get_offsets()) == plots_theory.SHOWN + 1
        assert points.get_offsets()[:, 1].max() == 17.0


def test_none_and_ln_differ_in_color_fill_and_line(runs):
    ax = plots.metric_by_lr(runs, ["return"]).axes[0]
    none, layer = (
        next(c for c in ax.collections if c.get_label() == f"{n} o") for n in ("none", "layer")
    )
    assert to_rgb(none.get_facecolor()[0]) == (1.0, 1.0, 1.0)
    assert to_rgb(layer.get_facecolor()[0]) == to_rgb(layer.get_edgecolor()[0])
    assert to_rgb(none.get_edgecolor()[0]) != to_rgb(layer.get_edgecolor()[0])
    assert {line.get_linestyle() for line in ax.get_lines()} >= {"--", "-"}


@pytest.mark.parametrize("signed", [True, False])
def test_decades_positions_and_values_are_inverse(signed):
    scale = axes.Decades(unit=1e-3, knee=4.0, squeeze=7.0, signed=signed)
    values = np.logspace(-8, 28, 200)
    values = np.concatenate([-values[::-1], values]) if signed else values
    positions = scale.forward(values)
    assert (np.diff(positions) > 0).all()
    assert scale.inverse(positions) == pytest.approx(values, rel=1e-9)


def test_decades_keep_most_of_the_axis_for_the_usual_values():
    usual = np.array([0.5, 3.0, 80.0])
    values = np.append(usual, [1e22, 1e27])
    scale = axes.decades(values, usual, signed=False)
    low, high, top = scale.forward(np.array([0.5, 80.0, 1e27]))
    assert (high - low) / (top - low) > 0.4
    assert len(scale.knees) == 1
    assert 80 < scale.knees[0] < 1e22
    assert axes.decades(usual, usual, signed=False).knees == []


def test_ticks_are_powers_of_ten_apart_from_each_other():
    values = np.array([-1e25, -1e-3, 2e-2, 0.4])
    scale = axes.decades(values, values[1:], signed=True)
    ticks = np.sort(scale.ticks(values, most=8))
    assert 0.0 in ticks
    assert ticks.min() < -1e19
    exponents = np.log10(np.abs(ticks[ticks != 0]))
    assert exponents == pytest.approx(np.round(exponents))
    positions = scale.forward(ticks)
    assert np.diff(positions).min() >= np.ptp(scale.forward(values)) / 8 - 1e-9


def test_few_learning_rates_are_named_and_many_are_powers_of_ten():
    for rates, expected in (
        ([1e-4, 10**-3.5], ["10⁻⁴", "0.000316"]),
        (10.0 ** np.arange(-5, 0), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]),
    ):
        figure, ax = plt.subplots()
        axes.set_log_rates(ax, np.array(rates))
        ax.plot(rates, rates)
        figure.draw_without_rendering()
        low, high = ax.get_xlim()
        seen = [t for t in ax.xaxis.get_major_ticks() if low <= t.get_loc() <= high]
        assert [tick.label1.get_text() for tick in seen] == expected
        plt.close(figure)


def test_a_narrow_axis_has_ticks_within_its_values():
    values = np.array([0.78, 1.0])
    scale = axes.decades(values, values, signed=False)
    ticks = np.array(scale.ticks(values, most=8))
    assert ((ticks > 0.78) & (ticks < 1.01)).sum() >= 2
    assert np.diff(np.log10(ticks)).min() >= 0.04  # constant values, too, get no crowd
    same = scale.ticks(np.array([1.0, 1.0]), most=8)
    assert len([tick for tick in same if 0.79 < tick < 1.26]) <= 6


def test_chapters_ask_for_the_papers_learning_rates():
    asked = {}
    for path in (ROOT / "chapters").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["metadata"].get("tags") == ["parameters"]:
                names: dict = {}
                exec("".join(cell["source"]), names)
                if "learning_rates" in names:
                    asked[path.stem] = tuple(names["learning_rates"])
    assert asked.keys() >= {"index", "claims", "normalizations", "protocol"}
    assert asked == dict.fromkeys(asked, LEARNING_RATES)


def test_a_task_by_gymnasium_id_has_a_panel_after_the_books_tasks():
    frame = pd.DataFrame({"env": ["Mine-v0", "Pendulum", "Acrobot", "Mine-v0"]})
    assert layout.chosen(frame, None) == ["Acrobot", "Pendulum", "Mine-v0"]
    assert list(stats.by_env(frame, len)) == [1, 1, 2]


def test_a_task_without_a_sketch_is_drawn_and_its_data_too():
    rows = np.random.default_rng(0).random((50, 3), np.float32)
    data = Transitions(rows, np.zeros(50, int), rows[:, 0], rows, rows[:, 0] > 0.9)
    assert [ax.get_title() for ax in setting.task_pictures(["Mine-v0"]).axes] == ["Mine-v0"]
    assert setting.dataset_coverage({"Mine-v0": data}).axes[0].get_xlabel() == "first entry"
