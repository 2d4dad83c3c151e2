"""An independent reading of the metrics: one transition, one backward pass, one pair at a time."""

import copy
import math

import numpy as np
import torch
from torch import nn


def loop(
    q: nn.Module,
    batch,
    lr: float,
    gamma: float = 0.99,
    forward=lambda q, obs: q(obs),
    target: nn.Module | None = None,
    double: bool = False,
    discount=None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, float]:
    """Eqs. (6), (8), (9), (11), App. F and SEEM as the paper writes them, in plain Python."""
    q = copy.deepcopy(q).to(dtype).eval()
    target = copy.deepcopy(target).to(dtype).eval() if target is not None else None
    parameters = [p for p in q.parameters() if p.requires_grad]

    def of_one(net: nn.Module, obs) -> torch.Tensor:
        """Q(s, .) of one state, as a batch of one."""
        one = torch.as_tensor(obs)[None].clone()
        torch.set_default_dtype(dtype)  # of bytes divided by 255
        try:
            return forward(net, one.to(dtype) if one.is_floating_point() else one)[0]
        finally:
            torch.set_default_dtype(torch.float32)

    def gradient(value: torch.Tensor) -> np.ndarray:
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        zeros = (
            torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
        )
        return torch.cat([g.flatten() for g in zeros]).double().numpy()

    td, grad_q, grad_h, grad_next = [], [], [], []
    for n in range(len(batch.action)):
        b = (gamma if discount is None else float(discount[n])) * (1 - float(batch.terminated[n]))
        value = of_one(q, batch.obs[n])[int(batch.action[n])]
        h, beyond = value, torch.zeros(())
        grad_next.append(np.zeros_like(gradient(value)))
        if b:
            if target is None:
                beyond = of_one(q, batch.next_obs[n]).max()
                grad_next[-1] = b * gradient(beyond)
                h = value - b * beyond
            else:
                values = of_one(target, batch.next_obs[n]).detach()
                chooser = of_one(q, batch.next_obs[n]) if double else values
                beyond = values[chooser.argmax()]
        td.append(value.item() - float(batch.reward[n]) - b * beyond.item())
        grad_q.append(gradient(value))
        grad_h.append(gradient(h))
    g = [d * x for d, x in zip(td, grad_q, strict=True)]
    f = [d * x for d, x in zip(td, grad_h, strict=True)]
    B = len(td)
    pairs = [(i, j) for i in range(B) for j in range(B)]
    off = [(i, j) for i, j in pairs if i != j]

    def cosines(x, y, some) -> list[float]:
        """NaN where a vector is zero."""
        found = []
        for i, j in some:
            size = np.linalg.norm(x[i]) * np.linalg.norm(y[j])
            found.append(float(x[i] @ y[j]) / size if size else math.nan)
        return found

    cosine = {
        "qgi_plus": np.abs(cosines(grad_q, grad_q, off)),
        "sgi": np.array(cosines(g, g, pairs)),
        "sgi_off": np.array(cosines(g, g, off)),
        "mgi": np.array(cosines(g, f, pairs)),
    }
    gi2, missing = [], 0
    for i, j in pairs:
        u = float(g[i] @ grad_h[j])
        gi2.append(2 * lr * td[j] * u - lr**2 * u**2)
        missing += not (g[i].any() and g[j].any() and f[j].any())
    mean = np.mean(g, 0)
    minibatch = [td[j] ** 2 - (td[j] - lr * float(mean @ grad_h[j])) ** 2 for j in range(B)]
    loss = float(np.mean(np.square(td)))

    def average(x) -> float:
        return float(np.mean(x)) if len(x) else math.nan

    K = np.array([[grad_q[j] @ grad_q[i] for i in range(B)] for j in range(B)])
    beyond = np.array([[grad_next[j] @ grad_q[i] for i in range(B)] for j in range(B)])
    seem = float(np.linalg.eigvals(beyond - K).real.max())
    return {
        **{name: average(x[~np.isnan(x)]) for name, x in cosine.items()},
        "dgi": average([g[i] @ f[j] for i, j in pairs]),
        "gi2": average(gi2),
        "gi2_scaled": average(gi2) / loss if loss else math.nan,
        "gi2_minibatch": average(minibatch),
        "td_loss": loss,
        **{f"{name}_zero": average(np.nan_to_num(x)) for name, x in cosine.items()},
        "grad_norm2": average([x @ x for x in grad_q]),
        "zero_gradients": float(missing),
        "seem": seem,
        "seem_scaled": seem / (np.trace(K) / B),
    }
