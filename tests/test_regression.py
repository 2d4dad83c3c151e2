"""lnqlib.regression against torch.nn, the one-step theory and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnqlib import plots_theory, regression, theory
from lnqlib.spec import RunSpec, grid
from lnqlib.stats import geometric_mean
from lnqlib.tasks import TASKS

RNG = np.random.default_rng(0)
RATES = (1e-1, 1e-2, 1e-3)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_errors_move_as_a_torch_layer_learns(optimizer):
    """theta of nn.Linear, half the squared residual by autograd, against e = theta - theta*."""
    x, error = RNG.standard_normal((2, 7, 3)), RNG.standard_normal((2, 3))
    samples, target = RNG.integers(7, size=(25, 2)), torch.tensor(RNG.standard_normal(3))
    after = regression.errors_after(x, error, samples, RATES, optimizer)
    for r, lr in enumerate(RATES):
        for problem in range(2):
            layer = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
            layer.weight.data[0] = target + torch.tensor(error[problem])
            step = getattr(torch.optim, optimizer)(layer.parameters(), lr=lr)
            for i in samples[:, problem]:
                sample = torch.tensor(x[problem, i])
                step.zero_grad()
                (0.5 * (layer(sample)[0] - sample @ target) ** 2).backward()
                step.step()
            learned = (layer.weight[0] - target).detach().numpy()
            assert after[r, problem] == pytest.approx(learned, abs=1e-12)


def test_one_step_from_every_sample_is_the_parabola_of_the_theorems():
    spec = RunSpec("Acrobot", seed=3)
    x, error = regression.inputs(spec), RNG.standard_normal(spec.width)
    assert x.shape == (regression.SAMPLES, spec.width)
    assert x.min() >= 0  # after the ReLU
    x = x[:60]
    each, errors = np.stack([x] * 60), np.stack([error] * 60)  # once for every sample
    (after,) = regression.errors_after(each, errors, np.arange(60)[None], (0.01,), "SGD")
    for measured, terms, start in (
        ((after**2).sum(1), theory.distance_terms(x, error), error @ error),
        (((after @ x.T) ** 2).mean(1), theory.loss_terms(x, error), ((x @ error) ** 2).mean()),
    ):
        first, second = terms
        assert measured.mean() == pytest.approx(start - 0.02 * first + 1e-4 * second)


@pytest.fixture(scope="module")
def trained():
    specs = grid(env=("Acrobot", "Pendulum"), norm=("none", "layer"), seed=range(2), steps=40)
    return regression.train(specs, (1.0, *RATES))


def test_both_norms_start_alike_and_differ_in_nothing_but_the_norm(monkeypatch):
    seen = {}

    def spy(x, error, samples, rates, optimizer):
        seen.update(x=x, error=error, samples=samples)
        return np.zeros((len(rates), *error.shape))

    monkeypatch.setattr(regression, "errors_after", spy)
    regression.train(grid(env="Pendulum", seed=range(2), steps=40), RATES)
    spread, constant = np.split(seen["x"], 2)
    norms = np.linalg.norm(constant, axis=2)
    assert np.ptp(norms, axis=1) == pytest.approx(0, abs=1e-12)
    cosines = (spread * constant).sum(2) / norms / np.linalg.norm(spread, axis=2)
    assert cosines == pytest.approx(1)
    errors, same = np.split(seen["error"], 2)
    assert np.array_equal(errors, same)
    assert np.linalg.norm(errors, axis=1) == pytest.approx(1)
    losses = [np.einsum("pnd,pd->pn", x, errors) ** 2 for x in (spread, constant)]
    assert losses[0].mean(1) == pytest.approx(losses[1].mean(1))
    first, second = np.split(seen["samples"], 2, axis=1)
    assert np.array_equal(first, second)
    assert len(np.unique(first)) > 30


def test_rows_are_complete_and_repeat(trained):
    again = regression.train(
        grid(env="Pendulum", norm=("none", "layer"), seed=range(2), steps=40), (1.0, *RATES)
    )
    mine = trained[trained["env"] == "Pendulum"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, again)  # whatever else is trained
    assert len(trained) == 2 * 2 * 2 * 2 * 4
    assert not trained[["distance", "loss"]].isna().any(axis=None)
    small = trained[trained["lr"] == 1e-3]
    assert (small["distance"] < 1).all() and (small["distance"] > 0.5).all()


def test_what_diverges_is_infinite():
    rows = regression.train(grid(env="Pendulum", seed=0, steps=400), (1.0, 1e-3))
    assert np.isinf(rows.loc[rows["lr"] == 1.0, ["distance", "loss"]]).all(axis=None)
    assert (rows.loc[rows["lr"] == 1e-3, "loss"] < 1).all()


def test_both_measures_are_1_at_the_start():
    rows = regression.train(grid(env="Acrobot", norm=("none", "layer"), seed=1, steps=3), (1e-12,))
    assert rows[["distance", "loss"]].to_numpy() == pytest.approx(1)


def test_adam_is_another_optimizer():
    sgd, adam = (
        regression.train(grid(env="Acrobot", seed=0, steps=20, optimizer=name), RATES)
        for name in ("SGD", "Adam")
    )
    assert (sgd["spread"] == adam["spread"]).all()
    assert (sgd["distance"] != adam["distance"]).all()


def hand_made() -> pd.DataFrame:
    """Spread norms are best at 0.1, constant ones at 1: there 4 and 1 times their rival's."""
    losses = {("spread", 0.1): (1, 4), ("spread", 1): (2, np.inf)}
    losses |= {("constant", 0.1): (100, 100), ("constant", 1): (4, 4)}
    rows = [
        {"env": "Acrobot", "norm": "none", "inputs": inputs, "lr": lr, "seed": seed, "loss": loss}
        | {"spread": 2.0 * seed, "distance_ratio": 0.5, "loss_ratio": (1, 4)[seed]}
        | {"distance": loss}
        for (inputs, lr), both in losses.items()
        for seed, loss in enumerate(both)
    ]
    return pd.DataFrame(rows)


