"""The paper's claims: each a statement, its place in the paper, and the checks that decide it.

A claim says what the paper says and no more: "tends to" is its verb, MountainCar its exception.
`checks.py` states the rule for one statistic, `verdicts.py` the rule for a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from lnqlib.results import ISOMETRY
from lnqlib.spec import OPTIMIZERS

from ..baselines import POLICIES
from .checks import Check
from .kinds import (
    agrees,
    breaks,
    clamped_runs,
    clamping_gap,
    decays_more,
    equivalent,
    equivalent_somehow,
    gain,
    gain_share,
    injection,
    moves,
    rho,
    rho_gap,
    theorem,
)
from .theorems import distance_ratio, isometry_ratio, lemma5_norm, lemma5_order, loss_ratio

WHOLE = 1.0  # of LN's gain: what reaches less does not fully account for it (22)
HALF = 0.5  # of LN's gain: what brings less is nearer to no benefit than to LN's (17, 28)
MARGIN = 0.2  # of LN's gain: little, and yet more than 20 seeds leave open (21)
ROUNDING = 1e-9

DECAY = (("layer", "project"), ("own_decay", "none"), ("paired_decay", "none"))
CAR = {"excepted": ("MountainCar",)}
ONLY_CAR, ONLY_CART = {"envs": ("MountainCar",)}, {"envs": ("CartPole",)}

Units = Literal["task", "trend", "claim", "theorem"]


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, where it says so, and the checks that decide it.

    **Arguments**

    - `units`: what a verdict counts: tasks; a trend or a theorem for each check; other claims.
    - `repeats`: numbers of the claims that this one says once more, with `optimizer`.
    - `note`: what a reader has to know beside the verdict.
    """

    number: int
    statement: str
    where: str
    checks: tuple[Check, ...] = ()
    units: Units = "task"
    repeats: tuple[int, ...] = ()
    optimizer: str = ""
    note: str = ""


def checks_of(claim: Claim) -> tuple[Check, ...]:
    """The checks that decide a claim, those of the claims that it repeats among them."""
    if not claim.repeats:
        return claim.checks
    others = [check for number in claim.repeats for check in CLAIMS[number - 1].checks]
    return tuple(replace(check, optimizer=check.optimizer or claim.optimizer) for check in others)


def _isometry(names: Iterable[str], optimizer: str = "") -> tuple[Check, ...]:
    """At fixed learning rate everywhere; across learning rates in one task at least."""
    pairs = (
        (agrees(k, "return", 1), rho(k, "return", 1, anywhere=f"{k} {optimizer}")) for k in names
    )
    return tuple(replace(check, optimizer=optimizer) for pair in pairs for check in pair)


