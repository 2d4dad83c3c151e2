"""How fast `interference` and `second_order` are, beside the plain way and three other libraries.

    pip install -e .[bench]
    python benchmarks/metrics.py

All measure the same networks in turn, in one process with one thread and float64: the least
processor time of several rounds. Ratios hold on a busy machine, seconds do not. The others take
per-transition gradients of Q at (s, a) and at (s', a*), B x P numbers each, and the two Gram
matrices that the metrics are made of; they check nothing. Memory is how far a process of its own
grew.

- plain: one backward pass of the whole batch for each transition, this library's first definition
- torch.func: `vmap(grad(...))` over transitions
- backpack: its BatchGrad
- opacus: its GradSampleModule
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
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


Gradients = Callable[[nn.Module, Tensor, Tensor], Iterable[Tensor]]
"""Network, observations and actions -> gradients of Q, (B, ...) for each parameter."""


def value(q: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
    """Q(s, a), (B,)."""
    return q(obs).gather(1, action[:, None])[:, 0]


def plain(q: nn.Module, obs: Tensor, action: Tensor) -> Iterable[Tensor]:
    parameters = list(q.parameters())
    values = value(q, obs, action)
    rows = [torch.autograd.grad(v, parameters, retain_graph=True) for v in values]
    return map(torch.stack, zip(*rows, strict=True))


def functional(q: nn.Module, obs: Tensor, action: Tensor) -> Iterable[Tensor]:
    from torch.func import functional_call, grad, vmap

    parameters = {name: p.detach() for name, p in q.named_parameters()}

    def one(parameters: dict[str, Tensor], obs: Tensor, action: Tensor) -> Tensor:
        return functional_call(q, parameters, (obs[None],))[0].gather(0, action[None])[0]

    return vmap(grad(one), (None, 0, 0))(parameters, obs, action).values()


def backpack(q: nn.Module, obs: Tensor, action: Tensor) -> Iterable[Tensor]:
    import backpack as library
    from backpack.extensions import BatchGrad

    q = library.extend(q)
    q.zero_grad()
    with library.backpack(BatchGrad()):
        value(q, obs, action).sum().backward()
    return [p.grad_batch for p in q.parameters()]


def opacus(q: nn.Module, obs: Tensor, action: Tensor) -> Iterable[Tensor]:
    from opacus import GradSampleModule

    wrapped = GradSampleModule(copy.deepcopy(q), loss_reduction="sum")
    value(wrapped, obs, action).sum().backward()
    return [p.grad_sample for p in wrapped.parameters()]


def products(gradients: Gradients) -> Callable[[nn.Module, Transitions], tuple[Tensor, Tensor]]:
    """K and <grad Q_i, grad h_j> from per-transition gradients, parameter by parameter."""

    def both(q: nn.Module, data: Transitions) -> tuple[Tensor, Tensor]:
        q = q.double()
        obs, next_obs = (torch.as_tensor(x).double() for x in (data.obs, data.next_obs))
        with torch.no_grad():
            best = q(next_obs).argmax(1)
        bootstrap = 0.99 * (1 - torch.as_tensor(data.terminated).double())
        here = [g.detach().flatten(1) for g in gradients(q, obs, torch.as_tensor(data.action))]
        there = [g.detach().flatten(1) for g in gradients(q, next_obs, best)]
        h = [x - bootstrap[:, None] * y for x, y in zip(here, there, strict=True)]
        pairs = list(zip(here, h, strict=True))
        return sum(x @ x.T for x in here), sum(x @ y.T for x, y in pairs)

    return both


def ours(q: nn.Module, data: Transitions) -> None:
    interference(q, data, 1e-3)


WAYS: dict[str, Callable] = {
    "interference": ours,
    "plain": products(plain),
    "torch.func": products(functional),
    "backpack": products(backpack),
    "opacus": products(opacus),
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
            WAYS[way](q, data)
            least[way] = min(least[way], process_time() - started)
    return least


def memory(name: str, B: int, way: str) -> float:
    """GiB by which a fresh process grows."""
    command = [sys.executable, __file__, name, str(B), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout)) if done.returncode == 0 else np.nan


def grown(name: str, B: int, way: str) -> float:
    q, data = network(name), batch(name, B)
    if name != "mlp":
        WAYS[way](network("mlp"), batch("mlp", 8))  # what libraries load
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak()
    WAYS[way](q, data)
    return (peak() - before) / 2**20


def peak() -> int:
    """The most KiB that this process has held; Linux alone says so."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of hooks, by the others
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
