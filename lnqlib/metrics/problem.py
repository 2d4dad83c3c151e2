"""Delta and h of a batch: which values and which next actions, whatever is measured of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from .batch import MetricError, read_batch
from .network import Forward, Network
from .quiet import rest_of_torch, threads
from .rows import rows_of

SMALL = 1e8  # parameters times transitions below which several threads wait for one another


class Options(TypedDict, total=False):
    """What a network of another library may need; the arguments of `interference`."""

    forward: Forward
    target: nn.Module
    double: bool
    discount: np.ndarray | Tensor
    num_actions: int
    dtype: torch.dtype


class Problem(NamedTuple):
    """A network that can be measured on a batch that fits it."""

    net: Network
    target: Network | None  # bootstraps, as a constant
    double: bool
    obs: Any
    next_obs: Any
    action: Tensor  # (B,)
    reward: Tensor  # (B,)
    bootstrap: Tensor  # (B,)
    rows: np.ndarray  # 0 .. B - 1
    live: np.ndarray  # the rows that bootstrap; of the others next_obs is never read
    finite: bool

    def constant_next(self) -> tuple[Tensor, Tensor]:
        """The target network's value of its choice, or of the network's own if `double`.

        **Returns** the action and its value, each (B,), 0 where nothing bootstraps.
        """
        best, value = self.action.new_zeros(len(self.rows)), torch.zeros_like(self.reward)
        if len(self.live) and self.target is not None:
            with torch.no_grad():
                values = self.target(self.next_obs, self.live)
                choosing = self.net(self.next_obs, self.live) if self.double else values
            chosen = choosing.argmax(1)
            best[self.live] = chosen
            value[self.live] = values.gather(1, chosen[:, None])[:, 0].to(value.dtype)
        return best, value


@contextmanager
def problem(
    q: nn.Module,
    batch: Any,
    lr: float,
    gamma: float = 0.99,
    terminal_mask: bool = True,
    **options: Unpack[Options],
) -> Iterator[Problem]:
    """The network copied and checked against the batch, with torch quiet around it.

    **Raises** `MetricError` for what the metrics are not defined for.
    """
    _check_names(options)
    forward, target = options.get("forward"), options.get("target")
    double, discount = options.get("double", False), options.get("discount")
    if double and target is None:
        raise MetricError(
            "double is True without a target; double DQN chooses by q and values by the target; "
            "pass target=your target network"
        )
    with torch.inference_mode(False):
        steps = read_batch(batch, lr, gamma, terminal_mask, discount)
    B = len(steps.action)
    for name, obs in (("obs", steps.obs), ("next_obs", steps.next_obs)):
        if rows_of(obs) != B:
            raise MetricError(
                f"{name} has {rows_of(obs)} rows beside {B} actions; it must be ({B}, ...); "
                "pass transitions of equal number"
            )
    rows, live = np.arange(B), np.flatnonzero(steps.bootstrap)
    reads = [(steps.obs, rows), (steps.next_obs, live)]
    weights = list(q.parameters()) if isinstance(q, nn.Module) else []
    kind = next(iter(weights), torch.empty(0))
    numbers = sum(0 if nn.parameter.is_lazy(x) else x.numel() for x in weights)
    with rest_of_torch(kind.device), threads(few=numbers * B < SMALL):
        settings = options.get("dtype"), options.get("num_actions")
        net = Network(q, reads, forward, *settings)
        other = None
        if target is not None:
            other = Network(
                target,
                [(steps.next_obs, live if len(live) else rows)],
                forward,
                net.dtype,
                settings[1],
            )
        device = net.device
        number = accumulator(device)
        num_actions = _check_actions(net, steps.obs, steps.action)
        if other is not None and other(steps.next_obs, rows[-1:]).shape[1] != num_actions:
            raise MetricError(
                f"the target has other actions than q, which has {num_actions}; both must have the "
                "same; pass the target network of q"
            )
        yield Problem(
            net,
            other,
            double,
            steps.obs,
            steps.next_obs,
            torch.as_tensor(steps.action, device=device),
            torch.as_tensor(steps.reward, device=device, dtype=number),
            torch.as_tensor(steps.bootstrap, device=device, dtype=number),
            rows,
            live,
            net.finite
            and (other is None or other.finite)
            and bool(np.isfinite(steps.reward).all()),
        )


def accumulator(device: torch.device) -> torch.dtype:
    """Double precision, which Apple's GPUs do not have."""
    return torch.float32 if device.type == "mps" else torch.float64


class Measured(dict[str, float]):
    """Metrics by name, with what has to be said about how they were taken.

    **Attributes**: `dtype`, the precision in which the network was differentiated, as a name;
    `notes`, sentences.
    """

    def __init__(self, values: dict[str, float], net: Network):
        super().__init__(values)
        self.dtype = str(net.dtype).removeprefix("torch.")
        self.notes = tuple(net.notes)


def nothing(names: tuple[str, ...], net: Network) -> Measured:
    """Every metric NaN."""
    return Measured(dict.fromkeys(names, math.nan), net)


def _check_actions(net: Network, obs: Any, action: np.ndarray) -> int:
    with torch.no_grad():
        num_actions = net(obs, np.arange(1)).shape[1]
    if action.min() < 0 or action.max() >= num_actions:
        raise MetricError(
            f"action runs from {action.min()} to {action.max()}; the network has actions 0 to "
            f"{num_actions - 1}; pass transitions of its task"
        )
    return num_actions


def _check_names(options: Mapping[str, object]) -> None:
    unknown = [name for name in options if name not in Options.__annotations__]
    if unknown:
        raise TypeError(
            f"no argument is called {unknown[0]}; allowed are {', '.join(Options.__annotations__)}"
        )
