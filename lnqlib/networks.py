"""The Q-network of Eqs. (1)-(3): one hidden layer, one optional normalization."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from .spec import NORMS

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


class QNetwork(nn.Module):
    """Eq. (3), Q(s, a) = <v_a, relu(LN(W s + b))> + c_a; without `norm` and `bias`, Eq. (1)'s Q.

    **Arguments**

    - `obs_dim`, `num_actions`, `width`: the paper's k, m and d.
    - `norm`: one of `lnqlib.spec.NORMS`.
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
        if norm not in NORMS:
            raise ValueError(
                f'norm is {norm!r}; allowed are {", ".join(NORMS)}; write for example norm="layer"'
            )
        self.norm_name = norm
        hidden = nn.Linear(obs_dim, width, bias=bias)
        self.hidden = weight_norm(hidden) if norm == "weight" else hidden
        self.norm = _norm_layer(norm, width, momentum)
        self.output = nn.Linear(width, num_actions, bias=bias)

    def features(self, obs: Tensor) -> Tensor:
        """The features that the output layer reads, after ReLU and norm: (B, width)."""
        z = self.hidden(obs)  # (B, width)
        if self.norm_name == "layer_after_relu":
            return self.norm(torch.relu(z))
        return torch.relu(self.norm(z))

    def forward(self, obs: Tensor) -> Tensor:
        """Q(s, .) for a batch of observations: (B, obs_dim) -> (B, num_actions)."""
        return self.output(self.features(obs))

    def tensors(self) -> dict[str, Tensor]:
        """The network's own tensors under the names of `Params`; absent ones are left out."""
        hidden = self.hidden
        named = {"b": hidden.bias, "V": self.output.weight, "c": self.output.bias}
        if self.norm_name == "weight":
            named["W"] = hidden.parametrizations.weight.original1
            named["g"] = hidden.parametrizations.weight.original0
        else:
            named["W"] = hidden.weight
        if self.norm_name in ("batch", "crossq"):
            named |= {"mean": self.norm.running_mean, "var": self.norm.running_var}
        if self.norm_name == "layer_affine":
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


def _norm_layer(norm: str, width: int, momentum: float) -> nn.Module:
    match norm:
        case "layer" | "layer_after_relu":
            return LayerNorm()
        case "rms":
            return LayerNorm(center=False)
        case "center":
            return LayerNorm(scale=False)
        case "layer_affine":
            return nn.LayerNorm(width, eps=EPS)
        case "batch" | "crossq":
            return nn.BatchNorm1d(width, eps=EPS, momentum=momentum, affine=False)
        case _:
            return nn.Identity()


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
