"""Greedy episodes of many networks at once: a block of threads for each, a thread an episode.

The task's step is the CPU's own function, compiled for the card, on a float64 state. The best
action needs one pass over the units: a norm's mean is taken out of the weights, and its scale,
being positive, waits:

    Q(s, a) = c_a + r sum over u of V_au relu(W_u s),   r = 1 / sqrt(mean (W_u s)^2 + eps)

So an action may differ from the CPU's where two values are equal but for rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from ..networks import EPS
from ..tasks import STATE_SIZE, observe, step
from .card import once, options
from .shape import Shape

ZERO = np.float32(0)


@once
def episodes_kernel(shape: Shape, task: int, time_limit: int, threads: int) -> Any:
    """The kernel of one kind of network, to be called as `kernel[networks, threads](...)`.

    **Arguments**: `task`, its index in `spec.ENVS`; of the kernel, for N networks:

    - `theta` (N, P) float32: the weights in the order of `engine.fused.layout`.
    - `center`: whether the norm centres.
    - `starts` (S, E, 4) float64: start states; `stream` (N,): which of them a network begins at.
    - `returns` (N, E) float64: gets the undiscounted return of each episode.
    """
    k, m, n, D, T = shape.k, shape.m, shape.n, shape.width, threads
    nw, nv, bias, scale = n * D, m * D, shape.bias, shape.scale
    size = n + m

    @cuda.jit(device=True)
    def best_action(unit, c, x):
        """The first action of highest Q, as `engine.greedy` takes it."""
        q = cuda.local.array(m, np.float32)
        square = ZERO
        for a in range(m):
            q[a] = ZERO
        for u in range(D):
            z = unit[u, k] if bias else ZERO
            for j in range(k):
                z += unit[u, j] * x[j]
            if scale:
                square += z * z
            z = z if z > ZERO else ZERO
            for a in range(m):
                q[a] += unit[u, n + a] * z
        if scale:
            r = np.float32(1.0 / math.sqrt(np.float64(square) / D + EPS))
            for a in range(m):
                q[a] *= r
        best, value = 0, q[0] + c[0]
        for a in range(1, m):
            if q[a] + c[a] > value:
                best, value = a, q[a] + c[a]
        return best

    def play(theta, center, starts, stream, returns):
        net, t = cuda.blockIdx.x, cuda.threadIdx.x
        weights, begin = theta[net], starts[stream[net]]
        unit = cuda.shared.array((D, size), np.float32)  # a unit's column of W and of V
        c = cuda.shared.array(m, np.float32)
        for j in range(t, size, T):
            mean = 0.0
            if center and j < n:
                for u in range(D):
                    mean += np.float64(weights[j * D + u])
                mean /= D
            for u in range(D):
                unit[u, j] = np.float32(np.float64(weights[j * D + u]) - mean)
        for a in range(t, m, T):
            c[a] = weights[nw + nv + a] if bias else ZERO
        cuda.syncthreads()

        state = cuda.local.array(STATE_SIZE, np.float64)
        x = cuda.local.array(k, np.float32)
        for episode in range(t, begin.shape[0], T):
            for j in range(STATE_SIZE):
                state[j] = begin[episode, j]
            total = 0.0
            for _ in range(time_limit):
                observe(task, state, x)
                reward, terminated = step(task, state, best_action(unit, c, x))
                total += reward
                if terminated:
                    break
            returns[net, episode] = total

    return cuda.jit(play, **options())
