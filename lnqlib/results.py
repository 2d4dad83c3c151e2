"""What a run leaves behind: its checkpoints' curves and one row of averages over training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .spec import RunSpec

ROOT = Path(os.environ.get("LNQ_REPOSITORY") or Path(__file__).parents[1]).resolve()
"""The repository, whose `data/` holds the results; an installed package stands in none."""
ENGINE_VERSION = 1  # raised whenever a run's numbers may change; files of another are refused

INTERFERENCE = {
    "qgi_plus": "Eq. (6), QGI+, mean absolute cosine of Q-gradients, different transitions",
    "sgi": "Eq. (8), SGI, mean cosine of semi-gradients, self pairs included",
    "sgi_off": "SGI without self pairs",
    "mgi": "Eq. (9), MGI, mean cosine of semi- and full gradients",
    "dgi": "App. F, DGI, mean dot product of semi- and full gradients",
    "gi2": "Eq. (11), GI2, mean of 2 lr Delta_j u_ij - lr^2 u_ij^2, at the lr of the RunSpec",
    "gi2_scaled": "GI2 over the batch's mean squared TD error, at most 1",
    "gi2_minibatch": "GI2 of one step on the mean of the batch's semi-gradients",
    "td_loss": "mean squared TD error of the metrics' batch",
    "qgi_plus_zero": "QGI+ with the cosine of a zero gradient counted as 0 instead of left out",
    "sgi_zero": "SGI with the cosine of a zero gradient counted as 0",
    "sgi_off_zero": "SGI without self pairs, with the cosine of a zero gradient counted as 0",
    "mgi_zero": "MGI with the cosine of a zero gradient counted as 0",
    "grad_norm2": "mean squared norm of the Q-gradient",
}
ISOMETRY = {
    "iso_o": "App. C, ISO_k with k = observation size",
    "iso_p": "ISO_k with k = observation size + number of actions",
    "iso_t": "ISO_k with k = observation size x number of actions",
    "iso_3": "ISO_k with k = 3",
}
INJECTED = {
    f"injected_{name}": f"{name} with LN switched for the measurement: on without LN, off with it"
    for name in INTERFERENCE
}
TARGET = {
    f"{name}_target": f"{name} with the target network's values held, so that grad h is grad Q"
    for name in ("sgi", "sgi_off", "dgi", "gi2", "gi2_minibatch", "td_loss")
}
"""Measured in runs with a target network. MGI is then SGI, and QGI+ knows no target."""
SECOND_ORDER = {
    "first_order": "2 lr DGI, the decrement's first-order term",
    "squared": "mean of lr^2 u_ij^2, the second-order term that GI2 keeps",
    "hessian": "mean of lr^2 Delta_j g_i' (Hessian of h_j) g_i, the one that GI2 defers",
    "realised": "mean fall of the squared TD error of j after one step on i alone",
    "realised_held": "the same with the greedy next actions held at those before the step",
    "switched": "share of pairs (i, j) whose greedy next action the step on i changes",
    "realised_minibatch": "as realised, after one step on the whole batch",
}
COMPANIONS = {
    "seem": "SEEM index, largest real part of the eigenvalues of gamma K(X', X) - K(X, X)",
    "seem_scaled": "SEEM index over tr K / B, K the Gram matrix of the batch's Q-gradients",
    "stable_rank": "squared Frobenius norm of the features over their squared spectral norm",
    "dormant": "share of units whose mean feature is at most .025 of the mean over units",
    "feature_norm": "mean norm of a state's features",
    "churn": "mean absolute change of Q on the batch since the last checkpoint, 0 at the first",
    "switched_actions": "share of the batch's states whose greedy action changed since then",
}
CURVES = (
    {
        "return": "greedy undiscounted return from the protocol's start states",
        "return_default_start": "the same from Gymnasium's default reset",
        "loss": "squared TD error of the training batch, mean of the steps to the next checkpoint",
        "weight_norm": "Frobenius norm of the hidden layer's (W, b)",
        "effective_lr": "lr in use, divided by squared weight_norm under layer normalization",
        "gi2_used": "GI2 at the rate in use, and in the direction that an arm gives the step",
        "gi2_minibatch_used": "gi2_minibatch at that rate and in that direction",
        "iso_p_used": "iso_p of the features as an isometry arm weighs them, else iso_p",
        "arm_setting": "rate of (W, b) over lr, mean to the next one kept; isometry arms: alpha",
    }
    | INTERFERENCE
    | ISOMETRY
    | INJECTED
    | SECOND_ORDER
    | TARGET
    | COMPANIONS
)
"""Measured at every checkpoint; a run's row holds the mean over training under the same name."""
RECORDED = ("weight_norm", "td_loss", "gi2_minibatch", "dgi", "iso_p")
"""The curves that arms follow, of the run that is their twin."""
COUNTS = {
    "clamped_steps": "steps after which at least one weight was clamped to \N{PLUS-MINUS SIGN}1e6",
    "first_clamp": "the first such step, -1 if none",
    "diverged_step": "the first step whose loss was not finite, -1 if none",
    "zero_gradients": "pairs left out of the cosines for a zero gradient, mean over checkpoints",
    "goal_transitions": "terminated transitions in the dataset; online, all that were seen",
    "arm_fallbacks": "steps at which the arm's condition could not be met, or its twin diverged",
    "arm_bounds": "steps at which the arm was at the bound of its range",
    "seconds": "wall-clock seconds of the run on one core",
}


class Result(NamedTuple):
    """One finished run.

    `row` holds one number for each name in `CURVES` (mean over training) and `COUNTS`;
    `curves` holds "step" and, for each name in `CURVES`, an array (checkpoints,).
    What a run does not measure is NaN.
    """

    spec: RunSpec
    row: dict[str, float]
    curves: dict[str, np.ndarray]


def make_result(
    spec: RunSpec, curves: dict[str, np.ndarray], mean_loss: float, counts: dict[str, float]
) -> Result:
    """The `Result` of measured `curves`; names that were not measured are filled with NaN.

    `mean_loss` is the training loss averaged over every step.
    """
    steps = spec.checkpoint_steps
    full = {"step": steps} | {
        name: np.asarray(curves.get(name, np.full(len(steps), np.nan)), float) for name in CURVES
    }
    row = {name: float(np.mean(full[name])) for name in CURVES}
    row["loss"] = float(mean_loss)
    return Result(spec, row | {name: counts[name] for name in COUNTS}, full)
