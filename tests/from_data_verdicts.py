"""The statistics behind the verdicts, from data/results by pandas and scipy alone.

No line of lnqlib is used: a statistic is computed from the formula that the board shows.
"""

import re
from functools import cache

import numpy as np
import pandas as pd
import scipy.stats
from from_data import RESULTS, TASKS

STUDIES = ("core", "as_printed", "table1", "variants", "lr_decay")
METRICS = {"QGI+": "qgi_plus", "SGI": "sgi", "MGI": "mgi", "DGI": "dgi", "GI2": "gi2"}
METRICS |= {"GI2 / loss": "gi2_scaled", "loss": "loss", "return": "return"}
METRICS |= {f"ISO_{k}": f"iso_{k}" for k in "opt3"} | {"2 lr DGI": "first_order"}
NETWORKS = {"None": "none", "LN": "layer", "BN": "batch", "WN": "weight", "CrossQ": "crossq"}
NETWORKS |= {"affine LN": "layer_affine", "LN after ReLU": "layer_after_relu"}
NETWORKS |= {"projected LN": "project", "None with its own decay": "own_decay"}
NETWORKS |= {"None with LN's decay": "paired_decay"}
NETWORKS |= {f"CrossQ, momentum {m}": f"crossq_{m}" for m in (0.01, 0.001)}
ZEROS = ["qgi_plus_zero", "sgi_zero", "mgi_zero"]


@cache
def table() -> pd.DataFrame:
    """All runs of the claims' studies, one row each, with network and first_order."""
    files = [file for name in STUDIES for file in sorted((RESULTS / name).glob("*.runs.parquet"))]
    runs = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    runs = runs[runs["checkpoints"] == 100].replace([np.inf, -np.inf], np.nan)
    runs["network"] = runs["norm"].where(runs["lr_control"] == "none", runs["lr_control"])
    if "momentum" in runs:
        own = (runs["norm"] == "crossq") & (runs["momentum"].fillna(0.1) != 0.1)
        runs["network"] = runs["network"].mask(own, "crossq_" + runs["momentum"].map("{:g}".format))
    return _with_zeros(runs.assign(first_order=2 * runs["lr"] * runs["dgi"]))


def _with_zeros(runs: pd.DataFrame) -> pd.DataFrame:
    """Study core lacks the cosines with zeros counted; zero_gradients measured them once more."""
    files = sorted((RESULTS / "zero_gradients").glob("*.runs.parquet"))
    again = pd.concat([pd.read_parquet(file) for file in files])
    same = ["env", "network", "optimizer", "bias", "lr", "seed"]
    again = again.assign(network=again["norm"])[[*same, *ZEROS]].drop_duplicates(same)
    found = runs[same].merge(again, on=same, how="left")
    zeros = {name: runs[name].fillna(pd.Series(found[name].array, runs.index)) for name in ZEROS}
    return runs.assign(**zeros)


@cache
def of(env: str, optimizer: str, bias: bool) -> pd.DataFrame:
    every = table()
    at = (every["env"] == env) & (every["optimizer"] == optimizer) & (every["bias"] == bias)
    return every[at]


def pair(env: str, optimizer: str, bias: bool) -> pd.DataFrame:
    """The runs of None and LN."""
    some = of(env, optimizer, bias)
    return some[some["network"].isin(["none", "layer"])]


def points(runs: pd.DataFrame, how: str = "mean") -> pd.DataFrame:
    numbers = runs.select_dtypes("number").columns.difference(["lr"])
    by_point = runs.groupby(["lr", "norm"])
    return by_point[list(numbers)].agg(how).assign(hit=by_point["clamped_steps"].max() > 0)


def spearman(frame: pd.DataFrame, x: str, y: str) -> float:
    columns = (frame[METRICS.get(name, name)] for name in (x, y))
    return scipy.stats.spearmanr(*columns, nan_policy="omit").statistic


def rho(x: str, y: str, view: str, runs: pd.DataFrame) -> float:
    if view == "each seed's own":
        return float(np.mean([spearman(some, x, y) for _, some in runs.groupby("seed")]))
    some = points(runs, "median" if view == "medians" else "mean")
    return spearman(some[~some["hit"]] if view == "without clamped" else some, x, y)


