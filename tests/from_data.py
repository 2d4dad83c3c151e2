"""Numbers of the book's text, from data/results by pandas alone: no line of lnqlib is used."""

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
from conftest import ROOT
from scipy.stats import rankdata, spearmanr

TASKS = ("CartPole", "Acrobot", "MountainCar", "Pendulum")
RESULTS = ROOT / "data" / "results"


@cache
def runs(optimizer: str = "SGD") -> pd.DataFrame:
    """The runs that most pages show: study core, by default SGD."""
    files = sorted((RESULTS / "core").glob("*.runs.parquet"))
    frame = pd.concat([pd.read_parquet(file) for file in files])
    return frame[frame["optimizer"] == optimizer].replace([np.inf, -np.inf], np.nan)


def effects(treated: pd.Series, plain: pd.Series) -> pd.Series:
    """The mean paired difference of two series by (env, lr, seed), for each (env, lr)."""
    return (treated - plain).groupby(["env", "lr"]).mean()


def column(norm: str, metric: str, optimizer: str = "SGD") -> pd.Series:
    some = runs(optimizer)[runs(optimizer)["norm"] == norm]
    return some.set_index(["env", "lr", "seed"])[metric].sort_index()


def by_ln(metric: str) -> pd.Series:
    return effects(column("layer", metric), column("none", metric))


def share(of: pd.Series) -> float:
    """How often a condition holds among an environment's learning rates, mean over environments."""
    return of.groupby("env").mean().mean()


def ln_moves(metric: str, sign: int) -> float:
    return share(by_ln(metric) * sign > 0)


def ln_moves_both(x: str, y: str, sign: int) -> float:
    return share(by_ln(x) * by_ln(y) * sign > 0)


def switched(norm: str, metric: str, sign: int, optimizer: str = "SGD") -> float:
    """LN switched in networks trained with `norm`."""
    pair = (column(norm, name, optimizer) for name in (f"injected_{metric}", metric))
    return share(effects(*pair) * sign > 0)


def points() -> pd.DataFrame:
    numbers = runs().groupby(["env", "lr", "norm"]).mean(numeric_only=True)
    return numbers.assign(clamped=numbers["clamped_steps"] > 0)


def rho(x: str, y: str, free: bool = False) -> pd.Series:
    """Spearman's rho over the points of each environment, of all or of those without clamping."""
    some = points()[~points()["clamped"]] if free else points()
    return some.groupby("env").apply(lambda p: p[x].corr(p[y], method="spearman"))


def clear(x: str, sign: int, free: bool = False, over_seeds=np.mean) -> str:
    """The tasks in which rho(x, loss) lies on that side of 0, by other draws, and beyond chance."""
    found = []
    for env in TASKS:
        some = runs()[runs()["env"] == env]
        calm = some.groupby(["lr", "norm"])["clamped_steps"].transform("max") == 0
        tables = [
            (some[calm] if free else some).pivot(index="seed", columns=["lr", "norm"], values=name)
            for name in (x, "loss")
        ]
        draws = np.random.default_rng(11).integers(30, size=(800, 30))
        ranks = [rankdata(over_seeds(table.to_numpy()[draws], axis=1), axis=1) for table in tables]
        rhos = [np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)]
        low, high = np.quantile(rhos, [0.025, 0.975])
        by_chance = spearmanr(*(over_seeds(table.to_numpy(), axis=0) for table in tables)).pvalue
        if min(low * sign, high * sign) > 0 and by_chance < 0.05 and tables[0].shape[1] >= 8:
            found.append(env)
    return ", ".join(found) or "none"


def goals() -> pd.Series:
    """Terminated transitions of each dataset, (env, seed)."""
    return runs().groupby(["env", "seed"])["goal_transitions"].first()


@cache
def by_default(*studies: str) -> pd.DataFrame:
    """These studies' runs with biases and the usual momentum; older files have no such column."""
    files = [f for name in studies for f in (RESULTS / name).glob("*.runs.parquet")]
    some = pd.concat(map(pd.read_parquet, sorted(files)))
    usual = some["momentum"].fillna(0.1) == 0.1 if "momentum" in some else True
    return some[some["bias"] & usual]


