"""A scatter figure in a browser: the picture's points, axes and ticks, by mouse and by keyboard."""

import json
from importlib.resources import files

import numpy as np
import pytest
from conftest import ROOT
from plotly import graph_objects
from test_drawn import LOSS, runs

from lnqbook.book import figure_tools
from lnqbook.figures import hover, plots
from lnqbook.numbers import power
from lnqbook.pages.linear_regression import slider

STEPS = slider.plot()["slider"]["steps"]


@pytest.fixture(scope="module")
def plot():
    return hover.plot(plots.scatter_vs(runs(), "sgi", "loss"))


def traces(plot):
    return [trace for trace in plot["data"] if "xaxis" in trace]


def test_plotly_takes_it(plot):
    for data in (plot["data"], *(step["data"] for step in STEPS)):
        graph_objects.Figure(json.loads(json.dumps({"data": data, "layout": plot["layout"]})))


def test_marks_stand_where_the_ticks_say_the_means_are(plot):
    axis = plot["layout"]["yaxis"]
    powers = {power(exponent): 10.0**exponent for exponent in (-1, 2)}
    ticks = [powers.get(text) or float(text) for text in axis["ticktext"]]
    found = {
        (
            trace["legendgroup"],
            x,
            round(float(10 ** np.interp(y, axis["tickvals"], np.log10(ticks))), 3),
        )
        for trace in traces(plot)
        for x, y in zip(trace["x"], trace["y"], strict=True)
    }
    assert found == {(norm, -np.mean(seeds), np.mean(seeds)) for (norm, _), seeds in LOSS.items()}


def test_a_mark_says_which_run_it_is_and_looks_like_the_picture_s(plot):
    none, layer = traces(plot)
    assert none["hovertext"][0] == (
        "<b>Pendulum, None</b><br>\u03b7 = 0.01<br>SGI: \u22126 [\u22127, \u22125]<br>"
        "training loss \u2113: 6 [5, 7]<br>2 seeds, 1 clamped"
    )
    assert none["marker"]["symbol"] == ["triangle-up-open", "circle-open"]
    assert layer["marker"]["symbol"] == ["circle"]
    small, large = none["marker"]["size"]
    assert small < large == layer["marker"]["size"][0]


def test_other_figures_have_no_plot():
    assert hover.plot(plots.metric_by_lr(runs(), ["loss"])) is None


def test_the_slider_s_parabolas_are_those_of_theorem_2():
    """By hand: A = 1 and B = 1 + s^2, so the best step is 1 / (1 + s^2), and gains that much."""
    for spread, step in zip(slider.SPREADS, STEPS, strict=True):
        top = step["data"][-1]
        assert [*top["x"], *top["y"]] == pytest.approx([1 / (1 + spread**2)] * 2)


@pytest.fixture(scope="module")
def address(plot, tmp_path_factory):
    """A page with a picture that has a plot, and one that has a slider."""
    static = ROOT.joinpath("_static").as_uri()
    script = (files("plotly") / "package_data" / "plotly.min.js").as_uri()
    figures = "".join(
        f'<figure><a class="enlarge" href="#"><img alt="Dots." width="600" height="200"></a>'
        f"{figure_tools.plot(given).astext()}</figure>"
        for given in (plot, slider.plot())
    )
    path = tmp_path_factory.mktemp("plots") / "page.html"
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="{static}/book.css">'
        f'<script src="{static}/plots.js"></script><body style="width: 800px">{figures}'
        f'<script async class="plotly" src="{script}"></script>',
        encoding="utf8",
    )
    return path.as_uri()


def test_a_plot_takes_the_picture_s_place_and_print_has_the_picture(address, browser):
    tab = browser.new_page()
    tab.goto(address)
    first = tab.locator("figure").first
    first.locator(".plot svg").first.wait_for()
    assert not first.locator("img").is_visible()
    tab.emulate_media(media="print")
    assert first.locator("img").is_visible() and not first.locator(".plot").is_visible()
    tab.close()


def test_without_scripts_the_picture_stays(address, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert all(picture.is_visible() for picture in tab.locator("img").all())
    context.close()


def test_the_keyboard_goes_from_point_to_point_and_moves_the_slider(address, browser):
    tab = browser.new_page()
    tab.goto(address)
    plot, said = tab.locator(".plot").first, tab.locator("[aria-live]").first
    plot.focus()
    plot.press("ArrowRight")
    assert said.inner_text().startswith("Pendulum, None. \u03b7 = 0.01. ")  # the leftmost
    assert "SGI" in plot.locator(".hovertext").text_content()
    plot.press("ArrowLeft")
    assert said.inner_text().startswith("Pendulum, LN. ")  # round to the rightmost
    control = tab.get_by_label("spread s")
    control.press("Home")
    assert control.get_attribute("aria-valuetext") == STEPS[0]["name"]
    drawn = "() => [...document.querySelectorAll('.plot')].at(-1).data.at(-1).y[0]"
    assert tab.evaluate(drawn) == 1.0
    tab.close()
