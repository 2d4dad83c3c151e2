"""`data/croissant.json`: what the shipped results are, for machines that look for datasets.

    python -m lnqlib.store.croissant

writes it anew, as `python -m lnqlib ship` does. Files and digests come from `SHA256SUMS`, columns
and types from the Parquet files, what a column means from the tables of `data/README.md`. The
format is Croissant 1.0 (https://docs.mlcommons.org/croissant).
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import shipped as shipping
from .local import ROOT
from .parquet import place
from .shipped import digests

NAME = "croissant.json"
README = ROOT / "data" / "README.md"
PARQUET = "application/x-parquet"  # as mlcroissant calls it
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The terms of the format, as it asks for them."""


def metadata(data: Path) -> dict:
    """The metadata of the results in `data/results`, as JSON-LD.

    Files with the same columns are one set of records: `runs`, `curves`, and `runs-2` and so on for
    files that were written with other columns.
    """
    files = [
        (path, digest)
        for sums in sorted((data / "results").glob("*/SHA256SUMS"))
        for name, known in sorted(digests(sums.parent).items())
        for path, digest in [(sums.parent / name, min(known))]
    ]
    kinds: dict[pa.Schema, list[str]] = {}
    for path, _ in files:
        schema = pq.read_schema(path).remove_metadata()
        kinds.setdefault(schema, []).append(path.relative_to(data).as_posix())
    named = dict[str, tuple[pa.Schema, list[str]]]()
    for schema, paths in kinds.items():
        kind = "curves" if paths[0].endswith(".curves.parquet") else "runs"
        number = 1 + sum(name.split("-")[0] == kind for name in named)
        named[kind if number == 1 else f"{kind}-{number}"] = schema, paths
    meanings = columns(README.read_text(encoding="utf8"))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "lnqlib-results",
        "description": (
            "Runs of small deep Q-networks with and without layer normalization on four classic "
            "control tasks: returns, losses, gradient interference, isometry, seed by seed."
        ),
        "citeAs": "@misc{lnqlib, author = {The lnqlib authors}, title = {Layer Normalization in "
        "Deep Q-learning: a Companion Book}, year = {2026}}",
        "license": "https://spdx.org/licenses/MIT.html",
        "version": version("lnqlib"),
        "datePublished": "2026",
        "distribution": [
            *(_file(path.relative_to(data).as_posix(), digest) for path, digest in files),
            *(_file_set(name, paths) for name, (_, paths) in named.items()),
        ],
        "recordSet": [_records(name, *kind, meanings) for name, kind in named.items()],
    }


def columns(readme: str) -> dict[str, str]:
    """What each column means, with its unit, by the tables of `data/README.md`."""
    found = re.findall(r"^\| `(\w+)` \|(?: ([^|]+) \|)? (.+) \|$", readme, flags=re.MULTILINE)
    units = {name: "" if unit in ("", "-") else f" ({unit})" for name, unit, _ in found}
    return {name: meaning + units[name] for name, _, meaning in found} | {
        "key": "content key of the run's RunSpec",
        "step": "the gradient step before which a checkpoint was measured",
    }


def write(data: Path | None = None) -> Path:
    """Writes `croissant.json` beside the results."""
    data = data or shipping.RESULTS.parent
    path = data / NAME
    text = json.dumps(metadata(data), indent=1, ensure_ascii=False)
    place(f"{text}\n".encode(), path)
    return path


def _file(path: str, digest: str) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "encodingFormat": PARQUET,
        "sha256": digest,
    }


def _file_set(name: str, paths: list[str]) -> dict:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "encodingFormat": PARQUET,
        "includes": paths,
    }


def _records(name: str, schema: pa.Schema, paths: list[str], meanings: dict[str, str]) -> dict:
    row = "one row a checkpoint" if name.startswith("curves") else "one row a run"
    studies = dict.fromkeys(Path(path).parent.name for path in paths)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{row}, {len(schema)} columns; of the studies {', '.join(studies)}",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field.name}",
                "name": field.name,
                "description": meanings[field.name],
                "dataType": _type(field.type),
                "source": {
                    "fileSet": {"@id": f"{name}-files"},
                    "extract": {"column": field.name},
                },
            }
            for field in schema
        ],
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


if __name__ == "__main__":
    print(write())
