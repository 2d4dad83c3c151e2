"""What readers ask for beside interference: features of any layer, their rank, dormancy, churn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .batch import MetricError, column, field, whole
from .network import Forward, Network
from .quiet import rest_of_torch, threads
from .rows import parts, rows_of

if TYPE_CHECKING:
    from ..data import Transitions

TAU = 0.025  # Sokar et al.'s threshold
READERS = nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d
"""Layers that read features; what one reads is what the layer before it gives, after its ReLU."""


def stable_rank(features: np.ndarray | Tensor) -> float:
    """|Phi|_F^2 / |Phi|_2^2, how many directions the features use: 1 to min(B, width).

    **Arguments** `features`: (B, ...), flattened to (B, width). **Returns** NaN where all are 0 or
    one is not finite.
    """
    x = _matrix(features)
    if not np.isfinite(x).all() or not x.any():
        return float("nan")
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    return float(squares.sum() / squares[0])


def dormant(features: np.ndarray | Tensor, tau: float = TAU) -> float:
    """Sokar et al. 2023, share of units whose mean |activation| is at most tau times the layer's.

    **Arguments** `features`: (B, width), or (B, channels, ...), whose units are the channels.

    **Returns** a number from 0 to 1; 1 where the whole layer is 0, NaN where one is not finite.
    """
    x = np.abs(_numbers(features))
    if x.ndim < 2 or not len(x):
        raise MetricError(
            f"features have shape {x.shape}; they must be (B, width) or (B, channels, ...); pass "
            "features_of(q, layer, obs)"
        )
    if not np.isfinite(x).all():
        return float("nan")
    scores = x.mean(axis=(0, *range(2, x.ndim)))
    return float((scores <= tau * scores.mean()).mean())


def feature_norm(features: np.ndarray | Tensor) -> float:
    """Mean |phi(s)| over the batch; features (B, ...)."""
    return float(np.linalg.norm(_matrix(features), axis=1).mean())


def features_of(
    q: nn.Module,
    layer: str | None,
    obs: Any,
    side: Literal["output", "input"] = "output",
    forward: Forward | None = None,
    dtype: torch.dtype | None = None,
) -> np.ndarray:
    """What a layer of any network gives, or reads, for a batch of observations.

    **Arguments**

    - `layer`: a name of `q.named_modules()`, as in "fc2"; None for the last layer with weights,
      of which the input is returned: the features that the Q-values are made of.
    - `side`: "output", or "input" for what the layer reads.
    - `obs`, `forward`, `dtype`: as for `interference`.

    **Returns** float64 (B, ...), the layer's own shape.

    **Raises** `MetricError` for a name that is no layer, or is not called exactly once.
    """
    rows = np.arange(rows_of(obs))
    with rest_of_torch(torch.device("cpu")), torch.no_grad(), threads(few=True):
        net = Network(q, [(obs, rows)], forward, dtype)
        if layer is None:
            found = readings(net, obs, rows)
            return found[list(found)[-1]]
        modules = dict(net.module.named_modules())
        if layer not in modules:
            raise MetricError(
                f"q has no layer {layer!r}; it has {', '.join(n for n in modules if n)}; pass one "
                "of these"
            )
        return _listen(net, obs, rows, {layer: modules[layer]}, side)[layer]


def readings(net: Network, obs: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What each linear or convolution layer reads, in the order of their calls."""
    modules = {n: m for n, m in net.module.named_modules() if isinstance(m, READERS)}
    found = _listen(net, obs, rows, modules, "input", missing=True)
    if not found:
        raise MetricError(
            "q calls no linear or convolution layer by itself, so it has no features to find; pass "
            "features to isometry, stable_rank and dormant yourself"
        )
    return found


def _listen(
    net: Network,
    obs: Any,
    rows: np.ndarray,
    modules: Mapping[str, nn.Module],
    side: str,
    missing: bool = False,
) -> dict[str, np.ndarray]:
    """What modules give or read; those not called once, with one value a row, are left out."""
    heard: dict[str, list[Any]] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple, named: dict, output: Any) -> None:
            first = inputs[0] if inputs else next(iter(named.values()), None)
            x = output if side == "output" else first
            heard.setdefault(name, []).append(x.clone() if isinstance(x, Tensor) else x)

        return keep

    handles = [m.register_forward_hook(hook(n), with_kwargs=True) for n, m in modules.items()]
    chunks: dict[str, list[np.ndarray]] = {}
    try:
        for part in parts(rows, 256):
            heard.clear()
            net(obs, part)
            for name, xs in heard.items():
                if len(xs) == 1 and isinstance(xs[0], Tensor) and len(xs[0]) == len(part):
                    chunks.setdefault(name, []).append(_numbers(xs[0]))
                elif not missing:
                    raise MetricError(
                        f"layer {name!r} is called {len(xs)} times, with a "
                        f"{type(xs[0]).__name__}; features are one tensor with a row for each "
                        "observation; pass another layer"
                    )
    finally:
        for handle in handles:
            handle.remove()
    if not missing and len(chunks) < len(modules):
        raise MetricError(
            f"layer {next(iter(modules))!r} is not called for these observations; pass a layer "
            "that is"
        )
    return {name: np.concatenate(pieces) for name, pieces in chunks.items()}


def churn(
    before: nn.Module, after: nn.Module, batch: Transitions, forward: Forward | None = None
) -> dict[str, float]:
    """How far Q moved between two networks, on states that the step may never have seen.

    - `q_change`: mean |Q_after(s, a) - Q_before(s, a)| over the batch
    - `greedy_changed`: the share of states whose first greedy action is another one

    **Arguments** `before`, `after`: two networks of one task, for example a deepcopy made before
    the update; `batch`: obs and action are read; `forward`: as for `interference`.

    **Raises** `MetricError` as `interference` does.
    """
    obs = field(batch, "obs")
    action = whole(column("action", field(batch, "action"), rows_of(obs)))
    rows = np.arange(len(action))
    with rest_of_torch(torch.device("cpu")), torch.no_grad(), threads(few=True):
        nets = [Network(q, [(obs, rows)], forward) for q in (before, after)]
        old, new = (net(obs, rows).cpu().double() for net in nets)
    if old.shape != new.shape or action.min() < 0 or action.max() >= old.shape[1]:
        raise MetricError(
            f"before has {old.shape[1]} actions, after {new.shape[1]}, the batch "
            f"{action.min()} to {action.max()}; all must be of one task; pass networks of one agent"
        )
    if not all(net.finite for net in nets):
        return {"q_change": float("nan"), "greedy_changed": float("nan")}
    moved = (new - old).abs()[rows, action]
    switched = new.argmax(1) != old.argmax(1)
    return {"q_change": float(moved.mean()), "greedy_changed": float(switched.double().mean())}


def _matrix(features: np.ndarray | Tensor) -> np.ndarray:
    x = _numbers(features)
    return x.reshape(len(x), -1)


def _numbers(x: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(x, Tensor):
        x = x.detach().cpu().to(torch.float64).numpy()
    return np.asarray(x, dtype=np.float64)