@cache
def returns(seeds: int) -> pd.Series:
    """Table 1's cells and the variants', (env, norm): the mean over the first seeds and all lrs."""
    some = pd.concat([runs(), by_default("table1", "variants")])
    return some[some["seed"] < seeds].groupby(["env", "norm"])["return"].mean()


@cache
def second_order_steps() -> pd.DataFrame:
    """The checkpoints of study second_order's SGD runs."""
    folder = RESULTS / "second_order"
    some = pd.concat(pd.read_parquet(file) for file in folder.glob("*.runs.parquet"))
    steps = pd.concat(pd.read_parquet(file) for file in folder.glob("*.curves.parquet"))
    return steps[steps["key"].isin(some["key"][some["optimizer"] == "SGD"])].set_index("key")


def right_signs() -> float:
    """How often GI2 has the sign of what a step does, over the checkpoints of a run, over runs."""
    steps = second_order_steps()
    sign = np.sign(steps["realised"] * steps["gi2"])
    return (sign[sign.abs() == 1] > 0).groupby("key").mean().mean()


def lowering() -> float:
    """How often a step lowers the loss, over the checkpoints of a run, over SGD's runs."""
    falls = second_order_steps()["realised"]
    return (falls > 0)[falls.notna() & (falls != 0)].groupby("key").mean().mean()


def shown_seeds(page: str) -> int:
    """How many seeds a page asks for by default."""
    return int(
        re.search(r"seeds: int = (\d+)", (ROOT / "chapters" / f"{page}.ipynb").read_text())[1]
    )


@cache
def more(norm: str, other: str) -> str:
    """The tasks in which a variant clearly returns more than another, paired by seed."""
    seeds = shown_seeds("normalizations")
    some = pd.concat([runs(), by_default("table1", "variants")]).query(f"seed < {seeds}")
    table = some.groupby(["env", "seed", "norm"])["return"].mean().unstack()
    gaps = (table[norm] - table[other]).groupby("env")
    return named(gaps.apply(lambda gap: np.quantile(resampled(gap.to_frame()), 0.025) > 0))


def best_in_table1() -> pd.Series:
    """The norm with the highest return of each environment, of the paper's four."""
    table = returns(shown_seeds("normalizations")).unstack()
    return table[["none", "layer", "batch", "weight"]].idxmax(axis=1)


@cache
def growth() -> pd.DataFrame:
    """The first layer's norm at the checkpoints of core's SGD runs that were never clamped."""
    free = runs()[runs()["clamped_steps"] == 0].query(f"seed < {shown_seeds('lr_decay')}")
    files = (RESULTS / "core").glob("*.curves.parquet")
    steps = pd.concat(
        pd.read_parquet(file, columns=["key", "step", "weight_norm"]) for file in files
    )
    return steps.merge(free[["key", "norm", "lr"]], on="key").sort_values(["key", "step"])


def growths(norm: str) -> pd.Series:
    """How much longer the weights are in the end, the median run of each learning rate."""
    run = growth()[growth()["norm"] == norm].groupby(["lr", "key"])["weight_norm"]
    return (run.last() / run.first()).groupby("lr").median()


def falls() -> pd.Series:
    """The share of the stretches between checkpoints in which LN's weights get shorter, by lr."""
    some = growth()[growth()["norm"] == "layer"]
    change = some.groupby("key")["weight_norm"].diff().dropna()
    return (change < 0).groupby(some["lr"]).mean()


def weights_growth() -> str:
    ends = [f"{growths(n).min():.3g} and {growths(n).max():.3g} times" for n in ("layer", "none")]
    return (
        f"the weights end between {ends[0]} as long with LN (the median run of a learning rate, "
        f"all tasks together), and between {ends[1]} without; only with LN does this slow the "
        "layer down. The norm does not always rise: with LN it falls in "
        f"{falls().iloc[0]:.1%} of the stretches"
    )


