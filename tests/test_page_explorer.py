"""The explorer: its points are the runs', its address keeps what was chosen."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import GOOD
from plotly.offline import get_plotlyjs
from test_book import opened

from lnqbook import notebook
from lnqbook.pages import explorer
from lnqlib.spec import RunSpec, grid

LOSS = {("none", 0.1): [1.0, 3.0, 8.0], ("layer", 0.1): [np.inf, 4.0, 2.0]}
CLAMPED = 8.0


def rows(env: str = "Pendulum") -> pd.DataFrame:
    return pd.DataFrame(
        vars(RunSpec(env, norm=norm, lr=lr, seed=seed))
        | {"loss": loss, "gi2": -loss, "sgi": np.nan, "clamped_steps": int(loss == CLAMPED)}
        for (norm, lr), losses in LOSS.items()
        for seed, loss in enumerate(losses)
    )


def test_means_and_medians_with_and_without_clamped_runs():
    found = explorer.points(rows())
    assert found["fields"] == {
        "env": ["Pendulum"] * 2,
        "norm": ["none", "layer"],
        "lr": [0.1, 0.1],
    }
    assert (found["seeds"], found["calm"], found["first"]) == ([3, 3], [2, 3], [0, 0])
    assert found["values"]["loss"] == {
        "mean": [4.0, 3.0],  # what is not finite does not count
        "median": [3.0, 3.0],
        "mean, calm": [2.0, 3.0],
        "median, calm": [2.0, 3.0],
    }
    assert "sgi" not in found["values"]


def test_the_studies_are_cut_to_the_parameters():
    shared = {name: GOOD[name] for name in notebook.SHARED}
    p = notebook.parameters(**shared | {"env": "Pendulum", "seeds": 2, "steps": 200_000}, own={})
    core = explorer.studies(p)["core"]
    assert set(core["fields"]["env"]) == {"Pendulum"} and set(core["seeds"]) == {2}
    periods = explorer.studies(p)["target"]["fields"]["target_period"]
    assert set(periods) == {0, 10, 100, 1_000, 10_000}  # core's runs beside the study's
    assert "No finished run" in explorer.page({}).data


def test_no_string_of_the_data_ends_the_script():
    found = {"core": explorer.points(rows().assign(env="</script>"))}
    text = explorer.page(found).data
    inside = text.partition('id="explorer-data">')[2].partition("</script>")[0]
    assert json.loads(inside)["studies"]["core"]["fields"]["env"] == ["</script>"] * 2


@pytest.fixture
def address(tmp_path):
    both = {"core": explorer.points(pd.concat([rows(), rows("Acrobot")], ignore_index=True))}
    (tmp_path / "explorer.html").write_text(
        f"<!doctype html><html lang=en><body>{explorer.page(both, plotly='none.js').data}",
        encoding="utf8",
    )
    (tmp_path / "none.js").write_text("")
    return (tmp_path / "explorer.html").as_uri()


def test_a_point_is_chosen_with_the_keyboard_and_says_what_trains_it(address, browser):
    with opened(browser, address) as (tab, wrong):
        assert tab.locator(".points tbody tr").count() == 4
        tab.locator('[data-point="1"]').press("Enter")
        assert "2 of them selected" in tab.locator(".status").inner_text()  # both tasks' points
        said = tab.locator(".chosen pre").inner_text().split("\n")
        assert eval(said[0]) == RunSpec("Pendulum", norm="layer", lr=0.1, seed=0)
        runs = eval(said[-1].removeprefix("runs = sweep(").removesuffix(")"))
        assert runs == grid(env="Pendulum", norm="layer", lr=0.1, seed=range(3))
        assert wrong == []


def test_the_address_keeps_the_state(address, browser):
    with opened(browser, address) as (tab, _):
        tab.locator("select[name=env]").select_option("Acrobot")
        tab.locator("select[name=statistic]").select_option("median")
        tab.locator("select[name=clamped]").select_option("without")
        tab.locator('[data-point="2"]').click()
        kept, told = tab.url, tab.locator(".status").inner_text()
        values = tab.locator(".points tbody tr").all_inner_texts()
    with opened(browser, kept) as (tab, _):
        assert tab.locator(".status").inner_text() == told
        assert tab.locator(".points tbody tr").all_inner_texts() == values
        assert tab.locator("select[name=statistic]").input_value() == "median"
        assert values[0].split("\t")[4:] == ["\N{MINUS SIGN}2", "2", "3", "1"]


def test_the_selection_is_downloaded(address, browser):
    with opened(browser, address) as (tab, _):
        tab.locator('[data-point="0"]').click()
        with tab.expect_download() as begun:
            tab.get_by_role("button", name="Download the selection").click()
        table = pd.read_csv(begun.value.path())
    assert list(table["env"]) == ["Pendulum", "Acrobot"]
    assert list(table["loss"]) == [4.0, 4.0] and list(table["clamped"]) == [1, 1]


def test_on_paper_there_are_the_points_and_no_controls(tmp_path, address, browser):
    (tmp_path / "none.js").write_text(get_plotlyjs(), encoding="utf8")
    with opened(browser, address) as (tab, _):
        tab.locator(".plot path.point").first.wait_for()
        tab.emulate_media(media="print")
        assert tab.locator(".plot path.point").first.bounding_box()["width"] > 1
        assert tab.locator(".explorer .printed").is_visible()
        assert not tab.locator(".explorer form").is_visible()
        assert not tab.locator(".explorer > .points").is_visible()
