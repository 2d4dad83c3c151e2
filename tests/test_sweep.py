"""A sweep returns the same bits however it is run, and keeps what was finished."""

import importlib
import io
import random
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pandas as pd
import pytest
import standin

from lnqlib import engine, training
from lnqlib.results import COUNTS, CURVES
from lnqlib.spec import FIELDS, RunSpec, grid, study
from lnqlib.store import Store, StoreError, shipped
from lnqlib.store.chunks import chunked, predicted_seconds
from lnqlib.store.ship import ship
from lnqlib.store.shipped import Shipped
from lnqlib.sweep import SweepError, backend_store, curves, lookup, sweep

SPECS = grid(
    env=("CartPole", "Pendulum"), norm=("none", "layer"), lr=(1e-2, 1e-3), seed=range(5),
    checkpoints=4,
)  # fmt: skip


def test_one_row_a_spec_in_the_order_given(tmp_path):
    asked = [SPECS[5], SPECS[30], SPECS[5], SPECS[0]]
    frame = sweep(asked, backend=standin.train, store=tmp_path, progress=False)
    assert list(frame["key"]) == [spec.key for spec in asked]
    assert list(frame.columns) == ["key", *FIELDS, *CURVES, *COUNTS]
    assert frame.loc[1, "return"] == standin.train(SPECS[30]).row["return"]
    again = sweep(asked, backend=standin.train, store=tmp_path)
    pd.testing.assert_frame_equal(frame, again)
    assert sweep([], backend=standin.train, store=tmp_path).empty


def test_the_same_bits_whatever_workers_order_and_executor(tmp_path):
    expected = standin.bits(pd.DataFrame([standin.train(s).row for s in SPECS]))
    shuffled = random.Random(0).sample(SPECS, len(SPECS))
    calls = {
        "one": dict(workers=1),
        "four": dict(workers=4),
        "threads": dict(executor=ThreadPoolExecutor(3)),
        "processes": dict(executor=ProcessPoolExecutor(2, get_context("forkserver"))),
    }
    for name, options in calls.items():
        store = tmp_path / name
        sweep(shuffled[:17], backend=standin.train, store=store, progress=False, **options)
        frame = sweep(SPECS, backend=standin.train, store=store, progress=False, **options)
        assert standin.bits(frame[[*CURVES, *COUNTS]]) == expected
        options.get("executor", ThreadPoolExecutor()).shutdown()


@pytest.mark.parametrize("workers", [1, 3])
def test_of_an_executor_no_more_slots_are_used_than_workers(tmp_path, workers):
    busy, most = set(), []

    def train(spec):
        busy.add(threading.get_ident())
        most.append(len(busy))
        result = standin.slow(spec)
        busy.discard(threading.get_ident())
        return result

    train.version = "1"
    options = dict(workers=workers, backend=train, store=tmp_path, progress=False)
    with ThreadPoolExecutor(8) as executor:
        assert len(sweep(SPECS, executor, **options)) == len(SPECS)
    assert max(most) == workers


def test_nothing_finished_is_trained_again(tmp_path, monkeypatch):
    monkeypatch.setenv("LNQ_TEST_LOG", str(tmp_path / "log"))
    sweep(SPECS[:10], backend=standin.slow, store=tmp_path, progress=False)
    sweep(SPECS[5:15], backend=standin.slow, store=tmp_path, progress=False)
    assert sorted(_log(tmp_path)) == sorted(spec.key for spec in SPECS[:15])
    sweep(SPECS[:3], backend=standin.slow, store=tmp_path, progress=False, refresh=True)
    assert len(_log(tmp_path)) == 18


def test_refresh_returns_the_new_results(tmp_path):
    old = standin.train(SPECS[0])
    old.row["return"] = -7.0
    store = backend_store(tmp_path, standin.train)
    store.write([old])
    assert sweep(SPECS[:1], backend=standin.train, store=tmp_path)["return"][0] == -7.0
    fresh = sweep(SPECS[:1], backend=standin.train, store=tmp_path, refresh=True, progress=False)
    assert fresh["return"][0] == standin.train(SPECS[0]).row["return"]


def test_shipped_goes_before_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "RESULTS", tmp_path / "results")
    made = Store(tmp_path / "maker")
    made.write([standin.train(spec) for spec in SPECS[20:]])
    ship(SPECS[20:], tmp_path / "results" / "tiny", made)
    local, other = Store(tmp_path / "local"), standin.train(SPECS[20])
    other.row["return"] = -7.0
    local.write([other, standin.train(SPECS[0])])
    frame = sweep([SPECS[0], *SPECS[20:]], store=local)  # nothing to train
    expected = [standin.train(spec).row["return"] for spec in [SPECS[0], *SPECS[20:]]]
    assert frame["return"].tolist() == expected
    fresh = lookup(SPECS[20:22], local, Shipped(), local_first=True)
    assert fresh["return"].tolist() == [-7.0, expected[2]]
    assert list(curves([SPECS[22], SPECS[0]], store=local)["key"].unique()) == [
        SPECS[22].key,
        SPECS[0].key,
    ]