CLAIMS = (
    Claim(
        1,
        "Runs with more Q-gradient interference (QGI+) tend to have a higher loss; the link is "
        "weaker than SGI's.",
        "Sec. 3.1.1, Fig. 2",
        (rho("qgi_plus", "loss", 1), rho_gap("sgi", "qgi_plus", "loss", **CAR)),
    ),
    Claim(
        2,
        "The link between QGI+ and loss tends to break where SGD diverged so far that weights are "
        "clamped.",
        "Fig. 2",
        (clamping_gap("qgi_plus", "loss", optimizer="SGD"),),
    ),
    Claim(
        3,
        "Runs with more semi-gradient interference (SGI) have a higher loss (MountainCar "
        "excepted).",
        "Sec. 3.1.2, Figs. 1 and 2",
        (rho("sgi", "loss", 1, **CAR),),
        note="Claim 15 contradicts it inside the paper, in CartPole.",
    ),
    Claim(
        4,
        "The same for mixed-gradient interference (MGI).",
        "Sec. 3.1.2, Fig. 7",
        (rho("mgi", "loss", 1, **CAR),),
    ),
    Claim(
        5,
        "The same for the unnormalized dot product (DGI).",
        "Sec. 3.2, Fig. 7",
        (rho("dgi", "loss", 1, **CAR),),
    ),
    Claim(
        6,
        "Second-order interference (GI2) goes the other way: more of it, a lower loss (MountainCar "
        "excepted).",
        "Sec. 3.2, Figs. 1 and 2",
        (rho("gi2", "loss", -1, **CAR),),
    ),
    Claim(
        7,
        "Claims 3 and 6 tend to hold at any given learning rate, too (MountainCar excepted).",
        "Fig. 2",
        (agrees("sgi", "loss", 1, **CAR), agrees("gi2", "loss", -1, **CAR)),
    ),
    Claim(
        8,
        "LN tends to lower first-order interference: SGI (MountainCar excepted), QGI+ and MGI.",
        "Sec. 1, Figs. 1 and 7",
        (moves("sgi", -1, **CAR), moves("qgi_plus", -1), moves("mgi", -1)),
    ),
    Claim(
        9,
        "LN tends to raise GI2 (MountainCar excepted).",
        "Sec. 1, Fig. 1",
        (moves("gi2", 1, **CAR),),
    ),
    Claim(
        10,
        "LN lowers the loss and raises the return.",
        "Sec. 1, Figs. 1 and 2",
        (moves("loss", -1), moves("return", 1)),
    ),
    Claim(
        11,
        "LN switched on for the measurement alone tends to raise GI2 at once, with SGD and with "
        "Adam (MountainCar excepted).",
        "Sec. 3.3, Fig. 3",
        tuple(injection(optimizer=optimizer, **CAR) for optimizer in OPTIMIZERS),
    ),
    Claim(
        12,
        "With Adam the results are similar: claims 1 and 3 to 10.",
        "App. F, Fig. 8",
        units="claim",
        repeats=(1, 3, 4, 5, 6, 7, 8, 9, 10),
        optimizer="Adam",
    ),
    Claim(
        13,
        "Averaged over learning rates, LN has the best return in every task.",
        "Table 1",
        tuple(gain("layer", other, 1) for other in (*POLICIES, "none", "batch", "weight")),
    ),
    Claim(
        14,
        "MountainCar largely does not follow the trends of claims 3, 6, 8 and 9.",
        "Fig. 1",
        tuple(
            breaks(check)
            for check in (
                rho("sgi", "loss", 1, **ONLY_CAR),
                rho("gi2", "loss", -1, **ONLY_CAR),
                moves("sgi", -1, **ONLY_CAR),
                moves("gi2", 1, **ONLY_CAR),
            )
        ),
        units="trend",
    ),
    Claim(
        15,
        "In CartPole with SGD, runs with more SGI have a lower loss and a lower return; with Adam "
        "a higher loss and a lower return.",
        "App. I, Fig. 9",
        (
            rho("sgi", "loss", -1, optimizer="SGD", **ONLY_CART),
            rho("sgi", "return", -1, optimizer="SGD", **ONLY_CART),
            rho("sgi", "loss", 1, optimizer="Adam", **ONLY_CART),
            rho("sgi", "return", -1, optimizer="Adam", **ONLY_CART),
        ),
        note="With SGD it contradicts claim 3 inside the paper.",
    ),
    Claim(
        16,
        "In Pendulum random actions beat everything but LN.",
        "Table 1",
        tuple(
            gain(norm, "uniform", 1 if norm == "layer" else -1, "untrained", envs=("Pendulum",))
            for norm in ("layer", "none", "batch", "weight")
        ),
    ),
    Claim(
        17,
        "BN and WN do not bring similar benefits (tested: less than half of LN's gain).",
        "Sec. 1, Table 1",
        tuple(gain_share(norm, "none", -1, HALF) for norm in ("batch", "weight")),
    ),
    Claim(
        18,
        "Runs with more isometry (ISO_p) tend to have a higher return at any given learning rate, "
        "and sometimes across them.",
        "App. C, Fig. 4",
        _isometry(["iso_p"]),
    ),
    Claim(
        19,
        "The same for the other k, and for every k with Adam.",
        "App. E, Figs. 5 and 6",
        (*_isometry(("iso_o", "iso_t", "iso_3"), "SGD"), *_isometry(ISOMETRY, "Adam")),
    ),
    Claim(20, "LN raises isometry.", "App. C", tuple(moves(k, 1) for k in ISOMETRY)),
    Claim(
        21,
        "A trained scale and shift has little effect on LN's return, LN after the ReLU is no "
        "better, and CrossQ returns about the same (within a fifth of LN's gain).",
        "Sec. 2, App. G",
        (
            equivalent("layer_affine", "layer", MARGIN),
            gain_share("layer_after_relu", "layer", -1, MARGIN),
            equivalent_somehow(
                ("crossq", "crossq_0.01", "crossq_0.001"), "layer", MARGIN, readings=(True,)
            ),
            equivalent_somehow(("crossq",), "layer", MARGIN, tried_all=False, readings=(False,)),
        ),
        note="The paper does not say which momentum CrossQ had. Three are tried, and it "
        "is enough that one returns about the same; as printed only one is tried, which cannot "
        "refute the claim.",
    ),
    Claim(
        22,
        "LN's implicit learning-rate decay might sometimes raise the return, but does not fully "
        "account for LN's gain.",
        "App. D",
        tuple(
            check
            for network, baseline in DECAY
            for check in (
                gain(network, baseline, 1, anywhere="a decay raises the return"),
                gain_share(network, baseline, -1, WHOLE),
            )
        ),
        note="It is said of LN's gain as a whole, so one task in which a decay accounts for all of "
        "it does not refute it; averaged over learning rates and at the best one that need not be "
        "the same task.",
    ),
    Claim(
        23,
        "Weights are clamped with SGD only.",
        "App. G",
        (
            clamped_runs(1, optimizer="SGD", anywhere="clamped with SGD"),
            clamped_runs(-1, optimizer="Adam"),
        ),
    ),
    Claim(
        24,
        "LN raises GI2 as it raises the return: the two move together at any given learning rate "
        "(MountainCar excepted).",
        "Figs. 1 and 9",
        (agrees("gi2", "return", 1, **CAR),),
    ),
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
        units="theorem",
    ),
    Claim(
        26,
        "Runs with more QGI+ have a lower return.",
        "Sec. 3.1.1",
        (rho("qgi_plus", "return", -1),),
    ),
    Claim(
        27,
        "The second-order term, and not the use of the dot product, reverses the sign of the link "
        "with the loss (MountainCar excepted).",
        "Sec. 3.2",
        (
            rho("dgi", "loss", 1, **CAR),
            rho("first_order", "loss", 1, **CAR),
            rho("gi2", "loss", -1, **CAR),
        ),
        note="MountainCar is excepted as in claims 3 and 6, of whose difference it speaks. The "
        "first-order term is 2 lr DGI in every run.",
    ),
    Claim(
        28,
        "Learning-rate decay alone cannot explain why WN helps less: WN's rate decays at least as "
        "much as LN's, yet WN brings less than half of LN's gain.",
        "App. A",
        (decays_more("weight", "layer"), gain_share("weight", "none", -1, HALF)),
        note="The decay is the natural logarithm of the growth of the first layer's squared norm.",
    ),
    Claim(
        29,
        "The higher GI2 is not a side effect of training with LN: injected LN raises GI2 even with "
        "the scale of the loss divided out (MountainCar excepted).",
        "Sec. 3.3",
        tuple(injection("gi2_scaled", optimizer=optimizer, **CAR) for optimizer in OPTIMIZERS),
    ),
    Claim(
        30,
        "The theorems on linear regression extend a proof of convergence to weaker assumptions.",
        "App. A",
        note="No data can test it. The theorems are about one step, and give no rate.",
    ),
)
