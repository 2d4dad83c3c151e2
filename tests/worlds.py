"""A world in which the paper is right, as far as it does not contradict itself."""

import numpy as np
import pandas as pd

from lnqbook.baselines import POLICIES
from lnqbook.claims import runs as claim_runs
from lnqlib.results import ISOMETRY
from lnqlib.spec import ENVS, LEARNING_RATES
from lnqlib.store import Store

SEEDS = 6
# how much worse than None (0) a network is at every learning rate; LN is better by 1
SHIFT = {"layer": -1.0, "layer_affine": -0.95, "layer_after_relu": -1.05, "crossq": -0.98}
SHIFT |= {"crossq_0.01": -0.97, "crossq_0.001": -1.03}
SHIFT |= {"batch": 0.2, "weight": -0.1, "project": -0.9, "own_decay": -0.1, "paired_decay": 0.1}


def asked(folder) -> pd.DataFrame:
    """Every run that the claims need under both readings, none of them finished."""
    specs = claim_runs.specs(ENVS, SEEDS, 200_000, LEARNING_RATES)
    table = claim_runs.frame(specs, Store(folder).results())
    # what the studies train as printed and with other momenta comes bit by bit: have it all here
    full = table[table["bias"]]
    momenta = [
        full[full["network"] == "crossq"].assign(network=f"crossq_{m}") for m in (0.01, 0.001)
    ]
    whole = pd.concat([full, *momenta])
    whole = whole.drop_duplicates(["network", "norm", "env", "optimizer", "lr", "seed", "study"])
    return pd.concat([whole, whole.assign(bias=False)], ignore_index=True)


def the_papers(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, finished, with numbers of which the paper's claims are true."""
    rng, runs = np.random.default_rng(0), runs.copy()

    def noisy(values):
        return values + 0.01 * rng.standard_normal(len(runs))

    bad = 3 * np.log10(runs["lr"]) + runs["network"].map(SHIFT).fillna(0.0)
    drop = (runs["lr"] == 0.1) & (runs["norm"] == "none")  # where QGI+ leaves the trend
    for metric in ("sgi", "mgi", "dgi", "first_order"):
        runs[metric] = noisy(bad)
    runs["loss"] = 10.0 ** noisy(bad)
    runs["qgi_plus"] = noisy(bad - 8 * drop)
    for metric in ("gi2", "gi2_scaled", "return", *ISOMETRY):
        runs[metric] = noisy(-bad)
    for metric in ("gi2", "gi2_scaled"):
        runs[f"injected_{metric}"] = runs[metric] + noisy(1.0)
    runs["log_growth"] = noisy(1.0 + (runs["network"] == "weight"))
    runs["clamped_steps"] = 5.0 * (drop & (runs["optimizer"] == "SGD"))
    for policy in POLICIES:
        runs[f"{policy}_return"] = noisy(9.5)  # None returns 9 on average, LN 10
    return runs.assign(seconds=1.0)
