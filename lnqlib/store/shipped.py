"""Reading the results in data/results."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..results import CURVES
from ..spec import RunSpec
from .local import ROOT, key_of
from .parquet import LONG, MEASURED, ROWS, Damaged, decode, in_order

RESULTS = ROOT / "data" / "results"
SUMS = "SHA256SUMS"


class Shipped:
    """The repository's results, `<study>/<env>.runs.parquet` and `<study>/<env>.curves.parquet`.

    Only read. A file that differs from its digest in SHA256SUMS, or has another engine version, is
    named in a warning and ignored.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder or RESULTS

    def results(self, runs: Iterable[RunSpec | str] | None = None) -> pd.DataFrame:
        """The rows of the shipped ones among `runs`, as `Store.results` gives them."""
        if runs is None:
            return self._rows
        keys = pd.Index(key_of(run) for run in runs).unique()
        where = pd.Index(self._rows["key"]).get_indexer(keys)
        return self._rows.iloc[where[where >= 0]].reset_index(drop=True)

    def keys(self) -> set[str]:
        """The keys of all shipped runs."""
        return set(self._rows["key"])

    def curves(self, runs: Iterable[RunSpec | str]) -> pd.DataFrame:
        """The checkpoints of the shipped ones among `runs`, as `Store.curves` gives them."""
        keys = list(dict.fromkeys(key_of(run) for run in runs))
        parts, rest = [], set(keys)
        for path, rows in self.files:
            wanted = rest & set(rows["key"])
            if wanted and (table := read(curves_of(path), LONG)) is not None:
                table = table.filter(pc.is_in(table["key"], pa.array(sorted(wanted))))
                parts.append(table.to_pandas())
                rest -= set(parts[-1]["key"])
        return in_order(parts, keys)

    def lacking(self, runs: Iterable[RunSpec | str], curves: bool = False) -> dict[str, set[str]]:
        """The measured columns that the files of the shipped ones among `runs` lack, by key.

        `results`, or `curves`, gives NaN there: a column newer than the file was not measured.
        """
        rest, lacks = {key_of(run) for run in runs}, dict[str, set[str]]()
        for path, rows in self.files:
            here = rest & set(rows["key"])
            if here:
                path = curves_of(path) if curves else path
                with suppress(OSError, pa.ArrowException):  # a file that cannot be read says so
                    have = pq.read_schema(path).names
                    measured = CURVES if curves else MEASURED
                    lacks |= dict.fromkeys(here, set(measured).difference(have))
                rest -= here
        return {key: names for key, names in lacks.items() if names}

    @cached_property
    def files(self) -> list[tuple[Path, pd.DataFrame]]:
        """The files of rows that can be used, each with its rows."""
        paths = sorted(self.folder.glob("*/*.runs.parquet"))
        tables = [(path, _rows_of(path)) for path in paths]
        return [(path, rows) for path, rows in tables if rows is not None]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        frames = [rows for _, rows in self.files if len(rows)]
        frames = frames or [ROWS.empty_table().to_pandas()]
        return pd.concat(frames).drop_duplicates("key").reset_index(drop=True)


def _rows_of(path: Path) -> pd.DataFrame | None:
    """A file's rows, or None and a warning, as `read` gives them."""
    with _warned(path):
        return _read_rows(path, _stamp(path), _stamp(path.with_name(SUMS)))
    return None


@lru_cache(256)  # a page looks runs up a dozen times, each time in all files
def _read_rows(path: Path, *stamps: tuple[int, ...]) -> pd.DataFrame:
    """A file's rows; `stamps` tell whether it is the file that was read before."""
    return _load(path, ROWS).to_pandas()


def _stamp(path: Path) -> tuple[int, ...]:
    with suppress(OSError):  # whoever reads it says so
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return ()


def curves_of(path: Path) -> Path:
    """The file of checkpoints beside a file of rows."""
    return path.with_name(path.name.replace(".runs.", ".curves."))


def read(path: Path, schema: pa.Schema) -> pa.Table | None:
    """A shipped file, or None and a warning where it cannot be used."""
    with _warned(path):
        return _load(path, schema)
    return None


def _load(path: Path, schema: pa.Schema) -> pa.Table:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest not in digests(path.parent).get(path.name, ()):
        raise Damaged(f"does not match its digest in {SUMS}")
    return decode(data, schema, schema.names)


@contextmanager
def _warned(path: Path) -> Iterator[None]:
    """Whatever makes a shipped file unusable becomes a warning."""
    try:
        yield
    except (Damaged, OSError) as error:
        reason = str(error) if isinstance(error, Damaged) else f"cannot be read ({error.strerror})"
        warnings.warn(f"the shipped results {path}: {reason}; they are ignored", stacklevel=4)


def digests(folder: Path) -> dict[str, set[str]]:
    """The digests in a study's SHA256SUMS, by file; two where a file was being replaced."""
    sums: dict[str, set[str]] = {}
    if (folder / SUMS).exists():
        for line in (folder / SUMS).read_text(errors="replace").splitlines():
            digest, _, name = line.partition("  ")
            sums.setdefault(name, set()).add(digest)
    return sums
