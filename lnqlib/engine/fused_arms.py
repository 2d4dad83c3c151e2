"""The arms in the engine: one more loop per network size, in which the arm is chosen at run time.

It is made of `engine`'s passes, so that an arm is a few branches between them and adds nothing to
compile. `arms.definition` says what each arm does, `arms.reference` does it in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from ..arms.definition import BOUND, FALLBACK, Arm, Record, Setting, overshoot_rate
from ..beyond.replay import Moves, Replay
from ..compiled import njit
from ..data import Transitions
from ..networks import Params
from ..run import Progress
from ..spec import RunSpec
from ..tasks import compiled
from .blas import one_thread
from .fused import (
    BLOCK,
    FASTMATH,
    ZERO,
    FusedLearner,
    _backward,
    _best_next,
    _center_units,
    _clamp,
    _factor,
    _gather,
    _pull,
    _scale_inputs,
    _td_errors,
    _transpose,
    inlined,
)
from .structured import structured_features, structured_isometry
from .structured_arms import used

PLAIN, LAYER, BOUNDED = range(3)  # what stands before the ReLU: z, LN(z), z shortened
OWN, HELD, LAYERS = range(3)  # the gradient there: that function's, statistics held, LN's
LOWERS, RAISES = 1, 2  # what `overshoot` does to the rate

_rate = compiled(overshoot_rate)


class FusedArmLearner(FusedLearner):
    """A `FusedLearner` with the spec's arm; `record` is its twin's."""

    def __init__(
        self, spec: RunSpec, dataset: Transitions | Replay, initial: Params, record: Record
    ):
        super().__init__(spec, dataset, initial)
        self.arm, self.taken, self.bound = Arm(spec, dataset, record, _isometry), 0, 1.0
        layer = spec.norm == "layer"
        forward = LAYER if layer else PLAIN
        self.forward = {"forward": LAYER, "bounded": BOUNDED}.get(spec.arm, forward)
        self.gradient = {"forward": HELD, "backward": LAYERS}.get(spec.arm, OWN)
        self.overshoot = (RAISES if layer else LOWERS) if spec.arm == "overshoot" else 0

    def _kernel(self) -> Callable:
        spec, task = self.spec, self.task
        return kernel(task.obs_dim, task.num_actions, spec.width, spec.batch_size, spec.bias)

    def advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None = None
    ) -> Progress:
        setting, spec = self._setting(first_step), self.spec
        norms, rates = np.empty((2, len(batches)))
        counts = np.array([0, -1, -1, 0, 0])
        P = np.empty((0, 0)) if setting.P is None else setting.P
        loss_sum = self.steps(
            self.theta,
            self.rows,
            batches,
            lrs,
            first_step,
            np.float32(spec.gradient_scale / spec.batch_size),
            self.forward,
            self.gradient,
            self.bound,
            setting.hidden,
            self.overshoot,
            float(setting.share),
            float(setting.ratio),
            setting.P is not None,
            P.astype(np.float32),
            spec.lr_control == "project",
            self.initial_norm,
            norms,
            rates,
            counts,
        )
        self.taken = first_step + len(batches)
        clamped, first_clamp, diverged, fallbacks, bounds = counts.tolist()
        fallbacks += len(batches) * (setting.outcome == FALLBACK)
        bounds += len(batches) * (setting.outcome == BOUND)
        rates /= spec.lr
        return Progress(loss_sum, clamped, first_clamp, diverged, norms, rates, fallbacks, bounds)

    def measure(self, batch: Transitions, ks: dict[str, int], seed: int) -> dict[str, float]:
        """The function's metrics, and what the arm makes of the step."""
        setting, params = self._setting(self.taken), self.params()
        measured = super().measure(batch, ks, seed)
        if not self.overshoot:  # its rate is another at each step
            with one_thread():
                measured |= used(params, self.spec, batch, setting)
        if setting.root is not None:
            features = self._features(batch.obs) @ setting.root
            order = np.random.default_rng(seed).permutation(len(features))
            measured["iso_p_used"] = structured_isometry(features, ks["iso_p"], order)
        if self.arm.weighs:
            measured["arm_setting"] = setting.alpha
        return measured

    def _setting(self, step: int) -> Setting:
        with one_thread():
            return self.arm.setting(step, self._features)

    def _features(self, obs: np.ndarray) -> np.ndarray:
        return structured_features(self.params(), self.norm, obs, self.shorten)


def _isometry(features: np.ndarray, k: int) -> float:
    return structured_isometry(features, k, np.arange(len(features)))


