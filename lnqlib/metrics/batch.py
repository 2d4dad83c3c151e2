"""What every metric checks before it measures: a batch of transitions, and features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..data import Transitions

ALIASES = {
    "obs": ("obs", "observations"),
    "action": ("action", "actions", "act"),
    "reward": ("reward", "rewards", "rew"),
    "next_obs": ("next_obs", "next_observations", "obs_next"),
    "terminated": ("terminated", "dones", "terminals"),
}
"""Under which names other libraries keep the same five arrays."""


class MetricError(ValueError):
    """An argument that no metric is defined for; the message says what came and what to pass."""


class Batch(NamedTuple):
    """A checked batch of float64 arrays; `bootstrap` is gamma, or 0 through a terminal state."""

    obs: np.ndarray  # (B, obs_dim)
    action: np.ndarray  # (B,) int64
    reward: np.ndarray  # (B,)
    next_obs: np.ndarray  # (B, obs_dim)
    bootstrap: np.ndarray  # (B,)

    @property
    def finite(self) -> bool:
        """Whether every number of the batch is finite."""
        return all(bool(np.isfinite(array).all()) for array in self)


class Steps(NamedTuple):
    """A checked batch whose observations are still as they came: any shape, any type."""

    obs: Any
    action: np.ndarray  # (B,) int64
    reward: np.ndarray  # (B,) float64
    next_obs: Any
    bootstrap: np.ndarray  # (B,) float64


def read_batch(
    batch: Transitions,
    lr: float,
    gamma: float,
    terminal_mask: bool,
    discount: np.ndarray | Tensor | None = None,
) -> Steps:
    """The batch with checked actions, rewards and its per-transition bootstrap factor.

    **Arguments** as for `interference`.

    **Raises** `MetricError` for what no metric is defined for.
    """
    if not 0 < lr < math.inf:
        raise MetricError(f"lr is {lr!r}; it must be positive and finite; pass for example lr=1e-3")
    if not 0 <= gamma <= 1:
        raise MetricError(f"gamma is {gamma!r}; it must lie in 0 to 1; pass for example gamma=0.99")
    obs, action, reward, next_obs, terminated = (field(batch, name) for name in ALIASES)
    B = _rows(action)
    columns = {"action": action, "reward": reward, "terminated": terminated}
    action, reward, terminated = (column(name, values, B) for name, values in columns.items())
    action = whole(action)
    if not np.isin(terminated, (0, 1)).all():
        raise MetricError(
            f"terminated holds {terminated[~np.isin(terminated, (0, 1))][0]}; it must hold 0 and 1 "
            "or booleans; pass terminated != 0, or discount= for discounts of your own"
        )
    discount = discounts(batch) if discount is None else discount
    factor = np.full(B, gamma, float) if discount is None else column("discount", discount, B)
    if not ((factor >= 0) & (factor <= 1)).all():
        raise MetricError(
            f"discount runs from {factor.min()} to {factor.max()}; it must lie in 0 to 1; pass for "
            "example gamma ** n for n-step transitions"
        )
    bootstrap = factor * (1.0 - terminated) if terminal_mask else factor
    return Steps(obs, action, reward, next_obs, bootstrap)


def check_batch(batch: Transitions, lr: float, gamma: float, terminal_mask: bool) -> Batch:
    """The batch as float64 arrays with its per-transition bootstrap factor.

    **Raises** `MetricError` for shapes that do not fit, `lr` <= 0 or `gamma` outside 0 to 1.
    """
    obs = array(field(batch, "obs"))
    if obs.ndim != 2 or len(obs) == 0:
        raise MetricError(
            f"obs has shape {obs.shape}; it must be (B, obs_dim) with B > 0; "
            "pass one observation as obs[None]"
        )
    next_obs = array(field(batch, "next_obs"))
    if next_obs.shape != obs.shape:
        raise MetricError(
            f"next_obs has shape {next_obs.shape} beside obs {obs.shape}; it must be "
            f"{obs.shape}; pass transitions of equal number"
        )
    steps = read_batch(batch, lr, gamma, terminal_mask)
    if len(steps.action) != len(obs):
        raise MetricError(
            f"action has shape {steps.action.shape} beside obs {obs.shape}; it must be "
            f"{obs.shape[:1]}; pass transitions of equal number"
        )
    if not np.isfinite(next_obs).all():  # nothing bootstraps from a terminal state
        unread = steps.bootstrap == 0
        next_obs = np.where(unread[:, None], obs, next_obs)
    return Batch(obs, steps.action, steps.reward, next_obs, steps.bootstrap)


def check_features(features: np.ndarray | Tensor, k: float) -> np.ndarray:
    """The features as a float64 matrix (B, width).

    **Raises** `MetricError` for another shape and for a `k` that is not whole or outside 1 to B.
    """
    x = array(features)
    if x.ndim != 2:
        raise MetricError(
            f"features have shape {x.shape}; they must be (B, width); pass q.features(obs), or "
            "features_of(q, layer, obs)"
        )
    number = isinstance(k, Real | np.number | Tensor)
    if not number or not 1 <= k <= len(x) or k != int(k):
        raise MetricError(
            f"k is {k!r} with {len(x)} features; it must lie in 1 to {len(x)} and be whole; "
            "pass for example the observation size"
        )
    return x


def field(batch: Any, name: str) -> Any:
    """One of the five arrays of a batch, under the name that its library gives it."""
    for alias in ALIASES[name]:
        found = batch.get(alias) if isinstance(batch, Mapping) else getattr(batch, alias, None)
        if found is not None:
            return found
    raise MetricError(
        f"the batch is a {type(batch).__name__} without {name}; it must have "
        f"{', '.join(ALIASES)}; pass lnqlib.data.Transitions({', '.join(ALIASES)})"
    )


def discounts(batch: Any) -> Any:
    """What a batch of n-step transitions has as its own factors, None where it has none."""
    found = batch.get("discounts") if isinstance(batch, Mapping) else None
    return getattr(batch, "discounts", found)


def column(name: str, values: Any, B: int) -> np.ndarray:
    """One number for each transition, from (B,) or (B, 1): float64 (B,)."""
    x = array(values)
    if x.shape not in ((B,), (B, 1)) or B == 0:
        hint = "pass transitions of equal number"
        if name == "action" and x.ndim > 1 and len(x) == B:
            hint = "continuous or several actions at once have no max Q(s', .); pass one index each"
        raise MetricError(
            f"{name} has shape {x.shape}; it must be ({max(B, 1)},) or ({max(B, 1)}, 1), one for "
            f"each transition; {hint}"
        )
    return x.reshape(B)


def whole(action: np.ndarray) -> np.ndarray:
    """Actions (B,) as int64; refuses fractions, of which no action is the index."""
    if not np.array_equal(action, np.floor(action)):  # NaN is not equal to itself
        raise MetricError(
            f"action holds {action[action != np.floor(action)][0]}; it must hold whole numbers: "
            "the metrics compare Q(s, a) with max Q(s', .), so continuous actions have none; "
            "pass the index of each action"
        )
    return action.astype(np.int64)


def array(values: Any) -> np.ndarray:
    """Numbers from numpy or torch as a contiguous float64 array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().to(torch.float64).numpy()
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(
            f"a {type(values).__name__} is no array of numbers ({error}); pass a numpy array or a "
            "torch tensor"
        ) from None


def _rows(action: Any) -> int:
    shape = np.shape(action) if not isinstance(action, Tensor) else tuple(action.shape)
    if not shape:
        raise MetricError("action is a single number; it must be (B,); pass a batch, obs[None] ...")
    return shape[0]
