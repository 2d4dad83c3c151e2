"""Gradient steps of many small networks at once, a block of a few threads for each network.

The steps are those of `training.TorchLearner`; README.md says how they are taken here. It is
written for numba's CUDA target and for its simulator, so it has neither shuffles nor votes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda

from ..engine.fused import ADAM_EPS, BETA1, BETA2
from ..networks import EPS
from ..spec import CLAMP
from .card import once, options, simulated
from .shape import QUAD, UNROLL, Shape

SIMULATED = simulated()
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
PLACE = np.uint64  # an index that numba need not check for being negative


@once
def training_kernel(shape: Shape) -> Any:
    """The kernel of one kind of network, to be called as `kernel[networks, shape.threads](...)`.

    **Arguments** of the kernel, for N networks that read S streams of batches:

    - `theta` (N, P) float32: the weights in the order of `engine.fused.layout`.
    - `moments` (N, 2, n + m, units, threads), `moments_c` (N, 2, 1, 1, m): float32, Adam's, as
      the threads hold them.
    - `rows` (S, size * `shape.row`) float32: the datasets; `stream` (N,): which a network reads.
    - `order` (S, steps, B) uint16: the row numbers of every batch, sorted by action.
    - `cuts` (S, steps, 2 m + 1) uint16: how many of them have an action up to 0, 1, ...; then the
      QUADs of slots at which each action's begin, and at which the last ends.
    - `lr` (N,), `corrections` (steps, 2): float64, the learning rates, Adam's factors of them and
      of the second moment's root; `unit` float32, gradient_scale / B.
    - `center`, `adam`: whether the norm centres, whether the optimizer is Adam.
    - `first_step`; `loss` (N,) float64, to which the sum over steps of the mean squared TD error is
      added; `counts` (N, 3): clamped steps, the first of them, the first step without finite loss.
    """
    k, m, n, D, B, T = shape.k, shape.m, shape.n, shape.width, shape.batch_size, shape.threads
    bias, scale, row, record, slots = shape.bias, shape.scale, shape.row, shape.record, shape.slots
    units, samples, groups, pairs = shape.units, shape.samples, shape.groups, shape.pairs
    nw, nv = n * D, m * D
    stride = row + 1  # of a batch's rows, so that no two threads read one bank
    lanes = min(row, T)  # threads that fetch a row
    at_once = max(T // row, 1)  # rows that are fetched at once
    turns, even = -(-B // at_once), B % at_once == 0
    # numba wants the sizes of arrays by name
    tile_size, part_size, sum_size = shape.tile, n * (T + 1), max(n, pairs + m)
    group_size, weights, pull_size = UNROLL * record + QUAD, n + m, max(pairs, 1)

    @cuda.jit(device=True)
    def column_sums(part, count, sums):
        """sums[c] = sum over threads o of part[c (T + 1) + o], in float64."""
        cuda.syncthreads()
        for c in range(cuda.threadIdx.x, count, T):
            total = 0.0
            for o in range(T):
                total += np.float64(part[PLACE(c) * PLACE(T + 1) + PLACE(o)])
            sums[c] = total
        cuda.syncthreads()

    @cuda.jit(device=True)
    def center_units(values, part, sums):
        """values[p, j] -= mean over all units; in two parts, for float32 cannot hold the mean."""
        t = cuda.threadIdx.x
        for j in range(n):
            total = 0.0
            for p in range(units):
                if units * t + p < D:
                    total += np.float64(values[p, j])
            part[PLACE(j * (T + 1) + t)] = total
        column_sums(part, n, sums)
        for j in range(n):
            mean = sums[j] / D
            high = np.float32(mean)
            low = np.float32(mean - np.float64(high))
            for p in range(units):
                values[p, j] = (values[p, j] - high) - low

    @cuda.jit(device=True)
    def meet(block, v, x, y, action, q, next_q, square, next_square, bits):
        """Unit v of a group adds to what this thread's samples sum over units."""
        w = cuda.local.array(weights, np.float32)
        for j in range(weights):
            w[j] = block[v * record + j]
        for p in range(samples):
            z = ZERO
            next_z = ZERO
            for j in range(n):
                z += w[j] * x[p, j]
                next_z += w[j] * y[p, j]
            if z > ZERO:
                bits[p] |= np.uint32(1 << v)
            if scale:
                square[p] += z * z
                next_square[p] += next_z * next_z
            z += abs(z)  # twice relu(z); where max loses NaN, this keeps it
            next_z += abs(next_z)
            q[p] += block[PLACE(v * record + n) + action[p]] * z
            for a in range(m):
                next_q[p, a] += w[n + a] * next_z

    @cuda.jit(device=True)
    def adam_step(gradient, moments, j, p, t, root):
        """What SGD's gradient is replaced by; Adam has torch's defaults."""
        first = np.float32(BETA1) * moments[0, j, p, t] + np.float32(1 - BETA1) * gradient
        second = np.float32(1 - BETA2) * gradient * gradient
        second += np.float32(BETA2) * moments[1, j, p, t]
        moments[0, j, p, t] = first
        moments[1, j, p, t] = second
        return first / (np.float32(math.sqrt(second)) * root + np.float32(ADAM_EPS))

    @cuda.jit(device=True)
    def clamped(value):
        """App. G: within +-1e6; NaN stays NaN."""
        if value > np.float32(CLAMP):
            return np.float32(CLAMP)
        if value < np.float32(-CLAMP):
            return np.float32(-CLAMP)
        return value

    def steps(
        theta, moments, moments_c, rows, stream, order, cuts, lr, corrections, unit, center, adam,
        first_step, loss, counts,
    ):  # fmt: skip
        net, t = cuda.blockIdx.x, cuda.threadIdx.x
        source, rate, moment, moment_c = stream[net], lr[net], moments[net], moments_c[net]
        if SIMULATED:  # it knows no alignment, without which loads would be of single floats
            unit_of = cuda.shared.array((groups, group_size), np.float32)
            errors = cuda.shared.array((n, slots), np.float32)
            active = cuda.shared.array((groups, slots), np.uint8)
        else:
            unit_of = cuda.shared.array((groups, group_size), np.float32, alignment=16)
            errors = cuda.shared.array((n, slots), np.float32, alignment=16)
            active = cuda.shared.array((groups, slots), np.uint8, alignment=16)
        tile = cuda.shared.array(tile_size, np.float32)
        part = cuda.shared.array(part_size, np.float64)
        sums = cuda.shared.array(sum_size, np.float64)
        c = cuda.shared.array(m, np.float32)

        # local arrays whose indices are constants once loops are unrolled: registers
        W = cuda.local.array((units, n), np.float32)
        V = cuda.local.array((units, m), np.float32)
        G = cuda.local.array((units, n), np.float32)
        GV = cuda.local.array((units, m), np.float32)
        on = cuda.local.array((units, n), np.float32)
        x = cuda.local.array((samples, n), np.float32)
        y = cuda.local.array((samples, n), np.float32)
        q = cuda.local.array(samples, np.float32)
        next_q = cuda.local.array((samples, m), np.float32)
        square = cuda.local.array(samples, np.float32)
        next_square = cuda.local.array(samples, np.float32)
        action = cuda.local.array(samples, np.uint64)
        slot = cuda.local.array(samples, np.uint64)
        bits = cuda.local.array(samples, np.uint32)
        e = cuda.local.array(n, np.float32)
        by_action = cuda.local.array(m, np.float32)
        pull = cuda.local.array(pull_size, np.float32)

        own = PLACE(min(units * t, D - 1) // UNROLL)
        for p in range(units):
            u = units * t + p
            for j in range(n):
                W[p, j] = theta[net, j * D + u] if u < D else ZERO
            for a in range(m):
                V[p, a] = theta[net, nw + a * D + u] if u < D else ZERO
        for u in range(t, groups * UNROLL, T):
            for j in range(record):
                unit_of[u // UNROLL, u % UNROLL * record + j] = ZERO
        for a in range(t, m, T):
            c[a] = theta[net, nw + nv + a] if bias else ZERO
        shift = np.uint32(units * t % UNROLL)
        lane, lane_row = PLACE(t % lanes), PLACE(t // lanes)
        data = rows[source]
        loss_sum = 0.0
        cuda.syncthreads()

        for step in range(order.shape[1]):
            # the batch's rows, fetched by all threads together: neighbours read neighbours
            chosen = order[source, step]
            for turn in range(turns):
                i = PLACE(turn * at_once) + lane_row
                if even or i < B:
                    begin = PLACE(chosen[i]) * PLACE(row)
                    for h in range(row // lanes):
                        j = PLACE(h * lanes) + lane
                        tile[i * PLACE(stride) + j] = data[begin + j]

            # the equivalent network without norm, but for the scale
            for p in range(units):
                for j in range(n):
                    G[p, j] = W[p, j]
            if center:
                center_units(G, part, sums)
            for p in range(units):
                at = PLACE(units * t % UNROLL * record + p * record)
                if units * t + p < D:
                    for j in range(n):
                        unit_of[own, at + PLACE(j)] = G[p, j]
                    for a in range(m):
                        unit_of[own, at + PLACE(n + a)] = V[p, a]
            cuda.syncthreads()

            # forward: a thread has a few samples; s and s' share each weight that is read
            for p in range(samples):
                i = min(t + p * T, B - 1)
                for j in range(k):
                    x[p, j] = tile[PLACE(i * stride + j)]
                    y[p, j] = tile[PLACE(i * stride + k + j)]
                if bias:
                    x[p, k] = ONE
                    y[p, k] = ONE
                q[p] = ZERO
                square[p] = ZERO
                next_square[p] = ZERO
                for a in range(m):
                    next_q[p, a] = ZERO
                action[p] = PLACE(0)
                slot[p] = PLACE(i)
                for a in range(1, m):
                    start = np.int64(cuts[source, step, a - 1])
                    if i >= start:
                        action[p] = PLACE(a)
                        slot[p] = PLACE(i - start + QUAD * cuts[source, step, m + a])
            for group in range(groups):
                for p in range(samples):
                    bits[p] = np.uint32(0)
                block = unit_of[group]
                # by hand: loops of so much code the compiler leaves as loops
                meet(block, 0, x, y, action, q, next_q, square, next_square, bits)
                meet(block, 1, x, y, action, q, next_q, square, next_square, bits)
                meet(block, 2, x, y, action, q, next_q, square, next_square, bits)
                meet(block, 3, x, y, action, q, next_q, square, next_square, bits)
                for p in range(samples):
                    if t + p * T < B:
                        active[group, slot[p]] = np.uint8(bits[p])

            # TD errors; x becomes error times input as the norm scales it, y input times pull
            for a in range(m):
                by_action[a] = ZERO
            for o in range(pairs):
                pull[o] = ZERO
            for p in range(samples):
                i = min(t + p * T, B - 1)
                inverse = ONE
                next_inverse = ONE
                if scale:  # |z|^2 / D is x^T S x
                    spread = math.sqrt(square[p] / np.float32(D) + np.float32(EPS))
                    next_spread = math.sqrt(next_square[p] / np.float32(D) + np.float32(EPS))
                    inverse = ONE / np.float32(spread)
                    next_inverse = ONE / np.float32(next_spread)
                q[p] *= HALF * inverse
                best = next_q[p, 0] * (HALF * next_inverse) + c[0]
                for a in range(1, m):
                    other = next_q[p, a] * (HALF * next_inverse) + c[a]
                    if other > best or other != other:
                        best = other
                target = tile[PLACE(i * stride + 2 * k)]
                target += tile[PLACE(i * stride + 2 * k + 1)] * best
                td_error = q[p] + c[action[p]] - target
                if t + p * T < B:
                    loss_sum += np.float64(td_error) * np.float64(td_error)
                    if not abs(td_error) < np.inf:
                        cuda.atomic.min(counts, (net, 2), first_step + step)
                else:
                    td_error = ZERO
                td_error *= unit
                for a in range(m):
                    by_action[a] += td_error if action[p] == a else ZERO
                for j in range(n):
                    y[p, j] = x[p, j] * (inverse * q[p] / np.float32(D))
                    x[p, j] = x[p, j] * (inverse * td_error)
                if scale:
                    o = 0
                    for j in range(n):
                        for h in range(j + 1):
                            pull[o] += x[p, j] * y[p, h]
                            o += 1
            cuda.syncthreads()  # everybody has read the tile
            for p in range(samples):
                if t + p * T < B:
                    for j in range(n):
                        errors[j, slot[p]] = x[p, j]
            for a in range(m):  # slots that only fill the last QUAD
                start = np.int64(cuts[source, step, a - 1]) if a > 0 else 0
                count = np.int64(cuts[source, step, a]) - start
                empty = QUAD * np.int64(cuts[source, step, m + a]) + count + t
                if empty < QUAD * cuts[source, step, m + a + 1]:
                    for j in range(n):
                        errors[j, PLACE(empty)] = ZERO
            for o in range(pairs):
                tile[PLACE(o * (T + 1) + t)] = pull[o]
            for a in range(m):
                tile[PLACE((pairs + a) * (T + 1) + t)] = by_action[a]
            column_sums(tile, pairs + m, sums)

            # backward: a thread has a few units, which take the errors times inputs of the samples
            # that they act on. With `on` their sum over an action's, the gradient is V's weight
            # times `on` in W; in V, as relu(z) of an active unit is W x, it is W times `on`
            for p in range(units):
                for j in range(n):
                    G[p, j] = ZERO
            for a in range(m):
                for p in range(units):
                    for j in range(n):
                        on[p, j] = ZERO
                for quad in range(cuts[source, step, m + a], cuts[source, step, m + a + 1]):
                    for s in range(QUAD):
                        i = PLACE(quad) * PLACE(QUAD) + PLACE(s)
                        for j in range(n):
                            e[j] = errors[j, i]
                        byte = np.uint32(active[own, i]) >> shift
                        for p in range(units):
                            if byte & np.uint32(1 << p):
                                for j in range(n):
                                    on[p, j] += e[j]
                for p in range(units):
                    at = PLACE(units * t % UNROLL * record + p * record)
                    GV[p, a] = ZERO
                    for j in range(n):
                        GV[p, a] += unit_of[own, at + PLACE(j)] * on[p, j]
                        G[p, j] += V[p, a] * on[p, j]
            if scale:
                o = 0
                for j in range(n):
                    for h in range(j + 1):
                        pulled = np.float32(sums[o])
                        o += 1
                        for p in range(units):
                            at = PLACE(units * t % UNROLL * record + p * record)
                            G[p, j] -= pulled * unit_of[own, at + PLACE(h)]
                            if h != j:
                                G[p, h] -= pulled * unit_of[own, at + PLACE(j)]

            # the optimizer and the clamp
            step_size = np.float32(rate * corrections[step, 0])
            root = np.float32(corrections[step, 1])
            over = False
            if bias:
                for a in range(t, m, T):
                    g = np.float32(sums[pairs + a])
                    if adam:
                        g = adam_step(g, moment_c, 0, 0, a, root)
                    value = c[a] - step_size * g
                    over = abs(value) > np.float32(CLAMP)
                    c[a] = clamped(value)
            if center:
                center_units(G, part, sums)
            for p in range(units):
                if units * t + p < D:
                    for j in range(n):
                        g = G[p, j]
                        if adam:
                            g = adam_step(g, moment, j, p, t, root)
                        value = W[p, j] - step_size * g
                        over = over or abs(value) > np.float32(CLAMP)
                        W[p, j] = clamped(value)
                    for a in range(m):
                        g = GV[p, a]
                        if adam:
                            g = adam_step(g, moment, n + a, p, t, root)
                        value = V[p, a] - step_size * g
                        over = over or abs(value) > np.float32(CLAMP)
                        V[p, a] = clamped(value)
            if cuda.syncthreads_or(np.int32(over)) and t == 0:
                counts[net, 0] += 1
                cuda.atomic.min(counts, (net, 1), first_step + step)

        for p in range(units):
            u = units * t + p
            if u < D:
                for j in range(n):
                    theta[net, j * D + u] = W[p, j]
                for a in range(m):
                    theta[net, nw + a * D + u] = V[p, a]
        if bias:
            for a in range(t, m, T):
                theta[net, nw + nv + a] = c[a]
        part[PLACE(t)] = loss_sum
        column_sums(part, 1, sums)
        if t == 0:
            loss[net] += sums[0] / B

    return cuda.jit(steps, **options(shape.registers))
