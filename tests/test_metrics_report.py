"""Companions, report and their references, against definitions and against the data."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from test_metrics import random_batch
from test_metrics_networks import Casting, cnn, images, mlp, refused
from torch import nn

from lnqlib.data import Transitions
from lnqlib.metrics import (
    MetricError,
    churn,
    dormant,
    feature_norm,
    features_of,
    interference,
    isometry,
    panel,
    references,
    report,
    seem,
    stable_rank,
)
from lnqlib.metrics.reading import COLUMNS

LR = 0.05


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_stable_rank():
    assert stable_rank(np.eye(5)) == pytest.approx(5)
    assert stable_rank(np.outer([1.0, 2.0], [3.0, 4.0, 5.0])) == pytest.approx(1)
    assert stable_rank(np.diag([2.0, 1.0])) == pytest.approx((4 + 1) / 4)
    assert stable_rank(torch.ones(3, 2, 2)) == pytest.approx(1)
    assert math.isnan(stable_rank(np.zeros((3, 2))))
    assert math.isnan(stable_rank(np.array([[math.inf, 1.0]])))


def test_dormant_units():
    """Scores 1, 1, 2 / 75 and 0 of a layer whose mean is about a half; the threshold is tau."""
    x = np.array([[1.0, -1.0, 0.02, 0.0], [1.0, 1.0, 0.0, 0.0]])
    assert dormant(x) == pytest.approx(2 / 4)
    assert dormant(x, tau=0.01) == pytest.approx(1 / 4)
    assert dormant(np.zeros((3, 4))) == 1
    channels = np.zeros((2, 2, 3, 3))
    channels[:, 0] = 1
    assert dormant(channels) == pytest.approx(1 / 2)  # a channel is one unit
    with pytest.raises(MetricError, match=r"features have shape \(3,\)"):
        dormant(np.zeros(3))


def test_feature_norm():
    assert feature_norm(np.array([[3.0, 4.0], [0.0, 1.0]])) == pytest.approx(3)


def test_features_of_a_layer():
    q, obs = mlp(), random_batch(1).obs
    x = torch.as_tensor(obs).double()
    doubled = copy.deepcopy(q).double()
    with torch.no_grad():
        hidden = doubled[1](doubled[0](x))
        np.testing.assert_allclose(features_of(q, "1", obs), hidden.numpy(), rtol=1e-12)
        np.testing.assert_allclose(features_of(q, "2", obs), hidden.relu().numpy(), rtol=1e-12)
        np.testing.assert_allclose(features_of(q, "1", obs, "input"), doubled[0](x).numpy())
        np.testing.assert_array_equal(features_of(q, None, obs), features_of(q, "2", obs))
    assert features_of(cnn(), "2", images(1).obs, forward=lambda q, o: q(o / 255)).shape == (
        6,
        5,
        4,
        4,
    )
    with pytest.raises(MetricError, match="q has no layer 'fc2'; it has 0, 1, 2, 3"):
        features_of(q, "fc2", obs)


def test_features_of_an_activation_that_is_overwritten():
    q = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    obs = random_batch(2).obs
    assert (features_of(q, "0", obs) < 0).any()
    assert (features_of(q, "1", obs) >= 0).all()


def test_churn():
    before, batch = mlp(), random_batch(3)
    after = copy.deepcopy(before)
    assert churn(before, after, batch) == {"q_change": 0, "greedy_changed": 0}
    with torch.no_grad():
        after[3].bias += torch.tensor([100.0, 0.0])
    changed = churn(before, after, batch)
    assert changed["q_change"] == pytest.approx(100 * np.mean(batch.action == 0), rel=1e-6)
    with torch.no_grad():
        was = (before(torch.as_tensor(batch.obs)).argmax(1) == 1).float().mean()
    assert changed["greedy_changed"] == pytest.approx(float(was))
    with pytest.raises(MetricError, match="all must be of one task"):
        churn(before, mlp(num_actions=3), batch)


def test_a_panel_is_the_metrics_one_by_one():
    q, batch = mlp(), random_batch(4)
    found = panel(q, batch, LR, rng=np.random.default_rng(1))
    values = found.values
    plain = interference(q, batch, LR)
    assert {name: values[name] for name in plain} == plain
    assert {name: values[name] for name in ("seem", "seem_scaled")} == seem(q, batch)
    features = features_of(q, "2", batch.obs)
    rng = np.random.default_rng(1)
    assert values["iso_3"] == isometry(features, 3, rng)
    assert values["iso_p"] == isometry(features, 3 + 2, rng)
    assert values["stable_rank"] == stable_rank(features)
    assert list(found.layers.index) == ["0", "3", "1"]
    assert found.layers["grad_norm2"].sum() == pytest.approx(values["grad_norm2"])
    assert found.layers.loc["3", "dormant"] == dormant(features)
    assert math.isnan(found.layers.loc["0", "stable_rank"])


def test_a_panel_with_a_target_network_has_the_seem_index_without():
    q, target, batch = mlp(), mlp(), random_batch(5)
    values = panel(q, batch, LR, target=target).values
    assert values["seem"] == pytest.approx(seem(q, batch)["seem"])
    assert values["mgi"] == interference(q, batch, LR, target=target)["mgi"]
    with pytest.raises(MetricError, match="takes no target network"):
        seem(q, batch, target=target)


def test_a_report_of_several_batches():
    q, data = mlp(), random_batch(6, size=60)
    one = report(q, data, LR)
    assert one["sgi"] == interference(q, data, LR)["sgi"]
    assert one.frame["error"].isna().all()
    many = report(q, data, LR, batches=5, size=12)
    order = np.random.default_rng(0).permutation(60)
    parts = [Transitions(*(x[order[i : i + 12]] for x in data)) for i in range(0, 60, 12)]
    sgi = [interference(q, part, LR)["sgi"] for part in parts]
    assert many["sgi"] == pytest.approx(np.mean(sgi))
    assert many.frame.loc["sgi", "error"] == pytest.approx(np.std(sgi, ddof=1) / math.sqrt(5))
    drawn = iter(parts)
    assert report(q, lambda: next(drawn), LR, batches=5)["sgi"] == pytest.approx(np.mean(sgi))
    said = refused(q, data, "60 transitions for 6 batches of 12", metric=report, batches=6, size=12)
    assert "size=10" in said


def test_a_report_deals_discounts_with_their_transitions():
    q, data = mlp(), random_batch(7, size=24)
    discount = np.linspace(0.5, 1, 24)
    many = report(q, data, LR, batches=2, size=12, discount=discount)
    order = np.random.default_rng(0).permutation(24)
    losses = [
        interference(q, Transitions(*(x[rows] for x in data)), LR, discount=discount[rows])
        for rows in (order[:12], order[12:])
    ]
    assert many["td_loss"] == pytest.approx(np.mean([x["td_loss"] for x in losses]))


def test_a_report_reads_itself():
    made = report(Casting(), random_batch(8, size=40), LR, batches=2, size=20)
    text, html = str(made), made._repr_html_()
    for shown in (text, html):
        assert "2 x 20 transitions, float32" in shown or shown is html
        assert "insists" in shown
        assert "\N{PLUS-MINUS SIGN}" in shown
        assert "no reference yet" in shown and "depends on the task" in shown
    assert isinstance(made.frame, pd.DataFrame) and set(COLUMNS) <= set(made.frame)
    figure = made.plot()
    assert len(figure.axes) == made.frame[COLUMNS[0]].notna().sum() >= 7


def test_references_are_the_shipped_networks():
    """One number of each group, from the files themselves."""
    table = references()
    folder = ROOT / "data" / "results" / "core"
    sgi = {"untrained": [], "trained LN": []}
    for path in folder.glob("*.runs.parquet"):
        runs = pd.read_parquet(path)
        curves = pd.read_parquet(str(path).replace("runs", "curves"))
        kept = runs[runs.clamped_steps == 0]
        for optimizer in ("SGD", "Adam"):
            of = kept[(kept.optimizer == optimizer) & (kept.norm == "layer")]
            best = of.groupby("lr")["return"].mean().idxmax()
            keys = set(of.key[of.lr == best])
            sgi["trained LN"] += list(
                curves.sgi[(curves.step == curves.step.max()) & curves.key.isin(keys)]
            )
        keys = set(kept.key[kept.norm == "none"])
        sgi["untrained"] += list(curves.sgi[(curves.step == 0) & curves.key.isin(keys)])
    for group, values in sgi.items():
        expected = np.quantile(values, [0.1, 0.5, 0.9])
        names = [f"{group} {name}" for name in ("10%", "median", "90%")]
        np.testing.assert_allclose(table.loc["sgi", names].astype(float), expected, rtol=1e-12)
    assert "td_loss" not in table.index  # its unit is the task's


def test_without_the_repository_there_are_no_references(monkeypatch, tmp_path):
    monkeypatch.setattr("lnqlib.metrics.reading.CORE", tmp_path)
    references.cache_clear()
    try:
        made = report(mlp(), random_batch(9), LR)
        assert made.frame[COLUMNS[0]].isna().all()
        assert "no reference yet" in str(made)
        made.plot()
    finally:
        references.cache_clear()
