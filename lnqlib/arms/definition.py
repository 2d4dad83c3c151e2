"""The arms: interventions that add to a network one thing that LN does, or take it from LN's.

z is the hidden layer's output, sigma and z^ its standard deviation and LN(z), phi the features,
eta the learning rate. *Twin*: the run that differs in the norm alone, LN's for None and None's for
LN; its record at a checkpoint holds until the next.

| arm | norm | what it does |
|---|---|---|
| `forward` | none | relu(LN(z)), mean and sigma constants in the gradient |
| `backward` | none | relu(z), but the gradient at z is multiplied by LN's Jacobian there |
| `bounded` | none | relu(z min(1, sqrt(d) / \\|z\\|)) |
| `decay` | none | rate of (W, b): eta \\|W_0\\|^2 / \\|W_t\\|^2 of the LN twin |
| `overshoot` | none | the largest rate <= eta at which the batch loss falls by the twin's share |
| `overshoot` | layer | the smallest >= eta with no more than that, or with rate B / A the twin's |
| `isometry` | both | V's gradient times P = s (C + r I)^(-alpha), ISO_p of P^(1/2) phi the twin's |
| `random_isometry` | none | the same P with random eigenvectors |
| `other_decay` | both | as `decay`, the schedule being that of another task's LN run |

With `lr_control="project"`, (W, b) is also brought back to its initial norm after every step.
A step takes 2 rate A - rate^2 B off the batch loss (`overshoot_rate`): most where rate B / A is 1,
nothing where it is 2. So rate B / A says how long a step is, whatever it takes off.
Where no rate or alpha meets the condition, what comes nearest is taken, and where the twin's record
is not finite the step stays as it is; both are counted. `arms.reference` trains these with
torch, `engine.fused_arms` with the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..beyond.replay import Replay
from ..data import Transitions
from ..metrics import isometry_in_order
from ..results import Result
from ..spec import RunSpec
from ..tasks import isometry_sizes

Isometry = Callable[[np.ndarray, int], float]

RENEW = 2_000  # steps for which P is held
ROWS = 1_024  # of the dataset, from which P is computed
RIDGE = 1e-3  # r = RIDGE tr C / d
STEEPEST = 2.0  # alpha lies within +- this
HALVINGS = 14  # of the interval of alpha: to 2.4e-4
MISSED = 0.01  # how far ISO_p may be from the twin's, relative, before alpha counts as at its bound
MOST = 100.0  # the largest rate of `overshoot` with LN, in eta

Array = np.ndarray
Record = Mapping[str, Array]
"""A twin's curves at every checkpoint, those of `results.RECORDED` at least."""
MET, FALLBACK, BOUND = range(3)
"""How an arm's condition came out."""


def function_of(spec: RunSpec) -> tuple[str, bool]:
    """The norm whose network has the same function, and whether that only shortens vectors."""
    return {"forward": ("layer", False), "bounded": ("rms", True)}.get(spec.arm, (spec.norm, False))


def record_of(spec: RunSpec, train: Callable[[RunSpec], Result]) -> Record:
    """The record of the twin, trained for it; {} without one."""
    return train(spec.twin).curves if spec.twin else {}


class Setting(NamedTuple):
    """What the arm does from a step on."""

    hidden: float = 1.0  # rate of (W, b) over that of the other weights
    share: float = math.nan  # T, the twin's gi2_minibatch / td_loss
    ratio: float = math.nan  # rho, the twin's eta B / A, where rates are raised
    P: Array | None = None  # (width, width)
    root: Array | None = None  # P^(1/2)
    alpha: float = 0.0  # at which P would be 1
    outcome: int = MET


class Arm:
    """What one run's arm does at each step, whoever trains it."""

    def __init__(
        self,
        spec: RunSpec,
        dataset: Transitions | Replay,
        record: Record,
        isometry: Isometry = isometry_in_order,
    ):
        self.spec, self.record, self.isometry = spec, record, isometry
        self.weighs = spec.arm in ("isometry", "random_isometry")
        self.k = isometry_sizes(spec.env)["iso_p"]
        rng = spec.rng("arms")
        rows = rng.permutation(len(dataset.obs))[:ROWS]
        self.obs = dataset.obs[rows]
        self.basis = None
        if spec.arm == "random_isometry":
            q, r = np.linalg.qr(rng.normal(size=(spec.width, spec.width)))
            self.basis = q * np.sign(np.diag(r))  # uniform over the orthogonal group
        self._held = (-1, Setting())

    def setting(self, step: int, features: Callable[[Array], Array]) -> Setting:
        """What holds from `step` on, until the next checkpoint or multiple of `RENEW`.

        **Arguments** `features`: the present network's, of observations.
        """
        at = int(np.searchsorted(self.spec.checkpoint_steps, step, "right")) - 1
        if self.spec.arm == "overshoot":
            gi2, loss = (self.record[name][at] for name in ("gi2_minibatch", "td_loss"))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                if self.spec.norm != "layer":
                    return Setting(share=gi2 / loss)
                # gi2_minibatch = 2 eta A - eta^2 B of the twin, whose A is its DGI
                return Setting(
                    share=gi2 / loss, ratio=2.0 - gi2 / (self.spec.lr * self.record["dgi"][at])
                )
        if self.spec.arm in ("decay", "other_decay"):
            norms = self.record["weight_norm"]
            ratio = float((norms[0] / norms[at]) ** 2)
            return Setting(hidden=ratio) if math.isfinite(ratio) else Setting(outcome=FALLBACK)
        if self.weighs and self._held[0] != step // RENEW:
            target = float(self.record["iso_p"][at])
            phi = features(self.obs)
            self._held = step // RENEW, weighting(phi, target, self.k, self.basis, self.isometry)
        return self._held[1]


