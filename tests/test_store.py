"""The store gives back what was put in, and the shipped files what the store held."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import standin

from lnqbook.mediation import OTHERS, PAPER
from lnqbook.mediators import KEPT
from lnqlib.results import COMPANIONS, COUNTS, CURVES, INJECTED
from lnqlib.spec import FIELDS, grid
from lnqlib.store import Store, StoreError, local, parquet
from lnqlib.store import ship as shipping
from lnqlib.store import shipped as shipped_results
from lnqlib.store.ship import downsample, rounded, ship
from lnqlib.store.shipped import Shipped

SPECS = grid(env="Pendulum", norm=("none", "layer"), lr=(1e-2, 1e-3), seed=range(3), checkpoints=8)


@pytest.fixture
def filled(tmp_path):
    """A store of four files with three runs each."""
    made = Store(tmp_path / "store")
    for i in range(0, 12, 3):
        made.write([standin.train(spec) for spec in SPECS[i : i + 3]])
    return made


def test_gives_back_every_bit(filled):
    rows = Store(filled.path).results(SPECS)
    assert list(rows.columns) == ["key", *FIELDS, *CURVES, *COUNTS]
    for spec, (_, row) in zip(SPECS, rows.iterrows(), strict=True):
        result = standin.train(spec)
        assert row["key"] == spec.key
        assert all(row[name] == getattr(spec, name) for name in FIELDS)
        for name in {*CURVES, *COUNTS} - {"seconds"}:
            assert np.array_equal(row[name], result.row[name], equal_nan=True), name
    curves = filled.curves(SPECS)
    assert list(curves.columns) == ["key", "step", *CURVES]
    for spec in SPECS:
        part = curves[curves["key"] == spec.key]
        for name, array in standin.train(spec).curves.items():
            np.testing.assert_array_equal(part[name], array)


def test_rows_come_in_the_order_asked_and_missing_ones_not_at_all(filled):
    absent = grid(env="CartPole", seed=99)
    asked = [SPECS[7], *absent, SPECS[2], SPECS[7]]
    assert list(filled.results(asked)["key"]) == [SPECS[7].key, SPECS[2].key]
    assert list(filled.results([SPECS[4].key])["key"]) == [SPECS[4].key]
    assert list(filled.curves(asked)["key"].unique()) == [SPECS[7].key, SPECS[2].key]
    assert filled.results(absent).empty and filled.curves(absent).empty


def test_the_newer_of_two_rows_counts(filled):
    time.sleep(0.01)
    newer = standin.train(SPECS[5])
    newer.row["return"] = 123.0
    filled.write([newer, standin.train(SPECS[0])])
    for reader in (filled, Store(filled.path)):
        assert reader.results([SPECS[5]])["return"].tolist() == [123.0]
        assert len(reader.results()) == len(SPECS)


def test_the_catalogue_changes_nothing_but_the_time(filled, monkeypatch):
    before = filled.results(SPECS)
    filled._save_catalogue()
    monkeypatch.setattr(Store, "_read", lambda *_: pytest.fail("a file was opened"))
    pd.testing.assert_frame_equal(Store(filled.path).results(SPECS), before)
    monkeypatch.undo()
    path = filled.path / "catalogue"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    pd.testing.assert_frame_equal(Store(filled.path).results(SPECS), before)


def test_a_file_that_vanished_is_forgotten(filled):
    filled._save_catalogue()
    assert len(filled.results()) == 12
    next(filled.path.glob("*.parquet")).unlink()
    assert len(filled.results()) == len(Store(filled.path).results()) == 9


def test_what_was_just_written_is_not_read_back(filled, monkeypatch):
    assert len(filled.keys()) == 12
    monkeypatch.setattr(Store, "_read", lambda *_: pytest.fail("a file was opened"))
    extra = grid(env="Pendulum", seed=7, checkpoints=8)
    filled.write([standin.train(extra[0])])
    rows = filled.results(SPECS + extra)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(rows, Store(filled.path).results(SPECS + extra))
    assert len(rows) == 13


class Entry:
    """A folder's entry that logs who asks for its time, or has vanished when asked."""

    def __init__(self, entry, asked, vanished):
        self.name, self._entry, self._asked, self._vanished = entry.name, entry, asked, vanished

    def stat(self):
        self._asked.append(self.name)
        if self.name == self._vanished:
            raise FileNotFoundError(self.name)
        return self._entry.stat()


@contextmanager
def entries(monkeypatch, vanished=""):
    asked, scandir = [], os.scandir

    @contextmanager
    def logged(folder):
        with scandir(folder) as found:
            yield (Entry(entry, asked, vanished) for entry in found)

    with monkeypatch.context() as patched:
        patched.setattr(local.os, "scandir", logged)
        yield asked


