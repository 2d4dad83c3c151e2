"""One run with LN beside one without, in words: which leads, which diverges, where loss and return
part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...tables import number

NETWORKS = {"none": "without LN", "layer": "with LN"}


def told(curves: pd.DataFrame, runs: pd.DataFrame) -> dict[str, str]:
    """What a figure of the runs' curves shows, a few sentences for each task.

    **Arguments** `curves`: one row a checkpoint with env, norm, step, loss and return, one run of
    each norm a task. `runs`: their rows, with env, norm, steps, clamped_steps and first_clamp.
    """
    sentences = {}
    for env in dict.fromkeys(curves["env"]):
        mine = curves[curves["env"] == env]
        returns, losses = (mine.pivot(index="step", columns="norm", values=v) for v in _DRAWN)
        rows = runs[runs["env"] == env].set_index("norm")
        parted = [parting(losses[norm], returns[norm], NETWORKS[norm]) for norm in NETWORKS]
        sentences[env] = " ".join(filter(None, [lead(returns), clamping(rows), *parted]))
    return sentences


def lead(returns: pd.DataFrame) -> str:
    """Which of the columns "layer" and "none" is the higher, how often, and since when for good."""
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
    """Where weights reached the bound, by norm: the first step, and the share of all steps."""
    clamped = [
        f"{NETWORKS[norm]} first at step {row['first_clamp']:,.0f} and in "
        f"{row['clamped_steps'] / row['steps']:.0%} of all steps"
        for norm, row in rows.reindex(list(NETWORKS)).iterrows()
        if row["clamped_steps"] > 0
    ]
    if not clamped:
        return "No weight reaches the bound."
    return f"Weights reach the bound {', '.join(clamped)}."


def parting(loss: pd.Series, returns: pd.Series, network: str) -> str:
    """Where a run's loss and return tell different stories; "" where they do not.

    Either the loss ends higher than it began while the return keeps more than half of what it ever
    gained, or, since the checkpoint with the highest return, the loss has fallen and more than half
    of that gain is lost.
    """
    first, last, best = returns.index[0], returns.index[-1], returns.idxmax()
    lost, gained = returns[best] - returns[last], returns[best] - returns[first]
    if loss[last] > loss[first] and lost < gained / 2:
        return (
            f"Loss and return part {network}: both end higher than they began, the loss at "
            f"{number(loss[last])} after {number(loss[first])}, the return at "
            f"{number(returns[last])} after {number(returns[first])}."
        )
    if loss[last] < loss[best] and lost > gained / 2 > 0:
        return (
            f"Loss and return part {network}: from the checkpoint with the highest return, step "
            f"{best:,}, to the last one the loss falls from {number(loss[best])} to "
            f"{number(loss[last])}, and the return from {number(returns[best])} to "
            f"{number(returns[last])}."
        )
    return ""


_DRAWN = ("return", "loss")