def draws(seeds: int, stream: int = 77, count: int = 3000) -> np.ndarray:
    return np.random.default_rng(stream).integers(seeds, size=(count, seeds))


def ends(means: np.ndarray) -> np.ndarray:
    return np.nanquantile(means, [0.025, 0.975], axis=0)


def signs(effects: pd.DataFrame) -> np.ndarray:
    """For each learning rate whether the mean over seeds is clearly above 0 (1), below (-1)."""
    values = effects.to_numpy()[draws(len(effects))]  # (draws, seeds, rates)
    low, high = ends(np.nanmean(values, axis=1))
    return (low > 0).astype(int) - (high < 0)


def effect(runs: pd.DataFrame, metric: str, injected: bool = False) -> pd.DataFrame:
    """LN minus None, or the same network with LN injected minus as it is: seeds by rates."""
    if injected:
        none = runs[runs["norm"] == "none"]
        change = none[f"injected_{metric}"] - none[metric]
        return none.assign(change=change).pivot(index="seed", columns="lr", values="change")
    wide = runs.pivot(index="seed", columns=["norm", "lr"], values=metric)
    return wide["layer"] - wide["none"]


def calm(runs: pd.DataFrame, networks: list[str]) -> list[float]:
    most = runs[runs["network"].isin(networks)].groupby("lr")["clamped_steps"].max()
    return list(most.index[most == 0])


def sides(text: str, view: str, runs: pd.DataFrame) -> tuple[int, int]:
    """How many learning rates are for the claim, and against it."""
    injected = text.startswith("injected")
    if injected:
        runs = runs[runs["norm"] == "none"]
    if view == "without clamped":
        runs = runs[runs["lr"].isin(calm(runs, ["none", "layer"]))]
    if found := re.fullmatch(r"(?:injected )?LN (raises|lowers) (.+)", text):
        sign = signs(effect(runs, METRICS[found[2]], injected))
        sign = sign if found[1] == "raises" else -sign
    else:
        found = re.fullmatch(r"LN moves (.+) (with|against) (.+)", text)
        x, y = (signs(effect(runs, METRICS[name])) for name in (found[1], found[3]))
        sign = x * y if found[2] == "with" else -x * y
    return int((sign > 0).sum()), int((sign < 0).sum())


def returns(
    runs: pd.DataFrame, networks: list[str], view: str, metric="return"
) -> dict[str, float]:
    """Each network's mean return, over the seeds that all have."""
    wide = {
        a: runs[runs["network"] == a].pivot(index="seed", columns="lr", values=metric)
        for a in networks
    }
    seeds = sorted(set.intersection(*(set(some.dropna().index) for some in wide.values())))
    rates = calm(runs, networks) if view == "without clamped" else list(wide[networks[0]].columns)
    found = {}
    for network, some in wide.items():
        some = some.loc[seeds, rates]
        found[network] = some.to_numpy().mean()
        if view == "at the best rate":
            even, odd = some[some.index % 2 == 0].mean(), some[some.index % 2 == 1].mean()
            found[network] = (odd[even.idxmax()] + even[odd.idxmax()]) / 2
    return found


@cache
def growth() -> pd.Series:
    """log(|w_T|^2 / |w_0|^2) at the shipped checkpoints, by key."""
    files = [
        f for name in ("core", "as_printed", "table1") for f in (RESULTS / name).glob("*.curves*")
    ]
    steps = pd.concat(pd.read_parquet(f, columns=["key", "step", "weight_norm"]) for f in files)
    by_run = steps.sort_values("step").groupby("key")["weight_norm"]
    return 2 * np.log(by_run.last() / by_run.first())


