"""The paper's claims: each a statement, its place in the paper, and the checks that decide it.

`checks.py` states the rule for one check, `verdicts.py` the rule for a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .baselines import POLICIES
from .checks import (
    Check,
    agrees,
    clamped_runs,
    clamping_gap,
    distance_ratio,
    gain,
    gain_share,
    injection,
    isometry_ratio,
    lemma5_norm,
    lemma5_order,
    loss_ratio,
    moves,
    rho,
    rho_gap,
    theorem,
)
from .results import ISOMETRY
from .spec import ENVS, OPTIMIZERS

WHOLE = 1.0  # of LN's gain: what reaches less does not fully account for it (claim 22)
HALF = 0.5  # of LN's gain: what reaches less brings no such benefit (claim 17)
MARGIN = 0.2  # of LN's gain: two returns closer than this are about the same (claim 21)
ROUNDING = 1e-9

DECAY = (("layer", "project"), ("own_decay", "none"), ("paired_decay", "none"))
CAR = {"excepted": ("MountainCar",)}
CONTEXT = {"excepted": ENVS}  # shown beside a claim, without a vote


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, where it says so, and the checks that decide it."""

    number: int
    statement: str
    where: str
    checks: tuple[Check, ...]


def _with(checks: Iterable[Check], optimizer: str) -> tuple[Check, ...]:
    return tuple(replace(check, optimizer=optimizer) for check in checks)


def _isometry(names: Iterable[str], optimizer: str = "") -> tuple[Check, ...]:
    checks = [(rho(k, "return", 1), agrees(k, "return", 1)) for k in names]
    return _with((check for pair in checks for check in pair), optimizer)


_FIRST = (
    Claim(
        1,
        "Runs with more Q-gradient interference (QGI+) have a higher loss; the link is weaker "
        "than SGI's.",
        "Sec. 3.1.1, Fig. 2",
        (rho("qgi_plus", "loss", 1), rho_gap("sgi", "qgi_plus", "loss")),
    ),
    Claim(
        2,
        "The link between QGI+ and loss breaks where SGD diverged so far that weights are clamped.",
        "Fig. 2",
        (clamping_gap("qgi_plus", "loss", optimizer="SGD"),),
    ),
    Claim(
        3,
        "Runs with more semi-gradient interference (SGI) have a higher loss.",
        "Sec. 3.1.2, Fig. 1",
        (rho("sgi", "loss", 1),),
    ),
    Claim(
        4,
        "The same for mixed-gradient interference (MGI).",
        "Sec. 3.1.2, Fig. 7",
        (rho("mgi", "loss", 1),),
    ),
    Claim(
        5,
        "The same for the dot product without its norms (DGI).",
        "Sec. 3.2, Fig. 7",
        (rho("dgi", "loss", 1),),
    ),
    Claim(
        6,
        "Second-order interference (GI2) goes the other way: more of it, a lower loss (MountainCar "
        "excepted, as in the paper).",
        "Sec. 3.2, Figs. 1 and 2",
        (
            rho("gi2", "loss", -1, **CAR),
            rho("gi2_scaled", "loss", -1, **CONTEXT),
            agrees("gi2_scaled", "loss", -1, **CONTEXT),
        ),
    ),
    Claim(
        7,
        "What holds of SGI and GI2 across learning rates also holds at each of them.",
        "Fig. 2",
        (agrees("sgi", "loss", 1), agrees("gi2", "loss", -1, **CAR)),
    ),
    Claim(
        8,
        "LN lowers first-order interference.",
        "Sec. 1, Figs. 1 and 7",
        (moves("qgi_plus", -1), moves("sgi", -1), moves("mgi", -1)),
    ),
    Claim(
        9,
        "LN raises GI2 (MountainCar excepted, as in the paper's Fig. 1).",
        "Sec. 1, Fig. 1",
        (moves("gi2", 1, **CAR),),
    ),
    Claim(
        10,
        "LN lowers the loss and raises the return.",
        "Sec. 1, Fig. 2",
        (moves("loss", -1), moves("return", 1)),
    ),
)

