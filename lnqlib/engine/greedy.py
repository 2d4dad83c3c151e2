"""Episodes of a task, compiled: with the network's best action, or with given ones."""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from ..networks import EPS, TABLE, Params, finite
from ..spec import NORMS
from ..tasks import OUTSIDE, STATE_SIZE, Task, compiled, observe, step
from .structured import FAST, PART

# the places in `NORMS` of those that centre, scale, follow the ReLU
_CENTER, _SCALE, _AFTER = (
    tuple(NORMS.index(name) for name, norm in TABLE.items() if getattr(norm, stage))
    for stage in ("center", "scale", "after_relu")
)


def greedy_return(
    task: Task, params: Params, norm: str, starts: np.ndarray, shorten: bool = False
) -> float:
    """Mean undiscounted return of greedy episodes up to the time limit, first best action.

    **Arguments**: `params`, the network's float32 arrays; `norm`, one of `networks.CHAINS`, batch
    norm and CrossQ with running statistics; `starts`, as `tasks.start_states` draws them;
    `shorten`, as for `structured_interference`.

    **Returns** the mean return; NaN where an array of `params` is not finite.
    """
    if not finite(params):
        return float("nan")
    net = _net(params, norm, shorten)
    if task.index == OUTSIDE:
        from ..own.gym_tasks import returns  # here, for the four tasks need no Gymnasium

        z = np.empty(len(params["b"]), np.float32)
        return float(returns(task.name, lambda obs: _best_action(*net, obs, z), starts).mean())
    return _episodes(task.index, task.time_limit, *net, starts.copy())


def _net(params: Params, norm: str, shorten: bool) -> tuple:
    """What `_best_action` needs to know of a network."""
    W, b = params["W"].T.copy(), params["b"].copy()  # (obs_dim, width)
    if TABLE[norm].weight:
        W *= params["g"] / np.linalg.norm(params["W"], axis=1)
    if TABLE[norm].batch:
        inverse = 1.0 / np.sqrt(params["var"] + np.float32(EPS))
        b = (b - params["mean"]) * inverse
        W = W * inverse
    arrays = W.astype(np.float32), b.astype(np.float32), params["V"], params["c"]
    return NORMS.index(norm), shorten, *arrays, params["gain"], params["shift"]


@njit(**FAST)
def _episodes(index, time_limit, code, shorten, W, b, V, c, gain, shift, states):
    obs = np.empty(W.shape[0], np.float32)
    z = np.empty(W.shape[1], np.float32)
    total = 0.0
    for episode in range(len(states)):
        state = states[episode]
        for _ in range(time_limit):
            observe(index, state, obs)
            reward, terminated = step(
                index, state, _best_action(code, shorten, W, b, V, c, gain, shift, obs, z)
            )
            total += reward
            if terminated:
                break
    return total / len(states)


@njit(**PART)
def _best_action(code, shorten, W, b, V, c, gain, shift, obs, z):
    """The first action of highest Q(obs, .); `z` (width,) is scratch space."""
    width = len(z)
    for u in range(width):
        z[u] = b[u]
    for j in range(len(obs)):
        x = obs[j]
        for u in range(width):
            z[u] += W[j, u] * x
    if code in _AFTER:
        for u in range(width):
            z[u] = max(z[u], np.float32(0.0))
    if code in _CENTER:
        mean = 0.0
        for u in range(width):
            mean += z[u]
        mean = np.float32(mean / width)
        for u in range(width):
            z[u] -= mean
    if code in _SCALE:
        square = np.float32(0.0)
        for u in range(width):
            square += z[u] * z[u]
        factor = np.float32(1.0 / np.sqrt(square / width + EPS))
        if shorten:
            factor = min(factor, np.float32(1.0))
        for u in range(width):
            z[u] = z[u] * factor * gain[u] + shift[u]
    if code not in _AFTER:
        for u in range(width):
            z[u] = max(z[u], np.float32(0.0))
    best, best_q = 0, np.float32(-np.inf)
    for a in range(len(c)):
        q = c[a]
        for u in range(width):
            q += V[a, u] * z[u]
        if q > best_q:
            best, best_q = a, q
    return best


@compiled
def play(index, starts, actions, returns):
    """Adds to `returns` (episodes,) the rewards of each episode until it terminates.

    **Arguments** `starts`: states (episodes, 4). `actions`: (episodes, steps).
    """
    state = np.zeros(STATE_SIZE)
    for episode in range(len(starts)):
        state[:] = starts[episode]
        for action in actions[episode]:
            reward, terminated = step(index, state, action)
            returns[episode] += reward
            if terminated:
                break
