"""What a layer's gradient is made of: the rows that it read, and the signals that came back.

For Q = f(W a + b) with signal p = dQ/d(W a + b) the gradient of W is p a^T, summed over positions
where a layer reads several (a convolution, tokens). So one forward and one backward pass of a whole
batch hold every transition's own gradient, as long as no row reads another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F

from .batch import MetricError
from .network import Network

Known = nn.Linear | nn.Conv1d | nn.Conv2d | nn.LayerNorm
KNOWN = nn.Linear, nn.Conv1d, nn.Conv2d, nn.LayerNorm


class Layer(NamedTuple):
    """A layer whose gradients follow from what it reads and from what comes back to it."""

    name: str
    module: Known
    weight: bool  # trainable, and read by nothing else
    bias: bool
    one: bool  # a linear layer with one position: the gradient is one outer product

    @property
    def outputs(self) -> int:
        """By how many rows of the weight the layer can be cut; a norm is never cut."""
        return 1 if isinstance(self.module, nn.LayerNorm) else len(self.module.weight)

    @property
    def size(self) -> int:
        """How many numbers its gradient holds for each row of `outputs`."""
        sizes = (self.module.weight.numel() * self.weight, _numel(self.module.bias) * self.bias)
        return sum(sizes) // self.outputs

    def gradients(self, a: Tensor, p: Tensor, part: slice) -> Tensor:
        """Gradients of a part of its outputs, one row for each sample: (n, size of the part)."""
        module, n = self.module, len(a)
        if isinstance(module, nn.LayerNorm):
            shape = module.normalized_shape
            unit = F.layer_norm(a, shape, eps=module.eps)
            pairs = (p * unit, self.weight), (p, self.bias)
            return torch.cat(
                [x.reshape(n, -1, *shape).sum(1).flatten(1) for x, on in pairs if on], 1
            )
        if isinstance(module, nn.Linear):
            a, p = a.reshape(n, -1, a.shape[-1]), p.reshape(n, -1, p.shape[-1])[..., part]
        else:
            a, p = _patches(module, a), p.flatten(2).transpose(1, 2)[..., part]  # (n, L, .)
        found = [p.transpose(1, 2) @ a] if self.weight else []
        found += [p.sum(1)[..., None]] if self.bias else []
        return torch.cat(found, 2).flatten(1)


def _patches(module: nn.Conv1d | nn.Conv2d, a: Tensor) -> Tensor:
    """What each position of a convolution reads: (n, positions, channels x kernel)."""
    padding = module.padding
    assert not isinstance(padding, str)  # `_known` takes none
    settings = [module.kernel_size, module.dilation, padding, module.stride]
    if isinstance(module, nn.Conv1d):
        a = a[..., None]
        settings = [(x[0], rest) for x, rest in zip(settings, (1, 1, 0, 1), strict=True)]
    return F.unfold(a, *settings).transpose(1, 2)


class Found(NamedTuple):
    """How a network can be differentiated."""

    layers: list[Layer]
    rest: list[tuple[str, nn.Parameter]]  # parameters of no such layer
    row_bytes: int  # what one row's activations take


class Calls:
    """What the layers read and where their outputs stand in the graph, call by call."""

    def __init__(self, modules: dict[str, Known]):
        self.modules = modules
        self.read: dict[str, list[tuple[Tensor, int]]] = {}
        self.edges: dict[str, list[GradientEdge]] = {}  # of outputs that have a gradient
        self.sizes: dict[str, int] = {}

    @contextmanager
    def listening(self) -> Iterator[Calls]:
        """Hooks on the layers while the context is open."""
        handles = [
            module.register_forward_hook(self._hook(name), with_kwargs=True)
            for name, module in self.modules.items()
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def hook(
            module: nn.Module, inputs: tuple, named: dict[str, Tensor], output: Tensor
        ) -> None:
            a = (inputs[0] if inputs else named["input"]).detach()
            self.read.setdefault(name, []).append((a, a._version))
            if output.requires_grad:
                self.edges.setdefault(name, []).append(get_gradient_edge(output))
            self.sizes[name] = output.numel()

        return hook

    def signals(self, total: Tensor, layers: list[Layer]) -> list[tuple[Tensor, Tensor]]:
        """What each layer read, and the gradient of `total` with respect to its output."""
        edges = [self.edges[layer.name][0] for layer in layers]
        back = torch.autograd.grad(total, edges) if edges else ()
        return [(self.read[layer.name][0][0], p) for layer, p in zip(layers, back, strict=True)]


def find(net: Network, obs: Any, rows: np.ndarray, action: Tensor) -> Found:
    """Sorts the trainable parameters, by a forward and a backward pass of a few rows.

    A layer counts where it is called once, nothing else reads its weights, and its gradient of
    those rows is autograd's.

    **Raises** `MetricError` where nothing is trainable, or the network reads trainable tensors
    that `parameters()` does not name.
    """
    trainable = {n: p for n, p in net.module.named_parameters() if p.requires_grad}
    if not trainable:
        raise MetricError(
            "all parameters of q are frozen; a gradient needs some that are not; call "
            "requires_grad_(True) on those to differentiate"
        )
    calls = Calls({n: m for n, m in net.module.named_modules() if _known(m)})
    few = rows[-3:]
    with calls.listening():
        value = net(obs, few).gather(1, action[few][:, None]).sum()
    if not value.requires_grad:
        raise MetricError(
            "no trainable parameter reaches Q(s, a): forward detaches it or runs under "
            "torch.no_grad(); pass forward=lambda q, obs: ... that keeps the graph"
        )
    uses, foreign = _leaves(value, set(map(id, trainable.values())))
    if foreign is not None:
        raise MetricError(
            f"q reads a trainable tensor of shape {tuple(foreign.shape)} that is none of its "
            "parameters(), so its gradient would be missing; keep weights in nn.Parameter, layers "
            "in nn.ModuleList, and pass a module whose methods are not compiled one by one"
        )
    layers = [
        layer
        for name, module in calls.modules.items()
        if len(calls.read.get(name, ())) == len(calls.edges.get(name, ())) == 1
        for layer in [_layer(name, module, uses, calls.read[name][0][0])]
        if layer.weight or layer.bias
    ]
    layers = _agreeing(layers, calls, value, len(few))
    own = {id(p) for layer in layers for p in _parameters(layer)}
    rest = [(name, p) for name, p in trainable.items() if id(p) not in own and uses[id(p)]]
    numbers = sum(a.numel() for reads in calls.read.values() for a, _ in reads)
    numbers += sum(calls.sizes.values())
    return Found(layers, rest, 64 * numbers // len(few))


def _known(module: nn.Module) -> TypeGuard[Known]:
    kinds = [kind for kind in KNOWN if isinstance(module, kind)]
    if not kinds or type(module).forward is not kinds[0].forward:
        return False
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        plain = module.groups == 1 and module.padding_mode == "zeros"
        return plain and not isinstance(module.padding, str)
    return True


def _layer(name: str, module: Known, uses: Counter[int], a: Tensor) -> Layer:
    def mine(key: str) -> bool:
        parameter = module._parameters.get(key)  # none where it is computed, as by weight norm
        return parameter is not None and parameter.requires_grad and uses[id(parameter)] == 1

    one = isinstance(module, nn.Linear) and a.ndim == 2
    return Layer(name, module, mine("weight"), mine("bias"), one)


def _parameters(layer: Layer) -> list[nn.Parameter]:
    pairs = ("weight", layer.weight), ("bias", layer.bias)
    found = (layer.module._parameters[name] for name, on in pairs if on)
    return [parameter for parameter in found if parameter is not None]


def _agreeing(layers: list[Layer], calls: Calls, value: Tensor, n: int) -> list[Layer]:
    """The layers whose gradient of n rows is the one that autograd takes of their parameters."""
    if not layers:
        return []
    unchanged = [layer for layer in layers if _unchanged(calls, layer)]
    edges = [calls.edges[layer.name][0] for layer in unchanged]
    wanted = [p for layer in unchanged for p in _parameters(layer)]
    inputs: list[Any] = [*edges, *wanted]  # torch's types know no list of both
    found = torch.autograd.grad(value, inputs, allow_unused=True, retain_graph=True)
    back, rest = found[: len(edges)], list(found[len(edges) :])
    agreeing = []
    loose = 1e-8 if value.dtype == torch.float64 else 1e-3
    for layer, p in zip(unchanged, back, strict=True):
        parameters = _parameters(layer)
        true, rest = rest[: len(parameters)], rest[len(parameters) :]
        if p is None or any(t is None for t in true):
            continue
        a = calls.read[layer.name][0][0]
        if len(a) != n or len(p) != n:  # the first axis is not the batch
            continue
        ours = layer.gradients(a, p, slice(None)).sum(0)
        theirs = torch.cat([t.reshape(layer.outputs, -1) for t in true], 1).flatten()
        if bool((ours - theirs).norm() <= loose * theirs.norm()) or not theirs.isfinite().all():
            agreeing.append(layer)
    return agreeing


def _unchanged(calls: Calls, layer: Layer) -> bool:
    """Whether nothing has overwritten what the layer read."""
    a, version = calls.read[layer.name][0]
    return a._version == version


def _leaves(value: Tensor, known: set[int]) -> tuple[Counter[int], Tensor | None]:
    """How often the graph reads each leaf, by id, and a leaf that is not `known`."""
    uses: Counter[int] = Counter()
    seen, todo, foreign = set(), [value.grad_fn], None
    while todo:
        node = todo.pop()
        for nxt, _ in node.next_functions if node else ():
            if nxt is None:
                continue
            leaf = getattr(nxt, "variable", None)
            if leaf is not None:
                uses[id(leaf)] += 1
                foreign = foreign if id(leaf) in known else leaf
            elif nxt not in seen:
                seen.add(nxt)
                todo.append(nxt)
    return uses, foreign


def _numel(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.numel()
