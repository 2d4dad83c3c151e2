"""The arms of `definition` in torch: the reference for `engine.fused_arms`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from .. import metrics
from ..beyond.replay import Moves, Replay
from ..data import Transitions
from ..metrics.quiet import threads
from ..networks import EPS, LayerNorm, Params, QNetwork
from ..run import Progress
from ..spec import RunSpec
from ..training import TorchLearner
from .definition import BOUND, FALLBACK, Arm, Record, function_of, overshoot_rate


class Forward(nn.Module):
    """LN(z) = (z - mean z) / sigma, whose gradient holds mean and sigma constant.

    `through`: let the gradient pass through them, which is LN.
    """

    def __init__(self, through: bool = False):
        super().__init__()
        self.hold: Callable[[Tensor], Tensor] = (lambda t: t) if through else Tensor.detach

    def forward(self, z: Tensor) -> Tensor:
        z = z - self.hold(z.mean(-1, keepdim=True))
        return z / self.hold(torch.sqrt((z**2).mean(-1, keepdim=True) + EPS))


class Backward(nn.Module):
    """z, with the gradient of LN(z)."""

    def __init__(self):
        super().__init__()
        self.norm = LayerNorm()

    def forward(self, z: Tensor) -> Tensor:
        normalized = self.norm(z)
        return z.detach() + (normalized - normalized.detach())


class Bounded(nn.Module):
    """z min(1, bound / sqrt(mean z^2 + eps)): a vector longer than bound sqrt(d) is shortened."""

    def __init__(self, bound: float = 1.0):
        super().__init__()
        self.bound = bound

    def forward(self, z: Tensor) -> Tensor:
        length = torch.sqrt((z**2).mean(-1, keepdim=True) + EPS)
        return z / torch.clamp(length / self.bound, min=1.0)


MODULES = {"forward": Forward, "backward": Backward, "bounded": Bounded}


class ArmLearner(TorchLearner):
    """A `TorchLearner` with the spec's arm; `record` is its twin's."""

    def __init__(
        self, spec: RunSpec, dataset: Transitions | Replay, initial: Params, record: Record
    ):
        super().__init__(spec, dataset, initial)
        self.arm, self.taken = Arm(spec, dataset, record), 0
        if spec.arm in MODULES:
            self.q.norm = MODULES[spec.arm]()
        layers = (self.q.hidden, self.q.output)
        groups = [{"params": list(layer.parameters())} for layer in layers]
        self.optimizer = torch.optim.SGD(groups, lr=spec.lr)

    @threads(few=True)
    def advance(
        self, first_step: int, batches: np.ndarray, lrs: np.ndarray, moves: Moves | None = None
    ) -> Progress:
        self.setting = self.arm.setting(first_step, self._features)
        self.rates: list[float] = []
        self.outcomes: list[int] = []
        progress = super().advance(first_step, batches, lrs, moves)
        self.taken = first_step + len(batches)
        return progress._replace(
            rates=np.array(self.rates),
            fallbacks=self.outcomes.count(FALLBACK),
            bounds=self.outcomes.count(BOUND),
        )

    def _before_step(self, indices: Tensor, td_error: Tensor) -> None:
        hidden, output = self.optimizer.param_groups
        rate, outcome = hidden["lr"], self.setting.outcome
        if self.setting.P is not None:
            weight = self.q.output.weight
            assert weight.grad is not None  # after the backward pass
            weight.grad = weight.grad @ torch.as_tensor(self.setting.P, dtype=weight.dtype)
        if self.spec.arm == "overshoot":
            u = self._slopes(indices).double()
            td = td_error.detach().double()
            A, B = (td * u).mean().item(), u.square().mean().item()
            fall = self.setting.share * td.square().mean().item()
            raises, ratio = self.spec.norm == "layer", self.setting.ratio
            rate, outcome = overshoot_rate(raises, rate, A, B, fall, ratio)
        hidden["lr"], output["lr"] = rate * self.setting.hidden, rate
        self.rates.append(hidden["lr"] / self.spec.lr)
        self.outcomes.append(outcome)

    def _slopes(self, indices: Tensor) -> Tensor:
        """u_j = <g, grad h_j>, g the step's gradient: how fast each TD error falls, (B,).

        J^T w is linear in w, so that its product with g has the gradient J g.
        """
        obs, action, _, next_obs, discount = (array[indices] for array in self.data)
        h = self.q(obs).gather(1, action[:, None])[:, 0]
        h = h - discount * self.q(next_obs).max(1).values
        params = list(self.q.parameters())
        w = torch.zeros_like(h, requires_grad=True)
        rows = torch.autograd.grad(h, params, w, create_graph=True)
        pairs = zip(rows, params, strict=True)
        products = [(row * p.grad).sum() for row, p in pairs if p.grad is not None]
        return torch.autograd.grad(sum(products, w.new_zeros(())), w)[0]

    @threads(few=True)
    def measure(self, batch: Transitions, ks: dict[str, int], seed: int) -> dict[str, float]:
        """The function's metrics, and what the arm makes of the step."""
        setting = self.arm.setting(self.taken, self._features)
        trained, self.q = self.q, self._function()
        measured = super().measure(batch, ks, seed)
        self.q = trained
        if self.spec.arm != "overshoot":  # whose rate is another at each step
            measured |= self._used(batch, setting.hidden, setting.P)
        if setting.root is not None:
            features = self._features(batch.obs) @ setting.root
            rng = np.random.default_rng(seed)
            measured["iso_p_used"] = metrics.isometry(features, ks["iso_p"], rng)
        if self.arm.weighs:
            measured["arm_setting"] = setting.alpha
        return measured

    def _function(self) -> QNetwork:
        """A network with the present function and its true gradients."""
        norm, shortens = function_of(self.spec)
        q = self._network(norm).load_params(self.params())
        if shortens:
            q.norm = Bounded()
        return q

    def _features(self, obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self._function().double().features(torch.as_tensor(obs).double()).numpy()

    def _used(self, batch: Transitions, hidden: float, P: np.ndarray | None) -> dict[str, float]:
        """GI2 of the steps as they are taken: -lr d_i on a sample i, u_ij = <d_i, grad h_j>."""
        masked = batch.terminated & self.spec.terminal_mask
        arrays = (*batch[:4], self.spec.gamma * ~masked)
        obs, action, reward, next_obs, discount = map(torch.as_tensor, arrays)
        taken = self._network("none").load_params(self.params()).double()
        taken.norm = self.q.norm
        taken, function = taken.double(), self._function().double()
        names = list(dict(taken.named_parameters()))

        def gradients(q: QNetwork, values: Tensor) -> list[Tensor]:
            """One autograd gradient for each value, as arrays (B, shape of a parameter)."""
            rows = [torch.autograd.grad(v, list(q.parameters()), retain_graph=True) for v in values]
            return [torch.stack(parts) for parts in zip(*rows, strict=True)]

        def values(q: QNetwork) -> Tensor:
            return q(obs.double()).gather(1, action[:, None])[:, 0]

        h = values(function) - discount * function(next_obs.double()).max(1).values
        td = (h - reward).detach()
        steps = dict(zip(names, gradients(taken, values(taken)), strict=True))
        for name in steps:
            if name.startswith("hidden"):
                steps[name] = steps[name] * hidden
            if name == "output.weight" and P is not None:
                steps[name] = steps[name] @ torch.as_tensor(P)
        products = (
            step.flatten(1) @ full.flatten(1).T
            for step, full in zip(steps.values(), gradients(function, h), strict=True)
        )
        u = td[:, None] * sum(products)  # (B, B)
        lr = self.spec.lr * self.spec.gradient_scale

        def decrement(u: Tensor) -> float:
            return float((2 * lr * td * u - (lr * u) ** 2).mean())

        return {"gi2_used": decrement(u), "gi2_minibatch_used": decrement(u.mean(0))}