@cache
def kernel(k: int, m: int, width: int, batch_size: int, bias: bool) -> Callable:
    """The compiled loop over gradient steps of SGD with an arm; names as in `fused.kernel`.

    Beyond those: Wc the centred weights, xt, yt the inputs (n, B) as they come, M = Wc^T gW / d.
    """
    n = k + bias
    D, B = width, batch_size
    nw, nv, nc = n * D, m * D, m * bias

    def steps(
        theta,
        rows,
        batches,
        lrs,
        first_step,
        unit,
        forward,
        gradient,
        bound,
        hidden,
        overshoot,
        share,
        ratio,
        weighs,
        P,
        project,
        norm0,
        norms,
        rates,
        counts,
    ):
        W, V = theta[:nw], theta[nw : nw + nv].reshape((m, D))
        c = theta[nw + nv :] if bias else np.zeros(m, np.float32)
        grad = np.zeros(nw + nv + nc, np.float32)
        gW, gV = grad[:nw], grad[nw : nw + nv].reshape((m, D))
        gc = grad[nw + nv :] if bias else np.zeros(m, np.float32)
        We = np.empty(n * D, np.float32)
        Wc = np.empty(n * D, np.float32)
        G = np.empty(n * D, np.float32)
        own_gV = np.empty((m, D), np.float32)
        x = np.ones((B, n), np.float32)
        y = np.ones((B, n), np.float32)
        xt = np.empty((n, B), np.float32)
        yt = np.empty((n, B), np.float32)
        action = np.empty(B, np.int64)
        target = np.empty(B, np.float32)
        reward = np.empty(B, np.float32)
        discount = np.empty(B, np.float32)
        td_error = np.empty(B, np.float32)
        slope = np.empty(B, np.float32)
        q_norm = np.empty(B, np.float32)
        gates = np.empty(BLOCK * D, np.float32)
        inverse_std = np.ones(B, np.float32)
        root = np.zeros((n, n), np.float32)
        pull = np.zeros((n, n), np.float32)
        M = np.zeros((n, n), np.float32)
        stats = np.zeros((3, B), np.float32)  # unused: no norm stands after the ReLU
        loss_sum = 0.0
        layers = gradient == LAYERS
        centered = forward == LAYER or layers
        through = gradient != HELD and (forward != PLAIN or layers)

        for t in range(len(batches)):
            _gather(rows, batches[t], k, bias, x, y, action, reward, discount)
            if forward != PLAIN or layers:
                _transpose(x, n, B, xt)
                _transpose(y, n, B, yt)
                _center_units(W, centered, n, D, Wc)
                _factor(Wc, n, D, root)
            if forward == PLAIN:
                We[:] = W
            else:
                We[:] = Wc
                for side in range(2):  # s' first: `inverse_std` stays that of s
                    into, raw = (y, yt) if side == 0 else (x, xt)
                    _scale_inputs(into, raw, root, n, B, inverse_std)
                    if forward == BOUNDED:
                        for i in range(B):
                            factor = min(np.float32(bound) * inverse_std[i], np.float32(1.0))
                            inverse_std[i] = factor
                            for j in range(n):
                                into[i, j] = raw[j, i] * factor

            # forward
            _best_next(y, We, V, c, n, m, D, B, False, stats, target)
            for i in range(B):
                target[i] = reward[i] + discount[i] * target[i]
            _td_errors(x, We, V, c, action, target, n, D, B, False, stats, q_norm, td_error)
            loss = 0.0
            for i in range(B):
                loss += np.float64(td_error[i]) * np.float64(td_error[i])
            loss /= B
            loss_sum += loss
            if counts[2] < 0 and not abs(loss) < np.inf:
                counts[2] = first_step + t

            # backward
            gc[:] = ZERO
            for i in range(B):
                td_error[i] *= unit
                gc[action[i]] += td_error[i]
            if layers:
                _output_gradient(x, W, Wc, V, action, td_error, n, m, D, B, own_gV, q_norm)
                _scale_inputs(x, xt, root, n, B, inverse_std)
                for i in range(B):
                    q_norm[i] *= inverse_std[i]
            _backward(x, We, V, action, td_error, n, D, B, False, stats, gates, G, gV)
            if layers:
                gV[:] = own_gV
            if forward == BOUNDED:
                for i in range(B):
                    inside = inverse_std[i] == np.float32(1.0)
                    q_norm[i] = ZERO if inside else q_norm[i] / np.float32(bound * bound)
            if through:
                _pull(xt, td_error, q_norm, n, D, B, inverse_std, pull)
                for j in range(n):
                    for u in range(D):
                        pulled = ZERO
                        for o in range(n):
                            pulled += pull[j, o] * Wc[o * D + u]
                        G[j * D + u] -= pulled
            _center_units(G, centered and through, n, D, gW)
            if weighs:
                for a in range(m):
                    for u in range(D):
                        total = ZERO
                        for w in range(D):
                            total += P[u, w] * gV[a, w]
                        own_gV[a, u] = total
                gV[:] = own_gV

            # the rates, the step, the clamp, the projection
            rate = lrs[t]
            if overshoot > 0:
                if forward == LAYER:
                    for j in range(n):
                        for o in range(n):
                            total = ZERO
                            for u in range(D):
                                total += Wc[j * D + u] * gW[o * D + u]
                            M[j, o] = total / np.float32(D)
                _slopes(x, y, We, V, c, gW, gV, gc, M, action, discount, bias, n, m, D, B, slope)
                A = 0.0
                square = 0.0
                for i in range(B):
                    u_i = np.float64(slope[i])
                    A += np.float64(td_error[i]) / np.float64(unit) * u_i
                    square += u_i * u_i
                A, square = A / B, square / B
                rate, outcome = _rate(overshoot == RAISES, rate, A, square, share * loss, ratio)
                counts[3] += outcome == FALLBACK
                counts[4] += outcome == BOUND
            square = 0.0
            for j in range(nw):
                square += np.float64(W[j]) * np.float64(W[j])
            norms[t] = np.sqrt(square)
            rates[t] = rate * hidden
            step_size = np.float32(rate * hidden)
            for j in range(nw):
                theta[j] -= step_size * grad[j]
            step_size = np.float32(rate)
            for j in range(nw, len(theta)):
                theta[j] -= step_size * grad[j]
            if _clamp(theta):
                counts[0] += 1
                if counts[1] < 0:
                    counts[1] = first_step + t
            if project:
                square = 0.0
                for j in range(nw):
                    square += np.float64(W[j]) * np.float64(W[j])
                factor = np.float32(norm0 / np.sqrt(square))
                for j in range(nw):
                    W[j] *= factor
        return loss_sum

    steps.__qualname__ = f"arm_steps_{k}_{m}_{width}_{batch_size}_{bias:d}"  # see `fused.kernel`
    return njit(nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")(steps)


@inlined
def _output_gradient(x, W, Wc, V, action, td_error, n, m, D, B, gV, along):
    """Without norm: V's gradient; along_i = sum over active units of v_u (Wc x_i)_u."""
    gV[:] = ZERO
    for i in range(B):
        v = V[action[i]]
        gv = gV[action[i]]
        total = ZERO
        for u in range(D):
            z = ZERO
            zc = ZERO
            for j in range(n):
                z += W[j * D + u] * x[i, j]
                zc += Wc[j * D + u] * x[i, j]
            gv[u] += td_error[i] * max(z, ZERO)
            total += v[u] * zc if z > ZERO else ZERO
        along[i] = total


@inlined
def _slopes(x, y, W, V, c, gW, gV, gc, M, action, discount, bias, n, m, D, B, slope):
    """slope_i = <g, grad h_i>, g the step's gradient: forward derivatives at (s, a) and (s', a*).

    LN's own derivative takes mean_u(z^_u dz^_u) z^ out of dz^, which is x^T M x; M is 0 without LN.
    """
    for side in range(2):
        inputs = x if side == 0 else y
        for i in range(B):
            a = action[i]
            if side == 1:
                q0 = ZERO
                q1 = ZERO
                q2 = ZERO
                for u in range(D):
                    z = ZERO
                    for j in range(n):
                        z += W[j * D + u] * inputs[i, j]
                    h = max(z, ZERO)
                    q0 += V[0, u] * h
                    q1 += V[1, u] * h
                    if m > 2:
                        q2 += V[2, u] * h
                q0 += c[0]
                q1 += c[1]
                a = 1 if q1 > q0 else 0
                if m > 2:
                    a = 2 if q2 + c[2] > max(q0, q1) else a
            v = V[a]
            gv = gV[a]
            q = ZERO
            total = ZERO
            for u in range(D):
                z = ZERO
                dz = ZERO
                for j in range(n):
                    z += W[j * D + u] * inputs[i, j]
                    dz += gW[j * D + u] * inputs[i, j]
                h = max(z, ZERO)
                q += v[u] * h
                total += gv[u] * h + (v[u] * dz if z > ZERO else ZERO)
            along = ZERO
            for j in range(n):
                for o in range(n):
                    along += inputs[i, j] * M[j, o] * inputs[i, o]
            total -= q * along
            if bias:
                total += gc[a]
            slope[i] = total if side == 0 else slope[i] - discount[i] * total
