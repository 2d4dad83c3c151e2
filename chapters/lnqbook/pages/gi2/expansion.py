"""The second-order expansion of a step against the step really taken, run by run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...numbers import MINUS
from ...ranks import side
from ...stats import by_env, spearman_interval

RATIOS = {
    "second_over_first": "kept second-order term over first-order term",
    "deferred_over_kept": "deferred second-order term over the kept one",
    "realised_over_gi2": "realized decrement over GI2",
    "realised_over_whole": "realized decrement over all of Eq. (10)",
    "held_over_gi2": "realized decrement with the greedy next actions held, over GI2",
    "held_over_whole": "the same over all of Eq. (10)",
    "same_sign": "share of checkpoints at which GI2 has the realized decrement's sign",
    "same_sign_held": "the same of the decrement with the greedy next actions held",
    "lowers": "share of checkpoints at which the realized decrement is above 0",
}
"""Columns of `ratios` and what they are."""


def ratios(runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Eq. (10)'s terms relative to one another, one number for each run.

    At a checkpoint the terms are means over the pairs of a batch (`metrics.second_order`):
    first_order = 2 lr DGI; squared and hessian are the kept and the deferred part of (*); GI2 =
    first_order - squared. realised is the decrement of a step really taken, realised_held that of
    the same step with the greedy next actions held fixed. Quotients span decades within a run, so
    a run has their median over checkpoints. The first two quotients ignore signs.

    **Arguments** `runs`: one row a run. `curves`: their checkpoints, with `key` and the columns of
    `results.SECOND_ORDER` and gi2.

    **Returns** `runs` with the columns `RATIOS`; NaN where a divisor is 0 at every checkpoint.
    """
    c = curves.set_index("key")
    quotients = {
        "second_over_first": c["squared"] / c["first_order"].abs(),
        "deferred_over_kept": c["hessian"].abs() / c["squared"],
        "realised_over_gi2": c["realised"] / c["gi2"],
        "realised_over_whole": c["realised"] / (c["gi2"] - c["hessian"]),
        "held_over_gi2": c["realised_held"] / c["gi2"],
        "held_over_whole": c["realised_held"] / (c["gi2"] - c["hessian"]),
    }
    signs = {name: np.sign(c[name] * c["gi2"]) for name in ("realised", "realised_held")}
    # 0 and NaN have no sign
    agree = {name: (sign > 0).where(sign.abs() == 1).astype(float) for name, sign in signs.items()}
    shares = {"same_sign": agree["realised"], "same_sign_held": agree["realised_held"]}
    shares["lowers"] = (c["realised"] > 0).where(c["realised"].abs() > 0).astype(float)
    medians = pd.DataFrame(quotients).replace([np.inf, -np.inf], np.nan).groupby("key").median()
    return runs.join(medians.join(pd.DataFrame(shares).groupby("key").mean()), on="key")


CHAIN = {
    "mgi": "MGI",
    "dgi": "DGI",
    "first_order": "2\u03b7 DGI",
    "minus_kept": f"{MINUS}kept",
    "gi2": "GI\u2082",
    "whole": "all of Eq. (10)",
    "realised_held": "realized, a* held",
    "realised": "realized",
    "realised_minibatch": "realized, batch",
}
"""From the cosine to the effect of a step. Each differs from the one before in one thing, except
the kept term: it stands alone to make the sum below it readable."""


def chain(runs: pd.DataFrame, y: str, clamped: bool = True) -> pd.DataFrame:
    """Spearman's rho of each of `CHAIN` with `y`, by task.

    **Arguments** `runs`: one row a run, one optimizer, with second_order measured. `clamped`:
    whether points with a clamped seed take part.

    **Returns** `Interval`s, one row a task, one column for each of `CHAIN`.
    """
    runs = runs.assign(minus_kept=-runs["squared"], whole=runs["gi2"] - runs["hessian"])
    return pd.DataFrame({x: by_env(runs, spearman_interval, x, y, clamped) for x in CHAIN})


def turns(chain: pd.DataFrame) -> dict[str, list[str]]:
    """The tasks in which rho changes its side of 0 on the way from MGI to GI2, with the new side.

    The way leads from MGI over DGI (the dot product) and 2 lr DGI (its factor) to GI2 (the
    second-order term). Steps that are on no side (`ranks.side`) are skipped: a turn counts at the
    step that reaches the other side.

    **Arguments** `chain`: as `chain` gives it.

    **Returns** "Pendulum (to \N{MINUS SIGN})" and the like for each of dgi, first_order and gi2.
    """
    found: dict[str, list[str]] = {"dgi": [], "first_order": [], "gi2": []}
    for env, rhos in chain.iterrows():
        last = side(rhos["mgi"])
        for step, envs in found.items():
            now = side(rhos[step])
            if now * last < 0:
                envs.append(f"{env} (to {'+' if now > 0 else MINUS})")
            last = now or last
    return found


def same_side(chain: pd.DataFrame, x: str, y: str) -> int:
    """How many tasks have rho of `x` and of `y`, two of `CHAIN`, on the same side of 0."""
    return sum(side(a) * side(b) > 0 for a, b in zip(chain[x], chain[y], strict=True))
