"""The structured second-order terms against the plain ones, over many random nets."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from test_structured import cases, random_batch, random_params

from lnqlib.engine.structured import structured_interference
from lnqlib.engine.structured_second import COVERED, structured_second_order
from lnqlib.metrics import MetricError, second_order
from lnqlib.networks import CHAINS as NORMS
from lnqlib.results import SECOND_ORDER


@pytest.mark.parametrize("norm", COVERED)
def test_it_agrees_with_autograd(norm):
    for i, (q, params, bias, batch, mask) in enumerate(cases(norm)):
        lr = 0.1 ** (1 + i % 4)
        plain = second_order(q, batch, lr, 0.99, mask)
        ours = structured_second_order(params, norm, bias, batch, lr, 0.99, mask)
        assert list(ours) == list(SECOND_ORDER)
        for name, value in ours.items():
            assert value == pytest.approx(plain[name], rel=1e-8), name


def test_first_order_minus_squared_is_gi2():
    rng = np.random.default_rng(1)
    params, batch = random_params(rng, 4, 2, 30, True, 1.0), random_batch(rng, 4, 2, 20)
    terms = structured_second_order(params, "layer", True, batch, 0.1)
    gi2 = structured_interference(params, "layer", True, batch, 0.1)["gi2"]
    assert terms["first_order"] - terms["squared"] == pytest.approx(gi2, rel=1e-10)


def test_without_a_norm_and_with_linear_units_the_hessian_term_is_the_output_rows_share():
    """Q = V W s, all units active: Q'' along (dW, dV) is 2 dV dW s, here by hand."""
    rng = np.random.default_rng(2)
    params = random_params(rng, 3, 1, 6, False, 1.0)
    params["W"], params["V"] = np.abs(params["W"]), np.abs(params["V"])
    batch = random_batch(rng, 3, 1, 7)
    obs, next_obs = np.abs(batch.obs), np.abs(batch.next_obs)
    batch = batch._replace(obs=obs, next_obs=next_obs, action=np.zeros(7, int))
    W, v = params["W"].astype(float), params["V"][0].astype(float)
    live = 0.99 * (1 - batch.terminated)
    td = obs @ W.T @ v - batch.reward - live * (next_obs @ W.T @ v)
    by_hand = np.mean(
        [
            0.01
            * td[j]
            * td[i] ** 2
            * 2
            * (W @ obs[i])
            @ v
            * (obs[i] @ (obs[j] - live[j] * next_obs[j]))
            for i in range(7)
            for j in range(7)
        ]
    )
    ours = structured_second_order(params, "none", False, batch, 0.1)["hessian"]
    assert ours == pytest.approx(by_hand, rel=1e-5)  # obs are float32


@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm not in COVERED])
def test_other_norms_are_refused(norm):
    rng = np.random.default_rng(3)
    params, batch = random_params(rng, 4, 2, 5, True, 1.0), random_batch(rng, 4, 2, 3)
    with pytest.raises(MetricError, match=rf"norm is '{norm}'; covered are .*metrics.second_order"):
        structured_second_order(params, norm, True, batch, 0.1)


def test_what_is_not_finite_is_nan():
    rng = np.random.default_rng(4)
    params, batch = random_params(rng, 4, 2, 5, True, 1.0), random_batch(rng, 4, 2, 3)
    params["V"][0, 0] = np.inf
    terms = structured_second_order(params, "none", True, batch, 0.1)
    assert list(terms) == list(SECOND_ORDER) and all(map(math.isnan, terms.values()))


BITS = """
import numpy as np
from test_structured import random_batch, random_params
from lnqlib.engine.structured_second import structured_second_order
rng = np.random.default_rng(5)
for obs_dim, num_actions in ((4, 2), (6, 3)):
    params = random_params(rng, obs_dim, num_actions, 128, True, 1.0)
    batch = random_batch(rng, obs_dim, num_actions, 128)
    print([x.hex() for x in structured_second_order(params, "layer", True, batch, 0.1).values()])
"""


def test_the_bits_do_not_depend_on_the_threads_of_the_matrix_products():
    said = []
    for threads in ("1", "2"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", BITS]
        folder = ROOT / "tests"
        said.append(subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True))
    assert said[0].stdout == said[1].stdout != b""


TICKS = """
from pathlib import Path
import os
for _ in range(20):
    structured_second_order(params, "layer", True, batch, 0.1)
tasks = Path("/proc/self/task").iterdir()
stats = {int(p.name): (p / "stat").read_text().split(") ")[1] for p in tasks}
ticks = {name: sum(map(int, text.split()[11:13])) for name, text in stats.items()}
own = ticks.pop(os.getpid())
print(sum(ticks.values()), own, len(ticks))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_matrix_products_leave_other_runs_their_cores():
    """BLAS threads spin after a product, where a sweep trains other runs; BITS ends on Acrobot."""
    finished = subprocess.run(
        [sys.executable, "-c", BITS + TICKS],
        cwd=ROOT / "tests",
        env=os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    others, own, threads = map(int, finished.stdout.splitlines()[-1].split())
    assert threads >= 1
    assert own > 20 and others <= own / 4  # a thread that spins takes as many as the own one