CLAIMS = (
    *_FIRST,
    Claim(
        11,
        "LN switched on for the measurement alone raises GI2 at once (MountainCar excepted, as in "
        "the paper).",
        "Sec. 3.3, Fig. 3",
        tuple(injection(optimizer=optimizer, **CAR) for optimizer in OPTIMIZERS),
    ),
    Claim(
        12,
        "Claims 1 and 3 to 10 hold with Adam (claim 2 is about SGD).",
        "App. F, Fig. 8",
        _with((check for claim in _FIRST if claim.number != 2 for check in claim.checks), "Adam"),
    ),
    Claim(
        13,
        "LN has the best return everywhere (Random in both readings).",
        "Table 1",
        tuple(gain("layer", other, 1) for other in (*POLICIES, "none", "batch", "weight")),
    ),
    Claim(
        14,
        "MountainCar breaks Fig. 1's trends (tested: it reverses them).",
        "Fig. 1",
        (
            rho("sgi", "loss", -1, envs=("MountainCar",)),
            rho("gi2", "loss", 1, envs=("MountainCar",)),
        ),
    ),
    Claim(
        15,
        "In CartPole with SGD, runs with more SGI have a lower loss and a lower return; with Adam "
        "a higher loss.",
        "App. I, Fig. 9",
        (
            rho("sgi", "loss", -1, envs=("CartPole",), optimizer="SGD"),
            rho("sgi", "return", -1, envs=("CartPole",), optimizer="SGD"),
            rho("sgi", "loss", 1, envs=("CartPole",), optimizer="Adam"),
        ),
    ),
    Claim(
        16,
        "In Pendulum random actions beat everything but LN (an untrained net, the other reading of "
        "Random, beside them without a vote).",
        "Table 1",
        tuple(
            gain(norm, policy, 1 if norm == "layer" else -1, envs=("Pendulum",), **vote)
            for policy, vote in (("uniform", {}), ("untrained", CONTEXT))
            for norm in ("layer", "none", "batch", "weight")
        ),
    ),
    Claim(
        17,
        "BN and WN bring no such benefit (tested: less than half of LN's gain).",
        "Sec. 1, Table 1",
        tuple(gain_share(norm, "none", -1, HALF) for norm in ("batch", "weight")),
    ),
    Claim(
        18,
        "Runs with more isometry (ISO_p) have a higher return, at fixed learning rate, too.",
        "App. C, Fig. 4",
        _isometry(["iso_p"]),
    ),
    Claim(
        19,
        "The same for every k, and with Adam.",
        "App. E, Figs. 5 and 6",
        (*_isometry(("iso_o", "iso_t", "iso_3"), "SGD"), *_isometry(ISOMETRY, "Adam")),
    ),
    Claim(20, "LN raises isometry.", "App. C", tuple(moves(k, 1) for k in ISOMETRY)),
    Claim(
        21,
        "A trained gain and shift, or LN after the ReLU, gain nothing over LN, and CrossQ returns "
        "about the same (within a fifth of LN's gain).",
        "Sec. 2, App. G",
        (
            gain_share("layer_affine", "layer", -1, MARGIN),
            gain_share("layer_after_relu", "layer", -1, MARGIN),
            gain_share("crossq", "layer", -1, MARGIN),
            gain_share("crossq", "layer", 1, -MARGIN),
        ),
    ),
    Claim(
        22,
        "LN's implicit learning-rate decay does not fully account for its gain: taking it from LN "
        "costs, and giving it to None brings, less than all of it (less than half: shown without "
        "a vote).",
        "App. D",
        tuple(
            gain_share(arm, baseline, -1, share, **vote)
            for share, vote in ((WHOLE, {}), (HALF, CONTEXT))
            for arm, baseline in DECAY
        ),
    ),
    Claim(
        23,
        "Weights are clamped with SGD only.",
        "App. G",
        (clamped_runs(1, optimizer="SGD"), clamped_runs(-1, optimizer="Adam")),
    ),
    Claim(24, "Runs with more GI2 have a higher return.", "App. I", (rho("gi2", "return", 1),)),
    Claim(
        25,
        "Theorems 2 to 4 and Lemma 5, as this book corrects them.",
        "Sec. 3.4, Apps. B to D",
        (
            theorem("Theorem 2: worst A^2/B over its bound", distance_ratio, 1 + ROUNDING),
            theorem("Theorem 3: worst C^2/D over its bound", loss_ratio, 1 + ROUNDING),
            theorem("Theorem 4: worst ISO(X) / ISO(Z)", isometry_ratio, 1 + ROUNDING),
            theorem("Lemma 5: error of the norm's identity", lemma5_norm, 1e-6),
            theorem("Lemma 5: order of the direction's error, from 2", lemma5_order, 0.1),
        ),
    ),
)
