"""Equal learning rates are not equal steps: what LN does to the size of a gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
from torch.autograd.functional import jacobian

from lnqlib.spec import RunSpec

from . import initialization
from .findings import case, listed
from .one_step import Flat
from .stats import NBSP
from .tables import number


def squared_gradient(spec: RunSpec) -> float:
    """E |grad Q(s, a)|^2 over the batch of the first checkpoint, before any training."""
    flat = Flat(initialization.network(spec).double(), initialization.batch(spec), spec.gamma)
    gradients = jacobian(flat.q, flat.theta)  # (B, P)
    return float(gradients.square().sum(1).mean())


def at_the_start(envs: Iterable[str], seeds: int = 10) -> pd.Series:
    """By task: E |grad Q|^2 with LN over that without, means over seeds, before any training."""
    ratios = {}
    for env in envs:
        sizes = {
            norm: sum(squared_gradient(RunSpec(env, norm=norm, seed=s)) for s in range(seeds))
            for norm in ("none", "layer")
        }
        ratios[env] = sizes["layer"] / sizes["none"]
    return pd.Series(ratios)


def in_words(ratios: pd.Series, chosen: Mapping[str, tuple[list[float], list[float]]]) -> str:
    """What equal learning rates compare.

    **Arguments** `ratios`: of `at_the_start`. `chosen`: by task the best learning rates of LN's
    halves and of None's.
    """
    parts = [f"{number(ratio, 2)}{NBSP}in {env}" for env, ratio in ratios.items()]
    told = "Before any training LN multiplies the mean squared length of the gradient of Q by "
    told += f"{listed(parts)}. "
    apart = {
        env: max(max(a) / min(b), max(b) / min(a)) for env, (a, b) in chosen.items() if a and b
    }
    far = max(apart.values(), default=1.0)
    where = [env for env, factor in apart.items() if factor == far]
    return told + case(
        (
            far > 1,
            f"The best learning rates of the two networks lie up to {far:,.0f} times apart "
            f"({listed(where)}).",
        ),
        (apart, "Their best learning rates are the same."),
        "",
    )
