"""Hostile values: an error's sentence or a correct run; and runs that diverge are counted."""

from dataclasses import asdict, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from conftest import GOOD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lnqbook import notebook, stats
from lnqbook.notebook import ParameterError
from lnqlib import engine, run, spec, training
from lnqlib.spec import FIELDS, RunSpec, SpecError
from lnqlib.store import Store
from lnqlib.store import shipped as shipped_results
from lnqlib.store.ship import ship
from lnqlib.store.shipped import Shipped
from lnqlib.sweep import sweep

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=80)
    | st.binary(max_size=8)
    | st.decimals()
    | st.fractions()
)
VAST = st.sampled_from([400, 5000]).map(lambda digits: 10**digits) | st.sampled_from(
    [-(10**400), Fraction(10**400), Decimal("1e9999")]
)
ODD = st.floats().map(np.float64) | st.sampled_from(
    [
        *(np.float16(1), np.float32("nan"), np.longdouble(1), np.int64(3), np.uint8(7)),
        *(np.bool_(True), np.str_("Pendulum"), np.array(["layer", "none"]), np.array(2)),
        *(np.zeros((2, 2)), np.array([]), pd.NA, pd.NaT, pd.DataFrame({"a": [1, 2]})),
        *(object(), len, {1}, "x" * 10**5, "9" * 10**5),
    ]
)
NAMES = st.sampled_from([*spec.ENVS, *spec.OPTIMIZERS, *spec.NORMS, *spec.DATA, *spec.LR_CONTROLS])
ANY = PLAIN | VAST | ODD | NAMES | st.lists(PLAIN | VAST, max_size=3)
ANY |= st.dictionaries(st.text(), PLAIN)
NUMBERS = (
    st.integers(-2, 20_000)
    | st.floats(-1e-3, 2.0)
    | st.sampled_from([-0.0, 0.0, 5e-324, 1e-30, 1e30, 1e308, 2**32 - 1, 2**32, 10**9, 10**9 + 1])
)
QUICK = settings(max_examples=150, deadline=2000)


def assert_sentence(error: Exception, names) -> None:
    text = str(error)
    assert text.startswith(tuple(f"{name} " for name in names)), text
    assert "; write " in text and "\n" not in text and len(text) < 400


@pytest.mark.parametrize("field", FIELDS)
@QUICK
@given(value=ANY | NUMBERS)
@example(value=np.array(["layer", "none"]))
@example(value=10**400)
def test_a_field_is_refused_in_a_sentence_or_plain(field, value):
    try:
        made = RunSpec(**{"env": "CartPole", "dataset_size": 5000} | {field: value})
    except SpecError as error:
        assert_sentence(error, [field])
        return
    got = getattr(made, field)
    assert type(got).__name__ == RunSpec.__annotations__[field]
    assert got == (float(value) if isinstance(got, float) else value)
    again = RunSpec(**asdict(made))
    assert again == made and again.key == made.key and len(made.key) == 16


@QUICK
@given(values=st.dictionaries(st.sampled_from(FIELDS), ANY | NUMBERS))
def test_fields_together_are_refused_or_plain(values):
    try:
        made = RunSpec(**{"env": "CartPole"} | values)
    except SpecError as error:
        assert_sentence(error, FIELDS)
        return
    assert made.dataset_size >= made.batch_size
    assert made.checkpoint_steps[0] == 0 and (np.diff(made.checkpoint_steps) > 0).all()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("seed", 2**32, "a whole number from 0 to 4294967295"),
        ("steps", 10**9 + 1, "a whole number from 1 to 1000000000"),
        ("gamma", 1.0 - 1e-13, "a number below 1 from 0.0 to 0.999999999999"),
    ],
)
def test_a_sentence_holds_exact_numbers(name, value, allowed):
    with pytest.raises(SpecError, match=f"^{name} is {value!r}; it must be {allowed}; write"):
        RunSpec(**{"env": "CartPole", name: value})


@pytest.mark.parametrize(
    ("name", "meant"), [("Table1", "table1"), ("cores", "core"), ("", "core"), (None, "core")]
)
def test_an_unknown_study_is_answered_with_one_to_write(name, meant):
    with pytest.raises(SpecError) as error:
        spec.study(name)
    assert_sentence(error.value, ["study"])
    assert str(error.value).endswith(f'study("{meant}")')


@pytest.mark.parametrize("zero", [-0.0, 0, np.float32(0)])
def test_equal_specs_have_equal_keys(zero):
    a, b = RunSpec("CartPole", gamma=zero), RunSpec("CartPole", gamma=0.0)
    assert a == b and a.key == b.key


