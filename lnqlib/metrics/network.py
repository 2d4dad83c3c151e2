"""A copy of somebody's Q-network that can be measured: checked, in double precision, undisturbed.

Nothing here knows a metric. `Network` answers Q(s, .) for rows of observations of any shape, and
refuses what a metric would be wrong about without a word: noise, moving statistics, rows that
depend on one another, weights that `parameters()` does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .batch import MetricError

Forward = Callable[[nn.Module, Any], Tensor]
ALONE = 16  # rows of the batch in which a row must have the values that it has alone


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
        self.device, own = _place(module)
        self.module, self.dtype, self.default = module, own, torch.get_default_dtype()
        reads = [(obs, rows) for obs, rows in reads if len(rows)]
        obs, rows = reads[0]
        wanted = dtype or torch.float64
        error = self._try_reading(obs, rows[:1])
        if error is not None:  # a forward that casts for the precision of the measurement
            self._become(q, wanted)
            if self._try_reading(obs, rows[:1]) is not None:
                raise MetricError(
                    f"q does not take these observations ({_one_line(error)}); it must map (B, "
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
        with default_dtype(self.default):
            values = self.forward(self.module, self.input(obs, rows))
        return self._checked(values, len(rows))

    def input(self, obs: Any, rows: np.ndarray) -> Any:
        """A fresh copy of some rows of the observations, as the network reads them."""
        return _map(obs, rows, self._ready)

    def _ready(self, x: Any) -> Any:
        """One array on the network's device; integers stay integers where the network takes them."""
        x = torch.as_tensor(x).detach().to(self.device, copy=True)
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
        self.module, self.dtype, self.default = copied(q, []).to(dtype), dtype, dtype

    def _convert(
        self, q: nn.Module, obs: Any, rows: np.ndarray, dtype: torch.dtype, insist: bool
    ) -> None:
        """Moves on to another precision where the network follows."""
        own = self.module, self.dtype, self.default
        self._become(q, dtype)
        try:
            with torch.no_grad():
                answered = self(obs, rows).dtype
            refusal = "" if answered == dtype else f"it answers in {_name(answered)}"
        except Exception as error:
            refusal = _one_line(error)
        if refusal and insist:
            raise MetricError(
                f"q does not compute in {_name(dtype)} ({refusal}); its own precision is "
                f"{_name(own[1])}; leave dtype out, or pass dtype=torch.{_name(own[1])}"
            )
        if refusal:
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
        first, second = self(obs, some), self(obs, some)
        cpu = self.device.type == "cpu"
        same = torch.equal if cpu else torch.allclose
        if _finite(first) and not same(first, second):
            moved = [
                name
                for name, b in self.module.named_buffers()
                if name in buffers and not torch.equal(b, buffers[name])
            ]
            cause = (
                f"its buffer {moved[0]} moves in eval mode; pass forward=lambda q, obs: ... that "
                "does not update running statistics"
                if moved
                else "something in it is random in eval mode, as noisy layers and F.dropout without "
                "training=self.training are; pass forward=lambda q, obs: ... that switches it off"
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


def copied(q: nn.Module, notes: list[str]) -> nn.Module:
    """A copy in eval mode without the caller's hooks, out of torch.compile and DataParallel.

    **Raises** `MetricError` for what is no module and what cannot be copied.
    """
    while isinstance(q, nn.Module) and (inner := _inner(q)) is not None:
        q = inner
    if not isinstance(q, nn.Module):
        raise MetricError(
            f"q is a {type(q).__name__}; it must be a torch.nn.Module; pass the network itself, "
            "as in model.q_net for an agent of stable-baselines3"
        )
    # activations that a module keeps are results, which deepcopy refuses; the copy makes its own
    memo = {id(t): t.detach().clone() for t in _kept(q) if t.grad_fn is not None}
    try:
        with torch.no_grad():  # under jit a copy would be a result of the original's weights
            module = deepcopy(q, memo)
    except Exception as error:
        raise MetricError(
            f"q cannot be copied ({_one_line(error)}); the metrics measure a copy, so that yours "
            "stays as it is; pass the plain module without what it holds of environments or files"
        ) from error
    for new, old in zip(module.parameters(), q.parameters(), strict=True):
        new.requires_grad_(old.requires_grad)
    dropped = False
    for part in module.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks):
            for key, hook in list(hooks.items()):
                if not type(hook).__module__.startswith("torch.nn.utils"):  # old weight norm
                    del hooks[key]
                    dropped = True
    if dropped:
        notes.append("measured without the network's hooks")
    return module.eval()


