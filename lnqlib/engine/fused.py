"""The engine: the reference's run, fused into one compiled loop on one core.

A Q-network with a norm before the ReLU equals a network *without* norm that has other weights and
other inputs, because mean and variance of W x over the units are linear and quadratic in x:

    LN(W x) = W_c x / sqrt(x^T S x + eps),   W_c = W - mean over units,   S = W_c^T W_c / d.

So a step transforms weights and inputs (small arrays), runs the plain network's fused forward
and backward passes (`_best_next`, `_td_errors`, `_backward`: all the work), and maps the gradient
back. Batch norm is the same with units and samples exchanged: mean and covariance of the inputs
give each unit's. Here x holds a trailing 1 where the network has biases.

With a target network the equivalent network's arrays are copied whenever the weights are, and
`_best_next` reads the copies.

`kernel` compiles one loop per task, width, batch size, bias and kind of norm. None, LN, RMS norm
and centring share one loop, because compiling takes longer than a short run; it chooses among them,
and between the optimizers, at run time, outside the inner loops. Runs with a target network or
online replay have loops of their own. The loop releases the GIL, and `compiled` keeps it on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from ..arms.definition import Record, function_of, record_of
from ..beyond.held_target import held_target_metrics
from ..beyond.replay import GREEDY, Moves, Replay, act, look
from ..compiled import njit
from ..data import Transitions
from ..networks import EPS, TABLE, Norm, Params, neutral_params
from ..results import Result
from ..run import Progress, run
from ..spec import CLAMP, NORMS, RunSpec
from ..tasks import TASKS
from .blas import one_thread
from .companions import companions
from .greedy import _best_action, greedy_return
from .structured import (
    FASTMATH,
    best_values,
    structured_features,
    structured_interference,
    structured_isometry,
)
from .structured_second import COVERED, structured_second_order

BLOCK = 4  # samples whose gradients are added to W's in one sweep over the units
BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8  # torch's defaults
ZERO = np.float32(0.0)
# norms that differ in these two stages alone have one kernel, which chooses at run time
SWITCHED = tuple(n for n, k in TABLE.items() if k == Norm(center=k.center, scale=k.scale))
# the norm that is measured as `results.INJECTED`: LN is switched
INJECTED_AS = {"none": "layer", "layer": "none"}

inlined = njit(inline="always", error_model="numpy")


def train(spec: RunSpec, record: Record | None = None) -> Result:
    """Trains and measures `spec` with the engine in float32; see `run.run`.

    **Arguments** `record`: the curves of `spec.twin`; without it that is trained, too.
    """
    if spec.arm == "none":
        return run(spec, FusedLearner)
    from .fused_arms import FusedArmLearner

    record = record_of(spec, train) if record is None else record
    return run(spec, partial(FusedArmLearner, record=record))


WRITTEN_FOR = {
    "env": ("CartPole", "Acrobot", "MountainCar", "Pendulum"),
    "norm": (
        *("none", "layer", "batch", "weight", "crossq", "rms", "center"),
        *("layer_affine", "layer_after_relu"),
    ),
    "optimizer": ("SGD", "Adam"),
    "data": ("protocol", "rollout", "online"),
    "lr_control": ("none", "project", "own_decay", "paired_decay"),
    "arm": (
        *("none", "forward", "backward", "bounded", "decay", "overshoot"),
        *("isometry", "random_isometry", "other_decay"),
    ),
}
"""What the kernels support. They do not check it: anything else would train as one of these."""
ACTIONS = (2, 3)  # how many actions `_best_next` can compare
MOST_INPUTS = 16  # sums over the inputs are unrolled; with more of them compiling takes too long


NOT_ONLINE = ("batch", "crossq", "weight")
"""Norms with which the compiled loop cannot act: it does not apply their statistics or g / |v|."""


def covers(spec: RunSpec) -> bool:
    """Whether the engine can train `spec`; the reference trains everything else.

    A task by Gymnasium id is asked for its sizes, which imports the module that the id names.
    """
    fields = [name for name in WRITTEN_FOR if name != "env"]
    known = all(getattr(spec, name) in WRITTEN_FOR[name] for name in fields)
    acts = spec.data != "online" or spec.norm not in NOT_ONLINE
    expanded = spec.norm in COVERED and spec.arm != "bounded"
    if not (known and acts and (expanded or not spec.second_order)):
        return False
    if "env" not in spec.own:
        return spec.env in WRITTEN_FOR["env"]
    task = TASKS[spec.env]
    return task.num_actions in ACTIONS and task.obs_dim <= MOST_INPUTS


class Held(NamedTuple):
    """A target network: its weights, and those of the equivalent network without norm."""

    theta: np.ndarray  # as the learner's
    W: np.ndarray  # (rows_in * D,)
    V: np.ndarray  # (m, D)
    c: np.ndarray  # (m,)
    root: np.ndarray  # (rows_in, rows_in), the factor of LN's variance


class Acting(NamedTuple):
    """What the loop needs to act in the task."""

    task: int  # its index
    time_limit: int
    norm: int  # its place in `spec.NORMS`
    replay: Replay
    action: np.ndarray  # of `Moves`
    starts: np.ndarray
    discount: np.float32
    discount_at_goal: np.float32  # 0 with a terminal mask


class FusedLearner:
    """A `run.Learner` whose steps, evaluation and metrics are compiled."""

    def __init__(self, spec: RunSpec, dataset: Transitions | Replay, initial: Params):
        task = TASKS[spec.env]
        self.spec, self.task = spec, task
        self.norm, self.shorten = function_of(spec)
        self.before: Params | None = None
        self.layout = layout(task.obs_dim, task.num_actions, spec.width, spec.norm, spec.bias)
        self.theta = np.concatenate([_flat(initial[name], name) for name in self.layout])
        self.moments = np.zeros((2, len(self.theta)), np.float32)
        self.running = np.stack([initial["mean"], initial["var"]])
        self.dataset = dataset
        self.held = self._held() if spec.target_period else None
        self.rows = pack(dataset, spec.gamma, spec.terminal_mask)
        self.control = WRITTEN_FOR["lr_control"].index(spec.lr_control)
        hidden = self.theta[: spec.width * (task.obs_dim + spec.bias)].astype(np.float64)
        self.initial_norm = float(np.sqrt(np.sum(hidden**2)))
        self.steps = self._kernel()

    def _kernel(self) -> Callable:
        spec, task = self.spec, self.task
        sizes = task.obs_dim, task.num_actions, spec.width, spec.batch_size
        norm = "switched" if spec.norm in SWITCHED else spec.norm
        return kernel(*sizes, norm, spec.bias, spec.target_period > 0, spec.data == "online")

    def advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None = None
    ) -> Progress:
        norms = np.empty(len(batches))
        counts = np.array([0, -1, -1])
        loss_sum = self.steps(
            self.theta,
            self.moments,
            self.running,
            self.rows,
            batches,
            lrs,
            first_step,
            np.float32(self.spec.gradient_scale / self.spec.batch_size),
            self.spec.momentum,
            TABLE[self.spec.norm].center,
            TABLE[self.spec.norm].scale,
            self.spec.optimizer == "Adam",
            self.control,
            self.initial_norm,
            norms,
            counts,
            self.held,
            self.spec.target_period,
            None if moves is None else self._acting(moves),
        )
        clamped, first_clamp, diverged = counts.tolist()
        return Progress(loss_sum, clamped, first_clamp, diverged, norms)

    def params(self) -> Params:
        return self._params(self.theta)

    def _params(self, theta: np.ndarray) -> Params:
        params = neutral_params(self.task.obs_dim, self.task.num_actions, self.spec.width)
        start = 0
        for name in self.layout:
            shape = params[name].shape
            stop = start + params[name].size
            block = theta[start:stop]
            params[name][:] = block.reshape(shape[::-1]).T if name == "W" else block.reshape(shape)
            start = stop
        if TABLE[self.spec.norm].batch:
            params["mean"][:], params["var"][:] = self.running
        return params

    def measure(self, batch: Transitions, ks: dict[str, int], seed: int) -> dict[str, float]:
        spec, params = self.spec, self.params()
        measured = self.interference(params, batch)
        features = structured_features(params, self.norm, batch.obs, self.shorten)
        for name, k in ks.items():
            order = np.random.default_rng(seed).permutation(len(features))
            enough = k <= len(features)
            measured[name] = structured_isometry(features, k, order) if enough else np.nan
        if spec.second_order:
            args = (spec.bias, batch, spec.lr, spec.gamma, spec.terminal_mask)
            measured |= structured_second_order(params, self.norm, *args)
        if self.held is not None:
            target = self._params(self.held.theta)
            measured |= held_target_metrics(
                lambda held: structured_interference(
                    params, spec.norm, spec.bias, held, spec.lr, spec.gamma
                ),
                batch,
                best_values(target, spec.norm, spec.bias, batch.next_obs),
                spec.gamma,
                spec.terminal_mask,
            )
        return measured

    def interference(self, params: Params, batch: Transitions) -> dict[str, float]:
        """The metrics of `results.INTERFERENCE`, of `INJECTED` where the norm has them."""
        spec = self.spec
        args = (spec.bias, batch, spec.lr, spec.gamma, spec.terminal_mask)
        measured = structured_interference(params, self.norm, *args, self.shorten)
        if self.norm in INJECTED_AS:
            injected = structured_interference(params, INJECTED_AS[self.norm], *args)
            injected.pop("zero_gradients")
            measured |= {f"injected_{name}": value for name, value in injected.items()}
        return measured

    def companions(self, batch: Transitions) -> dict[str, float]:
        before, self.before = self.before, self.params()
        with one_thread():
            return companions(self.spec, self.before, batch, before)

    def greedy_return(self, starts: np.ndarray) -> float:
        return greedy_return(self.task, self.params(), self.norm, starts, self.shorten)

    def _held(self) -> Held:
        m, width = self.task.num_actions, self.spec.width
        inputs = self.task.obs_dim + self.spec.bias + (self.spec.norm == "layer_affine")
        shapes = ((inputs * width,), (m, width), (m,), (inputs, inputs))
        return Held(self.theta.copy(), *(np.zeros(shape, np.float32) for shape in shapes))

    def _acting(self, moves: Moves) -> Acting:
        spec, task = self.spec, self.task
        gamma = np.float32(spec.gamma)
        at_goal = ZERO if spec.terminal_mask else gamma
        code = NORMS.index(spec.norm)
        assert task.time_limit is not None and isinstance(self.dataset, Replay)
        return Acting(task.index, task.time_limit, code, self.dataset, *moves, gamma, at_goal)


def layout(k: int, m: int, width: int, norm: str, bias: bool) -> tuple[str, ...]:
    """The trained arrays in the order in which `theta` holds them, W transposed."""
    kind = TABLE[norm]
    extra = ("g",) if kind.weight else ("gain", "shift") if kind.affine else ()
    return ("W", "b", "V", "c", *extra) if bias else ("W", "V", *extra)


def pack(dataset: Transitions | Replay, gamma: float, terminal_mask: bool) -> np.ndarray:
    """One float32 row a transition: obs, next_obs, reward, discount, action."""
    discount = np.full(len(dataset.reward), gamma, np.float32)
    if terminal_mask:
        discount[dataset.terminated] = 0.0
    columns = (dataset.obs, dataset.next_obs, dataset.reward, discount, dataset.action)
    return np.column_stack(columns).astype(np.float32)


def _flat(array: np.ndarray, name: str) -> np.ndarray:
    return (array.T if name == "W" else array).astype(np.float32).ravel()


@cache
def kernel(
    k: int,
    m: int,
    width: int,
    batch_size: int,
    norm: str,
    bias: bool,
    target: bool = False,
    online: bool = False,
) -> Callable:
    """The compiled loop over gradient steps of one kind of network; all sizes are constants.

    `norm` is "switched" for all of `SWITCHED`, else one of `spec.NORMS`; `center` and `scale` tell
    the loop whether LN's mean and spread are taken out, `adam` which optimizer it is.
    `target` and `online` are constants, too: without them the loop has none of their code.

    Names in the loop: x, y the inputs (B, n) of s and s', n = k + bias (+ 1 for the affine shift);
    We, Ve the weights of the equivalent network without norm; G, GV gradients in those weights;
    Wt, Vt, ct, root_t the target network's, else the network's own.
    """
    n = k + bias
    D, B = width, batch_size
    kind = TABLE["layer" if norm == "switched" else norm]
    after, weight, affine = kind.after_relu, kind.weight, kind.affine
    units = norm == "switched" or affine
    batch, crossq = kind.batch and not kind.joint, kind.joint
    nw, nv, nc = n * D, m * D, m * bias
    ne = D * (weight + 2 * affine)
    rows_in = n + affine
    any_batch = batch or crossq

    def steps(
        theta,
        moments,
        running,
        rows,
        batches,
        lrs,
        first_step,
        unit,
        momentum,
        center,
        scale,
        adam,
        control,
        norm0,
        norms,
        counts,
        held=None,
        period=0,
        acting=None,
    ):
        W, V = theta[:nw], theta[nw : nw + nv].reshape((m, D))
        c = theta[nw + nv : nw + nv + nc] if bias else np.zeros(m, np.float32)
        extra = theta[nw + nv + nc :]
        grad = np.zeros(nw + nv + nc + ne, np.float32)
        gW, gV = grad[:nw], grad[nw : nw + nv].reshape((m, D))
        gc = grad[nw + nv : nw + nv + nc] if bias else np.zeros(m, np.float32)
        gE = grad[nw + nv + nc :]
        We = np.empty(rows_in * D, np.float32)
        Wn = np.empty(rows_in * D, np.float32)
        G = np.empty(rows_in * D, np.float32)
        Ve = np.empty((m, D), np.float32)
        x = np.ones((B, rows_in), np.float32)
        y = np.ones((B, rows_in), np.float32)
        action = np.empty(B, np.int64)
        best = np.empty(B, np.float32)  # max Q(s', .), then the target
        reward = np.empty(B, np.float32)
        discount = np.empty(B, np.float32)
        td_error = np.empty(B, np.float32)
        q_norm = np.empty(B, np.float32)
        gates = np.empty(BLOCK * D, np.float32)
        unit_scale = np.ones(D, np.float32)
        next_scale = np.ones(D, np.float32)
        center_of = np.zeros(rows_in, np.float64)
        cov = np.zeros((rows_in, rows_in), np.float64)
        pull = np.zeros((rows_in, rows_in), np.float32)
        root = np.zeros((rows_in, rows_in), np.float32)
        xt = np.empty((rows_in, B), np.float32)
        yt = np.empty((rows_in, B), np.float32)
        inverse_std = np.ones(B, np.float32)
        row_norm = np.ones(D, np.float32)
        stats = np.zeros((3, B), np.float32)  # LN after the ReLU: mean, 1/std of features; a pull
        next_stats = np.zeros((3, B), np.float32)
        loss_sum = 0.0
        if target:  # copies: its own arrays are aligned, and reading these is a tenth faster
            Wt, Vt, ct, root_t = held.W.copy(), held.V.copy(), held.c.copy(), held.root.copy()
        else:
            Wt, Vt, ct, root_t = We, Ve, c, root
        if online:
            hidden = W[: k * D].reshape((k, D))
            b = W[k * D :] if bias else np.zeros(D, np.float32)
            gains = extra[:D] if affine else np.ones(D, np.float32)
            shifts = extra[D:] if affine else np.zeros(D, np.float32)
            scratch = np.empty(D, np.float32)
            # unpacked once: each access to a tuple counts references to all of its arrays
            replay, moves, starts = acting.replay, acting.action, acting.starts
            seen, code = replay.obs, acting.norm
            task, time_limit = acting.task, acting.time_limit

        for t in range(len(batches)):
            if online:
                row = look(task, replay, starts[t])
                move = moves[t]
                if move == GREEDY:
                    move = _best_action(
                        code, False, hidden, b, V, c, gains, shifts, seen[row], scratch
                    )
                act(task, time_limit, replay, row, move)
                _store(replay, row, k, acting.discount, acting.discount_at_goal, rows)
            renew = target and (first_step + t) % period == 0
            _gather(rows, batches[t], k, bias, x, y, action, reward, discount)
            if units and scale:
                _transpose(x, n, B, xt)
                _transpose(y, n, B, yt)

            # the equivalent network without norm
            if units and (center or scale):
                _center_units(W, center, n, D, We)
                if scale:
                    _factor(We, n, D, root)
                    if target and renew:
                        root_t[:] = root
                    _scale_inputs(y, yt, root_t, n, B, inverse_std)
                    _scale_inputs(x, xt, root, n, B, inverse_std)
                if affine:
                    for u in range(D):
                        gain = extra[u]
                        for j in range(n):
                            Wn[j * D + u] = We[j * D + u]
                            We[j * D + u] *= gain
                        We[n * D + u] = extra[D + u]
            elif any_batch:
                if crossq:
                    _input_moments(x, y, k, B, True, center_of, cov)
                    _standardize(
                        W, center_of, cov, bias, k, D, 2 * B, We, unit_scale, running, momentum
                    )
                    _subtract(x, center_of, k, bias, B)
                    _subtract(y, center_of, k, bias, B)
                else:
                    _input_moments(y, y, k, B, False, center_of, cov)
                    _standardize(
                        W, center_of, cov, bias, k, D, B, Wn, next_scale, running, momentum
                    )
                    _subtract(y, center_of, k, bias, B)
                    _input_moments(x, x, k, B, False, center_of, cov)
                    _standardize(
                        W, center_of, cov, bias, k, D, B, We, unit_scale, running, momentum
                    )
                    _subtract(x, center_of, k, bias, B)
            elif weight:
                for u in range(D):
                    square = ZERO
                    for j in range(k):
                        square += W[j * D + u] ** 2
                    row_norm[u] = np.sqrt(square)
                for j in range(n):
                    for u in range(D):
                        factor = extra[u] / row_norm[u] if j < k else np.float32(1.0)
                        We[j * D + u] = W[j * D + u] * factor
            else:
                We[:] = W
            if target and renew:
                Wt[:] = We
            if after:
                _center_units(V.reshape(nv), True, m, D, Ve.reshape(nv))
                _feature_moments(x, We, n, D, B, gates, stats)
                _feature_moments(y, Wt, n, D, B, gates, next_stats)
            else:
                Ve[:] = V
            if target and renew:
                Vt[:] = Ve
                ct[:] = c

            # forward
            if batch:
                _best_next(y, Wn, Ve, c, rows_in, m, D, B, after, next_stats, best)
            else:
                _best_next(y, Wt, Vt, ct, rows_in, m, D, B, after, next_stats, best)
            for i in range(B):
                best[i] = reward[i] + discount[i] * best[i]
            _td_errors(x, We, Ve, c, action, best, rows_in, D, B, after, stats, q_norm, td_error)
            loss = 0.0
            for i in range(B):
                loss += np.float64(td_error[i]) * np.float64(td_error[i])
            loss /= B
            loss_sum += loss
            # np.isfinite would compute loss - loss, which "reassoc" replaces by 0
            if counts[2] < 0 and not abs(loss) < np.inf:
                counts[2] = first_step + t

            # backward, in the equivalent network
            gc[:] = ZERO
            for i in range(B):
                td_error[i] *= unit
                gc[action[i]] += td_error[i]
            if after:
                for i in range(B):
                    stats[2, i] = td_error[i] * q_norm[i] / D * stats[1, i] ** 2
            _backward(x, We, Ve, action, td_error, rows_in, D, B, after, stats, gates, G, gV)

            # the gradient in the network's own weights
            if units and scale:
                if affine:
                    _shift_pull(x, We, Ve, action, td_error, n, D, B, q_norm)
                _pull(xt, td_error, q_norm, n, D, B, inverse_std, pull)
            if affine:
                for u in range(D):
                    total = ZERO
                    for j in range(n):
                        total += Wn[j * D + u] * G[j * D + u]
                        G[j * D + u] *= extra[u]
                    gE[u] = total
                    gE[D + u] = G[n * D + u]
                for j in range(n * D):
                    We[j] = Wn[j]
            if units and scale:
                for j in range(n):
                    for u in range(D):
                        pulled = ZERO
                        for o in range(n):
                            pulled += pull[j, o] * We[o * D + u]
                        G[j * D + u] -= pulled
            if units and center:
                _center_units(G, True, n, D, gW)
            elif any_batch:
                _unstandardize(G, We, cov, unit_scale, bias, k, D, gW)
            elif weight:
                for u in range(D):
                    along = ZERO
                    for j in range(k):
                        along += G[j * D + u] * W[j * D + u]
                    along /= row_norm[u]
                    gE[u] = along
                    factor = extra[u] / row_norm[u]
                    for j in range(k):
                        radial = along * W[j * D + u] / row_norm[u]
                        gW[j * D + u] = factor * (G[j * D + u] - radial)
                    if bias:
                        gW[k * D + u] = G[k * D + u]
            else:
                for j in range(nw):
                    gW[j] = G[j]
            if after:
                _center_units(gV.reshape(nv), True, m, D, gV.reshape(nv))

            # the optimizer, the clamp, App. D's controls
            square = 0.0
            for j in range(nw):
                square += np.float64(W[j]) * np.float64(W[j])
            norms[t] = np.sqrt(square)
            lr = lrs[t]
            if control == 2:
                lr *= norm0 * norm0 / square
            if adam:
                _adam(theta, grad, moments, lr, first_step + t + 1)
            else:
                step_size = np.float32(lr)
                for j in range(len(theta)):
                    theta[j] -= step_size * grad[j]
            if _clamp(theta):
                counts[0] += 1
                if counts[1] < 0:
                    counts[1] = first_step + t
            if control == 1:
                square = 0.0
                for j in range(nw):
                    square += np.float64(W[j]) * np.float64(W[j])
                factor = np.float32(norm0 / np.sqrt(square))
                for j in range(nw):
                    W[j] *= factor
            if target and (first_step + t + 1) % period == 0:
                held.theta[:] = theta  # for the next step
        if target:
            held.W[:] = Wt
            held.V[:] = Vt
            held.c[:] = ct
            held.root[:] = root_t
        return loss_sum

    # numba numbers its cache files per function name, and two processes that compile at once may
    # take the same number: with one name for all kernels, a network could load another's kernel
    how = "_target" * target + "_online" * online
    steps.__qualname__ = f"steps_{k}_{m}_{width}_{batch_size}_{norm}_{bias:d}{how}"
    return njit(nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")(steps)


# --- the plain network: all the work is here ------------------------------------------------


@inlined
def _best_next(y, W, V, c, n, m, D, B, after, stats, best):
    """best_i = max over a of Q(s'_i, a)."""
    for i in range(B):
        q0 = ZERO
        q1 = ZERO
        q2 = ZERO
        for u in range(D):
            z = ZERO
            for j in range(n):
                z += W[j * D + u] * y[i, j]
            h = max(z, ZERO)
            q0 += V[0, u] * h
            q1 += V[1, u] * h
            if m > 2:
                q2 += V[2, u] * h
        if after:
            q0 *= stats[1, i]
            q1 *= stats[1, i]
            q2 *= stats[1, i]
        q = max(q0 + c[0], q1 + c[1])
        if m > 2:
            q = max(q, q2 + c[2])
        best[i] = q


@inlined
def _td_errors(x, W, V, c, action, target, n, D, B, after, stats, q_norm, td_error):
    """Delta_i = Q(s_i, a_i) - target_i; q_norm holds Q without its bias."""
    for i in range(B):
        v = V[action[i]]
        q = ZERO
        for u in range(D):
            z = ZERO
            for j in range(n):
                z += W[j * D + u] * x[i, j]
            q += v[u] * max(z, ZERO)
        if after:
            q *= stats[1, i]
        q_norm[i] = q
        td_error[i] = q + c[action[i]] - target[i]


@inlined
def _backward(x, W, V, action, td_error, n, D, B, after, stats, gates, G, gV):
    """G = sum_i td_error_i dQ(s_i, a_i)/dW and the same in V, `BLOCK` samples at a time."""
    for j in range(n * D):
        G[j] = ZERO
    gV[:] = ZERO
    blocks = B // BLOCK * BLOCK
    for first in range(0, blocks, BLOCK):
        for s in range(BLOCK):
            _gate(x, W, V, action, td_error, n, D, after, stats, first + s, s, gates, gV)
        for j in range(n):
            x0 = x[first, j]
            x1 = x[first + 1, j]
            x2 = x[first + 2, j]
            x3 = x[first + 3, j]
            for u in range(D):
                G[j * D + u] += (
                    gates[u] * x0
                    + gates[D + u] * x1
                    + gates[2 * D + u] * x2
                    + gates[3 * D + u] * x3
                )
    for i in range(blocks, B):
        _gate(x, W, V, action, td_error, n, D, after, stats, i, 0, gates, gV)
        for j in range(n):
            for u in range(D):
                G[j * D + u] += gates[u] * x[i, j]


@inlined
def _gate(x, W, V, action, td_error, n, D, after, stats, i, s, gates, gV):
    """Sample i's gradient in the hidden layer's output, where the ReLU lets it through."""
    v = V[action[i]]
    gv = gV[action[i]]
    gate = gates[s * D : (s + 1) * D]
    delta = td_error[i]
    pull = ZERO
    offset = ZERO
    if after:
        delta *= stats[1, i]
        pull = stats[2, i]
        offset = pull * stats[0, i]
    for u in range(D):
        z = ZERO
        for j in range(n):
            z += W[j * D + u] * x[i, j]
        gv[u] += delta * max(z, ZERO)
        g = delta * v[u]
        if after:
            g += offset - pull * z
        gate[u] = g if z > ZERO else ZERO


@inlined
def _gather(rows, indices, k, bias, x, y, action, reward, discount):
    for i in range(len(indices)):
        row = rows[np.uint32(indices[i])]
        for j in range(k):
            x[i, j] = row[j]
            y[i, j] = row[k + j]
        if bias:
            x[i, k] = np.float32(1.0)
            y[i, k] = np.float32(1.0)
        reward[i] = row[2 * k]
        discount[i] = row[2 * k + 1]
        action[i] = np.int64(row[2 * k + 2])


@inlined
def _store(replay, row, k, discount, discount_at_goal, rows):
    """Writes the buffer's `row` as `pack` does."""
    for j in range(k):
        rows[row, j] = replay.obs[row, j]
        rows[row, k + j] = replay.next_obs[row, j]
    rows[row, 2 * k] = replay.reward[row]
    rows[row, 2 * k + 1] = discount_at_goal if replay.terminated[row] else discount
    rows[row, 2 * k + 2] = np.float32(replay.action[row])


# --- layer norm: over the units -------------------------------------------------------------


@inlined
def _center_units(W, center, n, D, out):
    """out = W - mean over units, the mean in float64; a copy where `center` is False."""
    for j in range(n):
        mean = 0.0
        if center:
            for u in range(D):
                mean += np.float64(W[j * D + u])
            mean /= D
        for u in range(D):
            out[j * D + u] = np.float32(np.float64(W[j * D + u]) - mean)


@inlined
def _transpose(x, n, B, xt):
    for j in range(n):
        for i in range(B):
            xt[j, i] = x[i, j]


@inlined
def _factor(W, n, D, root):
    """The Cholesky factor of S = W^T W / d: a sum of squares keeps a small variance accurate."""
    for j in range(n):
        for o in range(j + 1):
            total = 0.0
            for u in range(D):
                total += np.float64(W[j * D + u]) * np.float64(W[o * D + u])
            total /= D
            for h in range(o):
                total -= np.float64(root[j, h]) * np.float64(root[o, h])
            if j == o:
                root[j, j] = np.float32(np.sqrt(max(total, 0.0)))
            else:
                root[j, o] = np.float32(total) / root[o, o] if root[o, o] > ZERO else ZERO


@inlined
def _scale_inputs(x, xt, root, n, B, inverse_std):
    """x_i /= sqrt(x_i^T S x_i + eps): the hidden layer's standard deviation at x_i."""
    for i in range(B):
        variance = ZERO
        for o in range(n):
            part = ZERO
            for j in range(o, n):
                part += root[j, o] * xt[j, i]
            variance += part * part
        inverse_std[i] = np.float32(1.0) / np.sqrt(variance + np.float32(EPS))
    for i in range(B):
        factor = inverse_std[i]
        for j in range(n):
            x[i, j] *= factor


@inlined
def _pull(xt, td_error, q_norm, n, D, B, inverse_std, pull):
    """pull = sum_i mean_u(g_iu LN_iu) x_i x_i^T: what LN's scale takes out of the gradient."""
    for i in range(B):
        for j in range(n):
            xt[j, i] *= inverse_std[i]
    for i in range(B):
        q_norm[i] *= td_error[i] / np.float32(D)
    for j in range(n):
        for o in range(j + 1):
            total = ZERO
            for i in range(B):
                total += q_norm[i] * xt[j, i] * xt[o, i]
            pull[j, o] = total
            pull[o, j] = total


@inlined
def _shift_pull(x, W, V, action, td_error, n, D, B, q_norm):
    """q_norm -= sum over active units of v_u shift_u: the affine shift has no part in the pull."""
    for i in range(B):
        v = V[action[i]]
        total = ZERO
        for u in range(D):
            z = W[n * D + u]
            for j in range(n):
                z += W[j * D + u] * x[i, j]
            total += v[u] * W[n * D + u] if z > ZERO else ZERO
        q_norm[i] -= total


@inlined
def _feature_moments(x, W, n, D, B, features, stats):
    """LN after the ReLU: mean and 1/std over units of relu(W x_i), in two passes."""
    for i in range(B):
        mean = 0.0
        for u in range(D):
            z = ZERO
            for j in range(n):
                z += W[j * D + u] * x[i, j]
            features[u] = max(z, ZERO)
        for u in range(D):
            mean += np.float64(features[u])
        mean /= D
        variance = 0.0
        for u in range(D):
            variance += (np.float64(features[u]) - mean) ** 2
        stats[0, i] = np.float32(mean)
        stats[1, i] = np.float32(1.0 / np.sqrt(variance / D + EPS))


# --- batch norm: over the samples -----------------------------------------------------------


@inlined
def _input_moments(x, y, k, B, joint, mean, cov):
    """Mean and covariance of the inputs x, or of x and y together."""
    count = 2 * B if joint else B
    for j in range(k):
        total = 0.0
        for i in range(B):
            total += np.float64(x[i, j])
            if joint:
                total += np.float64(y[i, j])
        mean[j] = total / count
    for j in range(k):
        for o in range(j + 1):
            total = 0.0
            for i in range(B):
                total += (x[i, j] - mean[j]) * (x[i, o] - mean[o])
                if joint:
                    total += (y[i, j] - mean[j]) * (y[i, o] - mean[o])
            cov[j, o] = total / count
            cov[o, j] = total / count


@inlined
def _standardize(W, mean, cov, bias, k, D, count, We, factor, running, momentum):
    """We = W / std of each unit over the batch; running statistics as torch keeps them."""
    for u in range(D):
        average = 0.0
        variance = 0.0
        for j in range(k):
            average += W[j * D + u] * mean[j]
            row = 0.0
            for o in range(k):
                row += cov[j, o] * W[o * D + u]
            variance += row * W[j * D + u]
        if bias:
            average += W[k * D + u]
        factor[u] = np.float32(1.0 / np.sqrt(max(variance, 0.0) + EPS))
        for j in range(k):
            We[j * D + u] = W[j * D + u] * factor[u]
        if bias:
            We[k * D + u] = ZERO
        unbiased = variance * count / (count - 1)
        running[0, u] = np.float32((1 - momentum) * running[0, u] + momentum * average)
        running[1, u] = np.float32((1 - momentum) * running[1, u] + momentum * unbiased)


@inlined
def _subtract(x, mean, k, bias, B):
    for i in range(B):
        for j in range(k):
            x[i, j] = np.float32(np.float64(x[i, j]) - mean[j])
        if bias:
            x[i, k] = ZERO


@inlined
def _unstandardize(G, We, cov, factor, bias, k, D, gW):
    """gW_u = (G_u - (We_u . G_u) cov We_u) / std_u; a bias before batch norm has no gradient."""
    for u in range(D):
        along = 0.0
        for j in range(k):
            along += We[j * D + u] * G[j * D + u]
        for j in range(k):
            row = 0.0
            for o in range(k):
                row += cov[j, o] * We[o * D + u]
            gW[j * D + u] = np.float32(factor[u] * (G[j * D + u] - along * row))
        if bias:
            gW[k * D + u] = ZERO


# --- optimizer ------------------------------------------------------------------------------


@inlined
def _adam(theta, grad, moments, lr, step):
    """Adam with torch's defaults; `step` counts from 1."""
    step_size = np.float32(lr / (1.0 - BETA1**step))
    root = np.float32(1.0 / np.sqrt(1.0 - BETA2**step))
    for j in range(len(theta)):
        g = grad[j]
        first = np.float32(BETA1) * moments[0, j] + np.float32(1 - BETA1) * g
        second = np.float32(BETA2) * moments[1, j] + np.float32(1 - BETA2) * g * g
        moments[0, j] = first
        moments[1, j] = second
        theta[j] -= step_size * first / (np.sqrt(second) * root + np.float32(ADAM_EPS))


@inlined
def _clamp(theta):
    """App. G: every weight back into +-1e6; whether one was outside."""
    largest = ZERO
    for j in range(len(theta)):
        largest = max(largest, abs(theta[j]))
    if largest > np.float32(CLAMP):
        for j in range(len(theta)):
            theta[j] = min(max(theta[j], np.float32(-CLAMP)), np.float32(CLAMP))
        return True
    return False
