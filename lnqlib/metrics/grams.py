"""Inner products of per-transition gradients, in memory that the number of parameters leaves alone.

Every metric is made of three things: K_ij = <grad Q_i, grad Q_j>, <grad Q_i, grad h_j> and
|grad h_j|^2. A linear layer gives its share from what it reads, a, and what comes back to it, p:

    <p_i a_i^T, p_j a_j^T> = <p_i, p_j> <a_i, a_j>.

A convolution's or a norm's gradients are formed, for that layer alone. What remains, parameters of
unknown use, is differentiated row by row. Where the rows of gradients would take more than
`BUDGET`, parameters are cut into parts and each part takes a pass of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .layers import Calls, Found, Layer, find
from .problem import Problem, accumulator
from .rows import parts

BUDGET = 2**28  # bytes of gradients, and of activations, that are held at a time


class Grams(NamedTuple):
    """What the metrics are made of."""

    q: Tensor  # Q(s, a), (B,)
    td: Tensor  # Delta, (B,)
    k: Tensor  # <grad Q_i, grad Q_j>, (B, B)
    kh: Tensor  # <grad Q_i, grad h_j>, (B, B)
    hh: Tensor  # |grad h_j|^2, (B,)
    by_layer: dict[str, Tensor]  # |grad Q_j|^2 of a layer's parameters, (B,) each

    @property
    def finite(self) -> bool:
        """Whether every value and every product is."""
        return all(bool(t.isfinite().all()) for t in (self.q, self.td, self.k, self.kh, self.hh))


class Block(NamedTuple):
    """A part of a layer's parameters, whose gradients are held at a time."""

    layer: Layer
    part: slice
    floats: int  # for each row


class Stretch(NamedTuple):
    """A part of the parameters that belong to no layer."""

    part: slice
    floats: int


def grams(p: Problem, budget: float = BUDGET, layered: bool = True) -> Grams:
    """K, <grad Q_i, grad h_j> and |grad h_j|^2 of a batch.

    **Arguments** `budget`: bytes; `layered=False` differentiates row by row, whatever the layers.
    """
    found = find(p.net, p.obs, p.rows, p.action)
    if not layered:
        rest = [(n, x) for n, x in p.net.module.named_parameters() if x.requires_grad]
        found = found._replace(layers=[], rest=rest)
    return _Accumulator(p, found, budget).run()