def rest_of_torch(device: torch.device) -> ExitStack:
    """Gradients on, autocast off; torch's random state comes back as it was."""
    stack = ExitStack()
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    devices = [device] if device.type == "cuda" else []
    stack.enter_context(torch.random.fork_rng(devices=devices))
    stack.enter_context(torch.autocast(device.type, enabled=False))
    return stack


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """What integers divided by floats, and new tensors, are: else x / 255 would be float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def threads(few: bool) -> Iterator[None]:
    """One thread where the work is small, in which more would only wait for one another."""
    before = torch.get_num_threads()
    if few:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _inner(q: nn.Module) -> nn.Module | None:
    """The module that torch.compile or a data-parallel wrapper holds."""
    if "_orig_mod" in q._modules:
        return q._orig_mod
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel
    return q.module if isinstance(q, wrappers) else None


def _kept(q: nn.Module) -> Iterator[Tensor]:
    """Tensors among the plain attributes of a module and its parts, containers included."""
    seen: set[int] = set()
    todo = [value for part in q.modules() for value in vars(part).values()]
    while todo:
        value = todo.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            todo += value.values() if isinstance(value, dict) else value


def _place(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module's weights are, and their floating type."""
    tensors = [*module.parameters(), *module.buffers()]
    floating = [t for t in tensors if t.is_floating_point()]
    if not floating:
        raise MetricError(
            "q has no parameters; its gradient is nothing; pass a network whose weights are "
            "nn.Parameter"
        )
    return floating[0].device, floating[0].dtype


def _map(obs: Any, rows: np.ndarray, ready: Callable[[Any], Any]) -> Any:
    """Some rows of an array, a dict, a tuple or a TensorDict of arrays, each made `ready`."""
    if isinstance(obs, Tensor):
        return ready(obs[torch.as_tensor(rows, device=obs.device)])
    if isinstance(obs, np.ndarray):
        return ready(obs[rows])
    if hasattr(obs, "batch_size") and hasattr(obs, "apply"):  # a TensorDict
        return obs[torch.as_tensor(rows)].apply(ready)
    if isinstance(obs, Mapping):
        return {key: _map(value, rows, ready) for key, value in obs.items()}
    if isinstance(obs, tuple) and not hasattr(obs, "_fields"):
        return tuple(_map(value, rows, ready) for value in obs)
    if isinstance(obs, list):
        return ready(np.asarray(obs)[rows])
    raise MetricError(
        f"obs is a {type(obs).__name__}; it must be an array, a tensor, or a dict, tuple or "
        "TensorDict of them; pass obs as one of these"
    )


def rows_of(obs: Any) -> int:
    """How many rows an array, a dict, a tuple or a TensorDict of arrays has."""
    if isinstance(obs, Mapping) and not hasattr(obs, "batch_size"):
        obs = next(iter(obs.values()), ())
    elif isinstance(obs, tuple):
        obs = obs[0] if obs else ()
    shape = tuple(obs.shape) if hasattr(obs, "shape") else np.shape(obs)
    return shape[0] if shape else 0


def parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """`rows` cut into pieces of at most `size`."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _finite(values: Tensor) -> bool:
    """Whether each row has a largest value; -inf may mark an action that is not allowed."""
    return bool((values.amax(1).isfinite() & ~values.isnan().any(1)).all())


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
