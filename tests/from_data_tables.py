"""The tables of the built book, cell by cell, from data/results by pandas and scipy alone.

A table is known by its column heads. Its cells are computed from the words of its rows and columns.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from bs4 import Tag
from conftest import ROOT
from from_data import RESULTS, TASKS, shown_seeds
from from_data_verdicts import (
    NETWORKS,
    calm,
    draws,
    effect,
    ends,
    of,
    pair,
    placebo,
    points,
    returns,
    rho,
)

METRICS = {"QGI₊": "qgi_plus", "SGI": "sgi", "MGI": "mgi", "DGI": "dgi", "GI₂": "gi2"}
METRICS |= {"GI₂ / loss": "gi2_scaled", "batch loss": "td_loss"}
METRICS |= {"ISOₒ": "iso_o", "ISOₚ": "iso_p", "ISOₜ": "iso_t", "ISO₃": "iso_3"}
NAMES = NETWORKS | {"centering": "center", "scaling (RMS)": "rms"}
FOUR = ["none", "layer", "batch", "weight"]


class Shown(NamedTuple):
    """A table of a page: heads that it has and that it lacks, its first row's last word, which one
    it is of such tables (None for all of them), and its cells.

    `cell`: (the words before a row's numbers, the head of its column) -> the value; its interval's
    ends besides, where they are compared; None for what is not compared.
    """

    page: str
    heads: tuple[str, ...]
    cell: Callable[[tuple[str, ...], str], tuple[float, ...] | float | str | None]
    without: tuple[str, ...] = ()
    row: str = ""
    place: int | None = None


def grid(table: Tag) -> list[list[str]]:
    """The cells' texts; one that spans rows or columns is repeated."""
    rows: list[list[str]] = []
    held: dict[int, tuple[str, int]] = {}
    for tr in table.select("tr"):
        row: list[str] = []
        cells = tr.find_all(["th", "td"], recursive=False)
        while cells or len(row) in held:
            at = len(row)
            if at in held:
                text, left = held.pop(at)
                held |= {at: (text, left - 1)} if left > 1 else {}
                row.append(text)
                continue
            cell = cells.pop(0)
            text, left = " ".join(cell.get_text().split()), int(cell.get("rowspan", 1))
            held |= {at: (text, left - 1)} if left > 1 else {}
            row += [text] * int(cell.get("colspan", 1))
        rows.append(row)
    return rows


def numbers(text: str) -> list[float]:
    """`1.5 [1.2, 3]`, `122 of 180`, `72%`: the numbers in it."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "" if "[" not in text else ",")
    found = re.findall(r"[+-]?\d+(?:\.\d+)?", plain)
    return [float(x) / (100 if "%" in text else 1) for x in found]


def step(text: str) -> float:
    """Half a unit of a number's last digit, and a little: how far rounding moves it."""
    digits = re.search(r"\d+(?:\.(\d+))?", text)
    return 0.501 * 10.0 ** -len(digits[1] or "") / (100 if "%" in text else 1)


def first(env: str, seeds: int, optimizer: str = "SGD") -> pd.DataFrame:
    some = of(env, optimizer, True)
    return some[some["seed"] < seeds]


@cache
def by_seed(env: str, seeds: int) -> pd.DataFrame:
    """Returns averaged over learning rates: seeds by networks."""
    return first(env, seeds).groupby(["seed", "network"])["return"].mean().unstack()


def ended(values: pd.Series) -> tuple[float, float, float]:
    """A mean over seeds with its interval."""
    some = values.dropna().to_numpy()
    return some.mean(), *ends(some[draws(len(some))].mean(axis=1))


def variants(keys: tuple[str, ...], head: str):
    """Differences from None and LN, and the share of LN's gain."""
    env, name = keys
    mean = by_seed(env, shown_seeds("normalizations"))
    x, none, layer = mean[NAMES[name]], mean["none"], mean["layer"]
    both = pd.concat([x, none, layer], axis=1).dropna()
    share = (both.iloc[:, 0] - both["none"]).mean() / (both["layer"] - both["none"]).mean()
    return {"minus None": ended(x - none), "minus LN": ended(x - layer), "share": share}[head]


def table1(keys: tuple[str, ...], head: str):
    env, name = keys
    if name not in ("None", "LN", "BN", "WN") or head in ("95%", "paper", "within"):
        return None
    value, *_ = ended(by_seed(env, shown_seeds("normalizations"))[NAMES[name]])
    paper = pd.read_csv(ROOT / "data/paper/table1.csv").set_index(["env", "norm"])
    row = paper.loc[(env, NAMES[name])]
    gap = value - row["return"] if pd.isna(row["note"]) else "\N{EN DASH}"
    return {"ours": value, "difference": gap}[head]


def rates_left(keys: tuple[str, ...], head: str):
    """LN's gain over all learning rates, and over those at which no run was clamped."""
    (env,) = keys
    runs = first(env, shown_seeds("normalizations"))
    rates = calm(runs, FOUR)
    free = runs[runs["lr"].isin(rates)].groupby(["seed", "network"])["return"].mean().unstack()
    every = by_seed(env, shown_seeds("normalizations"))
    if head == "the largest":
        return None
    return {
        "LN minus None, all rates": ended(every["layer"] - every["none"]),
        "without clamped": ended(free["layer"] - free["none"]),
        "rates left": len(rates),
    }[head]


def all_and_calm(keys: tuple[str, ...], head: str):
    env, name = keys
    if name not in ("None", "LN", "BN", "WN"):
        return None
    runs = first(env, shown_seeds("normalizations"))
    if head == "without clamped":
        runs = runs[runs["lr"].isin(calm(runs, FOUR))]
    return ended(runs[runs["network"] == NAMES[name]].groupby("seed")["return"].mean())


def clamped(keys: tuple[str, ...], head: str):
    runs = first(keys[0], shown_seeds("normalizations"))
    hit = runs[runs["network"] == NAMES[head]]["clamped_steps"] > 0
    return f"{hit.sum()} of {len(hit)}"


def best(page: str) -> Callable:
    def cell(keys: tuple[str, ...], head: str):
        if "rate" in head:
            return None
        runs = first(keys[0], shown_seeds(page))
        mean = {n: returns(runs, [n], "at the best rate")[n] for n in ("none", "layer")}
        if head == "LN minus None":
            return mean["layer"] - mean["none"]
        return returns(runs, [NAMES[head]], "at the best rate")[NAMES[head]]

    return cell


def decay(keys: tuple[str, ...], head: str):
    view = {"averaged": "", "at the best rate": "at the best rate"}[keys[0]]
    runs = first(keys[1], shown_seeds("lr_decay"))
    more, less = {
        "projection loses": ("layer", "project"),
        "own decay brings": ("own_decay", "none"),
        "LN's decay brings": ("paired_decay", "none"),
    }[head.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")]
    mean = returns(runs, list(dict.fromkeys([more, less, "layer", "none"])), view)
    return (mean[more] - mean[less]) / (mean["layer"] - mean["none"])


def of_gi2(keys: tuple[str, ...], head: str):
    x, y, view = {
        "GI₂, loss": ("gi2", "loss", ""),
        "without clamped": ("gi2", "loss", "without clamped"),
        "medians": ("gi2", "loss", "medians"),
        "GI₂, return": ("gi2", "return", ""),
        "GI₂ / loss, loss": ("gi2_scaled", "loss", ""),
        "that without clamped": ("gi2_scaled", "loss", "without clamped"),
    }[keys[0]]
    return rho(x, y, view, pair(head, "SGD", True))


def correlated(optimizer: str) -> Callable:
    def cell(keys: tuple[str, ...], head: str):
        runs = pair(keys[1], optimizer, True)
        if head == "points left":
            hit = points(runs)["hit"]
            return f"{(~hit).sum()} of {len(hit)}"
        y, _, view = head.partition(", ")
        return rho(METRICS[keys[0]], y, view, runs)

    return cell


def sign_shares(keys: tuple[str, ...], head: str):
    """The share of the learning rates at which mean effects have their signs, mean over tasks."""
    found = []
    for env in keys[1:] or TASKS:
        x, loss, gained = (
            effect(pair(env, "SGD", True), metric).mean()
            for metric in (METRICS[keys[0]], "loss", "return")
        )
        sides = {"LN lowers it": -x, "LN raises it": x, "moves with the loss": x * loss}
        sides |= {"moves against the return": -x * gained, "moves with the return": x * gained}
        found.append((sides[head] > 0).mean())
    return float(np.mean(found))


def placebos(keys: tuple[str, ...], head: str):
    x, y = keys[0].split(" and ")
    matrix = placebo(METRICS[x], y, keys[1], keys[2].startswith("defaults"))
    own = np.diag(matrix).mean()
    others = (matrix.to_numpy().sum() - np.trace(matrix)) / 12
    return {"own task": own, "other tasks": others, "own minus others": own - others}[head]


@cache
def second_order_runs() -> pd.DataFrame:
    files = sorted((RESULTS / "second_order").glob("*.runs.parquet"))
    runs = pd.concat([pd.read_parquet(file) for file in files])
    runs = runs[runs["optimizer"] == "SGD"].replace([np.inf, -np.inf], np.nan)
    kept, whole = -runs["squared"], runs["gi2"] - runs["hessian"]
    return runs.assign(minus_kept=kept, whole=whole)


CHAIN = {
    "MGI": "mgi",
    "DGI": "dgi",
    "2η DGI": "first_order",
    "\N{MINUS SIGN}kept": "minus_kept",
    "GI₂": "gi2",
}
CHAIN |= {"all of Eq. (10)": "whole", "realized, a* held": "realised_held"}
CHAIN |= {"realized": "realised", "realized, batch": "realised_minibatch"}


def chain(view: str) -> Callable:
    def cell(keys: tuple[str, ...], head: str):
        runs = second_order_runs()
        return rho(CHAIN[keys[0]], "loss", view, runs[runs["env"] == head])

    return cell


def effects_of_ln(keys: tuple[str, ...], head: str):
    gi2, loss, gained = (
        effect(pair(keys[0], "SGD", True), metric).mean() for metric in ("gi2", "loss", "return")
    )
    sides = {"GI₂ raised": gi2, "loss lowered": -loss, "return raised": gained}
    return ((sides | {"GI₂ and loss oppositely": -gi2 * loss})[head] > 0).mean()


def switched(norm: str) -> Callable:
    """At which share of the learning rates LN switched in networks of `norm` moves a metric."""

    def cell(keys: tuple[str, ...], head: str):
        runs = of(keys[0], "SGD", True)
        runs, (name, _, way) = runs[runs["network"] == norm], head.rpartition(" ")
        change = runs[f"injected_{METRICS[name]}"] - runs[METRICS[name]]
        mean = change.groupby(runs["lr"]).mean()
        return ((mean if way == "raised" else -mean) > 0).mean()

    return cell


def single_runs(keys: tuple[str, ...], head: str):
    runs = of(keys[0], "SGD", True)
    runs, name = runs[runs["network"] == "none"], METRICS[head.removesuffix(" raised")]
    return (runs[f"injected_{name}"] > runs[name]).mean()


CHANGES = {
    "no terminal mask": ("terminal_mask", False, TASKS[:3]),
    "rollout data": ("data", "rollout", TASKS[2:]),
    "gradient factor 2": ("gradient_scale", 2.0, TASKS),
    "as printed": ("bias", False, TASKS),
}
DEFAULTS = {"terminal_mask": True, "data": "protocol", "gradient_scale": 1.0, "bias": True}


@cache
def protocols() -> pd.DataFrame:
    files = [
        file
        for study in ("core", "protocol", "as_printed")
        for file in (RESULTS / study).glob("*.runs.parquet")
    ]
    runs = pd.concat([pd.read_parquet(file) for file in files])
    few = runs["seed"] < shown_seeds("protocol")
    return runs[few & (runs["optimizer"] == "SGD") & (runs["checkpoints"] == 100)]


@cache
def under(env: str, protocol: str, network: str) -> pd.Series:
    """Returns by seed, averaged over learning rates."""
    name, value, envs = CHANGES.get(protocol, ("", None, ()))
    fields = DEFAULTS | ({name: value} if env in envs else {})
    runs = protocols()
    runs = runs[(runs["env"] == env) & (runs["norm"] == network)]
    for column, wanted in fields.items():
        runs = runs[runs[column] == wanted]
    starts = protocol == "default starts" and env in TASKS[2:]
    return runs.groupby("seed")["return_default_start" if starts else "return"].mean()


def returns_under(keys: tuple[str, ...], head: str):
    env, protocol = keys
    if protocol == "the paper":
        return None
    if head == "LN minus None":
        return ended(under(env, protocol, "layer") - under(env, protocol, "none"))
    return ended(under(env, protocol, NAMES[head]))


def shifts_under(keys: tuple[str, ...], head: str):
    env, protocol = keys
    return ended(under(env, protocol, NAMES[head]) - under(env, "defaults", NAMES[head]))


def distance(keys: tuple[str, ...], head: str):
    """From the paper's certain numbers, in units of its gain."""
    if head != "distance":
        return None
    paper = pd.read_csv(ROOT / "data/paper/table1.csv")
    certain = paper[paper["note"].isna() & paper["norm"].isin(["none", "layer"])]
    both = certain.pivot(index="env", columns="norm", values="return").dropna()
    away = [
        abs(under(env, keys[0], norm).mean() - row[norm]) / (row["layer"] - row["none"])
        for env, row in both.iterrows()
        for norm in ("none", "layer")
    ]
    return float(np.mean(away))


TABLES = [
    Shown("normalizations", ("minus None", "minus LN", "share"), variants),
    Shown("normalizations", ("ours", "95%", "difference"), table1),
    Shown("normalizations", ("LN minus None, all rates",), rates_left),
    Shown("normalizations", ("all rates", "without clamped"), all_and_calm),
    Shown("normalizations", ("None", "LN", "BN", "WN"), clamped, ("LN's rate",)),
    Shown("normalizations", ("LN minus None", "BN's rate"), best("normalizations")),
    Shown("index", ("LN minus None", "LN's rate"), best("index")),
    Shown("gi2", TASKS, of_gi2, row="GI₂, loss"),
    Shown("gi2", TASKS, chain(""), row="MGI", place=0),
    Shown("gi2", TASKS, chain("without clamped"), row="MGI", place=1),
    Shown("gi2", ("GI₂ raised", "loss lowered"), effects_of_ln),
    Shown("injection", ("GI₂ raised", "batch loss lowered"), switched("none")),
    Shown("injection", ("GI₂ lowered", "batch loss raised"), switched("layer")),
    Shown("injection", ("GI₂ raised",), single_runs, without=("batch loss lowered",)),
    Shown("protocol", ("None", "LN"), returns_under, row="defaults"),
    Shown("protocol", ("None", "LN"), shifts_under, row="no terminal mask"),
    Shown("protocol", ("LN minus None",), returns_under),
    Shown("protocol", ("distance",), distance),
    Shown("lr_decay", ("projection loses", "own decay brings"), decay),
    Shown("interference", ("loss", "points left"), correlated("SGD")),
    Shown("interference", ("return", "return, without clamped"), correlated("SGD"), ("loss",)),
    Shown("interference", ("loss", "return"), correlated("Adam")),
    Shown("interference", ("LN lowers it",), sign_shares),
    Shown("isometry", ("return", "loss", "points left"), correlated("SGD")),
    Shown("isometry", ("return", "loss"), correlated("Adam"), ("points left",)),
    Shown("isometry", ("LN raises it",), sign_shares),
    *[
        Shown(page, ("own task", "other tasks"), placebos)
        for page in ("index", "gi2", "interference", "isometry")
    ],
]
"""The tables whose every cell has a second route."""


def cells_of(article: Tag, shown: Shown) -> list[tuple[tuple[str, ...], str, str]]:
    """The cells of a shown table: the words before its numbers, the column's head, the text."""
    matching = []
    for table in article.select("table.dataframe"):
        heads, *rows = grid(table)
        heads = [head.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") for head in heads]
        words = heads.count("")
        right = set(shown.heads) <= set(heads) and not set(shown.without) & set(heads)
        if right and shown.row in ("", rows[0][words - 1]):
            cells = [(row[:words], zip(heads[words:], row[words:], strict=True)) for row in rows]
            matching.append([(tuple(keys), *cell) for keys, some in cells for cell in some])
    chosen = matching if shown.place is None else matching[shown.place : shown.place + 1]
    return [cell for cells in chosen for cell in cells]


def wrong(text: str, expected: tuple[float, ...] | float | str) -> bool:
    """Whether a cell's text is not what is expected, to the digits that it has.

    The ends of an interval, from other draws, may be off by a fifth of its length.
    """
    if isinstance(expected, str):
        return text != expected
    values = expected if isinstance(expected, tuple) else (expected,)
    found = numbers(text)
    if not found:
        return not np.isnan(values[0])
    slack = [0.0] + [0.2 * (values[-1] - values[-2])] * 2 if len(values) > 1 else [0.0]
    pairs = zip(found, values, slack, strict=False)
    return any(abs(ours - theirs) > step(text) + more for ours, theirs, more in pairs)
