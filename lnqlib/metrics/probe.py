"""Measuring a network while somebody's loop trains it, without moving a weight or a random number.

In a loop of one's own, as in CleanRL's `dqn.py`:

    probe = Probe(lr=args.learning_rate, every=1_000, gamma=args.gamma)
    ...
    if probe.due(global_step):
        with undisturbed(seed=global_step):  # drawing a batch would move the run's random numbers
            data = rb.sample(128)
        probe(global_step, q_network, data, target=target_network)
    ...
    probe.frame.to_csv("interference.csv")

With stable-baselines3: `model.learn(50_000, callback=sb3_callback(probe))`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from time import perf_counter
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
import pandas as pd
import torch
from torch import nn

from .batch import MetricError
from .companions import churn
from .copies import copied
from .panel import panel
from .problem import Options

if TYPE_CHECKING:
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from torch.utils.tensorboard import SummaryWriter

    from ..data import Transitions


class Probe:
    """Keeps the `panel` of a network every so many steps, and the churn since the last time.

    **Arguments**

    - `lr`: as for `interference`; a function of the step where the rate changes.
    - `every`: steps between measurements.
    - `gamma`, `terminal_mask` and `options`: as for `interference`.
    - `writer`: a TensorBoard `SummaryWriter`, which then gets every value as `lnqlib/<name>`.

    **Attributes** `frame`: one row a measurement, with `step` and `seconds`.
    """

    def __init__(
        self,
        lr: float | Callable[[int], float],
        every: int = 1_000,
        gamma: float = 0.99,
        terminal_mask: bool = True,
        writer: SummaryWriter | None = None,
        **options: Unpack[Options],
    ):
        if every < 1 or every != int(every):
            raise MetricError(
                f"every is {every!r}; it must be a whole number of steps from 1; pass every=1000"
            )
        self.lr, self.every, self.writer = lr, int(every), writer
        self.gamma, self.terminal_mask, self.options = gamma, terminal_mask, options
        self.rows: list[dict[str, float]] = []
        self.before: nn.Module | None = None
        self.next = 0

    def due(self, step: int) -> bool:
        """Whether a measurement is to be taken: at step 0, or the first one, and every so many."""
        return step >= self.next

    def __call__(
        self, step: int, q: nn.Module, batch: Transitions, **options: Unpack[Options]
    ) -> dict[str, float]:
        """Measures now, whatever is due. **Returns** the row that it keeps."""
        started = perf_counter()
        lr = self.lr(step) if callable(self.lr) else self.lr
        options = self.options | options
        measured = panel(q, batch, lr, self.gamma, self.terminal_mask, **options).values
        row: dict[str, float] = {"step": step, "lr": lr} | measured
        if self.before is not None:
            row |= churn(self.before, q, batch, options.get("forward"))
        self.before = copied(q, [])
        row["seconds"] = perf_counter() - started
        self.rows.append(row)
        self.next = (step // self.every + 1) * self.every
        if self.writer is not None:
            for name, value in row.items():
                if name not in ("step", "lr") and np.isfinite(value):
                    self.writer.add_scalar(f"lnqlib/{name}", value, step)
        return row

    @property
    def frame(self) -> pd.DataFrame:
        """What was measured, one row a measurement."""
        return pd.DataFrame(self.rows)

    def to_csv(self, path: str | PathLike) -> None:
        """Writes `frame`, whole or not at all where the disk allows it."""
        self.frame.to_csv(path, index=False)


@contextmanager
def undisturbed(seed: int = 0) -> Iterator[None]:
    """Random numbers of their own inside; Python's, numpy's and torch's go on as if nothing was."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 what replay buffers use
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def sb3_callback(probe: Probe, size: int = 128, target: bool = True) -> BaseCallback:
    """A stable-baselines3 callback that measures a DQN's `q_net` on its replay buffer.

    **Arguments**

    - `probe`: keeps the measurements, and as `return` the mean of the last 100 episodes' returns;
      steps are the agent's `num_timesteps`.
    - `size`: transitions a measurement, drawn as training draws them. None is taken before the
      buffer holds so many.
    - `target`: bootstraps from `q_net_target`, as its loss does; False from `q_net`.

    **Raises** `ImportError` without stable-baselines3; `MetricError` for an agent without `q_net`.
    """
    try:
        from stable_baselines3.common.callbacks import BaseCallback
    except ImportError as error:
        raise ImportError(
            "stable-baselines3 is not installed; write pip install stable-baselines3"
        ) from error

    class ProbeCallback(BaseCallback):
        def _on_step(self) -> bool:
            if not hasattr(self.model, "q_net"):
                raise MetricError(
                    f"the agent is a {type(self.model).__name__} without q_net; sb3_callback is "
                    "for DQN; call probe(step, network, batch, forward=...) in a callback instead"
                )
            agent = cast("DQN", self.model)  # it has what is read here
            buffer = agent.replay_buffer
            assert buffer is not None  # a DQN that learns has one
            held = buffer.size() * buffer.n_envs
            if probe.due(self.num_timesteps) and held >= size:
                with undisturbed(seed=self.num_timesteps):
                    # read as it comes, as `interference` says
                    batch: Any = buffer.sample(size, env=agent._vec_normalize_env)
                options: Options = {"target": agent.q_net_target} if target else {}
                row = probe(self.num_timesteps, agent.q_net, batch, **options)
                ends = [episode["r"] for episode in self.model.ep_info_buffer or ()]
                row["return"] = float(np.mean(ends)) if ends else float("nan")
            return True

    return ProbeCallback()