def protocol_returns() -> pd.Series:
    """(env, protocol, norm, seed): the mean return over learning rates under each change."""
    files = [f for name in ("protocol", "as_printed") for f in (RESULTS / name).glob("*.runs.*")]
    some = pd.concat([pd.read_parquet(file) for file in files]).query("optimizer == 'SGD'")
    changed = {
        "no terminal mask": some[~some["terminal_mask"]],
        "rollout data": some[some["data"] == "rollout"],
        "gradient factor 2": some[some["gradient_scale"] == 2],
        "as printed": some[~some["bias"]],
        "default starts": runs()[runs()["env"].isin(["MountainCar", "Pendulum"])].assign(
            **{"return": lambda frame: frame["return_default_start"]}
        ),
        "defaults": runs(),
    }
    every = pd.concat(changed, names=["protocol"]).query(f"seed < {shown_seeds('protocol')}")
    return every.groupby(["env", "protocol", "norm", "seed"])["return"].mean()


def largest_shifts() -> str:
    """For each task the change that moves a cell farthest, and by how much."""
    table = protocol_returns().unstack("protocol")
    shifts = table.drop(columns="defaults").sub(table["defaults"], axis=0).stack()
    mean = shifts.groupby(["env", "protocol", "norm"]).mean()
    told = []
    for env in TASKS:
        (change, norm), size = mean[env].abs().idxmax(), mean[env].abs().max()
        sign = "\N{MINUS SIGN}" if mean[env][change, norm] < 0 else "+"
        network = {"layer": "LN", "none": "without LN"}[norm]
        told.append(f"{sign}{size:.0f} in {env} ({network}, {change})")
    return f"The largest shifts: {', '.join(told[:-1])} and {told[-1]}."


def surviving() -> str:
    """Under how many combinations of protocol and task LN clearly gains."""
    table = protocol_returns().unstack("norm")
    gaps = (table["layer"] - table["none"]).groupby(["env", "protocol"])
    low = gaps.apply(lambda gap: np.quantile(resampled(gap.to_frame()), 0.025))
    return f"LN returns more than the network without LN in {(low > 0).sum()} of {len(low)} "


def without_end() -> str:
    """How many of the protocol's datasets hold no terminated transition."""
    some = goals()[goals().index.get_level_values("seed") < shown_seeds("protocol")]
    none = (some == 0).groupby("env").sum()
    told = [f"{none[e]} of {shown_seeds('protocol')} in {e}" for e in TASKS if none[e]]
    return f"no terminated transition: {' and '.join(told)}."


def named(which: pd.Series) -> str:
    """Tasks as the pages' endings list them."""
    tasks = [env for env in TASKS if which[env]]
    if len(tasks) in (0, 4):
        return "all 4 tasks" if tasks else "no task"
    return " and ".join(filter(None, [", ".join(tasks[:-1]), tasks[-1]]))


def resampled(table: pd.DataFrame) -> np.ndarray:
    """Means over resampled seeds of a table with one row a seed: (resamples, columns)."""
    draws = np.random.default_rng(13).integers(len(table), size=(1000, len(table)))
    return np.nanmean(table.to_numpy()[draws], axis=1)


def over_half(change: pd.Series, sign: int = 1) -> pd.Series:
    """Where the change clearly has this sign at over half of the lrs, twice as many as not."""
    found = {}
    for env in TASKS:
        low, high = np.quantile(resampled(change[env].unstack("lr")), [0.025, 0.975], axis=0)
        mine, other = ((low > 0).sum(), (high < 0).sum())[::sign]
        found[env] = mine > len(low) / 2 and mine >= 2 * other
    return pd.Series(found)


def switch(norm: str, metric: str, optimizer: str = "SGD") -> pd.Series:
    """LN switched minus as trained, (env, lr, seed)."""
    return column(norm, f"injected_{metric}", optimizer) - column(norm, metric, optimizer)


def rho_above(x: str, y: str, free: bool = False, only: pd.Series | None = None) -> pd.Series:
    """Where the interval of rho(x, y) lies above 0 (-1: below), by other draws."""
    found = {}
    for env in TASKS if only is None else only["env"].unique():
        some = (runs() if only is None else only).query("env == @env")
        if free:
            some = some[some.groupby(["lr", "norm"])["clamped_steps"].transform("max") == 0]
        ranks = [
            rankdata(resampled(some.pivot(index="seed", columns=["lr", "norm"], values=v)), axis=1)
            for v in (x, y)
        ]
        rhos = [np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)]
        low, high = np.quantile(rhos, [0.025, 0.975])
        found[env] = int(low > 0) - int(high < 0)
    return pd.Series(found)


