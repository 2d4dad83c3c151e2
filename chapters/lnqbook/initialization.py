"""A run before its first step: its network, and the batch of its first checkpoint."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from lnqlib import metrics
from lnqlib.data import Transitions, offline_dataset, sample
from lnqlib.networks import QNetwork, initial_params
from lnqlib.spec import RunSpec
from lnqlib.tasks import TASKS, isometry_sizes


def network(spec: RunSpec) -> QNetwork:
    """The Q-network of `spec` with its run's initial weights, the same for every norm.

    **Returns** a float32 network.
    """
    size = TASKS[spec.env].obs_dim, TASKS[spec.env].num_actions, spec.width
    weights = initial_params(spec.rng("init"), *size, bias=spec.bias)
    return QNetwork(*size, norm=spec.norm, bias=spec.bias).load_params(weights)


def batch(spec: RunSpec) -> Transitions:
    """The `batch_size` transitions for all metrics of the run's first checkpoint."""
    dataset = offline_dataset(spec.env, spec.seed, spec.data, spec.dataset_size)
    return sample(dataset, spec.rng("metrics"), spec.batch_size)


def hidden_and_features(spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """W s + b and the output layer's input, the features, for `batch`: (B, width) each."""
    net = network(spec).double()
    obs = torch.as_tensor(batch(spec).obs).double()
    with torch.no_grad():
        return net.hidden(obs).numpy(), net.features(obs).numpy()


def isometry(specs: Iterable[RunSpec]) -> pd.DataFrame:
    """App. C, ISO_p of the features before any training, p = observation size + actions.

    **Returns** one row a spec: env, norm, seed; `iso_p`; `before_relu`, the same of W s + b.
    """
    rows = []
    for spec in specs:
        k = isometry_sizes(spec.env)["iso_p"]
        hidden, features = hidden_and_features(spec)
        row = {"env": spec.env, "norm": spec.norm, "seed": spec.seed}
        for name, x in (("iso_p", features), ("before_relu", hidden)):
            row[name] = metrics.isometry(x, k, np.random.default_rng(spec.seed))
        rows.append(row)
    return pd.DataFrame(rows)
