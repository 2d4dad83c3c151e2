"""The explorer: one point for each kind of run of every study, chosen and drawn in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

from lnqlib.spec import RunSpec, default, grid, study
from lnqlib.store import Store
from lnqlib.store.shipped import Shipped
from lnqlib.studies import STUDIES, TEN_SEEDS
from lnqlib.sweep import lookup

from ..figures.style import LOG, LOOKS, SIGNED_LOG, WORDS
from ..figures.style import NAMES as NETWORKS
from ..notebook import Parameters, usual_checkpoints

KINDS = [f.name for f in fields(RunSpec) if f.name != "seed"]
BESIDE = ("target", "online")
"""Studies that are compared with core's runs of the same seeds, and shown with them."""
ASSETS = Path(__file__).with_name("explorer_assets")


def studies(p: Parameters) -> dict[str, dict]:
    """The points of every study that has finished runs for the chapter's parameters.

    **Returns** for each study the columns of `points`.
    """
    store, shipped = Store(), Shipped()
    found = {}
    for name in STUDIES:
        beside = grid(**TEN_SEEDS) if name in BESIDE else []
        specs = [*beside, *study(name)]
        specs = [spec for spec in specs if spec.env in p.envs and spec.seed < p.seeds]
        if p.steps != default("steps"):
            shorter = {"steps": p.steps, "checkpoints": usual_checkpoints(p.steps)}
            specs = [replace(spec, **shorter) for spec in specs]
        rows = lookup(specs, store, shipped)
        if len(rows):
            found[name] = points(rows)
    return found


def points(rows: pd.DataFrame) -> dict:
    """Means and medians over the seeds of each kind of run, of all and of those never clamped.

    **Arguments** `rows`: one row a run.

    **Returns** `fields` (name -> list, one entry a point; fields that all points share with the
    default are left out), `seeds` and `calm` (counts), `first` (the first seed), and `values`:
    metric -> statistic -> list, with null where no seed has a finite value.
    """
    clamped = rows["clamped_steps"].to_numpy() > 0
    metrics = [name for name in WORDS if name in rows and rows[name].notna().any()]
    finite = rows[metrics].astype(float).where(np.isfinite(rows[metrics].astype(float)))
    keys = [rows[name] for name in KINDS]
    groups = finite.groupby(keys, sort=False, dropna=False)
    calm = finite.mask(pd.Series(clamped, rows.index)).groupby(keys, sort=False, dropna=False)
    statistics = {
        "mean": groups.mean(),
        "median": groups.median(),
        "mean, calm": calm.mean(),
        "median, calm": calm.median(),
    }
    kinds = statistics["mean"].index.to_frame(index=False)
    shown = [name for name in KINDS if not (kinds[name] == default_of(name)).all()]
    seeds = rows.groupby(keys, sort=False, dropna=False)
    return {
        "fields": {name: kinds[name].tolist() for name in shown},
        "seeds": seeds.size().tolist(),
        "calm": (seeds.size() - seeds["clamped_steps"].agg(lambda x: (x > 0).sum())).tolist(),
        "first": seeds["seed"].min().tolist(),
        "values": {
            metric: {name: short(frame[metric]) for name, frame in statistics.items()}
            for metric in metrics
        },
    }


def default_of(name: str) -> object:
    """What `RunSpec` has in a field; nothing for the task, which has no default."""
    return None if name == "env" else default(name)


def short(values: Iterable[float]) -> list[float | None]:
    """Five digits, and None for what is no finite number, as JSON needs it."""
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in values]


def page(
    found: dict[str, dict], optimizer: str = "SGD", plotly: str = "../_static/plotly.min.js"
) -> HTML:
    """The explorer's controls, data and script; a sentence where nothing is found.

    **Arguments** `found`: as from `studies`. `optimizer`: what the page begins with. `plotly`: the
    address of plotly's script.
    """
    if not found:
        return HTML("<p>No finished run has these parameters.</p>")
    data = {
        "studies": found,
        "optimizer": optimizer,
        "names": WORDS,
        "networks": NETWORKS,
        "colors": {name: look.color for name, look in LOOKS.items()},
        "log": sorted({*LOG, "lr", "grad_norm2"}),
        "signedLog": sorted(SIGNED_LOG),
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text = text.replace("</", "<\\/")  # no string ends the script
    style, form, script = (
        ASSETS.joinpath(f"explorer.{kind}").read_text(encoding="utf8")
        for kind in ("css", "html", "js")
    )
    return HTML(
        f"<style>{style}</style>\n{form}\n"
        f'<script type="application/json" id="explorer-data">{text}</script>\n'
        f'<script src="{escape(plotly)}"></script>\n<script>{script}</script>'
    )
