"""What a step does beside what GI2 says of it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...findings import case, count, listed
from ...numbers import number
from ...stats import few_seeds
from .expansion import RATIOS, turns
from .words import GI2

CHAIN = (
    "Spearman's \u03c1 with the loss. Each row changes one thing from the row before, except the "
    "kept second-order term, which stands alone so that the sum below it can be read. *Held* "
    "means that the greedy next actions a* are kept as they were before the step."
)


def turning(chain: pd.DataFrame, calm: pd.DataFrame) -> list[str]:
    """Which change on the way from MGI to GI2 turns rho with the loss round.

    **Arguments** of `expansion.chain`, with all points and without clamped ones.
    """
    told = []
    for name, some in (("With all points", chain), ("Without clamped points", calm)):
        found = {step: envs for step, envs in turns(some).items() if envs}
        told.append(
            f"{name} the sign turns "
            + case(
                (found, "; ".join(f"{_STEPS[s]}, in {listed(e)}" for s, e in found.items())),
                "nowhere on the way",
            )
            + "."
        )
    return told


_STEPS = {
    "dgi": "where the dot product replaces the cosine",
    "first_order": "with the factor 2\u03b7",
    "gi2": "with the second-order term",
}


def batch_step(first: int, second: int, tasks: int) -> str:
    """On whose side of 0 the decrement of a batch's step lies.

    **Arguments**: in how many of the `tasks` it is 2 lr DGI's side, and GI2's.
    """
    return (
        "The step of a whole batch has a smaller quadratic term (erratum 8). "
        f"In {first} of {count(tasks, 'task')} \u03c1 of the decrement that it realizes lies on "
        f"the same side of 0 as that of 2\u03b7\u202fDGI, and in {second} on that of {GI2}'s."
    )


def sizes(points: int, outweighs: float, deferred: float, large: float) -> str:
    """How large the terms of the expansion are.

    **Arguments**: points; shares of them at which the kept term outweighs the first order, and at
    which the deferred one is above a tenth of the kept; the latter quotient at the median point.
    """
    return (
        f"At {outweighs:.0%} of the {points} points (task, network, learning rate) the kept "
        "second-order term outweighs the first-order one: a step on one sample raises the loss of "
        "the others, whatever the sign of the first order. The part that the paper defers is "
        f"{number(deferred, 2)} of the kept part at the median point, and more than a tenth of it "
        f"at {large:.0%} of the points."
    )


def prediction(same_sign: float, commoner: float) -> str:
    """Whether GI2 has the sign of what a step does.

    **Arguments**: shares of checkpoints: with the right sign; with the more common sign.
    """
    return case(
        (
            same_sign > commoner,
            f"{GI2} does what its derivation says: at {same_sign:.1%} of the checkpoints it has "
            "the sign of what a step on one sample does to the loss of the others; always naming "
            f"the more common sign would be right at {commoner:.1%}.",
        ),
        f"{GI2} has the sign of what a step on one sample does to the loss of the others at "
        f"{same_sign:.1%} of the checkpoints, no more than always guessing the more common sign "
        f"({commoner:.1%}).",
    )


def size_predicted(shares: Mapping[str, float]) -> str:
    """How often the size is right, too, and what the misses are due to.

    **Arguments** `shares` of the points within a tenth: near, near_whole (with the deferred part),
    held and held_whole (with the greedy next actions held); same_sign_held, of checkpoints.
    """
    return (
        f"The size is right to within a tenth at {shares['near']:.0%} of the points, and with the "
        f"deferred part at {shares['near_whole']:.0%}. With the greedy next actions held as "
        f"they were before the step these are {shares['held']:.0%} and "
        f"{shares['held_whole']:.0%}, and the sign is right at "
        f"{shares['same_sign_held']:.1%} of the checkpoints."
    )


def measured(terms: pd.DataFrame, checkpoints: int, optimizer: str, other: str) -> str:
    """Which runs there are that measured all of Eq. (10), or how to train them.

    **Arguments** `terms`: of `expansion.ratios`, empty where no run is finished.
    """
    if terms.empty:
        return (
            "No finished run with these parameters measured all of Eq. (10). `python -m lnqlib run "
            f"second_order --optimizer {optimizer}` trains those of the usual length."
        )
    seeds = terms["seed"].nunique()
    return (
        f"These runs measured all of Eq. (10) at {checkpoints} checkpoints, "
        f"with {count(seeds, 'seed')} and "
        f"{optimizer} (`-p optimizer {other}` asks the same of {other}). {few_seeds(seeds)}"
    ).strip()


def predicted(terms: pd.DataFrame) -> list[str]:
    """How large the terms of the expansion are, and whether GI2 predicts what a step does.

    **Arguments** `terms`: of `expansion.ratios`.
    """
    lowers = terms["lowers"].mean()
    median = terms.groupby(["env", "norm", "lr"])[list(RATIOS)].median()
    kept, deferred = median["second_over_first"], median["deferred_over_kept"]
    names = {"near": "realised_over_gi2", "near_whole": "realised_over_whole"}
    names |= {"held": "held_over_gi2", "held_whole": "held_over_whole"}
    shares = {name: median[x].between(0.9, 1.1).mean() for name, x in names.items()}
    shares |= {"same_sign_held": terms["same_sign_held"].mean()}
    return [
        sizes(len(median), (kept > 1).mean(), deferred.median(), (deferred > 0.1).mean()),
        prediction(terms["same_sign"].mean(), max(lowers, 1 - lowers)),
        size_predicted(shares),
    ]


def orders(errors: pd.DataFrame) -> str:
    """The measured orders of the approximations, over the first decade.

    **Arguments** `errors`: of `curvature.expansion_errors`, three learning rates a decade.
    """
    slope = np.log10(errors.iloc[3] / errors.iloc[0])
    share = errors["gi2"].iloc[0] / errors["first order"].iloc[0]
    return (
        f"The measured orders are {slope['first order']:.2f} to first order, {slope['gi2']:.2f} "
        f"for {GI2} and {slope['all of Eq. (10)']:.2f} for all of Eq. (10). The error of {GI2} "
        f"is {share:.2f} times the first-order one; what it still lacks is the deferred part."
    )


def minibatch(pairs: float, batch: float) -> str:
    """GI2 by pairs beside that of the batch's step."""
    return (
        f"For the batch above, Eq. (11) is {number(pairs)} by pairs and {number(batch)} for the "
        "batch's step."
    )


def factor_two(first_order: float, rate: float, half: float, full: float) -> str:
    """What the factor 2 does at a learning rate between the two zeros."""
    told = (
        f"For this network A is {'positive' if first_order > 0 else 'negative'}. At \u03b7 = "
        f"{number(rate, 2)} half gradients give {GI2} = {number(half)}, automatic differentiation "
        f"of \u0394\u00b2 gives {number(full)}"
    )
    return told + case((half * full < 0, ": the opposite sign."), ".")
