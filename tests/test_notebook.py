"""Parameters of a chapter: what is accepted, and the sentence that answers everything else."""

import math

import numpy as np
import pytest
import standin
import yaml
from conftest import GOOD

from lnqbook import notebook
from lnqbook.notebook import ParameterError, Parameters
from lnqlib import engine
from lnqlib.results import Result
from lnqlib.spec import ENVS, RunSpec
from lnqlib.store import Store, shipped
from lnqlib.store.ship import ship


def parameters(**changes) -> Parameters:
    return notebook.parameters(**GOOD | changes)


def test_good_parameters_arrive_as_they_are():
    assert parameters(env="Pendulum") == Parameters(
        ("Pendulum",), "SGD", 3, 20_000, (1e-3, 1e-2), 0, False, ""
    )


def test_all_is_the_four_tasks_of_the_paper():
    assert set(parameters().envs) == {"CartPole", "Acrobot", "MountainCar", "Pendulum"}


@pytest.mark.parametrize("env", ["Pendulum,Acrobot", " Pendulum, Acrobot ,Pendulum"])
def test_two_tasks_come_in_the_books_order(env):
    assert parameters(env=env).envs == ("Acrobot", "Pendulum")


def test_two_tasks_one_of_them_by_gymnasium_id():
    assert parameters(env="CartPole-v1,Pendulum").envs == ("Pendulum", "CartPole-v1")


def test_numbers_of_other_kinds_become_plain_numbers():
    p = parameters(
        seeds=np.int64(2), steps=2e4, learning_rates=np.array([1e-3, 1]), refresh=np.bool_(True)
    )
    assert (p.seeds, p.steps, p.learning_rates, p.refresh) == (2, 20_000, (1e-3, 1.0), True)
    plain = [p.seeds, p.steps, *p.learning_rates, p.refresh]
    assert [type(value) for value in plain] == [int, int, float, float, bool]


def test_a_repeated_learning_rate_counts_once():
    assert parameters(learning_rates=[0.1, 1e-2, 0.1]).learning_rates == (0.1, 0.01)


BAD = [
    ("env", "pendulum", "-p env Pendulum"),
    ("env", "Mountain Car", "-p env MountainCar"),
    ("env", 3, "-p env"),
    ("env", "Pendulum,acrobot", "-p env Acrobot"),
    ("env", "Pendulum,", "-p env Pendulum"),
    ("env", ",", "-p env Pendulum"),
    ("env", ["Pendulum"], "-p env Pendulum"),
    ("env", np.array(["Pendulum", "Acrobot"]), "-p env"),
    ("env", "All\nlines", "-p env all"),
    ("optimizer", "sgd", "-p optimizer SGD"),
    ("optimizer", "RMSprop", "SGD, Adam"),
    ("optimizer", None, "SGD, Adam"),
    ("seeds", 0, "-p seeds 3"),
    ("seeds", -1, "-p seeds 3"),
    ("seeds", 2.5, "-p seeds 3"),
    ("seeds", "3", "-p seeds 3"),
    ("seeds", True, "-p seeds 3"),
    ("seeds", 10**12, "10,000"),
    ("steps", 0, "-p steps 20000"),
    ("steps", math.nan, "-p steps 20000"),
    ("steps", math.inf, "-p steps 20000"),
    ("learning_rates", [], "-y '{learning_rates: [1.0e-4, 1.0e-3]}'"),
    ("learning_rates", "[]", "-y '{learning_rates: [1.0e-4, 1.0e-3]}'"),
    ("learning_rates", "[1e-3, 0.1]", "-y '{learning_rates: [0.001, 0.1]}'"),
    ("learning_rates", 1e-5, "-y '{learning_rates: [1.0e-5]}'"),
    ("learning_rates", ["1e-4", 0.1], "-y '{learning_rates: [0.0001, 0.1]}'"),
    ("learning_rates", [0.1, -0.1], "-y '{learning_rates: [0.1]}'"),
    ("learning_rates", [0.0], "-y '{learning_rates: [1.0e-4, 1.0e-3]}'"),
    ("learning_rates", [math.inf], "positive finite"),
    ("learning_rates", [math.nan], "positive finite"),
    ("learning_rates", [True], "positive finite"),
    ("learning_rates", [[0.1]], "-y '{learning_rates: [0.1]}'"),
    ("learning_rates", {"lr": 0.1}, "-y '{learning_rates: [0.1]}'"),
    ("workers", -1, "-p workers 2"),
    ("workers", 1.5, "-p workers 2"),
    ("refresh", "false", "-p refresh False"),
    ("refresh", "true", "-p refresh True"),
    ("refresh", 1, "-p refresh True"),
]


@pytest.mark.parametrize(("name", "value", "spelling"), BAD)
def test_bad_value_is_answered_in_one_sentence(name, value, spelling):
    with pytest.raises(ParameterError) as error:
        parameters(**{name: value})
    sentence = str(error.value)
    assert sentence.startswith(f"{name} ")
    assert "it must be" in sentence
    assert "; write -" in sentence
    assert spelling in sentence
    assert "\n" not in sentence
    assert error.value._render_traceback_() == [sentence]


@pytest.mark.parametrize("rates", [[1e-3, 0.1], [1e-5], [10**-4.5, 3e-7, 25.0, 1e20]])
def test_the_spelling_of_a_list_is_what_yaml_reads_as_that_list(rates):
    with pytest.raises(ParameterError) as error:
        parameters(learning_rates=str(rates))
    argument = str(error.value).rpartition("-y ")[2].strip("'")
    assert yaml.safe_load(argument) == {"learning_rates": rates}


