"""Making the results in data/results from the local store."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..results import CURVES, INJECTED
from ..spec import ENVS, RunSpec
from .local import ROOT, Store, StoreError
from .parquet import LONG, ROWS, encode, frame_table, in_order, place
from .shipped import SUMS, Shipped, digests

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
            if path.exists() and path not in dict(shipped.files):
                raise StoreError(
                    f"{path} is ignored and {store.path} has {len(have)} of its {len(keys)} runs, "
                    f"so shipping could lose the others; write git checkout -- {path}, or remove it"
                )
        if path in dict(shipped.files):
            parts = [rows for file, rows in shipped.files if file.parent == folder and file != path]
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
