"""Torch around a measurement: settings that it needs, and the caller's back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from ..networks import DRAWS


def rest_of_torch(device: torch.device) -> ExitStack:
    """Gradients on, autocast off; torch's random state comes back as it was."""
    stack = ExitStack()
    stack.enter_context(DRAWS)
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    devices = [device] if device.type == "cuda" else []
    stack.enter_context(torch.random.fork_rng(devices=devices))
    if torch.amp.is_autocast_available(device.type):
        stack.enter_context(torch.autocast(device.type, enabled=False))
    return stack


def random_state(device: torch.device) -> torch.Tensor:
    """The state of the generator that a network on this device draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


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
