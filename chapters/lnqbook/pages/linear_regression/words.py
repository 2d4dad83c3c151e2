"""What the page on linear regression finds, in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from ... import stats, theory
from ...findings import case, sided
from ...notebook import Parameters
from ...numbers import number
from ...stats import NBSP, Interval
from ...theory import Example, best_decrement
from . import regression

Terms = tuple[float | Fraction, float | Fraction]
"""First- and second-order term of a decrement."""
FORMATS = dict.fromkeys(("s", "1/(1+s²)", "A²/B", "C²/D", "L"), ".2f") | {"R": ".3f"}
TABLE = (
    "Below 1 a constant norm is better; brackets hold 95% intervals over seeds. A²/B and C²/D are "
    "those of a first step of SGD, spread or shuffled over constant norm. R and L are what is left "
    "of distance and loss after the last step, constant over spread or shuffled norm."
)
_NAMES = {("none", "spread"): "None", ("none", "shuffled"): "None, shuffled"}
_NAMES |= {("layer", "spread"): "LN", ("layer", "shuffled"): "LN, shuffled"}


def answer(laws: pd.DataFrame, networks: pd.DataFrame, p: Parameters) -> list[str]:
    """The page's first sentences.

    **Arguments** `laws`: of `theory.random_laws`. `networks`: of `regression.by_network`.
    """
    worst = max(laws.distance_ratio.max(), laws.loss_ratio[laws.independent].max()) - 1
    none, layer = (networks.xs(norm, level="norm") for norm in ("none", "layer"))
    end = _sides(networks, "loss", "spread")
    lower = sided(end, "higher", "lower", "nowhere clearly different")
    return [
        "For one step, a given error and given directions, a constant norm is best: for the "
        "distance to the solution always, for the loss where norm and direction are independent.",
        case(
            (worst < 1e-9, f"None of {len(laws):,} random distributions breaks that."),
            f"A random distribution breaks that, by {number(worst, 2)}.",
        ),
        f"Over {p.steps:,} steps with {p.optimizer} on the features of networks without LN, the "
        f"final loss with a constant norm, compared with the features' own norms, is {lower}.",
        "Before any training the squared norms of a task's features have a spread (standard "
        "deviation over mean) of "
        f"{_span(none)} without LN, and of at most {layer['spread'].max():.2f} with it.",
        stats.few_seeds(p.seeds),
    ]


def parabolas(laws: pd.DataFrame, dimension: int) -> str:
    """Whether a step from every atom agrees with the two parabolas."""
    distance, loss = (laws[name].abs().max() for name in ("distance_residual", "loss_residual"))
    return (
        f"On all {len(laws):,} of them, in {dimension} dimensions, taking the step on every "
        f"possible sample and averaging agrees with the two parabolas up to "
        f"{number(distance, 1)} of R and "
        f"{number(loss, 1)} of L, which is rounding."
    )


def distance(laws: pd.DataFrame) -> str:
    """How near A^2 / B comes to its bound, and how often other directions beat a constant norm."""
    rival = (laws.rival_ratio > 1).mean()
    return (
        "On the random distributions, dependent or not, A\u00b2/B reaches at most "
        f"{laws.distance_ratio.max():.6f} of the bound. Against a constant norm with *other* "
        f"directions and the same R, the spread norm wins in {rival:.0%} of them."
    )


def mental_arithmetic(spread: Fraction, constant: Fraction, bound: Fraction) -> str:
    """A^2 / B of two small distributions, and of the first one's directions at one norm."""
    return (
        f"In exact fractions, A\u00b2/B is {spread} for the spread norm and {constant} for the "
        f"constant one{case((constant < spread, ': the constant norm loses'), '')}. Give the first "
        f"distribution's own directions a constant norm and it is {bound}."
    )


def loss(laws: pd.DataFrame) -> str:
    """How near independent norms come to Theorem 3's factor, and how far dependent ones cross."""
    independent, dependent = laws[laws.independent], laws[~laws.independent]
    off = (independent.loss_ratio * (1 + independent.spread**2) - 1).abs().max()
    return (
        f"For independent norms the largest relative distance of C\u00b2/D from the curve is "
        f"{number(off, 1)}, and the best reaches {independent.loss_ratio.max():.6f} of the value "
        "for a constant norm. Dependent norms cross the dashed line in "
        f"{(dependent.loss_ratio > 1).mean():.0%} of the cases, by a factor of up to "
        f"{dependent.loss_ratio.max():.1f}."
    )


def same_loss(loss: Fraction, spread: Fraction, constant: Fraction) -> str:
    """C^2 / D of two distributions with one loss."""
    return (
        f"The loss is {loss} both times. C\u00b2/D is {_fraction(spread)} for the spread norm and "
        f"{_fraction(constant)} for the constant one."
    )


