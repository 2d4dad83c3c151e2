"""One jitted scan over steps of vmap over runs, XLA's own threads; needs numpy and JAX alone.

    python jax_scan.py PROBLEM.npz NORM LR EPS CLAMP

Prints microseconds per run and step; `peers.jax_scan` writes the problem and calls it.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np


def main(path: str, norm: str, lr: float, eps: float, clamp: float) -> float:
    arrays = np.load(path)
    data = [jnp.asarray(arrays[f"data_{i}"]) for i in range(5)]
    params = {name: arrays[name] for name in "WbVc"}
    indices = arrays["indices"]  # (steps, runs, B)

    def values(p, obs):
        z = obs @ p["W"].T + p["b"]
        if norm == "layer":
            z = z - z.mean(-1, keepdims=True)
            z = z / jnp.sqrt((z**2).mean(-1, keepdims=True) + eps)
        return jnp.maximum(z, 0) @ p["V"].T + p["c"]

    def loss(p, obs, action, reward, next_obs, discount):
        target = reward + discount * jax.lax.stop_gradient(values(p, next_obs)).max(1)
        taken = jnp.take_along_axis(values(p, obs), action[:, None], 1)[:, 0]
        return 0.5 * ((taken - target) ** 2).mean()

    def step(p, batch):
        gradient = jax.grad(loss)(p, *(a[batch] for a in data))
        new = jax.tree.map(lambda x, g: jnp.clip(x - lr * g, -clamp, clamp), p, gradient)
        return new, None

    train = jax.jit(lambda p, batches: jax.lax.scan(jax.vmap(step), p, batches)[0])
    params, batches = jax.device_put((params, indices))
    jax.block_until_ready(train(params, batches))
    start = time.perf_counter()
    jax.block_until_ready(train(params, batches))
    steps, runs, _ = indices.shape
    return (time.perf_counter() - start) / (runs * steps) * 1e6


if __name__ == "__main__":
    print(main(*sys.argv[1:3], *map(float, sys.argv[3:])))