def test_a_backend_whose_source_changes_is_trained_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "my_backend.py").write_text(
        "import my_network, standin\n"
        "def train(spec):\n"
        "    result = standin.train(spec)\n"
        "    result.row['return'] = my_network.WIDTH\n"
        "    return result\n"
    )
    returns = []
    for width in (64.0, 65.0, 64.0):
        (tmp_path / "my_network.py").write_text(f"WIDTH = {width}\n")
        for name in ("my_backend", "my_network"):
            sys.modules.pop(name, None)
        train = importlib.import_module("my_backend").train
        returns += sweep(SPECS[:1], backend=train, store=tmp_path, progress=False)[
            "return"
        ].tolist()
    assert returns == [64.0, 65.0, 64.0]
    assert len(list(tmp_path.rglob("*.parquet"))) == 2  # the first one is found again


def test_a_backend_without_source_is_refused_before_any_training(tmp_path):
    with pytest.raises(SweepError, match=r"backend: .* has no source file of its own"):
        sweep(SPECS[:1], backend=needing(threading.Lock()), store=tmp_path)
    train = needing(threading.Lock())
    train.version = "1"
    assert len(sweep(SPECS[:1], backend=train, store=tmp_path, progress=False)) == 1
    assert [path.name[:26] for path in tmp_path.iterdir()] == ["test_sweep.needing.locals."]


def needing(lock):
    def train(spec):
        with lock:
            return standin.train(spec)

    return train


def test_backends_are_kept_apart(tmp_path):
    sweep(SPECS[:2], backend=standin.train, store=tmp_path, progress=False)
    assert Store(tmp_path).results().empty
    assert len(curves(SPECS[:2], store=tmp_path, backend=standin.train)) == 8
    with pytest.raises(SweepError, match=r"backend is 'tpu'.*write backend="):
        sweep(SPECS[:2], backend="tpu", store=tmp_path, progress=False)


def test_a_run_that_fails_is_named_and_the_others_kept(tmp_path):
    with pytest.raises(SweepError, match=r"8 of the runs failed.*seed=3.*seed 3 is not for me"):
        sweep(SPECS, backend=standin.picky, store=tmp_path, progress=False)
    rest = [spec for spec in SPECS if spec.seed != 3]
    assert len(backend_store(tmp_path, standin.picky).results(rest)) == len(rest) == 32


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda spec: None, "returned None"),
        (lambda spec: standin.train(replace(spec, seed=99)), "the Result of seed=99"),
        (
            lambda spec: standin.train(spec)._replace(row={"return": 1.0}),
            "a row without return_default_start",
        ),
    ],
)
def test_a_backend_that_returns_something_else_is_told_so(tmp_path, made, problem):
    made.version = "1"
    with pytest.raises(SweepError, match=f"1 of the runs failed.*{problem}.*must return the Resu"):
        sweep(SPECS[:1], backend=made, store=tmp_path, progress=False)


def test_the_error_of_a_store_comes_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setenv("LNQ_TEST_LOG", str(tmp_path / "log"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path}/file"):
        sweep(SPECS, backend=standin.slow, store=tmp_path / "file", progress=False)
    assert not (tmp_path / "log").exists()


def test_chunks_hold_like_runs_of_five_to_ten_seconds():
    specs = study("core")
    chunks = chunked(specs, standin.train, workers=2)
    assert sorted(s.key for c in chunks for s in c.specs) == sorted(s.key for s in specs)
    for chunk in chunks:
        assert len({replace(spec, lr=1.0, seed=0) for spec in chunk.specs}) == 1
        assert sum(map(predicted_seconds, chunk.specs)) <= 10
    assert sum(map(predicted_seconds, chunks[0].specs)) >= 5
    assert len(chunked(specs[:8], standin.train, workers=4)) == 8


def test_a_run_that_needs_a_second_one_is_predicted_to_take_longer():
    plain = RunSpec(env="Pendulum", norm="none", checkpoints=20)
    alone, paired = (
        predicted_seconds(replace(plain, lr_control=c)) for c in ("own_decay", "paired_decay")
    )
    assert predicted_seconds(plain) == alone < paired < 2 * alone  # it measures only one
    assert paired < predicted_seconds(replace(plain, lr_control="paired_decay", steps=300_000))


def test_progress_counts_runs_and_is_silent_when_nothing_is_missing(tmp_path, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    sweep(SPECS, backend=standin.train, store=tmp_path)
    assert "40/40" in stream.getvalue() and "run/s" in stream.getvalue()
    before = stream.getvalue()
    sweep(SPECS, backend=standin.train, store=tmp_path)
    assert stream.getvalue() == before


def test_what_the_engine_cannot_do_goes_to_the_reference(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(engine, "covers", lambda spec: spec.seed > 0)
    monkeypatch.setattr(engine, "train", standin.train)
    monkeypatch.setattr(training, "train", lambda s: pytest.fail() if s.seed else standin.train(s))
    frame = sweep(SPECS[:5], store=tmp_path, progress=False)
    assert len(frame) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "1 of 5 runs are beyond the engine" in said


def _log(folder):
    return (folder / "log").read_text().split()
