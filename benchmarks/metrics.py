"""How fast `interference` and `second_order` are, beside the plain way and three other libraries.

    pip install -e .[bench]
    python benchmarks/metrics.py

Each network is measured by all in turn in one process with one thread, several rounds, the least
processor time of each; ratios hold on a busy machine, seconds do not. The others take the same
per-transition gradients of Q in float64, B x P numbers, and the Gram matrix K from them, which is
part of the work: no TD errors, no second gradient at s', no check of the network. Memory is how far
the process grew in a process of its own.

- plain: one backward pass of the whole batch for each transition, this library's first definition
- torch.func: `vmap(grad(...))` over transitions
- backpack: its BatchGrad
- opacus: its GradSampleModule
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from torch import Tensor, nn

from lnqlib.data import Transitions
from lnqlib.metrics import interference, second_order

ROUNDS = 3


def network(name: str) -> nn.Sequential:
    torch.manual_seed(0)
    if name == "mlp":
        hidden = [nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(256, 2))
    layers = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU()]
    layers += [nn.Conv2d(64, 64, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 6))


def batch(name: str, B: int) -> Transitions:
    rng = np.random.default_rng(0)
    shape = (4,) if name == "mlp" else (4, 84, 84)
    obs, next_obs = rng.random((2, B, *shape), np.float32)
    reward = rng.normal(size=B).astype(np.float32)
    return Transitions(obs, rng.integers(2, size=B), reward, next_obs, rng.random(B) < 0.1)


def chosen(q: nn.Module, data: Transitions) -> Tensor:
    """Q(s, a), (B,)."""
    obs = torch.as_tensor(data.obs).double()
    return q(obs).gather(1, torch.as_tensor(data.action)[:, None])[:, 0]


def plain(q: nn.Module, data: Transitions) -> Tensor:
    q = q.double()
    values = chosen(q, data)
    rows = [
        torch.cat(
            [g.flatten() for g in torch.autograd.grad(v, list(q.parameters()), retain_graph=True)]
        )
        for v in values
    ]
    gradients = torch.stack(rows)
    return gradients @ gradients.T


def functional(q: nn.Module, data: Transitions) -> Tensor:
    from torch.func import functional_call, grad, vmap

    q = q.double()
    parameters = {name: p.detach() for name, p in q.named_parameters()}

    def value(parameters: dict[str, Tensor], obs: Tensor, action: Tensor) -> Tensor:
        return functional_call(q, parameters, (obs[None],))[0].gather(0, action[None])[0]

    obs, action = torch.as_tensor(data.obs).double(), torch.as_tensor(data.action)
    return gram(vmap(grad(value), (None, 0, 0))(parameters, obs, action).values())


def backpack(q: nn.Module, data: Transitions) -> Tensor:
    import backpack as library
    from backpack.extensions import BatchGrad

    q = library.extend(q.double())
    with library.backpack(BatchGrad()):
        chosen(q, data).sum().backward()
    return gram(p.grad_batch for p in q.parameters())


def opacus(q: nn.Module, data: Transitions) -> Tensor:
    from opacus import GradSampleModule

    wrapped = GradSampleModule(q.double(), loss_reduction="sum")
    chosen(wrapped, data).sum().backward()
    return gram(p.grad_sample for p in wrapped.parameters())


def gram(gradients) -> Tensor:
    """K from per-transition gradients, parameter by parameter."""
    return sum(g.detach().flatten(1) @ g.detach().flatten(1).T for g in gradients)


def ours(q: nn.Module, data: Transitions) -> None:
    interference(q, data, 1e-3)


WAYS: dict[str, Callable] = {
    "interference": ours,
    "plain": plain,
    "torch.func": functional,
    "backpack": backpack,
    "opacus": opacus,
    "second_order": lambda q, data: second_order(q, data, 1e-3),
}
CASES = [
    ("mlp", 128, ["interference", "plain", "torch.func", "backpack", "opacus"]),
    ("mlp", 1024, ["interference", "torch.func", "backpack", "opacus"]),
    ("mlp", 128, ["second_order"]),
    ("cnn", 32, ["interference", "plain", "torch.func", "backpack", "opacus"]),
    ("cnn", 128, ["interference"]),
]


def measure(name: str, B: int, ways: list[str]) -> dict[str, float]:
    """Processor seconds of each way, the least of several rounds."""
    data, least = batch(name, B), dict.fromkeys(ways, np.inf)
    for _ in range(1 if "plain" in ways and name == "cnn" else ROUNDS):
        for way in ways:
            q = network(name)
            started = process_time()
            try:
                WAYS[way](q, data)
            except (ImportError, RuntimeError, NotImplementedError) as error:
                print(f"{way}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
                continue
            least[way] = min(least[way], process_time() - started)
    return least


def memory(name: str, B: int, way: str) -> float:
    """GiB by which a fresh process grows."""
    command = [sys.executable, __file__, name, str(B), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout)) if done.returncode == 0 else np.nan


def grown(name: str, B: int, way: str) -> float:
    q, data = network(name), batch(name, B)
    WAYS[way](network("mlp"), batch("mlp", 8))  # what libraries load, and what threads hold
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WAYS[way](q, data)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) == 4:
        print(json.dumps(grown(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
        raise SystemExit
    print(f"torch {torch.__version__}, one thread, float64, processor seconds")
    print("| network | B | | seconds | times interference | GiB |\n|---|---|---|---|---|---|")
    for name, B, ways in CASES:
        seconds = measure(name, B, ways)
        for way, least in seconds.items():
            ratio = least / seconds[ways[0]]
            cells = f"{name} | {B} | {way} | {least:.3g} | {ratio:.2g} | {memory(name, B, way):.2g}"
            print(f"| {cells} |", flush=True)