def test_a_look_asks_only_for_what_is_new(filled, monkeypatch):
    filled.keys()
    written = Store(filled.path).write([standin.train(grid(env="CartPole", checkpoints=8)[0])])
    with entries(monkeypatch) as asked:
        assert len(filled.keys()) == 13
        assert asked == [written.name]
        assert len(filled.keys()) == 13
        assert asked == [written.name]


def test_a_file_that_vanishes_within_a_look_costs_no_other(filled, monkeypatch):
    one = min(path.name for path in filled.path.glob("*.parquet"))
    with entries(monkeypatch, vanished=one):
        assert len(filled.keys()) == 9


def test_the_catalogue_is_written_ever_less_often(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_CATALOGUE_EVERY", 1)
    monkeypatch.setattr(local, "_PIECES", 10)
    saved, save = [], Store._save_catalogue
    monkeypatch.setattr(Store, "_save_catalogue", lambda s: saved.append(len(s._known)) or save(s))
    made, result = Store(tmp_path), standin.train(SPECS[0])
    specs = grid(env="CartPole", seed=range(96), checkpoints=8)
    for spec in specs:
        made.write([result._replace(spec=spec)])
        made.keys()
    assert len(saved) == 63 + 16  # each of 63, then every second
    assert saved[-1] == 95
    assert list(made.results()["key"]) == [spec.key for spec in specs]
    pd.testing.assert_frame_equal(made.results(specs), Store(tmp_path).results(specs))


def test_a_reading_that_was_interrupted_loses_no_rows(filled, monkeypatch):
    interrupted = Store(filled.path)
    read, calls = Store._read, []

    def ctrl_c(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(Store, "_read", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        interrupted.keys()
    assert len(interrupted.keys()) == 12


def test_a_column_that_was_not_measured_is_nan(filled):
    table = parquet.chunk_table([standin.train(SPECS[0])]).drop_columns(["sgi", "curve_sgi"])
    table = parquet.decode(parquet.encode(table, {}), parquet.CHUNK, parquet.CHUNK.names)
    assert np.isnan(table["sgi"].to_numpy()).all()
    assert np.isnan(parquet.long(table)["sgi"]).all() and len(parquet.long(table)) == 8


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/store cannot be written.*LNQ_STORE"):
        Store(tmp_path / "file" / "store").write([standin.train(SPECS[0])])


def test_reading_needs_no_training_code():
    code = (
        "import sys, lnqlib.sweep, lnqlib.store, lnqlib.store.shipped; "
        "lnqlib.sweep.curves([]); sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=local.ROOT).returncode == 0


def test_a_file_from_before_a_field_lacks_no_measured_column(filled):
    """The field's default is what those runs had; left out of a shipped file it were all runs'."""
    path = next(filled.path.glob("*.parquet"))
    rest = pq.read_table(path).drop_columns(["target_period", "churn", "curve_churn"])
    data = parquet.encode(rest, {})
    path.unlink()
    name = f"{path.name[:16]}-{hashlib.sha256(data).hexdigest()[:32]}.parquet"
    path.with_name(name).write_bytes(data)
    assert Store(filled.path).lacking(rest["key"].to_pylist()) == {"churn"}


def test_shipped_files_hold_what_the_store_held(filled, tmp_path):
    written = ship(SPECS, tmp_path / "results" / "tiny", filled)
    assert [path.name for path in written] == ["Pendulum.runs.parquet", "Pendulum.curves.parquet"]
    shipped = Shipped(tmp_path / "results")
    pd.testing.assert_frame_equal(shipped.results(SPECS), filled.results(SPECS))
    asked = [SPECS[9], SPECS[1]]
    kept, full = shipped.curves(asked), filled.curves(asked)
    pd.testing.assert_frame_equal(kept[["key", "step"]], full[["key", "step"]])
    np.testing.assert_allclose(kept[list(CURVES)], full[list(CURVES)], rtol=2.0**-24)
    sums = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "results" / "tiny", capture_output=True
    )
    assert sums.returncode == 0
    metadata = pq.read_schema(written[0]).metadata
    for name in (b"lnqlib.engine_version", b"lnqlib.protocol", b"lnqlib.commit", b"version.numpy"):
        assert metadata[name]


def test_what_was_not_measured_is_nan_and_not_null_in_every_file(filled, tmp_path):
    """pyarrow 11 and older take nulls in columns encoded as ours for damage."""
    paths = [
        *filled.path.glob("*.parquet"),
        *ship(SPECS, tmp_path / "r" / "tiny", filled),
    ]
    for path in paths:
        for column in pq.read_table(path):
            column = column.combine_chunks()
            flat = column.flatten() if pa.types.is_list(column.type) else column
            assert flat.null_count == 0
    assert np.isnan(pq.read_table(paths[-1])["iso_3"].to_numpy()).all()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that is taken for the repository, within the repository of another project."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    outer = tmp_path / "outer"
    (outer / "lnqlib").mkdir(parents=True)
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", outer, *command], check=True)
    monkeypatch.setattr(shipping, "ROOT", outer / "lnqlib")
    return outer / "lnqlib"


def test_the_commit_is_that_of_this_repository_alone(clone, monkeypatch):
    assert shipping.commit() == "unknown"
    monkeypatch.setattr(shipping, "ROOT", clone.parent)
    head = subprocess.run(
        ["git", "-C", clone.parent, "rev-parse", "HEAD"], capture_output=True, text=True
    )
    assert shipping.commit() == head.stdout.strip()
    monkeypatch.setenv("GIT_DIR", str(clone.parent / ".git"))  # as within a hook of another one
    monkeypatch.setattr(shipping, "ROOT", clone)
    assert shipping.commit() == "unknown"


def test_without_git_the_commit_is_unknown(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert shipping.commit() == "unknown"


def test_a_column_that_is_newer_than_some_of_the_runs_is_not_shipped_as_not_measured(
    tmp_path, monkeypatch
):
    newer = ["iso_p_used", "curve_iso_p_used"]
    with monkeypatch.context() as before:
        now = local.chunk_table
        before.setattr(local, "chunk_table", lambda results: now(results).drop_columns(newer))
        Store(tmp_path / "store").write([standin.train(SPECS[0])])
    store = Store(tmp_path / "store")
    store.write([standin.train(spec) for spec in SPECS[1:]])
    assert store.lacking([SPECS[1]]) == set() and store.lacking(SPECS) == {"iso_p_used"}
    ship(SPECS, tmp_path / "results" / "tiny", store)
    shipped = Shipped(tmp_path / "results")
    assert shipped.lacking(SPECS) == {spec.key: {"iso_p_used"} for spec in SPECS}
    assert shipped.lacking(SPECS, curves=True) == shipped.lacking(SPECS)
    assert len(shipped.results()) == len(SPECS)


def test_shipping_is_deterministic_complete_and_repeatable(filled, tmp_path):
    extra = grid(env="Pendulum", seed=7, checkpoints=8)
    assert ship(SPECS + extra, tmp_path / "a" / "tiny", filled) == []
    ship(SPECS + extra, tmp_path / "a" / "tiny", filled, partial=True)
    ship(SPECS, tmp_path / "b" / "tiny", filled)
    for name in ("runs", "curves"):
        a, b = (tmp_path / x / "tiny" / f"Pendulum.{name}.parquet" for x in "ab")
        assert a.read_bytes() == b.read_bytes()
    assert ship(SPECS, tmp_path / "b" / "tiny", filled) == []
    # what is missing is added from another store; what is there stays
    late = Store(tmp_path / "late")
    late.write([standin.train(spec) for spec in extra])
    assert len(ship(SPECS + extra, tmp_path / "a" / "tiny", late)) == 2
    both = Shipped(tmp_path / "a")
    assert list(both.results(SPECS + extra)["key"]) == [s.key for s in SPECS + extra]
    assert both.curves(SPECS + extra)["key"].nunique() == 13
    for name in ("runs", "curves"):  # in a part of their own: what was shipped stays as it is
        a, b = (tmp_path / x / "tiny" / f"Pendulum.{name}.parquet" for x in "ab")
        assert a.read_bytes() == b.read_bytes()
        assert (tmp_path / "a" / "tiny" / f"Pendulum.2.{name}.parquet").exists()


def test_a_study_may_ship_fewer_checkpoints(tmp_path):
    specs = grid(env="Pendulum", checkpoints=30)
    made = Store(tmp_path / "store")
    made.write([standin.train(spec) for spec in specs])
    for study, count in (("tiny", shipping.CHECKPOINTS), ("target", 12), ("online", 12)):
        ship(specs, tmp_path / study / study, made)
        shipped = Shipped(tmp_path / study)
        assert len(shipped.curves(specs)) == count
        pd.testing.assert_frame_equal(shipped.results(specs), made.results(specs))


def test_the_mechanisms_ship_the_checkpoints_and_curves_that_their_plan_reads(tmp_path):
    specs = grid(env="Pendulum", seed=(1, 2))
    made = Store(tmp_path / "store")
    made.write([standin.train(spec) for spec in specs])
    ship(specs, tmp_path / "results" / "mechanisms", made)
    shipped = Shipped(tmp_path / "results")
    curves, whole = shipped.curves(specs), made.curves(specs)
    steps = specs[0].checkpoint_steps
    assert curves["step"].tolist() == [*steps[list(KEPT)]] * 2 == [2_000 * i for i in KEPT] * 2
    asked = {*PAPER, *OTHERS, "return", "gi2_minibatch_used", "iso_p_used", "arm_setting"}
    left = asked - set(COMPANIONS)  # which these runs do not measure
    at = whole["step"].isin(curves["step"]).to_numpy()
    for name in left:
        np.testing.assert_allclose(curves[name], whole.loc[at, name], rtol=2**-24)
    file = pq.read_schema(tmp_path / "results" / "mechanisms" / "Pendulum.curves.parquet").names
    assert asked < set(file) and not set(INJECTED) & set(file)
    assert curves["injected_gi2"].isna().all()
    assert shipped.lacking(specs, curves=True)[specs[0].key] == set(shipping.LEFT_OUT["mechanisms"])
    losses = whole["loss"].to_numpy()[:100]
    assert curves["loss"].iloc[3] == pytest.approx(losses[4:8].mean(), rel=1e-6)


def test_rows_are_read_once_as_long_as_their_file_and_its_digest_stay(filled, tmp_path):
    path, _ = ship(SPECS, tmp_path / "results" / "tiny", filled)
    first = Shipped(tmp_path / "results")
    assert len(first.results()) == len(SPECS)
    first.results()["loss"] = 0.0  # a caller's changes are the caller's own
    read = shipped_results._read_rows.cache_info().misses
    again = Shipped(tmp_path / "results").results()
    assert shipped_results._read_rows.cache_info().misses == read
    pd.testing.assert_frame_equal(again, filled.results(SPECS))

    sums = path.with_name(shipped_results.SUMS)
    sums.write_text(sums.read_text().replace(path.name, "another"))
    for _ in range(2):  # what is wrong is said each time
        with pytest.warns(UserWarning, match=f"{path.name}: does not match its digest"):
            assert Shipped(tmp_path / "results").results().empty


LOST = {"absent": lambda path: path.unlink(), "damaged": lambda path: path.write_bytes(b"PAR1")}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_shipped_curves_that_were_lost_come_back_from_the_store(filled, tmp_path, lose):
    folder = tmp_path / "results" / "tiny"
    *_, path = ship(SPECS, folder, filled)
    before = path.read_bytes()
    lose(path)
    with pytest.warns(UserWarning, match=path.name):
        assert len(ship(SPECS, folder, filled)) == 2
    assert path.read_bytes() == before
    assert Shipped(tmp_path / "results").curves(SPECS)["key"].nunique() == len(SPECS)


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_shipping_refuses_to_lose_curves_that_are_nowhere(filled, tmp_path, lose):
    folder, late = tmp_path / "results" / "tiny", Store(tmp_path / "late")
    *_, path = ship(SPECS, folder, filled)
    lose(path)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    extra = grid(env="Pendulum", seed=7, checkpoints=8)
    late.write([standin.train(spec) for spec in [*SPECS[:5], *extra]])
    for partial in (False, True):
        refused = pytest.raises(StoreError, match=f"curves of 7 shipped.*git checkout -- {path}$")
        with pytest.warns(UserWarning, match=path.name), refused:
            ship(SPECS + extra, folder, late, partial)
        assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_shipping_refuses_to_replace_runs_that_it_cannot_read(filled, tmp_path):
    folder, late = tmp_path / "results" / "tiny", Store(tmp_path / "late")
    path, _ = ship(SPECS, folder, filled)
    path.write_bytes(b"PAR1")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    late.write([standin.train(spec) for spec in SPECS[:5]])
    with pytest.warns(UserWarning, match=path.name):
        refused = pytest.raises(StoreError, match=f"5 of its 12 runs.*git checkout -- {path}")
        with refused:
            ship(SPECS, folder, late, partial=True)
        assert ship(SPECS, folder, late) == []
        assert {file: file.read_bytes() for file in folder.iterdir()} == before
        assert len(ship(SPECS, folder, filled)) == 2  # nothing is lost


def test_downsampling_keeps_points_and_averages_the_loss():
    curves = pd.DataFrame({"key": "k", "step": [0, 3, 6, 10], **{name: 0.0 for name in CURVES}})
    curves["loss"], curves["gi2"] = [1.0, 2.0, 3.0, 5.0], [10.0, 11.0, 12.0, 13.0]
    few = downsample(curves, pd.Series({"k": 13}), checkpoints=2)
    assert few["step"].tolist() == [0, 6] and few["gi2"].tolist() == [10.0, 12.0]
    by_hand = [(3 * 1 + 3 * 2) / 6, (4 * 3 + 3 * 5) / 7]
    np.testing.assert_allclose(few["loss"], by_hand, rtol=1e-7)


def test_rounding_is_that_of_float32_without_its_limits():
    x = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(rounded(x), x.astype(np.float32).astype(float))
    far = np.array([1e300, -1e-300, np.inf, np.nan, 0.0])
    np.testing.assert_allclose(rounded(far), far, rtol=2.0**-24)