def moved_by(x: str) -> str:
    """By how much leaving out the clamped points moves rho(x, loss) as the table prints it."""
    change = rho(x, "loss", free=True).round(2) - rho(x, "loss").round(2)
    *first, last = (f"{change[env]:+.2f} in {env}" for env in TASKS)
    return f"{', '.join(first)} and {last}"


def fewest_free() -> str:
    return (~points()["clamped"]).groupby("env").sum().idxmin()


def acrobot(goal: bool) -> pd.DataFrame:
    some = runs()[runs()["env"] == "Acrobot"]
    return some[(some["goal_transitions"] > 0) == goal]


def gain_ends(some: pd.DataFrame) -> np.ndarray:
    """The interval of LN minus None in return, learning rates averaged within a seed."""
    table = some.groupby(["seed", "norm"])["return"].mean().unstack()
    return np.quantile(resampled((table["layer"] - table["none"]).to_frame()), [0.025, 0.975])


def goal_compared() -> str:
    """What the page says of Acrobot's two kinds of dataset, from the numbers that it holds now."""
    (low, high), (other_low, other_high) = (gain_ends(acrobot(goal)) for goal in (True, False))
    assert low > other_high or high < other_low
    signs = [rho_above("gi2", "loss", only=acrobot(goal))["Acrobot"] for goal in (True, False)]
    assert signs == [-1, 1]
    both = [rho_above("sgi", "loss", only=acrobot(goal))["Acrobot"] for goal in (True, False)]
    assert both == [1, 1]
    gi2 = "\u03c1(GI₂, loss)"
    text = f"The two kinds of dataset differ in LN's gain in return and {gi2}: their intervals lie "
    return text + f"apart, on opposite sides of 0 in {gi2}."


def goal_gain() -> str:
    told = {True: "LN's gain is above 0 even without a goal in the data. That part cannot come "}
    told[True] += "from learning the rewards better."
    told[False] = "Without a goal in the data LN's gain is not shown to be above 0."
    return told[bool(gain_ends(acrobot(False))[0] > 0)]


@cache
def networks() -> pd.DataFrame:
    """The runs of Table 1's networks, with the seeds that the page shows."""
    return pd.concat([runs(), by_default("table1")]).query(
        f"seed < {shown_seeds('normalizations')}"
    )


def all_clamped() -> pd.DataFrame:
    """Where every run was clamped: does its interval reach that of the network's best lr?"""
    rows = []
    for (env, norm), some in networks().groupby(["env", "norm"]):
        table = some.pivot(index="seed", columns="lr", values="return")
        low, high = np.quantile(resampled(table), [0.025, 0.975], axis=0)
        best = table.columns.get_loc(table.mean().idxmax())
        every = some.assign(hit=some["clamped_steps"] > 0).groupby("lr")["hit"].all()
        rows += [
            {"env": env, "norm": norm, "lr": lr, "good": high[i] >= low[best]}
            for i, lr in enumerate(table.columns)
            if every[lr]
        ]
    return pd.DataFrame(rows)


def clamped_points() -> str:
    names = {"none": "None", "layer": "LN", "batch": "BN", "weight": "WN"}
    points = all_clamped()
    good = points.query("good").groupby(["env", "norm"], sort=False)["lr"]
    told = [
        f"{names[norm]} in {env} (at {', '.join(f'{lr:.1g}' for lr in rates)})"
        for (env, norm), rates in good
    ]
    return (
        f"There are {len(points)} points (task, network and learning rate) at which every run was "
        f"clamped. At {(~points['good'].astype(bool)).sum()} of them the return is clearly lower "
        "than at the network's best learning rate. At the others it is as good as this network "
        f"gets in its task: {', '.join(told[:-1])} and {told[-1]}."
    )


def turned() -> str:
    """Where LN returns less at the learning rates at which no run was clamped."""
    most = networks().groupby(["env", "lr"])["clamped_steps"].transform("max")
    found = {}
    for env in TASKS:
        mine = networks()["env"] == env
        calm_high = gain_ends(networks()[mine & (most == 0)])[1]
        found[env] = calm_high < 0 < gain_ends(networks()[mine])[0]
    return f"LN returns less than the network without LN in {named(pd.Series(found))}, as shown"


