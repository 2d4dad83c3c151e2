"""The interference of many networks at once, a block of threads for each.

The formulas are those of `engine/structured.py`, in float64 as there:

    <grad Q_i, grad Q_j> = <p_i, p_j> (<s_i, s_j> + bias) + 1[a_i = a_j] (<phi_i, phi_j> + bias)

with phi the features and p the gradient that reaches the hidden units. A thread is a sample j, and
meets every sample i: what is summed over i stays in its registers, so no (B, B) matrix is written.
Only phi and p are, to global memory, unit by unit, so that neighbours read neighbours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from ..networks import EPS
from .card import once, options
from .kernel import PLACE
from .shape import Shape
from .sums import BATCH, DGI, GF, LOSS, MGI, NORM2, QGI, SGI, SQUARED, SUMS, F, G, Q

TILE = 8  # samples i that a thread meets at once: each of its own numbers that it loads serves all


@once
def interference_kernel(shape: Shape, threads: int) -> Any:
    """The kernel of one kind of network, to be called as `kernel[networks * kinds, threads](...)`.

    **Arguments** of the kernel, for N networks, each measured as K kinds (itself; LN switched):

    - `theta` (N, P) float32: the weights in the order of `engine.fused.layout`.
    - `kinds` (K, 2) bool: whether a kind centres, whether it scales.
    - `rows` (S, B, 2 k + 3) float64: batches as obs, next_obs, reward, bootstrap, action; `stream`
      (N,): which of them a network is measured on.
    - `lr` (N,) float64: of the step that GI2 looks ahead to.
    - `phis`, `ps` (N K, width 2 B) float64: scratch space, of the s, then of the s'.
    - `found` (N, K, SUMS) float64: gets what `sums.values_of` reads.
    """
    k, m, n, D, B, T = shape.k, shape.m, shape.n, shape.width, shape.batch_size, threads
    nw, nv, reward, bootstrap, action = n * D, m * D, 2 * k, 2 * k + 1, 2 * k + 2
    bias, even = float(shape.bias), B % TILE == 0
    both, part_size = 2 * B, SUMS * T  # numba wants the sizes of arrays by name

    @cuda.jit(device=True)
    def forward(weights, center, scale, x, given, phi, p, i, q):
        """phi and p of sample i, the action (`given`, or the greedy one if it is -1), Q there."""
        mean, square, along = 0.0, 0.0, 0.0
        for u in range(D):
            z = 0.0
            for j in range(n):
                z += weights[j * D + u] * x[j]
            p[u * both + i] = z
            mean += z
        mean = mean / D if center else 0.0
        for u in range(D):
            z = p[u * both + i] - mean
            p[u * both + i] = z
            square += z * z
        spread = 1.0 / math.sqrt(square / D + EPS) if scale else 1.0
        for a in range(m):
            q[a] = np.float64(weights[nw + nv + a]) if bias > 0.0 else 0.0
        for u in range(D):
            z = p[u * both + i] * spread
            p[u * both + i] = z
            z = z if z > 0.0 else 0.0
            phi[u * both + i] = z
            for a in range(m):
                q[a] += weights[nw + a * D + u] * z
        chosen, value = 0, q[0]
        for a in range(1, m):
            if (given < 0 and q[a] > value) or given == a:
                chosen, value = a, q[a]
        if scale:
            for u in range(D):
                if phi[u * both + i] > 0.0:
                    along += weights[nw + chosen * D + u] * p[u * both + i]
        along /= D
        mean = 0.0
        for u in range(D):
            v = np.float64(weights[nw + chosen * D + u]) if phi[u * both + i] > 0.0 else 0.0
            v = (v - along * p[u * both + i]) * spread
            p[u * both + i] = v
            mean += v
        mean = mean / D if center else 0.0
        for u in range(D):
            p[u * both + i] -= mean
        return chosen, value

    @cuda.jit(device=True)
    def sign(value):
        return 1.0 if value > 0.0 else -1.0 if value < 0.0 else 0.0

    @cuda.jit(device=True)
    def load(x, row, i, first):
        """x = the inputs of row i that start at column `first`, with the bias's 1."""
        for j in range(k):
            x[j] = row[i, first + j]
        for j in range(k, n):
            x[j] = 1.0

    def measure(theta, kinds, rows, stream, lr, phis, ps, found):
        t, kind = cuda.threadIdx.x, cuda.blockIdx.x % len(kinds)
        net = cuda.blockIdx.x // len(kinds)
        weights, row, rate = theta[net], rows[stream[net]], lr[net]
        phi, p = phis[cuda.blockIdx.x], ps[cuda.blockIdx.x]
        value = cuda.shared.array(both, np.float64)
        chosen = cuda.shared.array(both, np.int32)
        td = cuda.shared.array(B, np.float64)
        # reciprocal norms, 0 for a zero gradient: its pairs then add nothing to the sums of cosines
        of_q = cuda.shared.array(B, np.float64)
        of_h = cuda.shared.array(B, np.float64)
        part = cuda.shared.array(part_size, np.float64)
        x = cuda.local.array(n, np.float64)
        y = cuda.local.array(n, np.float64)
        q = cuda.local.array(m, np.float64)
        pp = cuda.local.array(TILE, np.float64)
        ff = cuda.local.array(TILE, np.float64)
        next_pp = cuda.local.array(TILE, np.float64)
        next_ff = cuda.local.array(TILE, np.float64)
        total = cuda.local.array(SUMS, np.float64)
        for o in range(SUMS):
            total[o] = 0.0

        for i in range(t, both, T):
            given = -1
            if i < B:
                load(x, row, i, 0)
                given = int(row[i, action])
            else:
                load(x, row, i - B, k)
            chosen[i], value[i] = forward(
                weights, kinds[kind, 0], kinds[kind, 1], x, given, phi, p, i, q
            )
        cuda.syncthreads()

        for j in range(t, B, T):  # TD errors and |grad Q_j|, |grad h_j|
            factor = row[j, bootstrap]
            delta = value[j] - row[j, reward] - factor * value[B + j]
            load(x, row, j, 0)
            load(y, row, j, k)
            same = chosen[j] == chosen[B + j]
            inputs, back, features = 0.0, 0.0, bias
            apart = bias * ((1.0 - factor) ** 2 if same else 1.0 + factor**2)
            for o in range(n):
                inputs += x[o] * x[o]
                y[o] *= factor
            for u in range(D):
                back += p[u * both + j] * p[u * both + j]
                features += phi[u * both + j] * phi[u * both + j]
                for o in range(n):  # from the differences: subtracting squares would cancel
                    d = p[u * both + j] * x[o] - p[u * both + B + j] * y[o]
                    apart += d * d
                next_phi = factor * phi[u * both + B + j]
                d = phi[u * both + j] - (next_phi if same else 0.0)
                apart += d * d + (0.0 if same else next_phi * next_phi)
            norm2 = back * inputs + features
            of_q[j] = 1.0 / math.sqrt(norm2) if norm2 != 0.0 else 0.0
            of_h[j] = 1.0 / math.sqrt(apart) if apart != 0.0 else 0.0
            td[j] = delta
            g, f = norm2 != 0.0 and delta != 0.0, apart != 0.0 and delta != 0.0
            total[Q] += norm2 != 0.0
            total[G] += g
            total[F] += f
            total[GF] += g and f
            total[NORM2] += norm2
            total[LOSS] += delta * delta
        cuda.syncthreads()

        for j in range(t, B, T):
            load(x, row, j, 0)
            load(y, row, j, k)
            factor = row[j, bootstrap]
            u_sum, u_square, qgi_sum, sgi_sum, mgi_sum = 0.0, 0.0, 0.0, 0.0, 0.0
            for first in range(0, B, TILE):
                for r in range(TILE):
                    pp[r], ff[r], next_pp[r], next_ff[r] = 0.0, 0.0, 0.0, 0.0
                for u in range(D):
                    at = PLACE(u * both)
                    mine, next_mine = at + PLACE(j), at + PLACE(B + j)
                    for r in range(TILE):
                        theirs = at + PLACE(first + r if even else min(first + r, B - 1))
                        pp[r] += p[mine] * p[theirs]
                        ff[r] += phi[mine] * phi[theirs]
                        next_pp[r] += p[next_mine] * p[theirs]
                        next_ff[r] += phi[next_mine] * phi[theirs]
                for r in range(TILE):
                    i = first + r
                    if even or i < B:
                        along, next_along = bias, bias
                        for o in range(k):
                            along += x[o] * row[i, o]
                            next_along += y[o] * row[i, o]
                        gram = pp[r] * along
                        gram += ff[r] + bias if chosen[i] == chosen[j] else 0.0
                        next_gram = next_pp[r] * next_along
                        next_gram += next_ff[r] + bias if chosen[i] == chosen[B + j] else 0.0
                        h = gram - factor * next_gram  # <grad Q_i, grad h_j>
                        u_sum += td[i] * h
                        u_square += (td[i] * h) ** 2
                        cosine = gram * of_q[i] if i != j else 0.0
                        qgi_sum += abs(cosine)
                        sgi_sum += sign(td[i]) * cosine
                        mgi_sum += sign(td[i]) * h * of_q[i]
            total[QGI] += qgi_sum * of_q[j]
            total[SGI] += sign(td[j]) * sgi_sum * of_q[j]
            total[MGI] += sign(td[j]) * mgi_sum * of_h[j]
            total[DGI] += td[j] * u_sum
            total[SQUARED] += u_square
            u_mean = u_sum / B
            total[BATCH] += 2.0 * rate * td[j] * u_mean - (rate * u_mean) ** 2

        for o in range(SUMS):
            part[o * T + t] = total[o]
        cuda.syncthreads()
        for o in range(t, SUMS, T):
            of_all = 0.0
            for other in range(T):
                of_all += part[o * T + other]
            found[net, kind, o] = of_all

    return cuda.jit(measure, **options())
