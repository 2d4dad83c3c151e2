"""What the page measures: the invariance of untrained networks, and the weights over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lnqlib.data import Transitions
from lnqlib.networks import EPS, QNetwork
from lnqlib.run import initial_params_of
from lnqlib.spec import RunSpec

from ... import initialization, lemma5

_FIELDS = ["key", "env", "norm", "lr_control", "optimizer", "lr", "seed", "steps"]
_FIELDS += ["clamped_steps", "first_clamp"]


def untrained(env: str) -> tuple[QNetwork, Transitions, np.ndarray]:
    """Seed 0's untrained LN network, a batch, and its bootstraps gamma max Q(s', .)."""
    spec = RunSpec(env, norm="layer")
    net, batch = initialization.network(spec).double(), initialization.batch(spec)
    next_q = net(torch.as_tensor(batch.next_obs).double()).amax(1).detach().numpy()
    return net, batch, spec.gamma * (1 - batch.terminated) * next_q


def training_gradient(net: QNetwork, batch: Transitions, bootstrap: np.ndarray) -> np.ndarray:
    """The gradient that training follows in (W, b), as one array."""
    obs, action = torch.as_tensor(batch.obs).double(), torch.as_tensor(batch.action).long()
    targets = torch.as_tensor(batch.reward + bootstrap)
    (0.5 * (net(obs).gather(1, action[:, None])[:, 0] - targets) ** 2).mean().backward()
    return np.column_stack([net.hidden.weight.grad, net.hidden.bias.grad])


def scalings(envs: Sequence[str]) -> pd.DataFrame:
    """How far scaling the first layer changes Q, in untrained networks with PyTorch's eps.

    **Returns** one row a task: the largest change of Q in a batch, relative to the largest |Q|,
    when (W, b) is scaled by 100 ("longer"), by 1/100 ("shorter"), W alone ("weights") or every
    other row ("rows") by 100; and "turning", the learning rate 2 <w, grad f> / |grad f|^2 below
    which the first step on that batch shortens (W, b), negative where none does.
    """
    some = np.tile([1, 100], 64)
    scales = {"longer": (100, 100), "shorter": (0.01, 0.01), "weights": (100, 1)}
    scales["rows"] = (some[:, None], some)
    rows = {}
    for env in envs:
        net, batch, bootstrap = untrained(env)
        weights = initial_params_of(RunSpec(env))
        gradient = lemma5.autograd(lemma5.first_layer_loss(weights, batch, bootstrap, EPS))
        w, obs = lemma5.first_layer(weights), torch.as_tensor(batch.obs).double()
        with torch.no_grad():
            q = net(obs)
            row = {}
            for name, (by_w, by_b) in scales.items():
                scaled = {"W": weights["W"] * by_w, "b": weights["b"] * by_b}
                change = net.load_params(weights | scaled)(obs) - q
                row[name] = float(change.abs().max() / q.abs().max())
        slope = gradient(w)
        rows[env] = row | {"turning": float(2 * (w * slope).sum() / (slope**2).sum())}
    return pd.DataFrame.from_dict(rows, orient="index")


def over_training(curves: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The checkpoints with norm_growth and lr_decay: |(W, b)| and the learning rate, start = 1.

    **Arguments** `curves`: one row a checkpoint. `runs`: their rows.
    """
    frame = curves.merge(runs[_FIELDS], on="key")
    start = frame.groupby("key")[["weight_norm", "effective_lr"]].transform("first")
    relative = frame[["weight_norm", "effective_lr"]] / start
    return frame.assign(norm_growth=relative["weight_norm"], lr_decay=relative["effective_lr"])


def falls(training: pd.DataFrame) -> pd.Series:
    """By learning rate: the share of stretches between checkpoints in which LN's norm falls.

    **Arguments** `training`: of `over_training`; runs with a clamped step are left out.
    """
    free = training[(training["clamped_steps"] == 0) & (training["norm"] == "layer")]
    free = free.sort_values(["key", "step"])
    fell = free.assign(fell=free.groupby("key")["weight_norm"].diff() < 0)
    return fell[fell["step"] > 0].groupby("lr")["fell"].mean()


def growth(last: pd.DataFrame) -> pd.DataFrame:
    """By norm, min and max over learning rates of the median growth of the weights.

    **Arguments** `last`: the last checkpoints of `over_training`; clamped runs are left out.
    """
    free = last[last["clamped_steps"] == 0]
    ends = free.groupby(["norm", "lr"])["norm_growth"].median()
    return ends.groupby("norm").agg(["min", "max"]).reindex(["layer", "none"])


def strays(controls: pd.DataFrame, training: pd.DataFrame, lr: float) -> dict[str, float]:
    """How far the controls are from what they are to do, at one learning rate.

    **Arguments** `controls`: their checkpoints, of `over_training`, with the controls as norms.
    `training`: those of the plain runs.

    **Returns** the largest relative errors: `norm`, of projected LN's; `own`, of
    |w_0|^2 / |w_t|^2; `paired`, of the LN run's decay; and `compared`, at how many checkpoints.
    """
    index = ["env", "seed", "step"]
    ln = training[(training["norm"] == "layer") & (training["lr"] == lr)]
    project, own, paired = (
        controls[(controls["norm"] == name) & (controls["lr"] == lr)].set_index(index)
        for name in ("project", "own_decay", "paired_decay")
    )
    ratio = (paired["effective_lr"] * ln.set_index(index)["norm_growth"] ** 2 / lr).dropna()
    return {
        "norm": (project["norm_growth"] - 1).abs().max(),
        "own": (own["effective_lr"] * own["norm_growth"] ** 2 / lr - 1).abs().max(),
        "paired": (ratio - 1).abs().max(),
        "compared": len(ratio),
    }
