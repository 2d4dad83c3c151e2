"""Three other ways to train many tiny Q-networks at once: the engine's peers in `engine.py`.

Each of them takes (task, norm, runs, steps), trains `runs` networks for `steps` SGD steps of the
default protocol, on all cores, and returns wall-clock microseconds per run and step. Networks,
data and batch indices are made beforehand, warm-up and compilation are not counted.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import venv
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lnqlib.data import offline_dataset
from lnqlib.networks import EPS, initial_params
from lnqlib.spec import CLAMP, RunSpec
from lnqlib.tasks import TASKS

LR, GAMMA, BATCH, WIDTH = 1e-3, 0.99, 128, 128


def problem(env: str, runs: int, steps: int):
    """The packed dataset and, for each run, initial weights and batch indices."""
    task, dataset = TASKS[env], offline_dataset(env, 0)
    discount = np.where(dataset.terminated, 0.0, GAMMA).astype(np.float32)
    rngs = [RunSpec(env, seed=seed).rng("init") for seed in range(runs)]
    params = [initial_params(r, task.obs_dim, task.num_actions, WIDTH, True) for r in rngs]
    stacked = {name: np.stack([p[name] for p in params]) for name in "WbVc"}
    indices = rngs[0].integers(len(discount), size=(steps, runs, BATCH), dtype=np.int32)
    return (*dataset[:4], discount), stacked, indices


def torch_loop(env: str, norm: str, runs: int, steps: int) -> float:
    """A plain autograd loop, one process a core."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        list(pool.map(_torch_loop, [env] * cores, [norm] * cores, [20] * cores))  # warm up
        seconds = list(pool.map(_torch_loop, [env] * cores, [norm] * cores, [steps] * cores))
    return max(seconds) / (cores * steps) * 1e6


def _torch_loop(env: str, norm: str, steps: int) -> float:
    import torch

    from lnqlib.networks import QNetwork

    torch.set_num_threads(1)
    data, params, indices = problem(env, 1, steps)
    data = [torch.as_tensor(a) for a in data]
    task = TASKS[env]
    q = QNetwork(task.obs_dim, task.num_actions, WIDTH, norm)
    q.load_params({name: array[0] for name, array in params.items()})
    optimizer = torch.optim.SGD(q.parameters(), lr=LR)
    batches = torch.as_tensor(indices[:, 0]).long()
    start = time.perf_counter()
    for batch in batches:
        obs, action, reward, next_obs, discount = (a[batch] for a in data)
        with torch.no_grad():
            target = reward + discount * q(next_obs).amax(1)
        loss = 0.5 * (q(obs).gather(1, action[:, None])[:, 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for p in q.parameters():
                p.clamp_(-CLAMP, CLAMP)
    return time.perf_counter() - start


def torch_vmap(env: str, norm: str, runs: int, steps: int, device: str = "cpu") -> float:
    """`torch.func.vmap` over runs of the gradient of one run's loss; torch's own threads."""
    import torch
    from torch.func import grad, vmap

    torch.set_num_threads(os.cpu_count() or 1)
    data, params, indices = problem(env, runs, steps)
    data = [torch.as_tensor(a).to(device) for a in data]
    params = {name: torch.as_tensor(array).to(device) for name, array in params.items()}
    batches = torch.as_tensor(indices).to(device).long()
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def values(p, obs):
        z = obs @ p["W"].T + p["b"]
        if norm == "layer":
            z = z - z.mean(-1, keepdim=True)
            z = z / torch.sqrt((z**2).mean(-1, keepdim=True) + EPS)
        return torch.relu(z) @ p["V"].T + p["c"]

    def loss(p, obs, action, reward, next_obs, discount):
        target = reward + discount * values(p, next_obs).detach().amax(1)
        return 0.5 * (values(p, obs).gather(1, action[:, None])[:, 0] - target).square().mean()

    step = vmap(grad(loss))

    def train(batches):
        for batch in batches:
            gradient = step(params, *(a[batch] for a in data))
            for name, p in params.items():
                p.sub_(gradient[name], alpha=LR).clamp_(-CLAMP, CLAMP)

    with torch.no_grad():
        train(batches[:3])
        wait()
        start = time.perf_counter()
        train(batches)
        wait()
    return (time.perf_counter() - start) / (runs * steps) * 1e6


def jax_scan(python: str, env: str, norm: str, runs: int, steps: int) -> float:
    """JAX as another interpreter has it: `jax_scan.py` on this problem."""
    data, params, indices = problem(env, runs, steps)
    arrays = {f"data_{i}": array for i, array in enumerate(data)} | params | {"indices": indices}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **arrays)
        script = Path(__file__).with_name("jax_scan.py")
        command = [python, "-I", script, path, norm, LR, EPS, CLAMP]
        return float(subprocess.check_output([str(word) for word in command]))


def with_jax(version: str, folder: Path) -> str:
    """A new environment in `folder` with this JAX; returns its interpreter."""
    home = folder / f"jax-{version}"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    subprocess.run([python, "-I", "-m", "pip", "install", "-q", f"jax=={version}"], check=True)
    return python
