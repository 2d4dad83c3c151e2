"""The book's studies: each some grids of runs, in a fixed order."""

from __future__ import annotations

from itertools import product

from .arms.study import INTERVENTIONS, MECHANISM_SEEDS, PRINTED
from .spec import LEARNING_RATES

# What the paper has, however much more becomes allowed.
PAPER_ENVS = ("CartPole", "Acrobot", "MountainCar", "Pendulum")
PAPER_OPTIMIZERS = ("SGD", "Adam")

Axes = dict[str, object]
"""What `spec.grid` takes: the fields of runs, those that are a tuple or a range as axes."""

CORE: Axes = {
    "optimizer": PAPER_OPTIMIZERS,
    "env": PAPER_ENVS,
    "norm": ("none", "layer"),
    "lr": LEARNING_RATES,
    "seed": range(30),
}
TEN_SEEDS = CORE | {"optimizer": "SGD", "seed": range(10)}

BEST_RATES = {
    ("SGD", "none"): (10.0**-4, 10.0**-3.5, 10.0**-1.5, 10.0**-3.5),
    ("SGD", "layer"): (10.0**-3.5, 10.0**-3.5, 10.0**-1.5, 10.0**-1.5),
    ("Adam", "none"): (10.0**-1, 10.0**-5, 10.0**-2.5, 10.0**-3.5),
    ("Adam", "layer"): (10.0**-2, 10.0**-3.5, 10.0**-3, 10.0**-2),
}
"""Core's learning rates of the highest mean return over runs without a clamped weight, by task."""


def _both_readings(norm: str | tuple[str, ...], **fields: object) -> Axes:
    """The paper's tasks and learning rates with SGD, by the defaults and as printed."""
    first = {"bias": (True, False), "env": PAPER_ENVS, "norm": norm}
    return first | fields | {"lr": LEARNING_RATES, "seed": range(20)}


def _mechanisms(bias: bool, names: tuple[str, ...], seeds: int) -> list[Axes]:
    return [
        {"env": env, "lr": LEARNING_RATES, "seed": MECHANISM_SEEDS[env][:seeds], "bias": bias}
        | {"companions": True}
        | INTERVENTIONS[name]
        for env, name in product(PAPER_ENVS, names)
    ]


STUDIES: dict[str, list[Axes]] = {
    "core": [CORE],
    "as_printed": [CORE | {"bias": False}],
    "table1": [_both_readings(("batch", "weight"))],
    "lr_decay": [
        _both_readings("layer", lr_control="project"),
        _both_readings("none", lr_control="own_decay"),
        _both_readings("none", lr_control="paired_decay"),
    ],
    "variants": [
        _both_readings(("crossq", "layer_affine", "layer_after_relu", "rms", "center")),
        {"env": PAPER_ENVS, "norm": "crossq", "momentum": (0.01, 0.001)}
        | {"lr": LEARNING_RATES, "seed": range(10)},
    ],
    "protocol": [
        TEN_SEEDS | {"env": ("CartPole", "Acrobot", "MountainCar"), "terminal_mask": False},
        TEN_SEEDS | {"env": ("MountainCar", "Pendulum"), "data": "rollout"},
        TEN_SEEDS | {"gradient_scale": 2.0},
    ],
    "second_order": [CORE | {"seed": range(5), "checkpoints": 20, "second_order": True}],
    # a part of core once more, for the columns that its rows lack
    "zero_gradients": [CORE | {"seed": range(10), "checkpoints": 25}],
    # core's best runs once more, with the companions, seed by seed
    "references": [
        {"env": env, "norm": norm, "optimizer": optimizer, "lr": lr, "seed": seed}
        | {"checkpoints": 25, "companions": True}
        for seed in range(5)
        for (optimizer, norm), rates in BEST_RATES.items()
        for env, lr in zip(PAPER_ENVS, rates, strict=True)
    ],
    "target": [{"target_period": (10, 100, 1_000, 10_000)} | TEN_SEEDS],
    "online": [{"target_period": (0, 1_000)} | TEN_SEEDS | {"data": "online"}],
    "mechanisms": [
        *_mechanisms(bias=True, names=tuple(INTERVENTIONS), seeds=20),
        *_mechanisms(bias=False, names=PRINTED, seeds=10),
    ],
}
