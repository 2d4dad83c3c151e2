"""The results in data/results: reading them, and making them from the local store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..results import CURVES, INJECTED
from ..spec import ENVS, RunSpec
from .local import ROOT, Store, StoreError, key_of
from .parquet import LONG, MEASURED, ROWS, Damaged, decode, encode, frame_table, in_order, place

RESULTS = ROOT / "data" / "results"
SUMS = "SHA256SUMS"
CHECKPOINTS = 25
BITS = 24  # significant bits of a curve's numbers, as in float32
FEWER: dict[str, int | tuple[int, ...]] = {
    "target": 12,
    "online": 12,
    "mechanisms": (0, 1, 2, 4, 8, 16, 25, 37, 50, 62, 75, 87),
}
"""Checkpoints of the studies that ship fewer: how many, evenly spaced, or which."""
LEFT_OUT = {
    "mechanisms": (
        *INJECTED,
        *("qgi_plus_zero", "sgi_off", "sgi_off_zero", "sgi_zero", "mgi_zero"),
        *("return_default_start", "effective_lr", "gi2_used"),
    )
}
"""Curves that a study does not ship, for its files would be too large; rows have their means."""
LEVEL = 19


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
        for path, rows in self._files:
            wanted = rest & set(rows["key"])
            if wanted and (table := read(_curves_of(path), LONG)) is not None:
                table = table.filter(pc.is_in(table["key"], pa.array(sorted(wanted))))
                parts.append(table.to_pandas())
                rest -= set(parts[-1]["key"])
        return in_order(parts, keys)

    def lacking(self, runs: Iterable[RunSpec | str], curves: bool = False) -> dict[str, set[str]]:
        """The measured columns that the files of the shipped ones among `runs` lack, by key.

        `results`, or `curves`, gives NaN there: a column newer than the file was not measured.
        """
        rest, lacks = {key_of(run) for run in runs}, dict[str, set[str]]()
        for path, rows in self._files:
            here = rest & set(rows["key"])
            if here:
                path = _curves_of(path) if curves else path
                with suppress(OSError, pa.ArrowException):  # a file that cannot be read says so
                    have = pq.read_schema(path).names
                    measured = CURVES if curves else MEASURED
                    lacks |= dict.fromkeys(here, set(measured).difference(have))
                rest -= here
        return {key: names for key, names in lacks.items() if names}

    @cached_property
    def _files(self) -> list[tuple[Path, pd.DataFrame]]:
        paths = sorted(self.folder.glob("*/*.runs.parquet"))
        tables = [(path, _rows_of(path)) for path in paths]
        return [(path, rows) for path, rows in tables if rows is not None]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        frames = [rows for _, rows in self._files if len(rows)]
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


def _curves_of(path: Path) -> Path:
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


def ship(specs: list[RunSpec], folder: Path, store: Store, partial: bool = False) -> list[Path]:
    """Writes the finished ones among a study's `specs` to `folder`, a pair of files for each env.

    Skips incomplete tasks (unless `partial`) and fully shipped ones. A file that is there stays as
    it is: what a study has grown by goes into a further part, `<env>.2.runs.parquet` and so on.

    **Returns** the files written.

    **Raises** `StoreError` where shipped runs or their curves cannot be read and `store` lacks
    them, too.
    """
    written, shipped = [], Shipped(folder.parent)
    for env in ENVS:
        keys = list(dict.fromkeys(spec.key for spec in specs if spec.env == env))
        there = shipped.results(keys)
        kept = shipped.curves(there["key"])
        old = there[there["key"].isin(kept["key"])]  # a run without its curves is not shipped
        known = set(old["key"])
        new = store.results([key for key in keys if key not in known])
        have = known | set(new["key"])
        path, curves_path = (folder / f"{env}.{name}.parquet" for name in ("runs", "curves"))
        if lost := set(there["key"]) - have:
            raise StoreError(
                f"{curves_path} has no curves of {len(lost)} shipped runs, nor has {store.path}, "
                f"and shipping would lose them; write git checkout -- {curves_path}"
            )
        if not len(new) and (path.exists() or not have):
            continue
        if len(have) < len(keys):
            if not partial:
                continue
            if path.exists() and path not in dict(shipped._files):
                raise StoreError(
                    f"{path} is ignored and {store.path} has {len(have)} of its {len(keys)} runs, "
                    f"so shipping could lose the others; write git checkout -- {path}, or remove it"
                )
        if path in dict(shipped._files):
            parts = [
                rows for file, rows in shipped._files if file.parent == folder and file != path
            ]
            elsewhere = {key for rows in parts for key in rows["key"]}
            if known >= set(there["key"]):  # its curves are there, too
                path, curves_path, elsewhere = *_next_part(folder, env), known
            old, kept = (part[~part["key"].isin(elsewhere)] for part in (old, kept))
        rows = pd.concat([part for part in (old, new) if len(part)]).set_index("key", drop=False)
        rows = rows.loc[[key for key in keys if key in rows.index]]
        which = FEWER.get(folder.name, CHECKPOINTS)
        fine = downsample(store.curves(new["key"]), rows["steps"], which)
        curves = in_order([part for part in (kept, fine) if len(part)], keys)
        unmeasured = store.lacking(new["key"])
        tables = {
            path: frame_table(rows, without(unmeasured, ROWS)),
            curves_path: frame_table(curves, without(unmeasured, long_schema(folder.name))),
        }
        written += _write(tables)
    return written


def _next_part(folder: Path, env: str) -> tuple[Path, Path]:
    number = next(n for n in count(2) if not (folder / f"{env}.{n}.runs.parquet").exists())
    return folder / f"{env}.{number}.runs.parquet", folder / f"{env}.{number}.curves.parquet"


def without(names: Collection[str], schema: pa.Schema) -> pa.Schema:
    """The schema but for these columns, which some of its runs are older than."""
    return pa.schema([field for field in schema if field.name not in names])


def long_schema(study: str) -> pa.Schema:
    """The columns of a study's shipped curves."""
    return without(LEFT_OUT.get(study, ()), LONG)


