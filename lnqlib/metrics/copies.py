"""A copy of somebody's network, whatever it holds, that runs none of their hooks."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from .batch import MetricError

HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"


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
    if any(nn.parameter.is_lazy(x) for x in q.parameters()):
        raise MetricError(
            "q has a lazy layer whose size is not known yet; its weights come with its first call; "
            "call q once on a batch of observations before"
        )
    # activations that a module keeps are results, which deepcopy refuses; the copy makes its own
    memo = {id(t): t.detach().clone() for t in _kept(q) if t.grad_fn is not None}
    try:
        with torch.no_grad():  # under jit a copy would be a result of the original's weights
            module = deepcopy(q, memo)
    except Exception as error:
        raise MetricError(
            f"q cannot be copied ({one_line(error)}); the metrics measure a copy, so that yours "
            "stays as it is; pass the plain module without what it holds of environments or files"
        ) from error
    for new, old in zip(module.parameters(), q.parameters(), strict=True):
        new.requires_grad_(old.requires_grad)
    dropped = False
    for part in module.modules():
        for kind in HOOKS:
            hooks = getattr(part, kind)
            for key, hook in list(hooks.items()):
                if not type(hook).__module__.startswith("torch.nn.utils"):  # old weight norm
                    del hooks[key]
                    dropped = True
    if dropped:
        notes.append("measured without the network's hooks")
    return module.eval()


def place(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module's weights are, and their floating type."""
    tensors = [*module.parameters(), *module.buffers()]
    floating = [t for t in tensors if t.is_floating_point()]
    if not floating:
        raise MetricError(
            "q has no parameters; its gradient is nothing; pass a network whose weights are "
            "nn.Parameter"
        )
    return floating[0].device, floating[0].dtype


def _inner(q: nn.Module) -> nn.Module | None:
    """The module that torch.compile or a data-parallel wrapper holds."""
    if "_orig_mod" in q._modules:
        return q._modules["_orig_mod"]
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


def one_line(error: Exception) -> str:
    """What was raised, in one line."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
