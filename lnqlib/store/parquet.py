"""The Parquet files of finished runs: their columns, their origin, and writing them whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..results import COUNTS, CURVES, ENGINE_VERSION, Result
from ..spec import ADDED, FIELDS, RunSpec, default

PROTOCOL = "App. G, reading 1"
ORIGIN = {"lnqlib.engine_version": str(ENGINE_VERSION), "lnqlib.protocol": PROTOCOL}

_TYPES = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
MEASURED = (*CURVES, *COUNTS)
ROWS = pa.schema(
    [("key", pa.string())]
    + [(name, _TYPES[RunSpec.__annotations__[name]]) for name in FIELDS]
    + [(name, pa.float64()) for name in MEASURED]
)
"""A run's row: what was run and what was measured."""
LISTS = pa.schema(
    [("curve_step", pa.list_(pa.int64()))]
    + [(f"curve_{name}", pa.list_(pa.float64())) for name in CURVES]
)
CHUNK = pa.schema([*ROWS, *LISTS])
"""A file of the local store: rows, each with its curves as lists."""
LONG = pa.schema(
    [("key", pa.string()), ("step", pa.int64())] + [(name, pa.float64()) for name in CURVES]
)
"""Curves with one row a checkpoint, as they are shipped."""
_MEASURED = {*MEASURED, *(f"curve_{name}" for name in CURVES)}
_OPTIONAL = {*ADDED, *_MEASURED}


class Damaged(ValueError):
    """A file that cannot be used; the message is the rest of a sentence on the file."""


class Foreign(Damaged):
    """A whole file of another version of this library."""


def chunk_table(results: list[Result]) -> pa.Table:
    """One row a run: key, spec, measured means and counts, and the curves as lists."""
    columns: dict[str, list] = {"key": [r.spec.key for r in results]}
    columns |= {name: [getattr(r.spec, name) for r in results] for name in FIELDS}
    columns |= {name: [float(r.row[name]) for r in results] for name in MEASURED}
    columns |= {f"curve_{name}": [r.curves[name] for r in results] for name in ("step", *CURVES)}
    return pa.table(columns, schema=CHUNK)


def frame_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The frame's columns of `schema`; NaN stays NaN, where `pa.Table.from_pandas` writes null."""
    arrays = [pa.array(frame[f.name].to_numpy(), f.type, from_pandas=False) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def long(table: pa.Table) -> pd.DataFrame:
    """Curves stored as lists, one row a run, as one row a checkpoint."""
    parent = pc.list_parent_indices(table["curve_step"])
    columns = {"key": table["key"].take(parent)}
    columns |= {n: pc.list_flatten(table[f"curve_{n}"]) for n in ("step", *CURVES)}
    return pa.table(columns).to_pandas()


def in_order(parts: list[pd.DataFrame], keys: Iterable[str]) -> pd.DataFrame:
    """Long curves of several files as one frame, runs in the order of `keys`."""
    empty = pd.DataFrame({"key": pd.Series(dtype="str"), "step": pd.Series(dtype="int64")})
    frame = pd.concat(parts) if parts else empty.reindex(columns=["key", "step", *CURVES])
    place_of = {key: i for i, key in enumerate(keys)}
    order = frame["key"].map(place_of).argsort(kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def encode(table: pa.Table, extra: dict[str, str], level: int = 3) -> bytes:
    """A Parquet file with the engine version, the protocol and package versions in its metadata."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(ORIGIN | _packages() | extra),
        sink,
        compression="zstd",
        compression_level=level,
        use_dictionary=["key", "file", *FIELDS],
        column_encoding=dict.fromkeys(_floats(table.schema), "BYTE_STREAM_SPLIT"),
    )
    return sink.getvalue().to_pybytes()


def decode(data: bytes, schema: pa.Schema, columns: list[str]) -> pa.Table:
    """The `columns` of a Parquet file that this library wrote with `schema`.

    What the file lacks of measured columns was not measured, NaN; of `spec.ADDED`, the default.

    **Raises** `Damaged` where the file is none, `Foreign` where it has other columns or is of
    another engine version.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        found = file.schema_arrow
        check_origin(found.metadata or {})
        have = {field.name: field.type for field in found}
        known = {field.name: field.type for field in schema}
        other = any(kind != known.get(name) for name, kind in have.items())
        if other or known.keys() - have.keys() - _OPTIONAL:
            raise Foreign("holds other columns than this library writes")
        table = file.read([name for name in columns if name in have], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise Damaged("is not a readable Parquet file") from error
    return _complete(table, pa.schema([schema.field(name) for name in columns]))


def check_origin(metadata: dict[bytes, bytes]) -> None:
    """Refuses files of another engine version or protocol: their numbers are others."""
    found = {name: metadata.get(name.encode(), b"").decode(errors="replace") for name in ORIGIN}
    if not all(found.values()):
        raise Damaged("was not written by this library")
    for name, value in found.items():
        if value != ORIGIN[name]:
            what = name.removeprefix("lnqlib.").replace("_", " ")
            raise Foreign(f'was made by {what} "{value}" while this is "{ORIGIN[name]}"')


def place(data: bytes, path: Path) -> None:
    """Writes `data` to `path` so that a crash leaves the whole file or none."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _complete(table: pa.Table, schema: pa.Schema) -> pa.Table:
    have = set(table.column_names)
    missing = [field for field in schema if field.name not in have]
    for field in missing:
        if field.name in ADDED:
            values = [default(field.name)] * len(table)
        elif pa.types.is_list(field.type):
            values = [[float("nan")] * len(steps) for steps in table["curve_step"].to_pylist()]
        else:
            values = [float("nan")] * len(table)
        table = table.append_column(field, pa.array(values, field.type))
    return table.select(schema.names).replace_schema_metadata(None)


def _floats(schema: pa.Schema) -> list[str]:
    """The paths of the measured columns within a Parquet file."""
    names = [field.name for field in schema if field.name in _MEASURED]
    return [f"{name}.list.element" if name.startswith("curve_") else name for name in names]


@cache
def _packages() -> dict[str, str]:
    versions = {}
    for package in ("numpy", "numba", "torch", "pyarrow"):
        with suppress(PackageNotFoundError):
            versions[f"version.{package}"] = version(package)
    return versions
