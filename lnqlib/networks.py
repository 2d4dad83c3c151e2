"""The Q-network of Eqs. (1)-(3): one hidden layer, one optional normalization of `TABLE`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from .own.names import is_own
from .spec import allowed

EPS = 1e-5  # torch's default for layer and batch norm

Params = dict[str, np.ndarray]
"""A network's arrays: hidden `W` (width, obs_dim), `b` (width,); output `V` (num_actions, width),
`c` (num_actions,); where the norm has them `g` (width,) of weight norm (`W` is then its direction
v), `gain` and `shift` (width,), and batch norm's `mean` and `var` (width,). All of them always
exist; those a network does not train keep their neutral value (0 for b, c, shift and mean, 1 else).
"""


class LayerNorm(nn.Module):
    """Eq. (2), LN(x) = (x - mean x) / sqrt(var x + eps), over the last dimension, no affine.

    `center=False` leaves the mean in (RMS norm), `scale=False` leaves the spread as it is.
    """

    def __init__(self, center: bool = True, scale: bool = True):
        super().__init__()
        self.center, self.scale = center, scale

    def forward(self, x: Tensor) -> Tensor:
        if self.center:
            x = x - x.mean(-1, keepdim=True)
        if self.scale:
            x = x / torch.sqrt((x**2).mean(-1, keepdim=True) + EPS)
        return x


class Norm(NamedTuple):
    """What a norm does to x = W s + b, as the stages of one chain; without any it is the identity.

    [weight norm of W]; [batch norm]; [ReLU]; [centre]; [scale]; [gain and shift]; [ReLU]

    The metrics by structure, the compiled evaluation and the engine follow these stages. A norm
    that is none of them has a `layer` of its own; torch trains and measures it.
    """

    weight: bool = False  # W = g v / |v|
    batch: bool = False  # (x - mean) / sqrt(var + eps) over the samples
    joint: bool = False  # the batch's samples are those of s and s' together
    after_relu: bool = False  # what follows is applied to relu(x)
    center: bool = False  # x - mean over the units
    scale: bool = False  # x / sqrt(mean x^2 + eps)
    affine: bool = False  # a trained gain and shift
    layer: Callable[[int], nn.Module] | None = None  # width -> the module between W and ReLU


TABLE = {
    "none": Norm(),
    "layer": Norm(center=True, scale=True),
    "batch": Norm(batch=True),
    "weight": Norm(weight=True),
    "crossq": Norm(batch=True, joint=True),
    "rms": Norm(scale=True),
    "center": Norm(center=True),
    "layer_affine": Norm(center=True, scale=True, affine=True),
    "layer_after_relu": Norm(after_relu=True, center=True, scale=True),
}
"""Every norm of `spec.NORMS`: the one place that says what it does."""
CHAINS = tuple(name for name, norm in TABLE.items() if norm.layer is None)


def norm_of(name: str) -> Norm:
    """The row of `TABLE`; "my_module:factory" has a layer of its own.

    **Raises** `ValueError` for another name, in the words of `RunSpec`.
    """
    if is_own("norm", name):
        from .own.extensions import make_norm  # here, for it imports what the name says

        return Norm(layer=lambda width: make_norm(name, width))
    if name not in TABLE:
        raise ValueError(
            f"norm is {name!r}; allowed are {', '.join(allowed('norm'))}; "
            'write for example norm="layer"'
        )
    return TABLE[name]


class QNetwork(nn.Module):
    """Eq. (3), Q(s, a) = <v_a, relu(LN(W s + b))> + c_a; without `norm` and `bias`, Eq. (1)'s Q.

    **Arguments**

    - `obs_dim`, `num_actions`, `width`: the paper's k, m and d.
    - `norm`: one of `lnqlib.spec.NORMS`, or "my_module:factory".
    - `bias`: whether both layers have biases.
    - `momentum`: weight of a new batch in the running statistics of batch norm and CrossQ.

    Weights start as torch's `nn.Linear` leaves them; `load_params` sets them.
    Batch norm and CrossQ normalize with the statistics of the batch in `train()` mode and with
    running statistics in `eval()` mode.
    """

    def __init__(
        self,
        obs_dim: int,
        num_actions: int,
        width: int = 128,
        norm: str = "none",
        bias: bool = True,
        momentum: float = 0.1,
    ):
        super().__init__()
        self.kind = norm_of(norm)
        hidden = nn.Linear(obs_dim, width, bias=bias)
        self.hidden = weight_norm(hidden) if self.kind.weight else hidden
        self.norm = _norm_layer(self.kind, width, momentum)
        self.output = nn.Linear(width, num_actions, bias=bias)

    def features(self, obs: Tensor) -> Tensor:
        """The features that the output layer reads, after ReLU and norm: (B, width)."""
        z = self.hidden(obs)  # (B, width)
        if self.kind.after_relu:
            return self.norm(torch.relu(z))
        return torch.relu(self.norm(z))

    def forward(self, obs: Tensor) -> Tensor:
        """Q(s, .) for a batch of observations: (B, obs_dim) -> (B, num_actions)."""
        return self.output(self.features(obs))

    def tensors(self) -> dict[str, Tensor]:
        """The network's own tensors under the names of `Params`; absent ones are left out."""
        hidden: Any = self.hidden
        named = {"b": hidden.bias, "V": self.output.weight, "c": self.output.bias}
        if self.kind.weight:
            named["W"] = hidden.parametrizations.weight.original1
            named["g"] = hidden.parametrizations.weight.original0
        else:
            named["W"] = hidden.weight
        if self.kind.batch:
            named |= {"mean": self.norm.running_mean, "var": self.norm.running_var}
        if self.kind.affine:
            named |= {"gain": self.norm.weight, "shift": self.norm.bias}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def params(self) -> Params:
        """A copy of all arrays, float32, as `Params`."""
        width, obs_dim = self.hidden.weight.shape
        num_actions = self.output.weight.shape[0]
        params = neutral_params(obs_dim, num_actions, width)
        for name, tensor in self.tensors().items():
            params[name][:] = tensor.detach().numpy().reshape(params[name].shape)
        return params

    @torch.no_grad()
    def load_params(self, params: Params) -> QNetwork:
        """Copies the arrays that this network has out of `params`; returns itself."""
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.as_tensor(params[name]).reshape(tensor.shape))
        return self


