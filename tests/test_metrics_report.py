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
from lnqlib.metrics.reading import COLUMNS, READINGS
from lnqlib.spec import study

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
    with pytest.raises(MetricError, match=r"action holds 0\.9"):
        churn(before, after, batch._replace(action=np.full(len(batch.action), 0.9)))


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


def test_a_network_that_overflows_in_its_own_precision_has_no_feature_metrics():
    q = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        q[0].weight.mul_(1e25)
        q[2].weight.mul_(1e25)
    found = panel(q, random_batch(5), LR)
    assert all(map(math.isnan, found.values.values()))
    assert found.layers.isna().all().all()
    assert panel(q.double(), random_batch(5), LR).values["stable_rank"] > 1


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
        assert "depends on the task" in shown and "no reference yet" not in shown
    assert isinstance(made.frame, pd.DataFrame) and set(COLUMNS) <= set(made.frame)
    figure = made.plot()
    assert len(figure.axes) == made.frame[COLUMNS[0]].notna().sum() >= 7


GROUPS_OF = {"untrained": "none", "trained None": "none", "trained LN": "layer"}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("core", "sgi"),
        ("references", "stable_rank"),
        ("references", "seem_scaled"),
        ("references", "dormant"),
        ("references", "feature_norm"),
        ("references", "mgi_zero"),
    ],
)
def test_references_are_the_shipped_networks(name, metric):
    """From the files themselves, one task and optimizer at a time."""
    values = {group: [] for group in GROUPS_OF}
    for path in (ROOT / "data" / "results" / name).glob("*.runs.parquet"):
        runs = pd.read_parquet(path)
        curves = pd.read_parquet(str(path).replace("runs", "curves"))
        kept = runs[runs.clamped_steps == 0]
        ends = {"untrained": curves.step == 0}
        ends |= dict.fromkeys(list(GROUPS_OF)[1:], curves.step == curves.step.max())
        for group, norm in GROUPS_OF.items():
            keys = set(kept.key[kept.norm == norm])
            if group != "untrained":
                keys = set()
                for optimizer in ("SGD", "Adam"):
                    of = kept[(kept.optimizer == optimizer) & (kept.norm == norm)]
                    best = of.groupby("lr")["return"].mean().idxmax()
                    keys |= set(of.key[of.lr == best])
            values[group] += list(curves[metric][ends[group] & curves.key.isin(keys)])
    table = references()
    for group, found in values.items():
        expected = np.nanquantile(found, [0.1, 0.5, 0.9])
        names = [f"{group} {share}" for share in ("10%", "median", "90%")]
        np.testing.assert_allclose(table.loc[metric, names].astype(float), expected, rtol=1e-12)


def test_every_metric_without_a_unit_has_a_reference():
    names = {name for name, about in READINGS.items() if not about.unit}
    assert set(references().index) == names


def test_the_study_of_references_has_cores_best_rates():
    found = {(s.env, s.optimizer, s.norm, s.lr) for s in study("references")}
    best = set()
    for path in (ROOT / "data" / "results" / "core").glob("*.runs.parquet"):
        runs = pd.read_parquet(path)
        means = runs[runs.clamped_steps == 0].pivot_table(
            "return", ["env", "optimizer", "norm"], "lr"
        )
        best |= {(*index, lr) for index, lr in means.idxmax(axis=1).items()}
    assert found == best and len(found) == 16


def test_without_the_repository_there_are_no_references(monkeypatch, tmp_path):
    monkeypatch.setattr("lnqlib.metrics.reading.RESULTS", tmp_path)
    references.cache_clear()
    try:
        made = report(mlp(), random_batch(9), LR)
        assert made.frame[COLUMNS[0]].isna().all()
        assert "no reference yet" in str(made)
        made.plot()
    finally:
        references.cache_clear()
