"""Every chapter as a reader runs it: papermill, other parameters, wrong parameters."""

import re
import shlex
from collections import Counter
from inspect import signature

import nbformat
import papermill
import pytest
import yaml
from conftest import ROOT, tool
from papermill import cli

from lnqbook.claims import runs
from lnqbook.figures import hover
from lnqbook.notebook import SHARED, SPELLING, ParameterError, parameters
from lnqlib.spec import ENVS
from lnqlib.store import Store

SKETCHES = {"fig-tasks"}  # figures without numbers
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
QUICK = {"env": "MountainCar", "optimizer": "Adam", "seeds": 1, "steps": 200}
QUICK |= {"learning_rates": [1e-4, 1e-2], "trials": 200}

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def quick(path) -> list[str]:
    """Arguments that make papermill's run of a chapter a short one."""
    known = papermill.inspect_notebook(str(path))
    return ["-y", yaml.dump({name: QUICK[name] for name in QUICK if name in known})]


def sweeps(known) -> bool:
    return "learning_rates" in known


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(path, kind: str) -> list[str]:
    """All outputs of MIME type `kind` in a notebook; "stream" for printed text."""
    found = [output for cell in code_cells(path) for output in cell.outputs]
    if kind == "stream":
        return [output.text for output in found if output.output_type == "stream"]
    return [output.data[kind] for output in found if kind in output.get("data", {})]


@pytest.fixture(scope="session")
def executed(store, tmp_path_factory):
    """Maps a chapter to the notebook that papermill makes of it, called from a foreign folder."""
    done = {}

    def execute(path):
        if path not in done:
            folder = tmp_path_factory.mktemp(path.stem)
            arguments = [path, "out.ipynb", *quick(path)]
            finished = tool("papermill", *arguments, cwd=folder, LNQ_STORE=store)
            assert finished.returncode == 0, finished.stdout
            done[path] = folder / "out.ipynb"
        return done[path]

    return execute


def test_the_table_of_contents_names_every_chapter():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    assert {path.stem for path in CHAPTERS} == {
        file.removeprefix("chapters/") for file in files if (ROOT / f"{file}.ipynb").exists()
    }
    assert CHAPTERS


@each_chapter
def test_it_is_committed_without_outputs(path):
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"


@each_chapter
def test_its_first_cells_are_the_parameters_and_their_check(path):
    first, second, *others = code_cells(path)
    assert first.metadata.tags == ["parameters"]
    assert "p = notebook.parameters(" in second.source
    assert not any("parameters" in cell.metadata.get("tags", []) for cell in others)


@each_chapter
def test_papermill_explains_every_parameter(path):
    known = papermill.inspect_notebook(str(path))
    check = "".join(code_cells(path)[1].source.split())
    assert list(known)[: len(SHARED)] == list(SHARED)
    if sweeps(known):
        assert [*known, "own"] == [*SPELLING, "own"] == list(signature(parameters).parameters)
        assert f"parameters({','.join(known)})" in check
    else:
        assert f"parameters({','.join(SHARED)},own=" in check
    for parameter in known.values():
        assert parameter["inferred_type_name"] != "None"
        assert len(parameter["help"]) > 5


@each_chapter
def test_it_runs_with_other_parameters_from_another_folder(path, executed):
    cells = code_cells(executed(path))
    assert all(cell.execution_count for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in cells)


ANSWERED = (
    "gi2",
    "injection",
    "interference",
    "isometry",
    "lr_decay",
    "normalizations",
    "protocol",
)
BEYOND = ("online", "target_network")  # they ask more than the paper claims