@cache
def share_ends(seeds: int) -> dict[tuple[str, str], np.ndarray]:
    """(norm, env): the interval of (norm - None) / (LN - None), of mean returns."""
    some = pd.concat([runs(), by_default("table1", "variants")]).query(f"seed < {seeds}")
    table = some.groupby(["env", "seed", "norm"])["return"].mean().unstack()
    ends = {}
    for env in TASKS:
        mine = table.loc[env].dropna(axis="columns")
        means = pd.DataFrame(resampled(mine), columns=mine.columns)
        shares = means.sub(means["none"], axis=0).div(means["layer"] - means["none"], axis=0)
        ends |= {(norm, env): shares[norm].quantile([0.025, 0.975]).to_numpy() for norm in mine}
    return ends


def shares(norm: str, seeds: int, low: float = -np.inf, high: float = np.inf) -> str:
    """The tasks in which the interval of a network's share of LN's gain lies within bounds."""
    found = {env: share_ends(seeds)[norm, env] for env in TASKS}
    return named(pd.Series({env: low < a and b < high for env, (a, b) in found.items()}))


def lost(norm: str) -> str:
    seeds = shown_seeds("normalizations")
    return f"loses more than a fifth of LN's gain in {shares(norm, seeds, high=0.8)}"


def momentum(value: float) -> str:
    """Where CrossQ with this momentum loses more than a fifth of LN's gain."""
    files = (RESULTS / "variants").glob("*.runs.parquet")
    crossq = pd.concat(map(pd.read_parquet, files)).query("momentum == @value and bias")
    some = pd.concat([runs(), crossq])
    table = some[some["seed"].isin(crossq["seed"])]
    table = table.groupby(["env", "seed", "norm"])["return"].mean().unstack()
    found = {}
    for env in TASKS:
        means = pd.DataFrame(resampled(table.loc[env]), columns=table.columns)
        share = (means["crossq"] - means["none"]) / (means["layer"] - means["none"])
        found[env] = share.quantile(0.975) < 0.8
    lost = named(pd.Series(found))
    return f"loses more than a fifth of LN's gain in {lost}."


def half_of_the_gain() -> str:
    seeds = shown_seeds("normalizations")
    batch, weight = (shares(norm, seeds, high=0.5) for norm in ("batch", "weight"))
    assert batch == weight
    return f"each bring less than half of LN's gain in {batch}."


def core_hours() -> float:
    files = RESULTS.glob("*/*.runs.parquet")
    return sum(pd.read_parquet(file, columns=["seconds"])["seconds"].sum() for file in files) / 3600


def datasets_without() -> str:
    none = (goals() == 0).groupby("env").sum()
    told = [f"{none[env]} of 30 in {env}" for env in TASKS if none[env]]
    return (
        f"Of {len(goals())} datasets {none.sum()} hold no terminated transition: "
        f"{' and '.join(told)}."
    )


def diverged() -> str:
    some = runs().query("lr == 1e-3 and seed == 0")
    return f"{(some['clamped_steps'] > 0).sum()} of these {len(some)} runs diverged"


def side_by_side(x: str, **how) -> str:
    """`above 0 in A, and below 0 in B and C`, of the intervals of rho(x, loss)."""
    parts = []
    for word, sign in (("above", 1), ("below", -1)):
        tasks = clear(x, sign, **how)
        if tasks != "none":
            parts.append(f"{word} 0 in {' and '.join(tasks.rsplit(', ', 1))}")
    return ", and ".join(parts) or "nowhere clear of 0 and beyond chance"


def free_points() -> str:
    counts = (~points()["clamped"]).groupby("env").sum()[list(TASKS)]
    *first, last = (f"{env} {count}" for env, count in counts.items())
    return f"{', '.join(first)} and {last}"


def change(x: str, other: str) -> float:
    return (rho(x, "loss") - rho(other, "loss")).mean()


