"""data/croissant.json describes the files that are there, and others' software reads it."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from lnqlib.store import croissant

DATA = ROOT / "data"
WRITTEN = json.loads((DATA / croissant.NAME).read_text(encoding="utf8"))


def test_it_is_what_would_be_written_now() -> None:
    assert croissant.metadata(DATA) == WRITTEN, "write python -m lnqlib.store.croissant"


def test_every_file_has_its_digest_and_every_column_its_meaning() -> None:
    listed = {part["@id"]: part for part in WRITTEN["distribution"]}
    files = sorted(DATA.glob("results/*/*.parquet"))
    assert files
    records = {part["name"]: part for part in WRITTEN["recordSet"]}
    for path in files:
        name = path.relative_to(DATA).as_posix()
        assert listed[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        (kind,) = (kind for kind in records if name in listed[f"{kind}-files"]["includes"])
        fields = records[kind]["field"]
        assert [field["name"] for field in fields] == pq.read_schema(path).names
        assert all(len(field["description"]) > 3 for field in fields)
    types = {field["name"]: field["dataType"] for field in records["runs"]["field"]}
    assert types["env"] == "sc:Text" and types["bias"] == "sc:Boolean"
    assert types["seed"] == "sc:Integer" and types["return"] == "sc:Float"


def test_units_come_from_the_tables() -> None:
    found = croissant.columns(
        "| `lr` | learning rate |\n| `loss` | squared reward | mean |\n| `sgi` | - | cosine |\n"
    )
    assert found["lr"] == "learning rate" and found["sgi"] == "cosine"
    assert found["loss"] == "mean (squared reward)"


def test_files_with_other_columns_are_records_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "core"
    folder.mkdir(parents=True)
    frames = {"A.runs": ["key", "lr"], "A.curves": ["key", "step"], "B.runs": ["key", "lr", "sgi"]}
    sums = ""
    for name, names in frames.items():
        pd.DataFrame({column: [0.5] for column in names}).to_parquet(folder / f"{name}.parquet")
        data = (folder / f"{name}.parquet").read_bytes()
        sums += f"{hashlib.sha256(data).hexdigest()}  {name}.parquet\n"
    (folder / "SHA256SUMS").write_text(sums)
    written = json.loads(croissant.write(tmp_path).read_text(encoding="utf8"))
    records = {part["name"]: [f["name"] for f in part["field"]] for part in written["recordSet"]}
    assert records == {"curves": ["key", "step"], "runs": ["key", "lr"], "runs-2": frames["B.runs"]}


def test_mlcroissant_validates_and_reads_it() -> None:
    """Where it is installed: pip install mlcroissant, which brings pandas-stubs along."""
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(str(DATA / croissant.NAME))
    assert not dataset.metadata.ctx.issues.errors
    for records in WRITTEN["recordSet"]:
        first = next(iter(dataset.records(records["name"])))
        assert len(first) == len(records["field"])