def noise(linear: Sequence[Terms], fixed: Sequence[Terms]) -> str:
    """The best decrements under two kinds of noise, spread norm first."""
    best = [float(best_decrement(*terms)) for terms in (*linear, *fixed)]
    return (
        f"With \u03c3\u00b2 = 4|x|\u00b2 the best decrement is {best[0]:.3f} for the spread norm "
        f"and {best[1]:.3f} for the constant one; with \u03c3\u00b2 = 100 it is {best[2]:.3f} and "
        f"{best[3]:.3f}."
    )


def simulated(example: Example, terms: Terms, rate: float = 0.01, count: int = 200_000) -> str:
    """Real noisy steps, independent of the formulas, beside what these say.

    **Arguments** `terms`: of the spread norm with variance 100.
    """
    rng = np.random.default_rng(0)
    law = example.spread, example.error
    found = theory.noisy_distances(*law, rate, lambda squared: 100, count, rng)
    first, second = map(float, terms)
    formula = np.dot(example.error, example.error) - 2 * rate * first + rate**2 * second
    return (
        f"Simulated steps agree: at \u03c3\u00b2 = 100, \u03b7 = {rate:g} and the spread norm, the "
        f"mean of R after a step is {found.mean():.4f}{NBSP}\u00b1{NBSP}"
        f"{found.std() / count**0.5:.4f} (one standard error) where the formula says {formula:.4f}."
    )


def saturating(terms: Sequence[Terms]) -> str:
    """The best decrements where the noise stops growing, spread norm first."""
    spread, constant = (float(best_decrement(*pair)) for pair in terms)
    return (
        f"The best decrement is {spread:.3f} for the spread norm and {constant:.3f} for the "
        "constant one."
    )


def unexplained(gap: float, dimension: int) -> str:
    """What the normalized inputs cannot explain."""
    return (
        f"For standard normal inputs in {dimension} dimensions and a random \u03b8*, the best "
        f"linear function of the normalized inputs leaves {gap:.1%} of E[y\u00b2] unexplained."
    )


def regressions(p: Parameters) -> str:
    """What is trained."""
    return (
        f"The features are those of {regression.SAMPLES:,} transitions for each task and seed. "
        f"Each regression is learned with {p.optimizer}, one sample a step, {p.steps:,} in all, at "
        f"{len(regression.RATES)} learning rates from {max(regression.RATES):.1g} to "
        f"{number(min(regression.RATES), 1)}."
    )


def norms(networks: pd.DataFrame) -> str:
    """How spread the norms are without LN and with it, and what making them constant changes."""
    none, layer = (networks.xs(norm, level="norm") for norm in ("none", "layer"))
    distance, loss = (
        max(abs(ratio.value - 1) for ratio in layer[metric]) for metric in ("distance", "loss")
    )
    return (
        f"Before training the squared norms have a spread s of {_span(none)} without LN and of at "
        f"most {layer['spread'].max():.2f} with it: LN has done to the norms what the theorems ask "
        f"for, and making them constant changes R by at most {distance:.1%} and L by {loss:.1%}."
    )


def constant_norms(networks: pd.DataFrame) -> list[str]:
    """Where a constant norm is better and worse than spread or shuffled ones, without LN."""
    told = []
    for letter, name in (("R", "distance"), ("L", "loss")):
        for kind in regression.INPUTS[:-1]:
            once, end = (
                sided(_sides(networks, x, kind), "worse", "better", "undecided")
                for x in (f"one_step_{name}", name)
            )
            told.append(
                f"In {letter}, a constant norm compared with {kind} norms: in one step {once}; "
                f"at the end {end}."
            )
    return told


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """All ratios, one row a task, network and kind of input."""
    found = pd.DataFrame(
        {
            "s": networks["spread"],
            "1/(1+s²)": 1 / (1 + networks["spread"] ** 2),
            "A²/B": networks["one_step_distance"],
            "C²/D": networks["one_step_loss"],
            "R": networks["distance"],
            "L": networks["loss"],
        }
    )
    found.index = pd.MultiIndex.from_tuples([(k[0], _NAMES[k[1:]]) for k in networks.index])
    return found


def _span(networks: pd.DataFrame) -> str:
    low, high = networks["spread"].min(), networks["spread"].max()
    return f"{low:.2f} to {high:.2f}" if low < high else f"{low:.2f}"


def _sides(networks: pd.DataFrame, column: str, kind: str) -> dict[str, int]:
    """By task, without LN: 1 where a ratio lies above 1, -1 below, 0 where neither is sure.

    With one seed its value decides.
    """
    none = networks.xs("none", level="norm").xs(kind, level="inputs")
    return {env: _side(ratio) for env, ratio in none[column].items()}


def _side(ratio: Interval) -> int:
    low, high = (ratio.value,) * 2 if np.isnan(ratio.low) else (ratio.low, ratio.high)
    return int(low > 1) - int(high < 1)


def _fraction(x: Fraction) -> str:
    return f"{x}" if x.denominator == 1 else f"{x} \u2248 {float(x):.3f}"