def test_specs_are_the_full_grid():
    p = parameters(env="Acrobot", seeds=2, steps=10)
    specs = p.specs(norms=("none", "layer", "batch"), bias=False)
    assert len(specs) == len(set(specs)) == 1 * 3 * 2 * 2
    assert {s.norm for s in specs} == {"none", "layer", "batch"}
    assert {s.seed for s in specs} == {0, 1}
    assert {(s.env, s.steps, s.bias) for s in specs} == {("Acrobot", 10, False)}


@pytest.mark.parametrize(("steps", "count"), [(2_000, 10), (10_000, 50), (200_000, 100)])
def test_short_runs_have_fewer_checkpoints_and_no_more_than_they_have_steps(steps, count):
    spec = parameters(env="Acrobot", steps=steps).specs()[0]
    assert len(spec.checkpoint_steps) == count
    assert len(parameters(steps=7).specs()[0].checkpoint_steps) == 7


def run(shell, *cells: str) -> None:
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()


@pytest.mark.parametrize(
    ("line", "shown", "spelling"),
    [
        ("lr = 0.1", "lr is 0.1,", "-y '{learning_rates: [1.0e-4, 1.0e-3]}'"),
        ("environment = 'Pendulum'", "environment is 'Pendulum',", "-p env Pendulum"),
        ("Seeds = 3", "Seeds is 3,", "-p seeds 3"),
        ("k = [float('nan')]", "k is [float('nan')],", "-p workers 2"),
    ],
)
def test_a_name_that_papermill_injected_but_no_chapter_has(shell, line, shown, spelling):
    run(shell, "seeds = 3", f"# Parameters\n{line}\nseeds = 4\n")
    with pytest.raises(ParameterError) as error:
        parameters()
    sentence = str(error.value)
    assert sentence.startswith(shown)
    assert "env, optimizer, seeds, steps, learning_rates, workers, refresh, scheduler" in sentence
    assert sentence.endswith(spelling)


def test_other_names_in_the_kernel_are_no_parameters(shell):
    run(shell, "seeds = 3", "# Parameters\nseeds = -float('inf')\n", "lr = 2")
    assert parameters() == parameters(seeds=3)


def test_the_paths_that_papermill_injects_on_request_are_no_mistake(shell):
    run(shell, "# Parameters\nPAPERMILL_INPUT_PATH = 'gi2.ipynb'\nPAPERMILL_OUTPUT_PATH = 'out'\n")
    assert parameters() == parameters(seeds=3)


def test_a_chapter_with_parameters_of_its_own(shell):
    run(shell, "# Parameters\nseeds = 3\ntrials = 7\n")
    shared = {name: GOOD[name] for name in notebook.SHARED}
    p = notebook.parameters(**shared, own={"trials": "-p trials 100"})
    assert (p.envs, p.optimizer, p.seeds, p.steps) == (ENVS, "SGD", 3, 20_000)
    assert len(p.specs()) == 4 * 2 * 9 * 3  # at the paper's learning rates
    allowed = "allowed are env, optimizer, seeds, steps"
    with pytest.raises(ParameterError, match=rf"trials is 7, .* {allowed}, cores; write"):
        notebook.parameters(**shared, own={"cores": "-p cores 16"})
    with pytest.raises(ParameterError, match=rf"trials is 7, .* {allowed}; write"):
        notebook.parameters(**shared, own={})
    with pytest.raises(ParameterError, match=r"^seeds is 0; it must be"):
        notebook.parameters(**shared | {"seeds": 0}, own={"trials": "-p trials 100"})
    with pytest.raises(ParameterError, match=r"trials is 0; .* to 100; write -p trials 5$"):
        notebook.whole_number("trials", 0, 1, 100, "-p trials 5")


@pytest.mark.parametrize("refresh", [False, True])
def test_curves_are_those_of_the_runs_whose_rows_were_returned(tmp_path, monkeypatch, refresh):
    monkeypatch.setenv("LNQ_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(shipped, "RESULTS", tmp_path / "results")
    p = parameters(env="Pendulum", seeds=2, steps=20, refresh=refresh)
    specs = p.specs(checkpoints=4)

    def trained(run: RunSpec, loss: float) -> Result:
        result = standin.train(run)
        result.row["loss"] = loss
        result.curves["loss"][:] = loss
        return result

    made = Store(tmp_path / "made")
    made.write([trained(run, 1.0) for run in specs])
    ship(specs, tmp_path / "results" / "tiny", made)
    monkeypatch.setattr(engine, "train", lambda run: trained(run, 2.0))
    rows, curves = p.sweep(specs), p.curves(specs)
    assert set(rows["loss"]) == set(curves["loss"]) == {2.0 if refresh else 1.0}
    assert list(curves["key"].unique()) == list(rows["key"])


def test_a_chapters_figures_are_printed_whole_and_a_readers_own_setting_stays(shell):
    inline = shell.config.InlineBackend
    parameters()
    assert inline.print_figure_kwargs == {"bbox_inches": None}
    inline.print_figure_kwargs = own = {"pad_inches": 0.02}
    parameters()
    assert inline.print_figure_kwargs is own


def test_a_task_by_gymnasium_id():
    p = parameters(env="CartPole-v1", seeds=1, steps=10)
    assert p.envs == ("CartPole-v1",)
    assert {s.env for s in p.specs()} == {"CartPole-v1"}


@pytest.mark.parametrize(
    ("env", "came"),
    [("CartPole-v17", "Gymnasium cannot make it"), ("nowhere:A-v0", "finds no file of that name")],
)
def test_a_gymnasium_id_that_cannot_be_made_stops_the_chapter(env, came):
    with pytest.raises(ParameterError, match=came) as error:
        parameters(env=env)
    assert "; write " in str(error.value) and "-p env Pendulum" in str(error.value)
    with pytest.raises(ParameterError, match="or a Gymnasium id such as CartPole-v1"):
        parameters(env="Walker")
