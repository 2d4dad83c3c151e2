"""A DQN of stable-baselines3 with layer normalization and without, measured while it trains.

`python -m lnqbook.pages.own_network` trains the recorded runs again and writes `data/own_network`.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import pandas as pd
import torch
from torch import nn

from lnqlib.probe import Probe, sb3_callback
from lnqlib.tasks import TASKS

if TYPE_CHECKING:
    from stable_baselines3 import DQN

RECORD = Path(__file__).parents[1] / "data" / "own_network" / "CartPole.csv"
NORMS = ("none", "layer")
SEEDS, STEPS, EVERY = range(5), 50_000, 2_500
SETTINGS = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
"""What RL Baselines3 Zoo trains CartPole's DQN with; its network has two layers of 256."""


def agent(env: str, optimizer: str, norm: str, seed: int) -> DQN:
    """A DQN with LN between each hidden layer and its ReLU, or without.

    Both start from the same linear layers.

    **Arguments** `env`: a name of `TASKS`; `optimizer`: "SGD" or "Adam"; `norm`: "none" or "layer".
    """
    from stable_baselines3 import DQN
    from stable_baselines3.dqn.policies import DQNPolicy, QNetwork

    class Normalized(QNetwork):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            *hidden, last = self.q_net
            layers = []
            for layer in hidden:
                layers.append(layer)
                if norm == "layer" and isinstance(layer, nn.Linear):
                    layers.append(nn.LayerNorm(layer.out_features))
            self.q_net = nn.Sequential(*layers, last)

    class Policy(DQNPolicy):
        def make_q_net(self) -> QNetwork:
            return Normalized(**self._update_features_extractor(self.net_args, None))

    kinds = {"net_arch": [256, 256], "optimizer_class": getattr(torch.optim, optimizer)}
    return DQN(Policy, task(env), seed=seed, device="cpu", policy_kwargs=kinds, **SETTINGS)


def task(env: str) -> gymnasium.Env:
    """The task in Gymnasium; Pendulum with three torques, as everywhere in this book."""
    made = gymnasium.make(TASKS[env].gym_id)
    if env != "Pendulum":
        return made
    torques, actions = np.array([[-2.0], [0.0], [2.0]], np.float32), gymnasium.spaces.Discrete(3)
    return gymnasium.wrappers.TransformAction(made, torques.__getitem__, actions)


def train(env: str, optimizer: str, norm: str, seed: int, steps: int, every: int) -> pd.DataFrame:
    """Trains one agent and measures it on its replay buffer, every so many steps.

    **Returns** one row a measurement, as `probe.Probe` keeps them, with env, optimizer, norm, seed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these matrices are too small to share
    try:
        dqn = agent(env, optimizer, norm, seed)
        probe = Probe(lr=SETTINGS["learning_rate"], every=every, gamma=SETTINGS["gamma"])
        dqn.learn(steps, callback=sb3_callback(probe))
    finally:
        torch.set_num_threads(threads)
    names = {"env": env, "optimizer": optimizer, "norm": norm, "seed": seed}
    return probe.frame.assign(**names)[[*names, *probe.frame.columns]]


def record() -> pd.DataFrame:
    """The recorded runs: CartPole, Adam, both networks."""
    return pd.read_csv(RECORD)


def main() -> None:
    """Trains the recorded runs and writes them."""
    runs = [("CartPole", "Adam", norm, seed, STEPS, EVERY) for seed, norm in product(SEEDS, NORMS)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        frames = list(pool.map(train, *zip(*runs, strict=True)))
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    measured = pd.concat(frames).drop(columns="seconds")
    measured.to_csv(RECORD, index=False, float_format="%.7g")
    print(f"wrote {RECORD}, {len(measured)} rows")


if __name__ == "__main__":
    main()