def few_points() -> str:
    left = (~points()["clamped"]).groupby("env").sum().min()
    chance = (
        f"of so many ranks in random order has a standard deviation of {(left - 1) ** -0.5:.2f}"
    )
    return f"{fewest_free()} keeps {left}, and \u03c1 {chance}"


def gi2_shares() -> str:
    lowered, raised = ln_moves("loss", -1), ln_moves("return", 1)
    return (
        f"raises GI₂ at {ln_moves('gi2', 1):.0%} of the learning rates, lowers the loss at "
        f"{lowered:.0%} and raises the return at {raised:.0%}; GI₂ and loss move in opposite "
        f"directions at {ln_moves_both('gi2', 'loss', -1):.0%}"
    )


def switched_shares(norm: str, sign: int, optimizer: str = "SGD") -> str:
    """What injecting (sign 1) or removing LN does, as the page says it."""
    gi2, scaled = (switched(norm, x, sign, optimizer) for x in ("gi2", "gi2_scaled"))
    loss = switched(norm, "td_loss", -sign, optimizer)
    one, other = ("raises", "lowers") if sign > 0 else ("lowers", "raises")
    return (
        f"LN {one} GI₂ at {gi2:.0%} of the learning rates and GI₂ / loss at {scaled:.0%}, "
        f"and {other} the batch loss at {loss:.0%}."
    )


def in_tasks(which: pd.Series) -> str:
    """Tasks as `findings.listed` has them."""
    return " and ".join(", ".join(which.index[which]).rsplit(", ", 1)) or "no task"


def both_ways() -> str:
    both = over_half(switch("none", "gi2")) & over_half(switch("layer", "gi2"), sign=-1)
    return (
        f"Both happen in {in_tasks(both)}: there LN by itself is enough, whether the weights were "
        "trained with it or without."
    )


@cache
def beside_target_network(free: bool = False) -> pd.DataFrame:
    """Returns averaged over learning rates, or over those free of clamped runs.

    Rows (env, norm, target period), columns seeds.
    """
    some = pd.concat([runs(), by_default("target")])
    some = some[(some["seed"] < shown_seeds("target_network")) & (some["optimizer"] == "SGD")]
    if free:
        some = some[some.groupby(["env", "lr"])["clamped_steps"].transform("max") == 0]
    some = some.fillna({"target_period": 0})
    return some.groupby(["env", "norm", "target_period", "seed"])["return"].mean().unstack()


def ln_alone(free: bool = False) -> tuple[dict[str, float], dict[str, float]]:
    """Where LN without a target network clearly returns more, or less, than None with, and by what.

    None's period is the best one on the other half of the seeds.
    """
    table, rng = beside_target_network(free), np.random.default_rng(3)
    seeds = np.arange(shown_seeds("target_network"))
    more, less = {}, {}
    for env in (task for task in TASKS if task in table.index.unique("env")):
        none = table.loc[env, "none"].drop(index=0)
        gaps = []
        for draw in range(301):
            halves = [seeds[::2], seeds[1::2]]
            if draw:
                halves = [rng.choice(half, len(half)) for half in halves]
            a, b = (none[half].mean(axis=1) for half in halves)
            with_target = (b[a.idxmax()] + a[b.idxmax()]) / 2
            alone = table.loc[env, "layer", 0][np.concatenate(halves)].mean()
            gaps.append(alone - with_target)
        more |= {env: gaps[0]} if np.quantile(gaps, 0.025) > 0 else {}
        less |= {env: gaps[0]} if np.quantile(gaps, 0.975) < 0 else {}
    return more, less


def where(tasks: Iterable[str]) -> str:
    return " and ".join(", ".join(tasks).rsplit(", ", 1))


def sized(gaps: dict[str, float]) -> str:
    """`Acrobot (160) and Pendulum (22)`: to two digits."""
    tasks = [f"{env} ({float(f'{gap:.2g}'):g})" for env, gap in gaps.items()]
    return " and ".join(", ".join(tasks).rsplit(", ", 1))


def ln_online(target_period: int) -> str:
    """The tasks in which LN clearly returns more online, averaged over learning rates."""
    some = by_default("online").query("target_period == @target_period")
    table = some.groupby(["env", "seed", "norm"])["return"].mean().unstack()
    gaps = (table["layer"] - table["none"]).groupby("env")
    return named(gaps.apply(lambda gap: np.quantile(resampled(gap.to_frame()), 0.025) > 0))


