"""Rows of observations, which may be an array, a dict, a tuple or a TensorDict of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batch import MetricError


def take(obs: Any, rows: np.ndarray, ready: Callable[[Any], Any]) -> Any:
    """Some rows of an array, a dict, a tuple or a TensorDict of arrays, each made `ready`."""
    if isinstance(obs, Tensor):
        return ready(obs[torch.as_tensor(rows, device=obs.device)])
    if isinstance(obs, np.ndarray):
        return ready(obs[rows])
    if hasattr(obs, "batch_size") and hasattr(obs, "apply"):  # a TensorDict
        return obs[torch.as_tensor(rows)].apply(ready)
    if isinstance(obs, Mapping):
        return {key: take(value, rows, ready) for key, value in obs.items()}
    if isinstance(obs, tuple) and not hasattr(obs, "_fields"):
        return tuple(take(value, rows, ready) for value in obs)
    if isinstance(obs, list):
        return ready(np.asarray(obs)[rows])
    raise MetricError(
        f"obs is a {type(obs).__name__}; it must be an array, a tensor, or a dict, tuple or "
        "TensorDict of them; pass obs as one of these"
    )


def rows_of(obs: Any) -> int:
    """How many rows an array, a dict, a tuple or a TensorDict of arrays has."""
    if isinstance(obs, Mapping) and not hasattr(obs, "batch_size"):
        obs = next(iter(obs.values()), ())
    elif isinstance(obs, tuple):
        obs = obs[0] if obs else ()
    shape = tuple(obs.shape) if hasattr(obs, "shape") else np.shape(obs)
    return shape[0] if shape else 0


def parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """`rows` cut into pieces of at most `size`."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