@pytest.mark.parametrize("chapter", ANSWERED + BEYOND)
def test_it_reads_whole_wherever_it_is_opened(chapter, executed):
    """The answer, what it makes of the claims, and the caution are outputs; nothing is a hole."""
    path = executed(ROOT / "chapters" / f"{chapter}.ipynb")
    assert "{glue" not in path.read_text()
    told = "\n".join(outputs(path, "text/markdown"))
    assert "These runs have one seed, and so no intervals." in told
    assert "The paper's runs take 200,000 steps, these 200." in told
    excepted = "Claims 11 and 29 are not about what is shown here."  # in MountainCar
    badges = excepted in told or "on the paper's claims, by these runs:** [**" in told
    assert badges == (chapter in ANSWERED)
    assert not re.search(r"\bnan\b|in: none|\{\w+\}`", told)


@pytest.mark.parametrize("chapter", ["linear_regression", "own_network", "reproduce"])
def test_a_chapter_that_does_not_sweep_trains_what_it_was_asked_for(chapter, executed):
    cells = code_cells(executed(ROOT / "chapters" / f"{chapter}.ipynb"))
    shown = str([output.get("data") for cell in cells for output in cell.outputs])
    shown = re.sub(r"<pre>.*?</pre>", "", shown)  # what commands took, as they were typed
    assert [env for env in ENVS if env in shown] == [QUICK["env"]]
    assert "Adam" in shown


@each_chapter
def test_every_drawing_has_a_name_a_caption_and_a_description(path, executed):
    drawings = [
        c
        for c in code_cells(executed(path))
        if any("image/png" in o.get("data", {}) for o in c.outputs)
    ]
    assert drawings or "mystnb" not in path.read_text()
    for cell in drawings:
        figure, image = cell.metadata.mystnb.figure, cell.metadata.mystnb.image
        assert figure.name.startswith("fig-")
        assert len(figure.caption) > 20
        assert len(image.alt) > 20
        numbers = [o.data["text/csv"] for o in cell.outputs if "text/csv" in o.get("data", {})]
        assert numbers or figure.name in SKETCHES
        assert all("\n" in table for table in numbers)
    for output in (o for c in code_cells(executed(path)) for o in c.outputs):
        assert "image/png" in output.get("data", {}) or hover.MIME not in output.get("data", {})


