"""GI2 of the steps that an arm takes, from the structure of one-hidden-layer networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arms.definition import Setting, function_of
from ..networks import EPS, Params
from ..spec import RunSpec
from .structured import Net, prepare, samples

if TYPE_CHECKING:
    from ..data import Transitions

Array = np.ndarray


def used(params: Params, spec: RunSpec, batch: Transitions, setting: Setting) -> dict[str, float]:
    """GI2 of the step -lr d_i that the arm takes on sample i, u_ij = <d_i, grad h_j>.

    d_i differs from the semi-gradient in what reaches the hidden layer (p), in what V's row is
    moved by (phi), or in the rate of (W, b):

        u_ij = Delta_i hidden <p_i, p'_j> (<s_i, s_j> + bias)
               + Delta_i 1[a_i = a_j] (<P phi_i, phi_j> + bias)

    minus the same at s'_j with its greedy action, as in `structured`.

    **Returns** `gi2_used` and `gi2_minibatch_used`; NaN where a number is not finite.
    """
    norm, shorten = function_of(spec)
    args = spec.bias, batch, spec.lr, spec.gamma, spec.terminal_mask
    net, data, finite = prepare(params, norm, *args, shorten)
    if not finite:
        return dict.fromkeys(("gi2_used", "gi2_minibatch_used"), np.nan)
    B = len(data.obs)
    actions = np.append(data.action, np.full(B, -1))
    x = samples(net, np.concatenate((data.obs, data.next_obs)), actions)
    back, features = _reaching(net, spec.arm, x.back[:B], data.obs, data.action), x.features[:B]
    features = features if setting.P is None else features @ setting.P
    hidden = (x.back @ back.T) * (x.obs @ data.obs.T + net.bias)
    same = x.action[:, None] == data.action
    gram = setting.hidden * hidden + same * (x.features @ features.T + net.bias)  # (2 B, B)
    td = x.q[:B] - data.reward - data.bootstrap * x.q[B:]
    u = (td * (gram[:B] - data.bootstrap[:, None] * gram[B:])).T  # (B, B)
    lr = spec.lr * spec.gradient_scale

    def decrement(u: Array) -> float:
        return float(np.mean(2 * lr * td * u - (lr * u) ** 2))

    return {"gi2_used": decrement(u), "gi2_minibatch_used": decrement(u.mean(0))}


def _reaching(net: Net, arm: str, back: Array, obs: Array, action: Array) -> Array:
    """p, the gradient of Q(s, a) that the arm lets reach the hidden layer: (B, width)."""
    if arm not in ("forward", "backward"):
        return back
    z = obs @ net.W + net.b
    centered = z - z.mean(1, keepdims=True)
    inverse_std = 1 / np.sqrt((centered**2).mean(1, keepdims=True) + EPS)
    if arm == "forward":
        return net.V[action] * (centered > 0) * inverse_std
    normalized = centered * inverse_std
    along = normalized * (back * normalized).mean(1, keepdims=True)
    return inverse_std * (back - back.mean(1, keepdims=True) - along)
