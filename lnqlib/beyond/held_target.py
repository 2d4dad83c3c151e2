"""The metrics with a held target: what interference is for a network that has a target network.

With y = r + gamma (1 - terminated) max Q_target(s', .) held, the objective of a step is (Q - y)^2.
So Delta = Q - y and grad h = grad Q: its semi-gradient is its full gradient, MGI is SGI, and GI2
loses what the residual part of grad h added to it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data import Transitions
from ..results import TARGET


def with_target_held(
    batch: Transitions, best_next: np.ndarray, gamma: float, terminal_mask: bool
) -> Transitions:
    """The batch whose TD errors have y = r + gamma (1 - terminated) max Q_target(s', .) for good.

    A terminated transition of reward y has just these: Delta = Q - y, and no gradient through s'.

    **Arguments** `best_next`: max Q_target(s', .), float64 (B,).
    """
    bootstrap = gamma * (1.0 - batch.terminated) if terminal_mask else gamma
    reward = batch.reward + bootstrap * best_next
    return batch._replace(reward=reward, terminated=np.ones(len(reward), np.bool_))


def held_target_metrics(
    interference: Callable[[Transitions], dict[str, float]],
    batch: Transitions,
    best_next: np.ndarray,
    gamma: float,
    terminal_mask: bool,
) -> dict[str, float]:
    """The values of `results.TARGET`.

    **Arguments** `interference`: a batch -> the metrics of the online network on it, without
    bootstrap through terminated transitions. The others as for `with_target_held`.
    """
    values = interference(with_target_held(batch, best_next, gamma, terminal_mask))
    return {name: values[name.removesuffix("_target")] for name in TARGET}