def downsample(
    curves: pd.DataFrame, steps: pd.Series, checkpoints: int | tuple[int, ...] = CHECKPOINTS
) -> pd.DataFrame:
    """Every run's curves at `checkpoints` of its checkpoints: so many, or which, from step 0 on.

    The loss, a mean over the steps up to the next checkpoint, is averaged over dropped checkpoints.
    """
    parts = []
    for key, run in curves.groupby("key", sort=False):
        if isinstance(checkpoints, tuple):
            kept = np.array([place for place in checkpoints if place < len(run)])
        else:
            count = min(checkpoints, len(run))
            kept = np.arange(count) * len(run) // count
        length = np.diff(run["step"], append=steps[key])
        part = run.iloc[kept].copy()
        loss = np.add.reduceat(run["loss"].to_numpy() * length, kept)
        part["loss"] = loss / np.add.reduceat(length, kept)
        part[list(CURVES)] = rounded(part[list(CURVES)].to_numpy())
        parts.append(part)
    return pd.concat(parts) if parts else curves


def rounded(x: np.ndarray, bits: int = BITS) -> np.ndarray:
    """`x` rounded to `bits` binary digits, with a wider range than float32, for diverged runs."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


def _write(tables: dict[Path, pa.Table]) -> list[Path]:
    extra = {"lnqlib.commit": commit()}
    files = {path: encode(table, extra, LEVEL) for path, table in tables.items()}
    folder = next(iter(files)).parent
    folder.mkdir(parents=True, exist_ok=True)
    fresh = {path.name: {hashlib.sha256(data).hexdigest()} for path, data in files.items()}
    sums = digests(folder)
    # both digests are valid while the files change, so a crash leaves no file refused
    _write_sums(folder, sums | {name: fresh[name] | sums.get(name, set()) for name in fresh})
    for path, data in files.items():
        place(data, path)
    _write_sums(folder, sums | fresh)
    return list(files)


def _write_sums(folder: Path, sums: dict[str, set[str]]) -> None:
    lines = [f"{digest}  {name}\n" for name in sorted(sums) for digest in sorted(sums[name])]
    place("".join(lines).encode(), folder / SUMS)


def commit() -> str:
    """The repository's commit; "unknown" without git or within another repository."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--show-toplevel", "HEAD"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        found = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    top, head = found.stdout.splitlines()
    return head if Path(top).resolve() == ROOT else "unknown"