def test_each_norm_is_taken_at_its_best_learning_rate():
    (ratio,) = regression.constant_over_spread(hand_made(), "loss")
    assert ratio.value == pytest.approx(2)  # the geometric mean of 4 and 1
    assert (ratio.low, ratio.high) == pytest.approx((1, 4))


def test_the_table_by_network():
    table = regression.by_network(hand_made())
    (row,) = table.to_dict("records")
    assert list(table.index) == [("Acrobot", "none")]
    assert table.index.names == ["env", "norm"]
    assert row["spread"] == 1
    assert (row["one_step_distance"].value, row["one_step_loss"].value) == pytest.approx((0.5, 2))
    assert row["loss"] == row["distance"]


def test_an_interval_that_reaches_1_is_on_neither_side():
    intervals = pd.Series(
        [geometric_mean(np.array(v)) for v in ((0.5, 0.9), (1, 2), (2, 3), (0.5, 2))]
    )
    assert regression.sides(intervals) == {"below": 1, "above": 1}


def test_the_figure_has_both_norms_and_ends_where_a_seed_ends_above_its_start(trained):
    trained = trained.copy()
    trained.loc[(trained["lr"] == 1e-3) & (trained["seed"] == 1), ["distance", "loss"]] = 1.5
    figure = plots_theory.trained_by_lr(trained[trained["norm"] == "none"])
    assert len(figure.axes) == 4
    for ax, (metric, env) in zip(
        figure.axes, [(m, e) for m in ("distance", "loss") for e in ("Acrobot", "Pendulum")],
        strict=True,
    ):  # fmt: skip
        lines = {line.get_label(): line for line in ax.get_lines() if "norm" in line.get_label()}
        for inputs in regression.NORMS:
            mine = trained[(trained["env"] == env) & (trained["inputs"] == inputs)]
            table = mine[mine["norm"] == "none"].pivot(index="lr", columns="seed", values=metric)
            table = table[(table <= 1).all(axis=1)]
            x, y = lines[f"{inputs} norm"].get_data()
            assert list(x) == list(table.index)
            assert list(y) == pytest.approx(list(np.sqrt(table[0] * table[1])))


def test_the_figure_of_one_seed_and_of_a_single_step_can_be_drawn():
    for steps in (1, 30):
        rows = regression.train(grid(env="MountainCar", seed=0, steps=steps), (1.0, 1e-2))
        assert len(plots_theory.trained_by_lr(rows).axes) == 2


def test_ln_leaves_the_norms_of_starting_features_nearly_constant():
    """Half of LN's length, which is sqrt(width) for every sample, passes the ReLU, about."""
    for env in TASKS:
        with_ln = regression.inputs(RunSpec(env, "layer"))
        squares = (with_ln**2).sum(1)
        assert squares.mean() == pytest.approx(64, rel=0.1)
        assert squares.std() / squares.mean() < 0.1
        assert squares.std() / squares.mean() == pytest.approx(theory.norm_spread(with_ln))
