"""A copy of somebody's Q-network that can be measured: checked, in double precision, undisturbed.

Nothing here knows a metric. `Network` answers Q(s, .) for rows of observations of any shape, and
refuses what a metric would be wrong about without a word: noise, moving statistics, rows that
depend on one another, weights that `parameters()` does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .batch import MetricError
from .copies import copied, one_line, place
from .quiet import default_dtype, random_state
from .rows import parts, take

Forward = Callable[[nn.Module, Any], Tensor]
ALONE = 16  # rows of the batch in which a row must have the values that it has alone
PASSES = 64  # of a network that draws random numbers, to see whether its values depend on them


def call(q: nn.Module, obs: Any) -> Any:
    """What `forward` does unless the caller says otherwise."""
    return q(obs)


class Network:
    """A Q-network as a function of rows of observations.

    **Attributes**: `module`, the copy; `dtype`, float64 or the network's own where it insists on
    it; `finite`, whether its own precision gives finite values on the batch; `notes`, sentences
    that a result should carry.
    """

    def __init__(
        self,
        q: nn.Module,
        reads: Sequence[tuple[Any, np.ndarray]],
        forward: Forward | None = None,
        dtype: torch.dtype | None = None,
        num_actions: int | None = None,
    ):
        """`reads`: pairs of observations and the rows of them that will be asked for."""
        self.forward = forward or call
        self.num_actions = num_actions
        self.notes: list[str] = []
        module = copied(q, self.notes)
        self.device, own = place(module)
        self.module, self.dtype = module, own
        self.default: torch.dtype | None = None  # of the process, where the network needs one
        reads = [(obs, rows) for obs, rows in reads if len(rows)]
        obs, rows = reads[0]
        wanted = dtype or torch.float64
        error = self._try_reading(obs, rows[:1])
        if error is not None:  # a forward that casts for the precision of the measurement
            self._become(q, wanted)
            if self._try_reading(obs, rows[:1]) is not None:
                raise MetricError(
                    f"q does not take these observations ({one_line(error)}); it must map (B, "
                    "...) to (B, num_actions); pass forward=lambda q, obs: ... if it is called "
                    "otherwise"
                ) from error
        with torch.no_grad():
            self.finite = all(
                _finite(self(obs, part)) for obs, rows in reads for part in parts(rows, 256)
            )
        if wanted != self.dtype:
            self._convert(q, obs, rows[:1], wanted, insist=dtype is not None)
        self._check_rows(obs, rows)

    def __call__(self, obs: Any, rows: np.ndarray) -> Tensor:
        """Q(s, .) of these rows: (n, num_actions)."""
        with default_dtype(self.default) if self.default else nullcontext():
            values = self.forward(self.module, self.input(obs, rows))
        return self._checked(values, len(rows))

    def input(self, obs: Any, rows: np.ndarray) -> Any:
        """A fresh copy of some rows of the observations, as the network reads them."""
        return take(obs, rows, self._ready)

    def _ready(self, x: Any) -> Any:
        """One array on the network's device; integers stay so where the network takes them."""
        x = torch.as_tensor(x).detach().to(self.device)  # a copy: taking rows has made one
        keep = self.native and not x.is_floating_point()
        return x if keep else x.to(self.dtype)

    def _try_reading(self, obs: Any, rows: np.ndarray) -> Exception | None:
        """Finds out whether the network reads integers as they are: x / 255, a cast, an embedding.

        **Returns** what it raises where it takes the observations neither so nor as floats.
        """
        for self.native in (True, False):
            try:
                with torch.no_grad():
                    self(obs, rows)
                return None
            except MetricError:
                raise
            except Exception as error:  # whatever somebody's network raises
                last = error
        return last

    def _become(self, q: nn.Module, dtype: torch.dtype) -> None:
        self.module, self.dtype, self.default = copied(q, []).to(dtype), dtype, None

    def _convert(
        self, q: nn.Module, obs: Any, rows: np.ndarray, dtype: torch.dtype, insist: bool
    ) -> None:
        """Moves on to another precision where the network follows."""
        own = self.module, self.dtype, self.default
        self._become(q, dtype)
        # the default is the whole process's, so it is changed only for x / 255 of bytes and for
        # networks that make tensors of their own
        for self.default in (None, dtype):
            try:
                with torch.no_grad():
                    answered = self(obs, rows).dtype
                refusal = "" if answered == dtype else f"it answers in {_name(answered)}"
            except Exception as error:
                refusal = one_line(error)
            if not refusal:
                return
        if insist:
            raise MetricError(
                f"q does not compute in {_name(dtype)} ({refusal}); its own precision is "
                f"{_name(own[1])}; leave dtype out, or pass dtype=torch.{_name(own[1])}"
            )
        self.module, self.dtype, self.default = own
        self.notes.append(f"measured in {_name(own[1])}, on which the network insists")

    def _checked(self, values: Any, n: int) -> Tensor:
        shape = tuple(values.shape) if isinstance(values, Tensor) else None
        if shape is None or len(shape) != 2 or shape[0] != n or not values.is_floating_point():
            came = f"a {type(values).__name__}"
            if shape is not None:
                came = f"{_name(values.dtype)} {shape}"
            hint = "lambda q, obs: q(obs)[0]"
            if shape is not None and len(shape) == 3:
                hint = "lambda q, obs: q(obs).mean(-1) for quantiles in the last axis"
            raise MetricError(
                f"q returns {came} for {n} observations; it must return Q-values "
                f"({n}, num_actions); pass for example forward={hint}"
            )
        if self.num_actions is not None and shape[1] != self.num_actions:
            raise MetricError(
                f"q returns {shape[1]} values a row, num_actions is {self.num_actions}; these must "
                "be equal; for flat quantiles or atoms pass forward=lambda q, obs: "
                f"q(obs).view(len(obs), {self.num_actions}, -1).mean(-1)"
            )
        return values

    @torch.no_grad()
    def _check_rows(self, obs: Any, rows: np.ndarray) -> None:
        """One row, asked twice alone and once among others, must have one answer."""
        some = rows[np.unique(np.linspace(0, len(rows) - 1, ALONE).astype(int))]
        buffers = {name: b.clone() for name, b in self.module.named_buffers()}
        cpu = self.device.type == "cpu"
        same = torch.equal if cpu else torch.allclose
        state = random_state(self.device)
        first, again = self(obs, some), [self(obs, some)]
        if not torch.equal(state, random_state(self.device)):
            # a small share of dropout shows in few passes
            again += [self(obs, some) for _ in range(PASSES)]
        if _finite(first) and not all(same(first, other) for other in again):
            moved = [
                name
                for name, b in self.module.named_buffers()
                if name in buffers and not torch.equal(b, buffers[name])
            ]
            cause = (
                f"its buffer {moved[0]} moves in eval mode; pass forward=lambda q, obs: ... that "
                "does not update running statistics"
                if moved
                else "something in it is random in eval mode, as noisy layers and F.dropout(x, p) "
                "are; pass forward=lambda q, obs: ... that switches it off"
            )
            raise MetricError(f"q has two answers to the same observation: {cause}")
        together = first[[0, -1]]
        lone = torch.cat([self(obs, some[:1]), self(obs, some[-1:])])
        # loose: huge weights cancel, and a sum may run in another order; mixing is no rounding
        loose = 1e-5 if self.dtype == torch.float64 else 2e-2
        gap, size = (together - lone).abs().max(), lone.abs().max()
        if bool(gap > loose * size) and bool(size.isfinite()):
            raise MetricError(
                f"q mixes the rows of a batch: {together.flatten().tolist()[:2]} among others, "
                f"{lone.flatten().tolist()[:2]} alone; a transition must have its own Q-values, as "
                "a mean over the batch or a recurrent network fed (B, obs_dim) takes from it; pass "
                "forward=lambda q, obs: ... that keeps rows apart"
            )


def _finite(values: Tensor) -> bool:
    """Whether each row has a largest value; -inf may mark an action that is not allowed."""
    return bool((values.amax(1).isfinite() & ~values.isnan().any(1)).all())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