class _Accumulator:
    """Passes over the batch, each adding the products of its blocks."""

    def __init__(self, p: Problem, found: Found, budget: float):
        self.p, self.found, self.budget = p, found, budget
        self.chunk = int(max(1, min(len(p.rows), budget // max(1, found.row_bytes))))
        B = len(p.rows)
        self.float = accumulator(p.net.device)
        zeros = torch.zeros(B, device=p.net.device, dtype=self.float)
        self.k, self.kh = zeros.new_zeros(2, B, B)
        self.hh, self.q, self.next_q = zeros.new_zeros(3, B)
        self.best = torch.zeros_like(p.action)
        self.by_layer: dict[str, Tensor] = {}
        if p.target is not None:
            self.best, self.next_q = p.constant_next(p.target)

    def run(self) -> Grams:
        for blocks in self._passes():
            layered = [b for b in blocks if isinstance(b, Block)]
            if layered:
                self._layers(layered)
            for block in blocks:
                if isinstance(block, Stretch):
                    self._rows(block.part)
        td = self.q - self.p.bootstrap * self.next_q - self.p.reward
        return Grams(self.q, td, self.k, self.kh, self.hh, self.by_layer)

    def _passes(self) -> list[list[Block | Stretch]]:
        """Blocks that fit into the budget together, or one that alone does not."""
        allowed = max(1, int(self.budget / (16 * len(self.p.rows))))  # floats for each row, twice
        blocks: list[Block | Stretch] = []
        for layer in self.found.layers:
            if layer.one:
                floats = sum(layer.module.weight.shape)
                blocks.append(Block(layer, slice(None), floats))
                continue
            step = max(1, allowed // max(1, layer.size))
            for start in range(0, layer.outputs, step):
                part = slice(start, min(start + step, layer.outputs))
                blocks.append(Block(layer, part, (part.stop - part.start) * layer.size))
        numbers = sum(x.numel() for _, x in self.found.rest)
        for start in range(0, numbers, allowed):
            part = slice(start, min(start + allowed, numbers))
            blocks.append(Stretch(part, part.stop - part.start))
        passes: list[list[Block | Stretch]] = [[]]
        free = allowed
        for block in blocks:
            if block.floats > free and passes[-1]:
                passes.append([])
                free = allowed
            passes[-1].append(block)
            free -= block.floats
        return passes

    def _layers(self, blocks: list[Block]) -> None:
        here = self._signals(self.p.obs, self.p.rows, blocks, self.p.action, self.q)
        there: Sequence[tuple[Tensor, ...] | None] = [None] * len(blocks)
        if self.p.target is None and len(self.p.live):
            there = self._signals(self.p.next_obs, self.p.live, blocks, None, self.next_q)
        for block, x, y in zip(blocks, here, there, strict=True):
            add = self._outer if block.layer.one else self._formed
            add(block.layer.name, block.layer, x, y)

    def _signals(self, obs, rows, blocks, action, values) -> list[tuple[Tensor, ...]]:
        """Forward and backward over some rows, in chunks; keeps what each block needs of them.

        Without an action it is the greedy one. Fills `values`, and `best`.
        """
        layers = list({id(b.layer): b.layer for b in blocks}.values())
        kept: list[list[tuple[Tensor, ...]]] = [[] for _ in blocks]
        for part in parts(rows, self.chunk):
            calls = Calls({layer.name: layer.module for layer in layers})
            with calls.listening():
                q = self.p.net(obs, part)
            chosen = q.argmax(1) if action is None else action[part]
            if action is None:
                self.best[part] = chosen
            value = q.gather(1, chosen[:, None])[:, 0]
            values[part] = value.detach().to(self.float)
            of = dict(zip(map(id, layers), calls.signals(value.sum(), layers), strict=True))
            for block, keep in zip(blocks, kept, strict=True):
                a, back = (x.to(self.float) for x in of[id(block.layer)])
                keep.append((a, back) if block.layer.one else (self._in_pieces(block, a, back),))
        return [self._whole(keep, rows) for keep in kept]

    def _in_pieces(self, block: Block, a: Tensor, back: Tensor) -> Tensor:
        """A layer's gradients, a few rows at a time: the patches of images are large."""
        pieces = zip(a.split(16), back.split(16), strict=True)
        return torch.cat([block.layer.gradients(x, y, block.part) for x, y in pieces])

    def _whole(self, keep: list[tuple[Tensor, ...]], rows: np.ndarray) -> tuple[Tensor, ...]:
        """Chunks joined; rows that were not asked for are 0."""
        joined = tuple(torch.cat(pieces) for pieces in zip(*keep, strict=True))
        if len(rows) == len(self.p.rows):
            return joined
        whole = tuple(x.new_zeros(len(self.p.rows), *x.shape[1:]) for x in joined)
        for x, y in zip(whole, joined, strict=True):
            x[rows] = y
        return whole

    def _outer(self, name: str, layer: Layer, x: tuple[Tensor, ...], y: tuple | None) -> None:
        """Adds a linear layer's share, p a^T, without forming it.

        grad h = p a^T - b p' a'^T = d a^T + b p' e^T with d = p - b p' and e = a - a', which keeps
        the digits of a small difference.
        """
        (a, p), w, c = x, float(layer.weight), float(layer.bias)
        aa, pp = w * (a @ a.T) + c, p @ p.T
        self._add(name, (k := aa * pp).diagonal(), k)
        if y is None:
            self.kh += k
            self.hh += k.diagonal()
            return
        b = self.p.bootstrap
        a2, p2 = y
        d, e = p - b[:, None] * p2, w * (a - a2)
        self.kh += (p @ d.T) * aa + (p @ p2.T) * (a @ e.T) * b
        self.hh += d.square().sum(1) * (w * a.square().sum(1) + c)
        self.hh += b**2 * p2.square().sum(1) * e.square().sum(1)
        self.hh += 2 * b * (d * p2).sum(1) * (a * e).sum(1)

    def _formed(
        self, name: str, layer: Layer | None, x: tuple[Tensor, ...], y: tuple | None
    ) -> None:
        """Adds the share of gradients that are there as rows."""
        (rows,) = x
        k = rows @ rows.T
        self._add(name, k.diagonal(), k)
        if y is None:
            self.kh += k
            self.hh += k.diagonal()
            return
        h = rows - self.p.bootstrap[:, None] * y[0]
        self.kh += rows @ h.T
        self.hh += h.square().sum(1)

    def _add(self, name: str, norms: Tensor, k: Tensor) -> None:
        self.k += k
        self.by_layer[name] = self.by_layer.get(name, 0) + norms

    def _rows(self, part: slice) -> None:
        """A stretch of the other parameters: one forward and one backward pass for each row."""
        parameters = [x for _, x in self.found.rest]
        net, B = self.p.net, len(self.p.rows)
        rows, next_rows = torch.zeros(
            2, B, part.stop - part.start, device=net.device, dtype=self.float
        )
        live = set(self.p.live.tolist()) if self.p.target is None else ()

        def gradient(obs, j: int, action: Tensor | None, values: Tensor) -> Tensor:
            q = net(obs, self.p.rows[j : j + 1])[0]
            chosen = q.argmax() if action is None else action
            values[j] = q[chosen].detach()
            found = torch.autograd.grad(
                q[chosen], parameters, allow_unused=True, materialize_grads=True
            )
            return torch.cat([g.flatten() for g in found])[part].to(self.float)

        for j in range(B):
            rows[j] = gradient(self.p.obs, j, self.p.action[j], self.q)
            if j in live:
                next_rows[j] = gradient(self.p.next_obs, j, None, self.next_q)
        self._formed("other parameters", None, (rows,), (next_rows,) if len(live) else None)
