"""A run's identity: its key, what is allowed, and what the paper's studies are made of."""

from dataclasses import replace

import pyarrow as pa
import pytest

from lnqlib import engine, spec
from lnqlib.spec import RunSpec, SpecError, study
from lnqlib.store.parquet import ROWS, chunk_table, decode, encode
from lnqlib.store.shipped import Shipped
from lnqlib.studies import STUDIES

KEYS = {
    "76ba755ca387f0b7": {"env": "MountainCar", "optimizer": "Adam", "lr": 0.01, "seed": 9},
    "19ab97d7660d30f3": {"norm": "layer", "lr": 0.001, "seed": 3, "lr_control": "project"},
    "1ae042efc2ba5f88": {"env": "MountainCar", "norm": "batch", "lr": 0.0001, "seed": 7},
    "df80d35f6f137dfe": {"norm": "layer", "lr": 0.01, "bias": False},
    "ebe1fe61f7a5c0b8": {"env": "MountainCar", "norm": "layer_after_relu", "lr": 0.01, "seed": 4},
    "5b497eef6f4bfc4c": {
        **{"env": "MountainCar", "norm": "layer", "lr": 0.0031622776601683794},
        **{"seed": 5, "lr_control": "project"},
    },
    "ab7ae67a7b0012c3": {
        **{"env": "Acrobot", "norm": "layer", "lr": 3.1622776601683795e-05, "seed": 25}
    },
    "519e7455bf567ec9": {
        **{"env": "Pendulum", "optimizer": "Adam", "lr": 0.0031622776601683794, "seed": 4},
        **{"checkpoints": 20, "second_order": True},
    },
    "19484ff0d2fc4330": {
        **{"env": "MountainCar", "norm": "layer_after_relu", "lr": 0.001, "seed": 5}
    },
    "cce2f42bd4d47e5b": {
        **{"norm": "layer", "optimizer": "Adam", "lr": 0.03162277660168379, "seed": 4}
    },
}
"""Keys of shipped runs: CartPole where nothing else is said."""


@pytest.mark.parametrize("key", KEYS)
def test_shipped_runs_keep_their_keys(key: str) -> None:
    assert RunSpec(**{"env": "CartPole"} | KEYS[key]).key == key


def test_every_shipped_run_is_found() -> None:
    keys = {run.key for name in STUDIES for run in study(name)}
    shipped = Shipped().keys()
    assert len(shipped) >= 13_500
    assert shipped <= keys


def test_an_added_field_counts_away_from_its_default() -> None:
    run = RunSpec("CartPole", norm="crossq")
    assert replace(run, momentum=0.1).key == run.key != replace(run, momentum=0.01).key


def test_a_file_without_an_added_column_holds_its_default() -> None:
    from standin import train

    table = chunk_table([train(RunSpec("CartPole", steps=4, eval_episodes=0))])
    older = decode(encode(table.drop_columns("momentum"), {}), pa.schema(table.schema), ROWS.names)
    assert older["momentum"].to_pylist() == [RunSpec("CartPole").momentum]


def test_momentum_is_batch_norms() -> None:
    with pytest.raises(SpecError, match=r'^momentum is 0\.5 with norm="layer"'):
        RunSpec("CartPole", norm="layer", momentum=0.5)


@pytest.mark.parametrize("fields", [{"data": "online"}, {"arm": "decay"}, {"arm": "other_decay"}])
def test_what_needs_a_compiled_task_refuses_others(fields: dict) -> None:
    name = next(iter(fields))
    with pytest.raises(SpecError, match=rf'^{name} is .* with env="CartPole-v1"; .*; write '):
        RunSpec("CartPole-v1", **fields)


def test_more_that_is_allowed_leaves_the_papers_studies_alone(monkeypatch) -> None:
    before = {name: study(name) for name in STUDIES}
    for name, more in (("ENVS", "MyTask"), ("OPTIMIZERS", "RMSprop"), ("NORMS", "mine")):
        monkeypatch.setattr(spec, name, (*getattr(spec, name), more))
    assert {name: study(name) for name in STUDIES} == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("norm", "mine"), ("optimizer", "RMSprop"), ("env", "MyTask"), ("lr_control", "mine")],
)
def test_the_engine_covers_what_it_was_written_for(monkeypatch, field: str, value: str) -> None:
    monkeypatch.setitem(spec._CHOICES, field, (*spec._CHOICES[field], value))
    fields = {"env": "CartPole", field: value}
    assert engine.covers(RunSpec("CartPole"))
    assert not engine.covers(RunSpec(**fields))
