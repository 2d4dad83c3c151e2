"""A DQN of stable-baselines3 with layer normalization and without, measured while it trains.

`python -m lnqbook.pages.own_network` trains the recorded runs that `data/own_network` lacks; delete
the file to train them all again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pandas as pd
import torch
from torch import nn

from lnqlib.probe import Probe, sb3_callback
from lnqlib.store.local import ROOT
from lnqlib.tasks import TASKS

from ..figures import drawn
from ..figures.plots import learning_curves
from ..figures.style import STYLE, WIDTH
from ..findings import listed
from ..stats import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from stable_baselines3 import DQN

RECORD = ROOT / "data" / "own_network" / "CartPole.csv"
NORMS = ("none", "layer")
SEEDS, STEPS, EVERY = range(5), 50_000, 2_500
SHOWN = {
    "return": "the return",
    "sgi": "SGI",
    "gi2_scaled": "GI₂ / loss",
    "iso_3": "ISO₃",
    "stable_rank": "the stable rank",
    "dormant": "the share of dormant units",
}
"""What the page draws, and what it calls them."""
SETTINGS: dict[str, Any] = {
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


def agent(env: str, optimizer: str, norm: str, seed: int, **changes: Any) -> DQN:
    """A DQN with LN between each hidden layer and its ReLU, or without.

    Both start from the same linear layers.

    **Arguments** `env`: a name of `TASKS`; `optimizer`: "SGD" or "Adam"; `norm`: "none" or "layer";
    `changes`: to `SETTINGS`.
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
    return DQN(
        Policy, task(env), seed=seed, device="cpu", policy_kwargs=kinds, **SETTINGS | changes
    )


def task(env: str) -> gymnasium.Env:
    """The task in Gymnasium; Pendulum with three torques, as everywhere in this book."""
    made = gymnasium.make(TASKS[env].gym_id)
    if env != "Pendulum":
        return made
    torques, actions = np.array([[-2.0], [0.0], [2.0]], np.float32), gymnasium.spaces.Discrete(3)
    return gymnasium.wrappers.TransformAction(made, torques.__getitem__, actions)


def train(env: str, optimizer: str, norm: str, seed: int, steps: int, every: int) -> pd.DataFrame:
    """Trains one agent and measures it on its replay buffer, every so many steps.

    Runs of fewer than 20,000 steps begin to learn earlier, and in smaller portions.

    **Returns** one row a measurement, as `probe.Probe` keeps them, with env, optimizer, norm, seed.
    """
    changes = {}
    if steps < 20_000:
        changes = {"learning_starts": steps // 8, "train_freq": 16, "gradient_steps": 8}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these matrices are too small to share
    try:
        dqn = agent(env, optimizer, norm, seed, **changes)
        probe = Probe(lr=SETTINGS["learning_rate"], every=every, gamma=SETTINGS["gamma"])
        dqn.learn(steps, callback=sb3_callback(probe))
    finally:
        torch.set_num_threads(threads)
    names = {"env": env, "optimizer": optimizer, "norm": norm, "seed": seed}
    return probe.frame.assign(**names)[[*names, *probe.frame.columns]]


def live(envs: Sequence[str], optimizer: str, seeds: int, steps: int) -> pd.DataFrame:
    """`train` of both networks on each task and seed, measured four times."""
    runs = product(envs, NORMS, range(seeds))
    every = max(1, steps // 4)
    return pd.concat([train(env, optimizer, norm, s, steps, every) for env, norm, s in runs])


def with_numbers(figure: Figure, frame: pd.DataFrame) -> Figure:
    """The figure of a report in the page's size, with the report's table as its numbers."""
    drawn.record(figure, frame.rename_axis("metric").reset_index())
    figure.set(figwidth=WIDTH, dpi=STYLE["figure.dpi"])
    return figure


def record(envs: Sequence[str], optimizer: str) -> pd.DataFrame | None:
    """The recorded runs, where a page asks for their task and optimizer and they are there."""
    if tuple(envs) != ("CartPole",) or optimizer != "Adam" or not RECORD.exists():
        return None
    return pd.read_csv(RECORD)


def figure(curves: pd.DataFrame, envs: Sequence[str]) -> Figure:
    """Return and metrics against the agent's steps, with LN and without."""
    fields = {"lr": SETTINGS["learning_rate"], "steps": curves["step"].max()}
    drawn = learning_curves(curves.assign(**fields), list(SHOWN), envs)
    for ax in drawn.axes:
        if ax.get_xlabel():
            ax.set_xlabel("environment step")
    return drawn


def differences(curves: pd.DataFrame) -> pd.DataFrame:
    """LN minus None of each metric's mean over training, paired by seed: one row a metric."""
    means = curves.groupby(["norm", "seed"])[list(SHOWN)].mean()
    return pd.DataFrame(
        {
            "None": {name: means.loc["none", name].mean() for name in SHOWN},
            "LN": {name: means.loc["layer", name].mean() for name in SHOWN},
            "LN minus None": {
                name: bootstrap_interval(means.loc["layer", name] - means.loc["none", name])
                for name in SHOWN
            },
        }
    ).rename(index=SHOWN)


def finding(curves: pd.DataFrame | None, optimizer: str) -> str:
    """What the recorded runs show, in a sentence for each case."""
    if curves is None:
        return (
            "The recorded runs are of another task or optimizer than this page was asked for, or "
            "not there; `python -m lnqbook.pages.own_network` makes them."
        )
    seeds, steps = curves["seed"].nunique(), int(curves["step"].max())
    signs = differences(curves)["LN minus None"].map(lambda interval: interval.sign)
    said = [
        f"{verb} {listed(list(signs.index[signs == sign]))}"
        for verb, sign in (("raises", 1), ("lowers", -1))
        if (signs == sign).any()
    ]
    head = f"In a DQN of stable-baselines3 on {curves['env'].iloc[0]}, over {seeds} seeds and "
    head += f"{steps:,} steps with {optimizer}, LN "
    if not said:
        return head + "changes none of these means in a way that the seeds decide."
    open_ = list(signs.index[signs == 0])
    tail = f" The intervals of {listed(open_)} contain 0." if open_ else ""
    if len(open_) == 1:
        tail = f" The interval of {open_[0]} contains 0."
    return f"{head}{' and '.join(said)} (means over training, paired by seed).{tail}"


def main() -> None:
    """Trains the recorded runs that are not there yet, and writes each when it is done."""
    runs = [("CartPole", "Adam", norm, seed, STEPS, EVERY) for seed, norm in product(SEEDS, NORMS)]
    done = [pd.read_csv(RECORD)] if RECORD.exists() else []
    there = {key for frame in done for key, _ in frame.groupby(["norm", "seed"])}
    missing = [run for run in runs if (run[2], run[3]) not in there]
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for future in as_completed(pool.submit(train, *run) for run in missing):
            done.append(future.result().drop(columns="seconds"))
            measured = pd.concat(done).sort_values(["norm", "seed", "step"])
            written = RECORD.with_suffix(".part")
            measured.to_csv(written, index=False, float_format="%.7g")
            written.replace(RECORD)
            print(f"{measured.groupby(['norm', 'seed']).ngroups} of {len(runs)} runs", flush=True)


if __name__ == "__main__":
    main()