SAID = {
    "normalizations": {
        "whose": half_of_the_gain,
        "which": lambda: f"than subtracting the mean on its own in {more('rms', 'center')}",
        "beyond": lambda: (
            f"it returns more in {more('rms', 'layer')} and less in {more('layer', 'rms')}."
        ),
        "affine": lambda: f"LN with a trained scale and shift {lost('layer_affine')}",
        "crossq": lambda: f"{lost('crossq')}. CrossQ's running statistics",
        "momenta": lambda: f"With 0.01 it {momentum(0.01)} With 0.001 it {momentum(0.001)}",
        "best": lambda: (
            f"The highest return is LN's in {named(best_in_table1() == 'layer')}. One caution"
        ),
        "no_goal": lambda: (
            f"In {(goals()['Acrobot'][: shown_seeds('normalizations')] == 0).sum()} of Acrobot's "
            f"{shown_seeds('normalizations')} datasets no transition reaches the goal."
        ),
        "clamped": clamped_points,
        "turned": turned,
    },
    "reproduce": {"spent": lambda: f"The finished runs took {core_hours():.1f} core hours,"},
    "setting": {"datasets": datasets_without, "diverged": diverged},
    "lr_decay": {
        "norms": weights_growth,
        "falls": lambda: f"and in {falls().mean():.1%} of them on average",
    },
    "online": {
        "gain": lambda: (
            f"Online, averaged over learning rates, LN raises the return in {ln_online(0)}."
        ),
        "beside": lambda: (
            f"With a target network, averaged. LN raises the return in {ln_online(1_000)}."
        ),
    },
    "target_network": {
        "alone": lambda: (
            "LN without a target network returns more than None with its best one in "
            f"{sized(ln_alone()[0])}."
        ),
        "clamped": lambda: (
            "at which no run was clamped, it returns less than None with its best one in "
            f"{where(ln_alone(free=True)[1])}, and still more in {where(ln_alone(free=True)[0])}."
        ),
    },
    "protocol": {"survives": surviving, "largest": largest_shifts, "without_end": without_end},
    "interference": {
        "clamped": lambda: f"At {points()['clamped'].sum()} of the {len(points())} points a",
        "moved": lambda: (
            f"moves \u03c1(QGI\u208a, loss) by {moved_by('qgi_plus')}; "
            f"\u03c1(SGI, loss) by {moved_by('sgi')}."
        ),
        "few": few_points,
        "goals": goal_compared,
        "without a goal": goal_gain,
    },
    "injection": {
        "injected": lambda: switched_shares("none", 1),
        "removed": lambda: switched_shares("layer", -1),
        "adam": lambda: (
            f"With Adam, averaged over the tasks, injecting {switched_shares('none', 1, 'Adam')}"
        ),
        "trained": lambda: (
            f"Networks trained with LN have the higher GI₂ at {ln_moves('gi2', 1):.0%}"
        ),
        "raised": lambda: f"learning rates in {in_tasks(over_half(switch('none', 'gi2')))}, and",
        "lowered": lambda: (
            f"trained with it lowers GI₂ in {in_tasks(over_half(switch('layer', 'gi2'), sign=-1))}."
        ),
        "both ways": both_ways,
    },
    "gi2": {
        "shares": gi2_shares,
        "all points": lambda: f"All points: {side_by_side('gi2')}.",
        "free points": lambda: f"({free_points()}): {side_by_side('gi2', free=True)}.",
        "medians": lambda: f"of means: {side_by_side('gi2', over_seeds=np.median)}.",
        "scale": lambda: f"moves \u03c1 by {change('gi2_scaled', 'gi2'):+.2f} on average",
        "scaled": lambda: f"GI₂ / loss at {ln_moves('gi2_scaled', 1):.0%} of the learning rates",
        "signs": lambda: f"at {right_signs():.1%} of the checkpoints it has the sign",
        "commoner": lambda: f"would be right at {max(lowering(), 1 - lowering()):.1%}",
    },
}
"""By page: what its text says, each a part of a sentence with the numbers of the data."""
