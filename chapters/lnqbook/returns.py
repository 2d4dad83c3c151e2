"""What a network returns: averaged over learning rates, or at its own best one.

The best learning rate is chosen on one half of the seeds and scored on the other, so that no
network is praised for a choice made on the same numbers. Halves are the even and the odd seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from . import stats
from .baselines import POLICIES
from .crossfit import crossfit
from .stats import RESAMPLES, Interval, Resampled

Over = Literal["average", "best", "calm"]
"""All learning rates averaged; each network's own best; the average over those learning rates at
which no run of any of the networks was clamped."""


class Scores(NamedTuple):
    """Returns of several networks of one task.

    - `means`: (networks,). `draws`: (resamples, networks), the same seeds drawn for all.
    - `seeds`: how many. `rates`: how many learning rates were averaged, or chosen from.
    - `chosen`: with "best", the learning rates that each network's halves chose, by network.
    """

    means: np.ndarray
    draws: np.ndarray
    seeds: int
    rates: int
    chosen: tuple[tuple[float, ...], ...] = ()

    def of(self, statistic: Callable[..., np.ndarray]) -> Resampled:
        """A statistic of the networks' scores, given one array for each network."""
        value = float(statistic(*self.means))
        return Resampled(value, statistic(*self.draws.T), self.seeds, self.seeds)


def scores(
    runs: pd.DataFrame,
    networks: Sequence[str],
    over: Over = "average",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Scores | None:
    """The networks' mean returns with joint bootstrap draws.

    **Arguments** `runs`: one row a run of one task and optimizer; `network`, or without it `norm`,
    says which network it trained. A policy of `baselines.POLICIES` is read from its column in
    None's runs. `over`: which learning rates.

    **Returns** None where no learning rate is left. A seed counts where every network has
    all of its learning rates.
    """
    tables = [_table(runs, network) for network in networks]
    rates = tables[0].columns
    for table in tables[1:]:
        rates = rates.intersection(table.columns)
    if over == "calm":
        trained = runs[_network(runs).isin(networks)]
        most = trained.groupby("lr")["clamped_steps"].max()
        rates = rates.difference(most.index[most > 0])
    if not len(rates):
        return None
    whole = pd.concat([table[rates] for table in tables], axis=1, keys=range(len(networks)))
    whole = whole[np.isfinite(whole).all(axis=1)]
    stack = whole.to_numpy(float).reshape(len(whole), len(networks), len(rates))
    if over != "best":
        averages = stack.mean(axis=2)  # (seeds, networks)
        if not len(averages):
            return Scores(*_nothing(len(networks), resamples), 0, len(rates))
        draws = stats.means_of(averages, resamples, seed=seed)
        return Scores(averages.mean(axis=0), draws, len(averages), len(rates))
    halves = [stack[whole.index % 2 == parity] for parity in (0, 1)]
    if min(map(len, halves)) < 2:  # one seed drawn from one has no spread
        return Scores(*_nothing(len(networks), resamples), len(stack), len(rates))
    means = [half.mean(axis=0)[None] for half in halves]
    drawn = [
        stats.means_of(half.reshape(len(half), -1), resamples, seed=seed + part).reshape(
            resamples, len(networks), len(rates)
        )
        for part, half in enumerate(halves)
    ]
    best = [half[0].argmax(axis=-1) for half in means]
    chosen = tuple(
        tuple(dict.fromkeys(float(rates[half[i]]) for half in best)) for i in range(len(networks))
    )
    return Scores(crossfit(*means)[0], crossfit(*drawn), len(stack), len(rates), chosen)


def gain(runs: pd.DataFrame, network: str, baseline: str, over: Over, **how) -> Resampled | None:
    """`network`'s return minus `baseline`'s."""
    found = scores(runs, (network, baseline), over, **how)
    return found and found.of(lambda a, b: a - b)


def share(runs: pd.DataFrame, network: str, baseline: str, over: Over, **how) -> Resampled | None:
    """(network - baseline) / (LN - None): a difference of returns as a share of LN's gain."""
    names = tuple(dict.fromkeys((network, baseline, "layer", "none")))
    at = [names.index(name) for name in (network, baseline, "layer", "none")]
    found = scores(runs, names, over, **how)
    return found and found.of(lambda *means: stats.share(*(means[i] for i in at)))


def share_where_none_is_clamped(runs: pd.DataFrame, **how) -> Interval:
    """What part of LN's averaged gain comes from learning rates with every None run clamped.

    **Arguments** `runs`: one row a run of one task and optimizer, norms "none" and "layer".
    """
    (gains,) = stats.paired_differences(runs, ("return",), "layer", "none")
    none = runs[runs["norm"] == "none"]
    every = (none["clamped_steps"] > 0).groupby(none["lr"]).all().reindex(gains.columns)
    there = every.to_numpy(bool)

    def part(means: np.ndarray) -> np.ndarray:
        total = means.sum(axis=-1)
        return means[..., there].sum(axis=-1) / np.where(total > 0, total, np.nan)

    return stats.joint_interval(part, gains.to_numpy(float), **how)


def _network(runs: pd.DataFrame) -> pd.Series:
    """What is compared: the claims' frames name it, otherwise it is the norm."""
    return runs["network"] if "network" in runs else runs["norm"]


def _table(runs: pd.DataFrame, network: str) -> pd.DataFrame:
    """A network's returns: a row a seed, a column a learning rate."""
    policy = network in POLICIES
    mine = runs[_network(runs) == ("none" if policy else network)]
    return stats.by_seed_and(mine, ["lr"], f"{network}_return" if policy else "return")


def _nothing(networks: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(networks, np.nan), np.full((resamples, networks), np.nan)
