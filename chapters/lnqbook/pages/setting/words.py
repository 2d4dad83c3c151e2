"""What the page on the setting says: its datasets, a network, and two runs side by side."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pandas as pd
import torch

from lnqlib.networks import QNetwork

from ...findings import case, count, in_tasks, listed
from ...numbers import number

NETWORKS = {"none": "without LN", "layer": "with LN"}


def pair(runs: pd.DataFrame, lr: float) -> str:
    """Which of two runs returns more, task by task, and how many reach the bound.

    **Arguments** `runs`: one run of each norm a task.
    """
    returns = runs.pivot(index="env", columns="norm", values="return")
    returns = returns.loc[list(dict.fromkeys(runs["env"]))]
    ahead = np.sign(returns["layer"] - returns["none"])
    more, less = (list(ahead.index[ahead == sign]) for sign in (1, -1))
    told = case(
        (more, f"the return averaged over training is higher with LN {in_tasks(more, len(ahead))}"),
        (less, f"the return averaged over training is lower with LN {in_tasks(less, len(ahead))}"),
        "the returns averaged over training are equal",
    )
    told += case((more and less, f", and lower in {listed(less)}"), "")
    hit = int((runs["clamped_steps"] > 0).sum())
    link = "[clamped](glossary.md#term-clamped)"
    return (
        "Two runs in each task that share data, initial weights and batches, one with LN and one "
        f"without: at the learning rate {number(lr, 2)} {told}. "
        + case(
            (hit, f"{hit} of these {len(runs)} runs diverged so far that weights were {link}."),
            "No weight was clamped.",
        )
        + " One pair of runs proves nothing, which is why every figure that a verdict rests on "
        "averages over seeds and sweeps the learning rate."
    )


def goals(counts: pd.DataFrame) -> str:
    """How many datasets hold no terminated transition.

    **Arguments** `counts`: terminated transitions, a row a seed and a column a task.
    """
    none = (counts == 0).sum()
    parts = [f"{n} of {len(counts)} in {env}" for env, n in none.items() if n]
    some = int(none.sum())
    return case(
        (
            parts,
            f"Of {count(int(counts.size), 'dataset')} {some} {'hold' if some > 1 else 'holds'} no "
            f"terminated transition: {listed(parts)}.",
        ),
        "Every dataset shown holds a terminated transition.",
    )


def drawn(checkpoints: int, shown: int) -> str:
    """How many of a run's checkpoints a figure of the shipped curves has."""
    each = checkpoints // shown
    every = f"one in {each}" if each > 1 else "all of them"
    return (
        f"Each run is measured at {count(checkpoints, 'checkpoint')}, and its averages are over "
        f"all of them. The figure has {shown}, {every}."
    )


def by_hand(mine: torch.Tensor, q: QNetwork, obs: torch.Tensor, task: str) -> str:
    """How far Q-values are from the network's and from PyTorch's layer's; then `q` scaled.

    **Arguments** `mine`: (B, num_actions), Eq. (3) written out. `q`: with LN; left as it is.
    `obs`: (B, obs_dim). `task`: whose network it is.
    """
    layer = torch.nn.LayerNorm(q.hidden.out_features, elementwise_affine=False)
    longer = deepcopy(q)
    with torch.no_grad():
        others = q(obs), q.output(torch.relu(layer(q.hidden(obs))))
        longer.hidden.weight *= 10
        longer.hidden.bias *= 10
        change = float((mine - longer(obs)).abs().max())
    apart = max(float((mine - other).abs().max()) for other in others)
    parameters = sum(w.numel() for w in q.parameters())
    return (
        "Written out, Eq. (3) differs from the library's network and from PyTorch's own layer by "
        f"at most {number(apart, 1)}, rounding in single precision. Multiplying all of the hidden "
        f"layer by 10 changes no Q-value by more than {number(change, 1)}: under LN only the "
        f"direction of the hidden weights counts. The network for {task} has {parameters:,} "
        "parameters."
    )


def in_words(curves: pd.DataFrame, runs: pd.DataFrame) -> dict[str, str]:
    """What a figure of the runs' curves shows, a few sentences for each task.

    **Arguments** `curves`: one row a checkpoint with env, norm, step, loss and return, one run of
    each norm a task. `runs`: their rows, with env, norm, steps, clamped_steps and first_clamp.
    """
    sentences = {}
    for env in dict.fromkeys(curves["env"]):
        mine = curves[curves["env"] == env]
        both = mine.pivot(index="step", columns="norm", values=["return", "loss"])
        rows = runs[runs["env"] == env].set_index("norm")
        parted = [parting(both["loss"][n], both["return"][n], NETWORKS[n]) for n in NETWORKS]
        sentences[env] = " ".join(filter(None, [lead(both["return"]), clamping(rows), *parted]))
    return sentences


def lead(returns: pd.DataFrame) -> str:
    """Whether the column "layer" is above "none", how often, and from which step it stays."""
    ahead = np.sign(returns["layer"] - returns["none"])  # by step
    counts = {1: int((ahead > 0).sum()), -1: int((ahead < 0).sum())}
    text = (
        f"The return is higher with LN at {counts[1]} of the {len(ahead)} checkpoints drawn and "
        f"lower at {counts[-1]}"
    )
    last = ahead.iloc[-1]
    if not last:
        return f"{text}; at the last one they are equal."
    since = ahead.index[ahead.ne(last)[::-1].cumsum()[::-1] == 0][0]
    words = {1: "higher", -1: "lower"}[int(last)]
    return f"{text}; it is {words} at all of them from step {since:,} on."


def clamping(rows: pd.DataFrame) -> str:
    """By norm, the first step with weights at the bound, and the share of such steps."""
    clamped = [
        f"{NETWORKS[norm]} first at step {row['first_clamp']:,.0f} and in "
        f"{row['clamped_steps'] / row['steps']:.0%} of all steps"
        for norm, row in rows.reindex(list(NETWORKS)).iterrows()
        if row["clamped_steps"] > 0
    ]
    if not clamped:
        return "No weight reaches the bound."
    return f"Weights reach the bound: {'; '.join(clamped)}."


def parting(loss: pd.Series, returns: pd.Series, network: str) -> str:
    """Where a run's loss and return disagree; "" where they agree.

    They disagree if the loss ends higher than it began while the return keeps more than half of its
    largest gain, or if the loss falls after the checkpoint with the highest return while more than
    half of that gain is lost.
    """
    first, last, best = returns.index[0], returns.index[-1], returns.idxmax()
    lost, gained = returns[best] - returns[last], returns[best] - returns[first]
    if loss[last] > loss[first] and lost < gained / 2:
        return (
            f"Loss and return disagree {network}: both end higher than they began, the loss "
            f"rising from {number(loss[first])} to {number(loss[last])} and the return from "
            f"{number(returns[first])} to {number(returns[last])}."
        )
    if loss[last] < loss[best] and lost > gained / 2 > 0:
        return (
            f"Loss and return disagree {network}: from the checkpoint with the highest return, "
            f"step {best:,}, to the last one the loss falls from {number(loss[best])} to "
            f"{number(loss[last])}, and the return from {number(returns[best])} to "
            f"{number(returns[last])}."
        )
    return ""
