"""Two choices of the protocol that can be understood before any run: the mask, and the factor 2."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector

from lnqlib.data import Transitions, offline_dataset
from lnqlib.networks import QNetwork
from lnqlib.spec import default
from lnqlib.tasks import TASKS

from ...findings import case, listed
from ...numbers import number


def printed_solutions(datasets: Mapping[str, Transitions], gamma: float) -> str:
    """Where a constant Q solves Eq. (1) as it is printed, checked on every transition.

    **Arguments** `datasets`: the first one of each task.
    """
    solved, endless = [], []
    for env, data in datasets.items():
        value = data.reward[0] / (1 - gamma)  # the same for all s and a
        unmasked = value - (data.reward + gamma * value)
        if np.abs(unmasked).max() > 1e-6:
            continue
        masked = value - (data.reward + gamma * ~data.terminated * value)
        error = number(np.abs(masked).max(), spec=".0f")
        told = f"{env} (Q = {number(value, spec='.0f')}; with the mask a TD error of {error})"
        (solved if data.terminated.any() else endless).append(told if error != "0" else env)
    checked = f"Checked on every transition of the first dataset, with $\\gamma$ = {gamma:g}."
    return f"{checked} " + case(
        (
            solved and endless,
            f"The constant solves the printed equation in {listed(solved)}. In {listed(endless)} "
            "it solves the equation with the mask, too, since no transition terminates.",
        ),
        (solved, f"The constant solves the printed equation in {listed(solved)}."),
        (
            endless,
            f"In {listed(endless)} the constant solves the equation with the mask and without, "
            "since no transition terminates.",
        ),
        "No constant solves the equation in the tasks shown: their rewards differ.",
    )


def weights_after(
    env: str,
    lr: float,
    factor: float,
    optimizer: type[torch.optim.Optimizer] = torch.optim.SGD,
    steps: int = 20,
) -> torch.Tensor:
    """All weights of a network with LN after a plain training loop.

    **Arguments** `factor`: of the gradient in Eq. (1); 2 is the squared TD error's.
    """
    task, gamma = TASKS[env], default("gamma")
    obs, action, reward, next_obs, terminated = map(torch.as_tensor, offline_dataset(env, 0))
    torch.manual_seed(0)
    q = QNetwork(task.obs_dim, task.num_actions, norm="layer")
    step = optimizer(q.parameters(), lr=lr)
    for rows in torch.randint(len(action), (steps, 128)):
        with torch.no_grad():
            best = q(next_obs[rows]).max(1).values
            target = reward[rows] + gamma * ~terminated[rows] * best
        td_error = q(obs[rows]).gather(1, action[rows, None])[:, 0] - target
        step.zero_grad()
        (factor / 2 * td_error.square().mean()).backward()
        step.step()
    return parameters_to_vector(q.parameters()).detach()


def factor_two(env: str, lr: float = 1e-3) -> str:
    """What the factor 2 does to the weights, with SGD and with Adam, by `weights_after`."""
    adam = torch.optim.Adam
    sgd = _gap(weights_after(env, lr, 2), weights_after(env, 2 * lr, 1))
    doubled = weights_after(env, lr, 2, adam)
    same, twice = (_gap(doubled, weights_after(env, x, 1, adam)) for x in (lr, 2 * lr))
    alike = case(
        (sgd == 0, "are the same bits"),
        f"differ by {number(sgd, 1)} of the largest weight",
    )
    return (
        f"After 20 steps on {env} with SGD the weights at factor 2 and those at twice the learning "
        f"rate {alike}. With Adam the weights at factor 2 differ by {number(same, 1)} of the "
        f"largest weight from those at factor 1, and by {number(twice, 1)} from those at twice the "
        "learning rate."
    )


def _gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())
