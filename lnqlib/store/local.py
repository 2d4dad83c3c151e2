"""The local store: finished runs as Parquet files, one for each chunk, written whole or not at all.

A file is named `<digest of its keys>-<digest of its bytes>.parquet`, so any changed bit shows.
Files are never rewritten; reading needs neither torch nor numba.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..results import ROOT, Result
from ..spec import RunSpec
from .lock import Reservation, locked, share
from .parquet import (
    CHUNK,
    LISTS,
    MEASURED,
    ROWS,
    Damaged,
    Foreign,
    chunk_table,
    decode,
    encode,
    in_order,
    long,
    place,
)

_NAME = re.compile(r"[0-9a-f]{16}-([0-9a-f]{32})\.parquet")
_FILE = ("file", pa.string())
_CATALOGUE_EVERY = 64  # new files, or 1/32 of all if more, before the catalogue is rewritten
_PIECES = 512  # pieces of the table of rows before they are merged


class StoreError(OSError):
    """The store cannot be written; the message names the folder."""


def in_repository(*parts: str) -> Path:
    """A path in the repository.

    **Raises** `StoreError` where this package is installed outside of it.
    """
    if not (ROOT / "data" / "README.md").is_file():
        raise StoreError(
            f"{ROOT} is no clone of the project's repository, in which the results are; "
            "set LNQ_REPOSITORY to the folder of one"
        )
    return ROOT.joinpath(*parts)


def _default_folder() -> Path:
    with suppress(StoreError):
        return in_repository(".lnq_store")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "lnqlib")


class Store:
    """The finished runs in a folder.

    **Arguments**: `path`, the folder; without it the environment variable LNQ_STORE, else
    `.lnq_store` in the repository, else `lnqlib` in the user's cache folder. It is created at the
    first write.

    A file that is damaged is named in a warning and moved to the folder's `set_aside/`; one of
    another version of this library, which may be at work in the same folder, is named and left.
    Their runs count as missing.
    """

    def __init__(self, path: str | os.PathLike | None = None):
        self.path = Path(path or os.environ.get("LNQ_STORE") or _default_folder()).absolute()
        self._inner = False
        self._known: dict[str, int] = {}  # file name -> modification time in ns
        self._left: set[str] = set()  # files of other versions
        self._rows = ROWS.append(pa.field(*_FILE)).empty_table()
        self._scanned, self._uncatalogued = False, 0

    def results(self, runs: Iterable[RunSpec | str] | None = None) -> pd.DataFrame:
        """The rows of the finished ones among `runs` (specs or keys; None: all), without curves.

        **Returns** columns key, every RunSpec field, every name in CURVES and COUNTS; each run
        once, in the order asked.
        """
        return self._frame(runs).drop(columns="file").reset_index(drop=True)

    def keys(self) -> set[str]:
        """The keys of all finished runs."""
        self._scan()
        return set(self._rows["key"].to_pylist())

    def curves(self, runs: Iterable[RunSpec | str] | None = None) -> pd.DataFrame:
        """The checkpoints of the finished ones among `runs`: key, step, a column for each curve."""
        frame, parts = self._frame(runs), []
        for name, keys in frame.groupby("file", sort=False)["key"]:
            try:
                table = self._read(name, ["key", *LISTS.names])
            except (Damaged, OSError) as error:
                self._set_aside({name: error})
                continue
            parts.append(long(table.filter(pc.is_in(table["key"], pa.array(keys)))))
        return in_order(parts, frame["key"])

    def lacking(self, runs: Iterable[RunSpec | str]) -> set[str]:
        """The measured columns that a file of the finished ones among `runs` lacks.

        Such a column is newer than the file: `results` gives NaN, which here is not "not measured".
        """
        names = set(self._frame(runs)["file"])
        have = (pq.read_schema(self.path / name).names for name in names)
        return {name for some in have for name in set(MEASURED).difference(some)}

    def write(self, results: list[Result]) -> Path:
        """Saves one chunk of finished runs, as a whole or not at all.

        **Raises** `StoreError` where the folder cannot be written or is full.
        """
        table = chunk_table(results)
        data = encode(table, {})
        keys = hashlib.sha256("".join(table["key"].to_pylist()).encode()).hexdigest()
        path = self.path / f"{keys[:16]}-{hashlib.sha256(data).hexdigest()[:32]}.parquet"
        with self.writing():
            self._make()
            place(data, path)
            time = path.stat().st_mtime_ns
        if self._scanned:  # saves reading it back
            self._add({path.name: table.select(ROWS.names)}, {path.name: time})
        return path

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """Creates the folder if it is missing, and a reservation for one sweep."""
        with self.writing():
            self._make()
            with locked(self.path):
                reservation = Reservation(self.path)
        try:
            yield reservation
        finally:
            reservation.close()

    def within(self, name: str) -> Store:
        """The store in a subfolder of this one, with the same permissions."""
        inner = Store(self.path / name)
        inner._inner = True
        return inner

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns errors of the operating system into one sentence."""
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise StoreError(
                f"the store {self.path} cannot be written ({error.strerror or error}{where}); "
                "what was finished before is kept; make room or permit writing there, or set "
                "LNQ_STORE to another folder"
            ) from error

    def _make(self) -> None:
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            if self._inner:
                share(self.path)

    def _frame(self, runs: Iterable[RunSpec | str] | None) -> pd.DataFrame:
        self._scan()
        frame = self._rows.to_pandas()
        age = frame["file"].map(self._known)  # of two rows with one key, the newer wins
        frame = frame.iloc[age.argsort(kind="stable")].drop_duplicates("key", keep="last")
        if runs is None:
            return frame
        keys = pd.Index(key_of(run) for run in runs).unique()
        where = pd.Index(frame["key"]).get_indexer(keys)
        return frame.iloc[where[where >= 0]]

    def _scan(self) -> None:
        """Brings the rows up to date with the folder: reads new files, forgets vanished ones."""
        files = _listing(self.path, self._known)
        if not self._scanned:
            self._load_catalogue()
            self._scanned = True
        if gone := [name for name, time in self._known.items() if files.get(name) != time]:
            gone_rows = pc.is_in(self._rows["file"], pa.array(gone, "string"))
            self._rows = self._rows.filter(pc.invert(gone_rows))
            self._known = {n: time for n, time in self._known.items() if files.get(n) == time}
        fresh, bad = {}, {}
        for name in sorted(files.keys() - self._known.keys() - self._left):
            try:
                fresh[name] = self._read(name, ROWS.names)
            except FileNotFoundError:
                continue  # another process has just set it aside
            except (Damaged, OSError) as error:
                bad[name] = error
        self._add(fresh, files)
        if bad:
            self._set_aside(bad)
        if self._uncatalogued >= max(_CATALOGUE_EVERY, len(self._known) // 32):
            self._save_catalogue()

    def _add(self, tables: dict[str, pa.Table], times: dict[str, int]) -> None:
        """Remembers the rows of new files."""
        if not tables:
            return
        rows = [t.append_column(*_FILE[:1], pa.array([n] * len(t))) for n, t in tables.items()]
        # rows first: after an interrupt in between, the files are read again
        self._rows = pa.concat_tables([self._rows, *rows])
        self._known.update((name, times[name]) for name in tables)
        self._uncatalogued += len(tables)
        if self._rows["key"].num_chunks > _PIECES:
            self._rows = self._rows.combine_chunks()

    def _read(self, name: str, columns: list[str]) -> pa.Table:
        data = (self.path / name).read_bytes()
        expected = _NAME.fullmatch(name)
        if not data:
            raise Damaged("is empty")
        if not expected:
            raise Damaged("is not a file that this store wrote")
        if not hashlib.sha256(data).hexdigest().startswith(expected[1]):
            raise Damaged("is damaged: its content does not match the digest in its name")
        return decode(data, CHUNK, columns)

    def _set_aside(self, bad: Mapping[str, Exception]) -> None:
        """Moves damaged files away, leaves others' and unreadable ones, and warns of them."""
        foreign = {name: error for name, error in bad.items() if isinstance(error, Foreign)}
        if 0 < len(foreign) < len(bad):
            self._set_aside(foreign)
            bad = {name: error for name, error in bad.items() if name not in foreign}
        self._left |= foreign.keys()
        aside, outcome = self.path / "set_aside", "moved to its set_aside folder"
        for name, error in bad.items():
            try:
                if isinstance(error, Foreign) or not isinstance(error, Damaged):
                    raise OSError
                aside.mkdir(exist_ok=True)
                share(aside)
                taken = (aside / name).exists()
                os.replace(self.path / name, aside / (name + secrets.token_hex(2) * taken))
            except FileNotFoundError:
                pass  # another process was faster
            except OSError:
                outcome = "left there"
        reasons = {name: getattr(e, "strerror", None) or str(e) for name, e in bad.items()}
        for reason in dict.fromkeys(reasons.values()):
            names = [name for name in bad if reasons[name] == reason]
            rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
            warnings.warn(
                f"{', '.join(names[:3])}{rest} in the store {self.path}: {reason}; "
                f"{outcome}, its runs count as missing",
                stacklevel=2,
            )

    def _load_catalogue(self) -> None:
        """Loads the rows gathered from many files, which need not be opened again."""
        with suppress(OSError, Damaged, ValueError):
            data = (self.path / "catalogue").read_bytes()
            if hashlib.sha256(data[32:]).digest() != data[:32]:
                return
            schema = pa.schema([*ROWS, pa.field(*_FILE), ("time", pa.int64())])
            table = decode(data[32:], schema, schema.names)
            files, times = table["file"].to_pylist(), table["time"].to_pylist()
            self._rows = table.drop_columns("time")
            self._known = dict(zip(files, times, strict=True))

    def _save_catalogue(self) -> None:
        self._rows = self._rows.combine_chunks()
        times = [self._known[name] for name in self._rows["file"].to_pylist()]
        data = encode(self._rows.append_column("time", pa.array(times, pa.int64())), {})
        with suppress(OSError):  # the catalogue only saves time
            place(hashlib.sha256(data).digest() + data, self.path / "catalogue")
        self._uncatalogued = 0


def key_of(run: RunSpec | str) -> str:
    """The key of a spec; a key stays itself."""
    return run if isinstance(run, str) else run.key


def _listing(folder: Path, known: dict[str, int]) -> dict[str, int]:
    """The folder's files, each with its modification time in ns.

    Files are never rewritten, so the time of a `known` one is not asked for again: that would take
    twenty times as long as listing the names.
    """
    files = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".parquet") and not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # another process has just set it aside
                    files[entry.name] = known.get(entry.name) or entry.stat().st_mtime_ns
    return files