def _norm_layer(norm: Norm, width: int, momentum: float) -> nn.Module:
    if norm.layer:
        return norm.layer(width)
    if norm.batch:
        return nn.BatchNorm1d(width, eps=EPS, momentum=momentum, affine=False)
    if norm.affine:
        return nn.LayerNorm(width, eps=EPS)
    if norm.center or norm.scale:
        return LayerNorm(norm.center, norm.scale)
    return nn.Identity()


DRAWS = threading.RLock()
"""Held while torch's random state is to come back: it has one generator for all threads."""


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """torch's random numbers from `seed` on, whatever other threads draw; afterwards as before."""
    with DRAWS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def neutral_params(obs_dim: int, num_actions: int, width: int) -> Params:
    """`Params` in which every array has its neutral value."""
    zeros = {"W": (width, obs_dim), "b": width, "V": (num_actions, width), "c": num_actions}
    zeros |= {"shift": width, "mean": width}
    ones = {"g": width, "gain": width, "var": width}
    return {name: np.zeros(shape, np.float32) for name, shape in zeros.items()} | {
        name: np.ones(shape, np.float32) for name, shape in ones.items()
    }


def finite(params: Params) -> bool:
    """Whether every number of every array is finite."""
    return all(bool(np.isfinite(array).all()) for array in params.values())


def initial_params(
    rng: np.random.Generator, obs_dim: int, num_actions: int, width: int, bias: bool
) -> Params:
    """Initial arrays as torch's `nn.Linear` draws them: uniform in +-1/sqrt(fan-in).

    Every norm starts from the same W, b, V, c; weight norm's g starts as the row norms of W.
    """
    params = neutral_params(obs_dim, num_actions, width)
    for name, fan_in in (("W", obs_dim), ("b", obs_dim), ("V", width), ("c", width)):
        bound = fan_in**-0.5
        draw = rng.uniform(-bound, bound, params[name].shape).astype(np.float32)
        if bias or name in ("W", "V"):
            params[name][:] = draw
    params["g"][:] = np.linalg.norm(params["W"], axis=1)
    return params
