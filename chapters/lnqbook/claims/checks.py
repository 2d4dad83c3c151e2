"""One statistic of one task, the rules for what it says of a claim, and the words for it.

A statistic supports a claim where its 95% interval lies on the claimed side of a number, and a rank
correlation besides is further from 0 than random order gets. It contradicts where all of that is so
on the other side. It is undecided where the interval contains the number, and no clear link where
it does not but chance would do as much. Beside the primary statistic stand views, other ways to
take the same one. `kinds.py` has the statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from lnqlib.results import ISOMETRY
from lnqlib.spec import ENVS

from ..baselines import POLICIES
from ..rates import Sides
from ..stats import Interval, Resampled

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NO_LINK, NO_RUNS = "undecided", "no clear link", "no runs"
RESAMPLES = 4000  # their smallest level, 2 in 4001, stands Holm's correction of 100 statistics
FEWER = 3000  # of a view; of 75, and no claim has more

METRICS = {"qgi_plus": "QGI+", "gi2": "GI2", "gi2_scaled": "GI2 / loss"}
METRICS |= {name: name.upper() for name in ("sgi", "mgi", "dgi")}
METRICS |= {"first_order": "2 lr DGI"}
METRICS |= {name: f"ISO_{name[-1]}" for name in ISOMETRY} | {"loss": "loss", "return": "return"}
ZEROS = {name: f"{name}_zero" for name in ("qgi_plus", "sgi", "mgi")}
"""The cosine metrics with pairs of a zero gradient counted as 0, not left out."""
NETWORKS = {"none": "None", "layer": "LN", "batch": "BN", "weight": "WN", "crossq": "CrossQ"}
NETWORKS |= {"crossq_0.01": "CrossQ, momentum 0.01", "crossq_0.001": "CrossQ, momentum 0.001"}
NETWORKS |= {"layer_affine": "affine LN", "layer_after_relu": "LN after ReLU"}
NETWORKS |= {"project": "projected LN", "own_decay": "None with its own decay"}
NETWORKS |= {"paired_decay": "None with LN's decay"}
NETWORKS |= {"untrained": "untrained net", "uniform": "random actions"}

BY_SEED, MEDIANS, CALM = "each seed's own", "medians", "without clamped"
COUNTED, BEST, OTHER_RANDOM = "zeros counted", "at the best rate", "untrained net"
VIEWS = (BY_SEED, MEDIANS, CALM, COUNTED, BEST, OTHER_RANDOM)


class Evidence(NamedTuple):
    """What one statistic says in one task.

    `p`: the level at which it would still be supported, or contradicted.
    """

    word: str
    value: Interval | Sides | None = None
    p: float = np.nan


class Draws(NamedTuple):
    """A bootstrap of its own."""

    seed: int
    resamples: int = RESAMPLES


Way = Callable[[pd.DataFrame, Draws], Evidence | None]
"""Runs of one task, optimizer and reading, and the bootstrap -> what they say; None where there is
no such statistic."""


@dataclass(frozen=True)
class Check:
    """One statistic, the side on which the paper expects it, and the views beside it.

    **Arguments**

    - `text`: what is claimed, as a formula.
    - `primary`: the statistic. `views`: other ways to take it, by their names in `VIEWS`.
    - `networks`: what it compares, each a norm, an `lr_control` or one of the `baselines.POLICIES`.
    - `optimizer`: "" leaves the choice to the reader.
    - `envs`: where it is tested; those in `excepted` are shown and do not count.
    - `anywhere`: the name of a group of checks of which one need be supported, in one task.
    - `readings`: whether biases are on, where the check takes part.
    - `growth`: whether it needs the weights' growth, which is in the checkpoints alone.
    """

    text: str
    primary: Way
    views: Mapping[str, Way] = field(default_factory=dict)
    networks: tuple[str, ...] = ("none", "layer")
    optimizer: str = ""
    envs: tuple[str, ...] = ENVS
    excepted: tuple[str, ...] = ()
    anywhere: str = ""
    readings: tuple[bool, ...] = (True, False)
    growth: bool = False

    @property
    def trained(self) -> set[str]:
        """Those whose runs it needs; a policy is played with the seeds of None."""
        return {"none" if name in POLICIES else name for name in self.networks}


def held(found: Resampled | None, sign: int, against: float = 0.0, bar: float = 0.0) -> Evidence:
    """The rule for an interval: `sign` 1 where it must lie above `against`, -1 below.

    **Arguments** `bar`: how far from `against` the value must be besides.
    """
    if found is None:
        return Evidence(UNDECIDED)
    interval = found.interval
    side = sign * (int(interval.low > against) - int(interval.high < against))
    if not side:
        return Evidence(UNDECIDED, interval)
    if abs(interval.value - against) < bar:
        return Evidence(NO_LINK, interval)
    word = SUPPORTED if side > 0 else CONTRADICTED
    return Evidence(word, interval, found.p(against, sign * side))


def counted(sides: Sides) -> Evidence | None:
    """The rule for learning rates: more than half on one side, and twice as many as on the other.

    Undecided where more than half are.
    """
    if not sides.rates:
        return None
    if sides.sign:
        word = SUPPORTED if sides.sign > 0 else CONTRADICTED
        return Evidence(word, sides, sides.p)
    return Evidence(UNDECIDED if sides.open > sides.rates / 2 else NO_LINK, sides)