def weighting(
    features: Array,
    iso: float,
    k: int,
    basis: Array | None = None,
    isometry: Isometry = isometry_in_order,
) -> Setting:
    """P = s (C + r I)^(-alpha), alpha such that ISO_k of P^(1/2) phi is `iso`; tr PC = tr C.

    alpha is found by bisection; of all values tried the one that comes nearest is taken, for ISO_k
    need not rise all the way, and of several the smallest: with features that no alpha makes
    independent, P is 1.

    **Arguments** `features`: phi, (rows, width), subsets being k rows after one another. `basis`:
    eigenvectors, (width, width), to put in place of C's once alpha is found. `isometry`: ISO_k of
    subsets of k rows after one another.
    """
    known = np.isfinite(features).all() and features.any() and math.isfinite(iso)
    if not known or k > len(features):
        return Setting(outcome=FALLBACK)
    C = features.T @ features / len(features)
    values, vectors = np.linalg.eigh(C)
    spectrum = np.maximum(values, 0.0) / values.sum() + RIDGE / len(values)
    turned = features @ vectors  # ISO_k does not change

    def gap(alpha: float) -> float:
        return isometry(turned * spectrum ** (-alpha / 2), k) - iso

    low, high = -STEEPEST, STEEPEST
    tried = {alpha: gap(alpha) for alpha in (low, high)}
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried[middle] = gap(middle)
        low, high = (middle, high) if tried[middle] < 0 else (low, middle)
    alpha = min(tried, key=lambda a: (abs(tried[a]), abs(a)))
    outcome = MET if abs(tried[alpha]) <= MISSED * iso else BOUND
    vectors = vectors if basis is None else basis
    half = spectrum ** (-alpha / 2)
    # tr PC = s sum over e of half_e^2 <e, C e>
    half *= math.sqrt(values.sum() / np.sum(half**2 * np.sum(vectors * (C @ vectors), axis=0)))
    root = (vectors * half) @ vectors.T
    return Setting(P=(vectors * half**2) @ vectors.T, root=root, alpha=alpha, outcome=outcome)


def overshoot_rate(
    raises: bool, lr: float, A: float, B: float, fall: float, ratio: float
) -> tuple[float, int]:
    """The rate whose decrement of the batch loss, 2 rate A - rate^2 B, meets `fall`.

    The largest rate <= `lr` with a decrement >= `fall`; where no rate <= `lr` will do, the one that
    does best. Where `raises`, the smallest >= `lr` with a decrement <= `fall` or with
    rate B / A >= `ratio`, at most 100 `lr`: a step that is small for its A and B takes little off,
    too, but does not overshoot.

    **Arguments** `A`, `B`: means over the batch of Delta_j u_j and u_j^2, u_j = <g, grad h_j>,
    g the step's gradient. `ratio`: read where `raises` alone.

    **Returns** the rate, and one of MET, FALLBACK, BOUND.
    """
    decrement = 2.0 * lr * A - lr * lr * B
    if decrement <= fall if raises else decrement >= fall:
        return lr, MET
    if not (abs(fall) < math.inf and abs(decrement) < math.inf):
        return lr, FALLBACK
    square = A * A - B * fall
    if raises:
        if not (A > 0.0 and 0.0 <= ratio < math.inf):
            return lr, FALLBACK
        rate = math.inf
        if B > 0.0:
            rate = min(A + math.sqrt(max(square, 0.0)), ratio * A) / B
        return (max(lr, rate), MET) if rate < MOST * lr else (MOST * lr, BOUND)
    rate = -1.0  # the larger root, without cancellation
    if B > 0.0 and square >= 0.0:
        root = math.sqrt(square)
        if A > 0.0:
            rate = (A + root) / B
        elif A - root < 0.0:
            rate = fall / (A - root)
    if 0.0 <= rate <= lr:
        return rate, MET
    if A <= 0.0:
        return 0.0, FALLBACK
    return lr if lr * B <= A else A / B, FALLBACK