def statistic(text: str, view: str, env: str, optimizer: str, bias: bool):
    """The number that the board shows for a formula; a pair of counts where it counts rates."""
    text = text.removeprefix("not so: ")
    two = pair(env, optimizer, bias)
    if view == "zeros counted":
        for name in (name for name in ("qgi_plus", "sgi", "mgi") if _named(name) in text):
            known = two[f"{name}_zero"].notna().groupby(two["seed"]).transform("all")
            two = two[known].assign(**{name: two[f"{name}_zero"]})
        view = ""
    if found := re.fullmatch(r"rho\((.+), (\w+)\) [<>] 0", text):
        return rho(found[1], found[2], view, two)
    if found := re.fullmatch(r"rho\((.+), (\w+)\) > rho\((.+), (\w+)\)", text):
        return rho(found[1], found[2], view, two) - rho(found[3], found[4], view, two)
    if found := re.fullmatch(r"clamped points lower rho\((.+), (\w+)\)", text):
        some = points(two, "median" if view == "medians" else "mean")
        return spearman(some[~some["hit"]], *found.groups()) - spearman(some, *found.groups())
    if "LN raises" in text or "LN lowers" in text or "LN moves" in text:
        return sides(text, view, two)
    runs = of(env, optimizer, bias)
    if text.startswith("return: "):
        a, b = (NETWORKS[name] for name in _compared(text))
        share = "(LN - None)" in text
        mean = returns(runs, list(dict.fromkeys([a, b, *["layer", "none"] * share])), view)
        return (mean[a] - mean[b]) / (mean["layer"] - mean["none"] if share else 1)
    if found := re.fullmatch(r"decay: (.+) > (.+)", text):
        grown = runs.assign(grown=runs["key"].map(growth()))
        a, b = (NETWORKS[name] for name in found.groups())
        mean = returns(grown, [a, b], view, "grown")
        return mean[a] - mean[b]
    if "run is clamped" in text:
        return float((two["clamped_steps"] > 0).sum())
    raise AssertionError(f"no other route to {text}")


def _named(column: str) -> str:
    return next(name for name, other in METRICS.items() if other == column)


def return_interval(text: str, env: str, optimizer: str, bias: bool) -> np.ndarray:
    """The ends of what `statistic` has of returns averaged over learning rates."""
    a, b = (NETWORKS[name] for name in _compared(text))
    share = "(LN - None)" in text
    names = list(dict.fromkeys([a, b, "layer", "none"] if share else [a, b]))
    runs = of(env, optimizer, bias)
    by_seed = runs[runs["network"].isin(names)].groupby(["seed", "network"])["return"].mean()
    some = by_seed.unstack().dropna()
    means = pd.DataFrame(some.to_numpy()[draws(len(some))].mean(axis=1), columns=some.columns)
    value = means[a] - means[b]
    return ends(value / (means["layer"] - means["none"]) if share else value)


def _compared(text: str) -> tuple[str, str]:
    if found := re.match(r"return: \((.+) - (.+)\) / \(LN - None\)", text):
        return found.groups()
    return re.fullmatch(r"return: (.+) [<>] (.+)", text).groups()


def rho_interval(x: str, y: str, runs: pd.DataFrame) -> np.ndarray:
    wide = [runs.pivot(index="seed", columns=["lr", "norm"], values=METRICS[m]) for m in (x, y)]
    means = [np.nanmean(w.to_numpy()[draws(len(w))], axis=1) for w in wide]
    ranks = [scipy.stats.rankdata(m, axis=1) for m in means]
    centred = [r - r.mean(axis=1, keepdims=True) for r in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    return ends((centred[0] * centred[1]).sum(1) / scale)


def placebo(x: str, y: str, optimizer: str, bias: bool) -> pd.DataFrame:
    """Spearman's rho of each task's metric (rows) with each task's loss or return."""
    some = {env: points(pair(env, optimizer, bias)) for env in TASKS}
    return pd.DataFrame(
        {b: {a: some[a][x].corr(some[b][y], method="spearman") for a in TASKS} for b in TASKS}
    )


def share_from_clamped(env: str) -> float:
    runs = pair(env, "SGD", True)
    gains = effect(runs, "return").mean()
    none = runs[runs["norm"] == "none"]
    every = none.assign(hit=none["clamped_steps"] > 0).groupby("lr")["hit"].all()
    return gains[every].sum() / gains.sum()