def test_no_two_figures_share_a_name():
    figures = [
        cell.metadata.mystnb.figure.name
        for path in CHAPTERS
        for cell in code_cells(path)
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert Counter(figures).most_common(1)[0][1] == 1


def test_the_readmes_command_looks_its_runs_up(tmp_path):
    """As written there, in the repository: one task's shipped runs, and nothing is trained."""
    lines = (ROOT / "README.md").read_text().splitlines()
    command = next(line for line in lines if line.startswith("papermill"))
    program, chapter, _, *arguments = shlex.split(command)
    assert (chapter, arguments) == ("chapters/gi2.ipynb", ["-p", "env", "Pendulum"])
    out, store = tmp_path / "out.ipynb", tmp_path / "store"
    finished = tool(program, chapter, out, *arguments, LNQ_STORE=store)
    assert finished.returncode == 0, finished.stdout
    assert outputs(out, "image/png")
    assert not store.exists()
    shown = [text for kind in ("text/html", "text/plain", "stream") for text in outputs(out, kind)]
    shown = " ".join(text for text in shown if 'class="claims"' not in text)  # in the paper's words
    assert [env for env in ENVS if env in shown] == ["Pendulum"]


def test_papermill_from_the_folder_of_the_chapters_on_a_machine_set_up_for_other_work(tmp_path):
    arguments = [
        "linear_regression.ipynb",
        tmp_path / "out.ipynb",
        "--inject-paths",
        *quick(ROOT / "chapters/linear_regression.ipynb"),
    ]
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\n")
    machine = {"MPLBACKEND": "Agg", "MATPLOTLIBRC": settings}
    finished = tool("papermill", *arguments, cwd=ROOT / "chapters", **machine)
    assert finished.returncode == 0, finished.stdout
    assert outputs(tmp_path / "out.ipynb", "image/png")


def test_the_claims_page_trains_on_request_alone(tmp_path):
    path, store = ROOT / "chapters" / "claims.ipynb", tmp_path / "store"
    arguments = [path, "out.ipynb", "-p", "refresh", "True", *quick(path)]
    finished = tool("papermill", *arguments, cwd=tmp_path, LNQ_STORE=store)
    assert finished.returncode == 0, finished.stdout
    assert "nothing is missing\n" in outputs(tmp_path / "out.ipynb", "stream")
    asked = runs.specs([QUICK["env"]], 1, 200, QUICK["learning_rates"])
    assert Store(store).keys() == {spec.key for specs in asked.values() for spec in specs}


WRONG = [
    (["-p", "lr", "0.1"], "lr is 0.1, but no parameter is called lr"),
    (["-p", "env", "pendulum"], "-p env Pendulum"),
    (["-p", "env", "Walker"], "env is 'Walker'; it must be one of CartPole, Acrobot"),
    (["-p", "optimizer", "RMSprop"], "optimizer is 'RMSprop'; it must be one of SGD, Adam"),
    (["-p", "learning_rates", "[1e-4]"], "learning_rates is '[1e-4]'; it must be a list"),
    (["-y", "{learning_rates: [1e-4]}"], "-y '{learning_rates: [0.0001]}'"),
    (["-y", "{learning_rates: []}"], "learning_rates is []; it must be a list"),
    (["-y", "{learning_rates: [-1.0]}"], "learning_rates holds -1.0; it must be"),
    (["-y", "{learning_rates: [.nan]}"], "learning_rates holds nan; it must be"),
    (["-p", "refresh", "false"], "refresh is 'false'; it must be True or False"),
    (["-p", "seeds", "0"], "seeds is 0; it must be a whole number from 1"),
    (["-p", "steps", "-5"], "steps is -5; it must be a whole number from 1"),
]


def refused(path, arguments, shell, folder) -> str:
    """The sentence in which a chapter's check of papermill's `arguments` ends, without a kernel."""
    out = folder / "out.ipynb"
    cli.papermill([str(path), str(out), *arguments, "--prepare-only"], standalone_mode=False)
    defaults, injected, check, *_ = (cell.source for cell in code_cells(out))
    for cell in (defaults, injected):
        shell.run_cell(cell, store_history=True).raise_error()
    with pytest.raises(ParameterError) as error:
        shell.run_cell(check, store_history=True).raise_error()
    return str(error.value)


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=str)
def test_wrong_input_ends_in_one_sentence(arguments, sentence, shell, tmp_path):
    said = refused(ROOT / "chapters/gi2.ipynb", arguments, shell, tmp_path)
    assert sentence in said
    assert "; write " in said


@each_chapter
def test_every_chapter_refuses_an_unknown_name(path, shell, tmp_path):
    sentence = refused(path, ["-p", "nonsense", "1"], shell, tmp_path)
    assert sentence.startswith("nonsense is 1, but no parameter is called nonsense; allowed are")


@pytest.mark.parametrize(
    ("chapter", "arguments", "sentence"),
    [
        ("gi2", ["-p", "lr", "0.1"], "lr is 0.1, but no parameter is called lr; "),
        ("linear_regression", ["-y", "{trials: 0}"], "trials is 0; it must be a whole number "),
    ],
)
def test_papermill_ends_with_the_sentence_and_runs_no_further(
    chapter, arguments, sentence, tmp_path
):
    path, store = ROOT / "chapters" / f"{chapter}.ipynb", tmp_path / "store"
    finished = tool("papermill", path, "out.ipynb", *arguments, cwd=tmp_path, LNQ_STORE=store)
    assert finished.returncode != 0
    assert finished.stdout.strip().splitlines()[-1].startswith(sentence)
    assert not store.exists()
    # papermill itself leaves the notebook, stopped at the third cell
    ran = [bool(cell.execution_count) for cell in code_cells(tmp_path / "out.ipynb")]
    assert ran[2] and not any(ran[3:])
