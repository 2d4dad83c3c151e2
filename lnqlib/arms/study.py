"""What the study of mechanisms trains: its networks and its seeds."""

from __future__ import annotations

INTERVENTIONS: dict[str, dict[str, object]] = {
    "none": {"norm": "none"},
    "layer": {"norm": "layer"},
    "rms": {"norm": "rms"},
    "center": {"norm": "center"},
    "forward": {"norm": "none", "arm": "forward"},
    "backward": {"norm": "none", "arm": "backward"},
    "bounded": {"norm": "none", "arm": "bounded"},
    "decay": {"norm": "none", "arm": "decay"},
    "projected": {"norm": "layer", "lr_control": "project"},
    "forward_projected": {"norm": "none", "arm": "forward", "lr_control": "project"},
    "overshoot": {"norm": "none", "arm": "overshoot"},
    "overshoot_layer": {"norm": "layer", "arm": "overshoot"},
    "isometry": {"norm": "none", "arm": "isometry"},
    "isometry_layer": {"norm": "layer", "arm": "isometry"},
    "random_isometry": {"norm": "none", "arm": "random_isometry"},
    "other_decay": {"norm": "none", "arm": "other_decay"},
    "other_decay_layer": {"norm": "layer", "arm": "other_decay"},
}
"""The networks of the study of mechanisms: four anchors, then the arms."""
PRINTED = ("none", "layer", "forward", "forward_projected", "projected", "overshoot")
"""Those of them that are also trained without biases."""
MECHANISM_SEEDS = dict.fromkeys(("CartPole", "MountainCar", "Pendulum"), tuple(range(100, 120)))
# the first twenty from 100 on whose dataset holds a goal
MECHANISM_SEEDS["Acrobot"] = (
    *(101, 103, 104, 108, 111, 112, 113, 116, 117, 119),
    *(129, 131, 132, 138, 139, 140, 149, 150, 155, 157),
)
