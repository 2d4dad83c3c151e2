"""A second device in software: tensors that say they are elsewhere, and refuse to meet the CPU's.

No GPU is needed: the numbers are kept on the CPU behind tensors of device "meta", which has no
numbers of its own. As on a GPU, an operation between the two devices raises unless the CPU's tensor
is a single number, or rows to take; only `.to(device)` and `.cpu()` go across.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
aten = torch.ops.aten
ACROSS = {aten._to_copy.default, aten.copy_.default, aten._local_scalar_dense.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}


class Elsewhere(Tensor):
    """A tensor that says it is on the device `ELSEWHERE`; its numbers are in `here`."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
        )
        made.here = here
        return made

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            args = args[0], _as_tensors(args[1]), *args[2:]
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


class SecondDevice(TorchDispatchMode):
    """While it is on, tensors can be made on, and moved to, `ELSEWHERE`."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def _as_tensors(index: Any) -> Any:
    """Rows to take as tensors on the CPU; torch would make them on "meta", without numbers."""
    if isinstance(index, tuple):
        return tuple(map(_as_tensors, index))
    return torch.as_tensor(index) if isinstance(index, list | np.ndarray) else index


def run(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Runs an operation on the CPU and says where its results are."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    assert all(isinstance(x, Elsewhere) or x.device.type == "cpu" for x in tensors)
    there = [x for x in tensors if isinstance(x, Elsewhere)]
    here = [x for x in tensors if not isinstance(x, Elsewhere) and x.dim() > 0]
    if there and here and function not in ACROSS | INDEXING:
        raise RuntimeError(f"{function}: tensors on two devices")
    asked = kwargs.get("device")
    if asked is None:
        elsewhere = bool(there) if function is not aten.copy_.default else None
    else:
        elsewhere = torch.device(asked).type == ELSEWHERE.type
        kwargs = kwargs | {"device": torch.device("cpu")}
    plain_args, plain = tree_map(
        lambda x: x.here if isinstance(x, Elsewhere) else x, (args, kwargs)
    )
    found = function(*plain_args, **plain)
    known = {id(x.here): x for x in there}

    def placed(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return known.get(id(x)) if id(x) in known else Elsewhere(x) if elsewhere else x

    return tree_map(placed, found)


def moved(q: nn.Module) -> nn.Module:
    """Puts a module's parameters and buffers on the second device."""
    for part in q.modules():
        for name, x in part._parameters.items():
            if x is not None:
                part._parameters[name] = nn.Parameter(Elsewhere(x.detach()), x.requires_grad)
        for name, x in part._buffers.items():
            if x is not None:
                part._buffers[name] = Elsewhere(x)
    return q
