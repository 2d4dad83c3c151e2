"""The reference: `train(spec)` with torch autograd, one step after another, nothing fused.

It is the definition of a run. The engine does the same faster and is held against it.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from torch import Tensor

from . import metrics
from .arms.definition import Record, function_of, record_of
from .beyond.held_target import held_target_metrics
from .beyond.replay import GREEDY, Moves, Replay, act, look
from .data import Transitions
from .metrics.quiet import threads
from .networks import Params, QNetwork, drawing
from .results import COMPANIONS, SECOND_ORDER, Result
from .run import Progress, run
from .spec import CLAMP, RunSpec
from .tasks import OUTSIDE, TASKS, observe, step


def train(spec: RunSpec, record: Record | None = None) -> Result:
    """Trains and measures `spec` with torch autograd in float32; see `run.run`.

    **Arguments** `record`: the curves of `spec.twin`; without it that is trained, too.
    """
    if spec.arm == "none":
        return run(spec, TorchLearner)
    from .arms.reference import ArmLearner

    record = record_of(spec, train) if record is None else record
    return run(spec, partial(ArmLearner, record=record))


class TorchLearner:
    """A `run.Learner` made of `QNetwork`, `torch.optim` and the plain metrics."""

    def __init__(self, spec: RunSpec, dataset: Transitions | Replay, initial: Params):
        self.spec, self.dataset = spec, dataset
        self.task = TASKS[spec.env]
        self.draws = int(spec.rng("init").integers(2**62))  # for a norm that draws
        self.q = self._network(spec.norm).load_params(initial)
        self.before: QNetwork | None = None  # at the last call of `companions`
        self.target = deepcopy(self.q) if spec.target_period else self.q
        optimizer = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[spec.optimizer]
        self.optimizer = optimizer(self.q.parameters(), lr=spec.lr)
        discount = np.full(len(dataset.reward), spec.gamma, np.float32)
        if spec.terminal_mask:
            discount[dataset.terminated] = 0.0
        # tensors that share the arrays' memory: what online replay writes there is read here
        self.data = [torch.as_tensor(a) for a in (*dataset[:4], discount)]
        self.initial_norm = self._norm()

    def advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None = None
    ) -> Progress:
        own = self.q.kind.layer is not None
        with threads(few=True), drawing(self.draws + 1 + first_step) if own else nullcontext():
            return self._advance(first_step, batches, lrs, moves)

    def _advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None
    ) -> Progress:
        loss_sum, clamped, first_clamp, diverged = 0.0, 0, -1, -1
        norms = np.empty(len(batches))
        self.q.train()
        for t, (indices, lr) in enumerate(zip(torch.as_tensor(batches), lrs, strict=True)):
            if moves is not None:
                self._move(moves.action[t], moves.starts[t])
            norms[t] = self._norm()
            if self.spec.lr_control == "own_decay":
                lr = lr * self.initial_norm**2 / norms[t] ** 2
            self.optimizer.param_groups[0]["lr"] = float(lr)
            td_error = self._td_error(indices.long())
            loss = td_error.detach().double().square().mean().item()
            self.optimizer.zero_grad()
            # half the squared TD error, so that an SGD step is exactly Eq. (1)
            (0.5 * self.spec.gradient_scale * td_error.square().mean()).backward()
            self._before_step(indices.long(), td_error)
            self.optimizer.step()
            if self._clamp():
                clamped += 1
                first_clamp = first_step + t if first_clamp < 0 else first_clamp
            if self.spec.lr_control == "project":
                self._project()
            if self.spec.target_period and (first_step + t + 1) % self.spec.target_period == 0:
                self.target.load_state_dict(self.q.state_dict())  # for the step that follows
            loss_sum += loss
            if not np.isfinite(loss) and diverged < 0:
                diverged = first_step + t
        return Progress(loss_sum, clamped, first_clamp, diverged, norms)

    def _before_step(self, indices: Tensor, td_error: Tensor) -> None:
        """What an arm does to gradients and learning rates; nothing without one."""

    def params(self) -> Params:
        return self.q.params()

    @threads(few=True)
    def measure(self, batch: Transitions, ks: dict[str, int], seed: int) -> dict[str, float]:
        spec = self.spec
        self.q.eval()
        args = (batch, spec.lr, spec.gamma, spec.terminal_mask)
        measured = metrics.interference(self.q, *args)
        with torch.no_grad():
            features = self.q.double().features(torch.as_tensor(batch.obs).double()).numpy()
        self.q.float()
        for name, k in ks.items():
            enough = k <= len(features)
            rng = np.random.default_rng(seed)
            measured[name] = metrics.isometry(features, k, rng) if enough else np.nan
        norm, _ = function_of(spec)
        if norm in ("none", "layer"):
            switched = self._network("layer" if norm == "none" else "none")
            injected = metrics.interference(switched.load_params(self.q.params()), *args)
            injected.pop("zero_gradients")
            measured |= {f"injected_{name}": value for name, value in injected.items()}
        if spec.second_order:
            parts = metrics.second_order(self.q, *args)
            measured |= {name: parts[name] for name in SECOND_ORDER}
        if spec.target_period:
            with torch.no_grad():
                next_q = deepcopy(self.target).double()(torch.as_tensor(batch.next_obs).double())
            measured |= held_target_metrics(
                lambda held: metrics.interference(self.q, held, spec.lr, spec.gamma),
                batch,
                next_q.amax(1).numpy(),
                spec.gamma,
                spec.terminal_mask,
            )
        return measured

    @threads(few=True)
    def companions(self, batch: Transitions) -> dict[str, float]:
        q, before = deepcopy(self._function()).double().eval(), self.before
        obs, args = torch.as_tensor(batch.obs).double(), (self.spec.gamma, self.spec.terminal_mask)
        with torch.no_grad():
            features, values = q.features(obs), q(obs)
            old = values if before is None else before(obs)
        self.before = q
        measured = dict(metrics.seem(q, batch, *args))
        for name in ("stable_rank", "dormant", "feature_norm"):
            measured[name] = getattr(metrics, name)(features)
        measured["churn"] = float((values - old).abs().mean())
        measured["switched_actions"] = float((values.argmax(1) != old.argmax(1)).double().mean())
        return measured if values.isfinite().all() else dict.fromkeys(COMPANIONS, np.nan)

    def _function(self) -> QNetwork:
        """The network of the present function, with its true gradients."""
        return self.q

    @threads(few=True)
    @torch.no_grad()
    def greedy_return(self, starts: np.ndarray) -> float:
        if not all(tensor.isfinite().all() for tensor in self.q.state_dict().values()):
            return float("nan")
        task, total = self.task, 0.0
        self.q.eval()
        if task.index == OUTSIDE:
            from .own.gym_tasks import returns  # here, for the four tasks need no Gymnasium

            return float(returns(task.name, self._best_action, starts).mean())
        states = starts.copy()
        obs = np.empty((len(states), task.obs_dim), np.float32)
        running = np.arange(len(states))
        assert task.time_limit is not None  # each of the four has one
        for _ in range(task.time_limit):
            for i in running:
                observe(task.index, states[i], obs[i])
            actions = self.q(torch.as_tensor(obs[running])).argmax(1).tolist()
            ended = []
            for i, action in zip(running, actions, strict=True):
                reward, terminated = step(task.index, states[i], action)
                total += reward
                if terminated:
                    ended.append(i)
            running = np.setdiff1d(running, ended)
            if not len(running):
                break
        return total / len(states)

    def _best_action(self, obs: np.ndarray) -> int:
        return int(self.q(torch.from_numpy(obs)[None]).argmax())

    @torch.no_grad()
    def _move(self, action: int, start: np.ndarray) -> None:
        """One step of the task into the buffer; where `action` is GREEDY, the first best action."""
        task, replay = self.task, self.dataset
        row = look(task.index, replay, start)
        if action == GREEDY:
            self.q.eval()
            action = self.q(torch.as_tensor(replay.obs[row])[None]).argmax(1).item()
            self.q.train()
        act(task.index, task.time_limit, replay, row, action)
        masked = self.spec.terminal_mask and replay.terminated[row]
        self.data[4][row] = 0.0 if masked else self.spec.gamma

    def _network(self, norm: str) -> QNetwork:
        task, spec = self.task, self.spec
        size = task.obs_dim, task.num_actions, spec.width
        with drawing(self.draws):
            return QNetwork(*size, norm, spec.bias, spec.momentum)

    def _td_error(self, indices: Tensor) -> Tensor:
        """Delta = Q(s, a) - r - gamma (1 - terminated) max Q(s', .), the target held constant.

        Q(s', .) is the target network's where there is one.
        """
        obs, action, reward, next_obs, discount = (array[indices] for array in self.data)
        if self.q.kind.joint:
            q, next_q = self.q(torch.cat([obs, next_obs])).chunk(2)
        else:
            with torch.no_grad():
                next_q = self.target(next_obs)
            q = self.q(obs)
        target = reward + discount * next_q.detach().amax(1)
        return q.gather(1, action[:, None])[:, 0] - target

    def _hidden(self) -> list[Tensor]:
        tensors = self.q.tensors()
        return [tensors[name] for name in ("W", "b") if name in tensors]

    def _norm(self) -> float:
        with torch.no_grad():
            return sum(t.double().square().sum().item() for t in self._hidden()) ** 0.5

    @torch.no_grad()
    def _clamp(self) -> bool:
        """App. G: every weight back into +-1e6; whether one was outside."""
        largest = max(p.abs().max().item() for p in self.q.parameters())
        for p in self.q.parameters():
            p.clamp_(-CLAMP, CLAMP)
        return largest > CLAMP

    @torch.no_grad()
    def _project(self) -> None:
        """App. D: (W, b) back to its initial Frobenius norm."""
        scale = self.initial_norm / self._norm()
        for tensor in self._hidden():
            tensor.mul_(scale)
