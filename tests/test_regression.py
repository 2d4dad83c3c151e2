"""Linear regression against torch.nn, the one-step theory and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnqbook import theory
from lnqbook.pages.linear_regression import figures, regression
from lnqlib.spec import RunSpec, grid
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
            assert after[problem, r] == pytest.approx(learned, abs=1e-12)


def test_one_step_from_every_sample_is_the_parabola_of_the_theorems():
    spec = RunSpec("Acrobot", seed=3)
    x, error = regression.features(spec), RNG.standard_normal(spec.width)
    assert x.shape == (regression.SAMPLES, spec.width)
    assert x.min() >= 0  # after the ReLU
    x = x[:60]
    each, errors = np.stack([x] * 60), np.stack([error] * 60)  # once for every sample
    after = regression.errors_after(each, errors, np.arange(60)[None], (0.01,), "SGD")[:, 0]
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


def test_the_kinds_differ_in_nothing_but_the_norm():
    x, error = regression.features(RunSpec("Pendulum")), RNG.standard_normal(128)
    made = regression.kinds(x, error, np.random.default_rng(1))
    assert tuple(made) == regression.INPUTS
    norms = {name: np.linalg.norm(of, axis=1) for name, of in made.items()}
    for name, of in made.items():
        cosines = (x * of).sum(1) / norms["spread"] / norms[name]
        assert cosines == pytest.approx(1)
        assert theory.expected_loss(of, error) == pytest.approx(theory.expected_loss(x, error))
    assert np.ptp(norms["constant"]) == pytest.approx(0, abs=1e-12)
    shares = [np.sort(norms[name]) / norms[name].mean() for name in ("spread", "shuffled")]
    assert shares[0] == pytest.approx(shares[1])
    own, dealt = (np.corrcoef(norms["spread"], norms[name])[0, 1] for name in regression.INPUTS[:2])
    assert own == pytest.approx(1) and abs(dealt) < 0.2


def test_every_kind_takes_the_same_samples_from_the_same_error(monkeypatch):
    seen = {}

    def spy(x, error, samples, rates, optimizer):
        seen.update(x=x, error=error, samples=samples)
        return np.zeros((len(x), len(rates), x.shape[2]))

    monkeypatch.setattr(regression, "errors_after", spy)
    regression.train(grid(env="Pendulum", seed=range(2), steps=40), RATES)
    for seed in (0, 3):  # where a seed's three kinds begin
        assert (seen["error"][seed : seed + 3] == seen["error"][seed]).all()
        assert (seen["samples"][:, seed : seed + 3] == seen["samples"][:, [seed]]).all()
    assert np.linalg.norm(seen["error"], axis=1) == pytest.approx(1)
    assert (seen["error"][0] != seen["error"][3]).all()
    assert len(np.unique(seen["samples"][:, 0])) > 30


def test_rows_are_complete_and_repeat(trained):
    again = regression.train(
        grid(env="Pendulum", norm=("none", "layer"), seed=range(2), steps=40), (1.0, *RATES)
    )
    mine = trained[trained["env"] == "Pendulum"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, again)  # whatever else is trained
    assert len(trained) == 2 * 2 * 2 * 3 * 4
    assert not trained[["distance", "loss"]].isna().any(axis=None)
    small = trained[trained["lr"] == 1e-3]
    assert (small["distance"] < 1).all() and (small["distance"] > 0.5).all()


def test_specs_may_be_trained_in_groups(trained, monkeypatch):
    monkeypatch.setattr(regression, "TOGETHER", 3)
    specs = grid(env=("Acrobot", "Pendulum"), norm=("none", "layer"), seed=range(2), steps=40)
    pd.testing.assert_frame_equal(trained, regression.train(specs, (1.0, *RATES)))


def test_what_diverges_is_infinite():
    for steps in (100, 110, 120, 130, 400):  # through overflow to NaN
        rows = regression.train(grid(env="Pendulum", seed=0, steps=steps), (1.0, 1e-3))
        diverged = rows.loc[rows["lr"] == 1.0, ["distance", "loss"]].to_numpy()
        assert (diverged > 1e100).all() and (diverged != np.finfo(float).max).all()
        assert (rows.loc[rows["lr"] == 1e-3, "loss"] < 1).all()
    assert np.isinf(diverged).all()


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
    """Constant norms end at 4 and 4, shuffled ones at 2 and 2, spread ones at 1 and 4."""
    losses = {("spread", 0.1): (1, 4), ("spread", 1): (2, np.inf)}
    losses |= {("shuffled", 0.1): (9, 9), ("shuffled", 1): (2, 2)}
    losses |= {("constant", 0.1): (100, 4), ("constant", 1): (4, 100)}
    rows = [
        {"env": "Acrobot", "norm": "none", "inputs": inputs, "lr": lr, "seed": seed, "loss": loss}
        | {"spread": 2.0 * seed, "distance_ratio": 0.5, "loss_ratio": (1, 4)[seed]}
        | {"distance": loss}
        for (inputs, lr), both in losses.items()
        for seed, loss in enumerate(both)
    ]
    return pd.DataFrame(rows)


def test_each_seed_is_taken_at_its_own_best_learning_rate():
    spread, shuffled = regression.constant_over(hand_made(), "loss")
    assert spread.value == pytest.approx(2)  # the geometric mean of 4 and 1
    assert (spread.low, spread.high) == pytest.approx((1, 4))
    assert (shuffled.value, shuffled.low, shuffled.high) == pytest.approx((2, 2, 2))


def test_the_table_by_network():
    table = regression.by_network(hand_made())
    assert list(table.index) == [("Acrobot", "none", "spread"), ("Acrobot", "none", "shuffled")]
    assert table.index.names == ["env", "norm", "inputs"]
    for (_, row), loss in zip(table.iterrows(), (2, 2), strict=True):
        assert row["spread"] == 1
        one_step = row["one_step_distance"].value, row["one_step_loss"].value
        assert one_step == pytest.approx((0.5, 2))
        assert row["loss"].value == pytest.approx(loss)
        assert row["loss"] == row["distance"]


def test_shuffled_norms_follow_the_factor_of_independence():
    """C^2 / D over a constant norm is 1 / (1 + s^2) for them, and need not be for the others."""
    gaps = {"spread": [], "shuffled": []}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, error = regression.features(RunSpec("Acrobot", seed=seed)), rng.standard_normal(128)
        made = regression.kinds(x, error, rng)
        for name, of in gaps.items():
            ratios = theory.ratios(made[name], error)
            of.append(abs(ratios["loss_ratio"] * (1 + ratios["spread"] ** 2) - 1))
    assert np.mean(gaps["shuffled"]) < 0.1 < np.mean(gaps["spread"])


def test_the_figure_leaves_out_where_a_mean_or_its_band_is_above_the_start():
    ends = {1e-4: [0.9] * 19 + [1.2], 1e-3: [0.5] * 14 + [2.5] * 6, 1e-2: [0.5] * 19 + [np.inf]}
    rows = [
        {"env": env, "norm": "none", "optimizer": "SGD", "steps": 9, "seed": seed, "lr": lr}
        | {"inputs": inputs, "distance": end, "loss": end / 2}
        for env in ("Acrobot", "Pendulum")
        for inputs in regression.INPUTS
        for lr, seeds in ends.items()
        for seed, end in enumerate(seeds)
    ]
    figure = figures.trained_by_lr(pd.DataFrame(rows))
    assert len(figure.axes) == 4
    first = 0.9 ** (19 / 20) * 1.2 ** (1 / 20)
    for ax, (drawn, height) in zip(
        figure.axes, [([1e-4], first)] * 2 + [([1e-4, 1e-3], first / 2)] * 2, strict=True
    ):
        assert [line.get_label() for line in ax.get_lines()][:3] == [
            f"{inputs} norm" for inputs in regression.INPUTS
        ]
        for line in ax.get_lines()[:3]:
            assert list(line.get_xdata()) == drawn
            assert line.get_ydata()[0] == pytest.approx(height)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_the_figure_of_few_seeds_and_steps_can_be_drawn(seeds, steps):
    rows = regression.train(grid(env="MountainCar", seed=range(seeds), steps=steps))
    figure = figures.trained_by_lr(rows)
    figure.canvas.draw()
    assert len(figure.axes) == 2


def test_the_figure_without_a_single_mean_below_its_start_is_empty():
    rows = regression.train(grid(env="MountainCar", seed=0, steps=30), (0.3, 0.2))
    figure = figures.trained_by_lr(rows.assign(distance=2.0, loss=2.0))
    figure.canvas.draw()
    assert not any(len(line.get_xdata()) for ax in figure.axes for line in ax.get_lines())


def test_ln_leaves_the_norms_of_starting_features_nearly_constant():
    """Half of LN's length, which is sqrt(width) for every sample, passes the ReLU, about."""
    for env in TASKS:
        with_ln = regression.features(RunSpec(env, "layer"))
        squares = (with_ln**2).sum(1)
        assert squares.mean() == pytest.approx(64, rel=0.1)
        assert squares.std() / squares.mean() < 0.1
        assert squares.std() / squares.mean() == pytest.approx(theory.norm_spread(with_ln))
