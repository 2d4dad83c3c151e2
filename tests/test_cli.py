"""The command line: what it prints, how it exits, and that Ctrl-C says how to go on."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import standin

from lnqlib import compiled, engine, spec
from lnqlib.__main__ import main
from lnqlib.store import Store
from lnqlib.store import shipped as shipped_results
from lnqlib.store.local import ROOT
from lnqlib.store.shipped import Shipped
from lnqlib.store.verify import AT_START, COMPARED, differences, spec_of, start_differences
from lnqlib.studies import STUDIES
from lnqlib.sweep import lookup, sweep

AXES = {"env": ("CartPole", "Pendulum"), "norm": ("none", "layer"), "lr": 0.01, "seed": (0, 1, 2)}
TINY = spec.grid(**AXES)


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch):
    """Two studies of twelve runs and of one, and training that takes no time."""
    monkeypatch.setenv("LNQ_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(shipped_results, "RESULTS", tmp_path / "results")
    for name in list(STUDIES):
        monkeypatch.delitem(STUDIES, name)
    monkeypatch.setitem(STUDIES, "core", [AXES])
    monkeypatch.setitem(STUDIES, "table1", [{"env": "Acrobot", "norm": "batch"}])
    monkeypatch.setattr(engine, "train", standin.train)
    monkeypatch.setattr(engine, "covers", lambda _: True)


def _line(text, start):
    return next(" ".join(line.split()) for line in text.splitlines() if line.startswith(start))


def test_run_status_ship_verify(capsys, monkeypatch):
    assert main(["run", "core", "--env", "Pendulum", "--workers", "2"]) == 0
    assert "core: 6 of 6 runs are finished" in capsys.readouterr().out
    assert main(["ship", "core"]) == 0
    printed = capsys.readouterr().out
    assert "Pendulum.runs.parquet" in printed and "CartPole" not in printed
    assert (shipped_results.RESULTS.parent / "croissant.json").exists()
    assert main(["run", "core"]) == 0
    assert main(["status"]) == 0
    printed = capsys.readouterr().out
    assert _line(printed, "core ") == "core 12 of 12 (shipped 6, local 6)"
    assert _line(printed, "table1") == "table1 0 of 1 (shipped 0, local 0)"
    assert main(["ship"]) == 0 and main(["ship"]) == 0
    assert "nothing new is complete" in capsys.readouterr().out
    assert len(Shipped().results(TINY)) == 12

    assert main(["verify", "--sample", "5"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "5 of 5 runs are the same in every number\n"
    assert "5/5" in printed.err
    assert main(["verify", "core", "--sample", "1"]) == 0
    assert main(["verify", "table1"]) == 2
    assert "write python -m lnqlib ship" in capsys.readouterr().err


@pytest.fixture
def shipped():
    """All twelve runs of the small world, trained and shipped."""
    Store().write([standin.train(run) for run in TINY])
    assert main(["ship", "core"]) == 0


def altered(name=None, by=0.0, factor=1.0, seeds=(0, 1, 2)):
    """A trainer with another row, or with another curve at step 0."""

    def train(run):
        result = standin.train(run)
        if run.seed in seeds:
            result.row["dgi"] += by
            if name:
                result.curves[name][0] *= factor
        return result

    return train


@pytest.mark.usefixtures("shipped")
def test_verify_judges_rows_where_bits_are_to_agree(capsys, monkeypatch):
    monkeypatch.setattr(compiled, "pinned", lambda: True)
    monkeypatch.setattr(engine, "train", altered(by=0.25, seeds=(0, 1)))
    capsys.readouterr()
    assert main(["verify"]) == 1
    said = capsys.readouterr().out
    assert "4 of 12 runs are the same in every number" in said
    assert "largest difference of a run's row: 0.25 in dgi" in said
    assert float(re.search(r"at step 0: (\S+) in", said)[1]) < 1.2e-7
    assert main(["verify", "--tolerance", "0.26"]) == 0


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("name", "factor", "code"),
    [("gi2", 1 + 1e-5, 1), ("gi2", 1 + 1e-7, 0), ("injected_sgi", np.nan, 1), ("return", 2.0, 0)],
)
def test_verify_judges_step_0_where_rounding_differs(capsys, monkeypatch, name, factor, code):
    monkeypatch.setattr(compiled, "pinned", lambda: False)
    monkeypatch.setattr(engine, "train", altered(name, by=1e9, factor=factor))
    capsys.readouterr()
    assert main(["verify"]) == code
    said = capsys.readouterr().out
    assert "0 of 12 runs are the same" in said and "judged is step 0" in said
    assert (f" in {name} " in said) == (name != "return")


def with_files(change):
    """Every shipped file with its table changed, under digests that fit."""
    for path in shipped_results.RESULTS.rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
        sums = path.with_name("SHA256SUMS")
        lines = [line for line in sums.read_text().splitlines() if not line.endswith(path.name)]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        sums.write_text("\n".join([*lines, f"{digest}  {path.name}"]) + "\n")


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("pinned", [True, False])
def test_verify_compares_the_columns_that_a_file_has(capsys, monkeypatch, pinned):
    monkeypatch.setattr(compiled, "pinned", lambda: pinned)
    with_files(lambda table: table.drop_columns("sgi_off"))
    capsys.readouterr()
    assert main(["verify"]) == 0
    said = capsys.readouterr().out
    assert "not compared where a file has no such column: sgi_off\n" in said
    assert "12 of 12 runs are the same" in said
    monkeypatch.setattr(engine, "train", altered("sgi_off", by=0.25))  # a row's dgi differs, too
    assert main(["verify", "--tolerance", "0.26"]) == 0
    assert "0 of 12 runs" in capsys.readouterr().out


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("pinned", [True, False])
def test_a_shipped_nan_against_a_number_is_a_difference(capsys, monkeypatch, pinned):
    monkeypatch.setattr(compiled, "pinned", lambda: pinned)
    with_files(lambda table: replaced(table, "sgi_off", np.nan))
    assert main(["verify"]) == 1
    assert "inf in sgi_off" in capsys.readouterr().out


def replaced(table, name, value):
    """The table with one value in all of a column, where it has that column."""
    if name not in table.column_names:
        return table
    i = table.column_names.index(name)
    return table.set_column(i, table.schema.field(i), pa.array([value] * len(table)))


@pytest.mark.usefixtures("shipped")
def test_modules_that_results_name_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / "marks.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with_files(lambda table: replaced(table, "norm", "marks:factory"))
    with_files(lambda table: replaced(table, "env", "marks:Mine-v0"))
    assert set(sweep(TINY)["norm"]) == {"marks:factory"}
    assert set(lookup(TINY, Store(), Shipped())["env"]) == {"marks:Mine-v0"}
    assert main(["status"]) == 0
    main(["verify"])  # may refuse
    assert not (tmp_path / "mark").exists() and "marks" not in sys.modules


def test_partial_ships_what_there_is(capsys):
    Store().write([standin.train(TINY[0])])
    assert main(["ship", "core"]) == 0
    assert not shipped_results.RESULTS.exists()
    assert main(["ship", "core", "--partial"]) == 0
    assert list(Shipped().results(TINY)["key"]) == [TINY[0].key]


def test_no_time_starts_nothing(capsys):
    assert main(["run", "core", "--limit-minutes", "0"]) == 0
    assert "core: 0 of 12 runs" in capsys.readouterr().out


def test_filters_choose_envs_and_optimizers():
    assert main(["run", "core", "--optimizer", "Adam"]) == 0
    assert Store().results().empty
    assert main(["run", "core", "--env", "CartPole", "--optimizer", "SGD"]) == 0
    assert set(Store().results()["env"]) == {"CartPole"}


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["run", "cores"], "'cores'"),
        (["run", "core", "--env", "Pong"], "'Pong'"),
        (["run", "core", "--workers", "0"], "'0'"),
        (["run", "core", "--limit-minutes", "soon"], "'soon'"),
        (["ship", "cores"], "'cores'"),
        (["verify", "--sample", "-1"], "'-1'"),
        (["verify"], "nothing to verify is shipped"),
        (["verify", "cores"], "'cores'"),
        (["fly"], "'fly'"),
        ([], "COMMAND"),
    ],
)
def test_a_refusal_is_one_sentence_and_code_2(arguments, named, capsys):
    try:
        code = main(arguments)
    except SystemExit as exit:
        code = exit.code
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert named in said


def test_errors_of_store_and_trainer_are_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engine, "train", lambda run: 1 / 0)
    assert main(["run", "core"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: 12 of the runs failed") and "ZeroDivisionError" in said
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LNQ_STORE", str(tmp_path / "file"))
    assert main(["run", "core"]) == 2
    assert f"error: the store {tmp_path}/file cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("trainer", ["slow", "endless"])
def test_ctrl_c_ends_within_five_seconds_with_the_line_that_continues(tmp_path, trainer):
    code = (
        "import pathlib, sys, runpy, standin, lnqlib.engine as engine\n"
        "import lnqlib.store.shipped as ship\n"
        "ship.RESULTS = pathlib.Path('nothing is shipped')\n"
        f"engine.train = standin.{trainer}\n"
        "sys.argv[1:] = ['run', 'core', '--workers', '2', '--env', 'CartPole']\n"
        "runpy.run_module('lnqlib', run_name='__main__')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=standin.interruptible,
    )
    while not list((tmp_path / "store").glob("*.claim")):
        time.sleep(0.02)
    time.sleep(1.0)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert process.returncode == 130 and "Traceback" not in errors
    last = errors.splitlines()[-1]
    kept = len(Store().results())
    assert (kept > 0) == (trainer == "slow")
    assert last == (
        f"Interrupted: {kept} of 1080 runs are finished and kept; "
        "continue with: python -m lnqlib run core --workers 2 --env CartPole"
    )


def test_a_row_tells_its_spec():
    odd = spec.RunSpec("Pendulum", bias=False, terminal_mask=False, lr=1e-5, second_order=True)
    Store().write([standin.train(run) for run in (odd, TINY[3])])
    for run, (_, row) in zip(
        (odd, TINY[3]), Store().results([odd, TINY[3]]).iterrows(), strict=True
    ):
        assert spec_of(row) == run and spec_of(row).key == run.key


NAN, INF = float("nan"), float("inf")
OLD, NEW = (NAN, INF, 1.0, NAN, INF, -2.0, 0.0, INF), (NAN, INF, 1.5, 3.0, -INF, -2.0, 0.0, 1.0)


def test_differences_of_nan_and_infinity():
    result = standin.train(TINY[0])
    rows = pd.DataFrame([{"key": TINY[0].key} | result.row])
    rows.loc[0, list(COMPARED[:8])] = OLD
    result.row.update(zip(COMPARED, NEW, strict=False))
    gaps = differences(rows, [result]).loc[TINY[0].key]
    assert gaps.tolist()[:8] == [0.0, 0.0, 0.5, INF, INF, 0.0, 0.0, INF]
    assert (gaps[8:] == 0).all()


def test_differences_at_step_0_are_relative_and_a_missing_curve_is_one():
    result = standin.train(TINY[0])
    curves = pd.DataFrame({"key": TINY[0].key} | result.curves)
    for name, old, new in zip(AT_START, OLD, NEW, strict=False):
        curves.loc[0, name], result.curves[name][0] = old, new
    gaps = start_differences(curves, [result]).loc[TINY[0].key]
    assert gaps.tolist()[:8] == [0.0, 0.0, 1 / 3, INF, INF, 0.0, 0.0, INF]
    assert (gaps[8:] == 0).all()
    missing = start_differences(curves, [standin.train(TINY[1])])
    assert missing.to_numpy().max() == INF