@pytest.mark.parametrize("name", GOOD)
@QUICK
@given(value=ANY | NUMBERS | st.lists(NUMBERS | ODD, max_size=4) | st.just("tcp://a:1"))
def test_a_parameter_is_refused_in_a_sentence_or_plain(name, value):
    try:
        p = notebook.parameters(**GOOD | {name: value})
    except ParameterError as error:
        assert_sentence(error, [name])
        assert " write -" in str(error)
        return
    plain = {"seeds": int, "steps": int, "workers": int, "refresh": bool}
    assert all(type(getattr(p, n)) is kind for n, kind in plain.items())
    assert all(type(lr) is float for lr in p.learning_rates)
    if name == "learning_rates":
        assert p.learning_rates == tuple(dict.fromkeys(float(lr) for lr in value))
    few = replace(p, seeds=min(p.seeds, 3), learning_rates=p.learning_rates[:2])
    assert all(made.steps == p.steps for made in few.specs())


@pytest.mark.parametrize("norm", ["none", "layer"])
@settings(max_examples=8, deadline=None)  # the first example waits for the compiler
@given(
    lr=st.floats(-30, 30).map(lambda x: 10.0**x),
    gamma=st.floats(0, 1 - 1e-12),
    gradient_scale=st.floats(-6, 6).map(lambda x: 10.0**x),
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 60),
    checkpoints=st.integers(1, 10_000),
    eval_episodes=st.integers(0, 2),
    dataset_size=st.integers(128, 400),
)
def test_extreme_runs_end_and_keep_their_books(norm, **fields):
    tiny = RunSpec("CartPole", norm=norm, **fields | {"checkpoints": min(fields["checkpoints"], 4)})
    result = engine.train(tiny)
    row, curves = result.row, result.curves
    np.testing.assert_array_equal(curves["step"], tiny.checkpoint_steps)
    assert np.isnan(row["return"]) == (tiny.eval_episodes == 0)
    assert not curves["return"].min() < 1 and not curves["return"].max() > 500
    assert (row["diverged_step"] >= 0) == (not np.isfinite(row["loss"]))
    assert (row["clamped_steps"] > 0) == (row["first_clamp"] >= 0)
    bound = 1e6 * np.sqrt(tiny.width * 5) * (1 + 1e-6)  # Eq. of App. G's clamp, W and b
    assert np.isfinite(curves["weight_norm"]).all() and curves["weight_norm"].max() <= bound
    length = np.diff(curves["step"], append=tiny.steps)
    assert row["loss"] == pytest.approx(curves["loss"] @ length / tiny.steps, rel=1e-9)
    if tiny.lr * tiny.gradient_scale <= 1e-3:  # beyond it rounding grows
        truth = training.train(tiny)
        np.testing.assert_allclose(curves["loss"], truth.curves["loss"], rtol=1e-3)
        np.testing.assert_allclose(curves["td_loss"], truth.curves["td_loss"], rtol=1e-3)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_run_that_diverges_is_kept_and_counted_everywhere(tmp_path, monkeypatch, poison):
    monkeypatch.setattr(shipped_results, "RESULTS", tmp_path / "results")
    specs = spec.grid(
        env="CartPole", norm=("none", "layer"), lr=1e-2, seed=range(3), steps=300, checkpoints=3,
        dataset_size=5000,
    )  # fmt: skip
    healthy = sweep(specs, store=tmp_path / "healthy", progress=False).set_index(["norm", "seed"])
    original = run.dataset_of

    def poisoned(env, seed, data, size):
        dataset = original(env, seed, data, size)
        if seed != 1:
            return dataset
        reward = dataset.reward.copy()
        reward[7] = poison
        return dataset._replace(reward=reward)

    monkeypatch.setattr(run, "dataset_of", poisoned)
    frame = sweep(specs, store=tmp_path / "sick", progress=False)
    assert list(frame["key"]) == [s.key for s in specs]  # none is dropped
    drawn = specs[1].rng("batches").integers(5000, size=(300, 128), dtype=np.int32)
    first = int(np.flatnonzero((drawn == 7).any(axis=1))[0])
    assert 0 < first < 100
    assert list(frame["diverged_step"]) == [-1, first, -1] * 2
    assert list(np.isfinite(frame["loss"])) == [True, False, True] * 2

    for norm, runs in frame.groupby("norm"):
        others = healthy.loc[norm]["loss"]
        point = stats.point_summary(runs, "loss").iloc[0]
        assert (point["count"], point["left_out"]) == (2, 1)
        assert point["value"] == (others[0] + others[2]) / 2
        cell = stats.table_cell(runs, "loss")
        assert cell[:1] + cell[3:] == ((others[0] + others[2]) / 2, 2, 1)
    effect = stats.paired_effect(frame, "loss").iloc[0]
    assert (effect["count"], effect["left_out"]) == (2, 1)

    ship(specs, tmp_path / "results" / "tiny", Store(tmp_path / "sick"))
    shipped = Shipped().results(specs)
    assert list(shipped["diverged_step"]) == list(frame["diverged_step"])
    np.testing.assert_array_equal(shipped["loss"], frame["loss"])
    curves = Shipped().curves(specs[1:2])
    assert list(curves["step"]) == [0, 100, 200] and not np.isfinite(curves["loss"]).any()
