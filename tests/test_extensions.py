"""Norms and tasks of one's own: kept by their source, run as it is on disk, imported when asked."""

import importlib
import os
import sys
import threading

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from lnqlib import __main__, training
from lnqlib.metrics.quiet import rest_of_torch
from lnqlib.networks import QNetwork, drawing
from lnqlib.own import extensions
from lnqlib.results import CURVES
from lnqlib.run import dataset_of, initial_params_of
from lnqlib.spec import RunSpec, SpecError
from lnqlib.store import Store, shipped, verify
from lnqlib.store.ship import ship
from lnqlib.store.verify import foreign_modules, sample, spec_of
from lnqlib.sweep import SweepError, curves, lookup, sweep

NORMS = """
from torch import nn
import my_part
from lnqlib.networks import LayerNorm

def layer(width):
    return LayerNorm()

class Times(nn.Module):
    def forward(self, x):
        return my_part.FACTOR * x

def times(width):
    return Times()

def drop(width):
    return nn.Sequential(nn.Linear(width, width), nn.Dropout(0.3))

def number(width):
    return 3

def narrow(width):
    return nn.Linear(width, 1)

constant = 3
"""
TASKS = """
import gymnasium
from my_pack import tasks
gymnasium.register("Mine-v0", entry_point="my_pack.tasks:Mine", max_episode_steps=5)
gymnasium.register("Flat-v0", entry_point=lambda: gymnasium.make("CartPole-v1").unwrapped)
"""
MINE = """
import gymnasium
import numpy as np
SCALE = 2.0

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=2), {}

    def step(self, action):
        return self.np_random.normal(size=2), SCALE * action, False, False, {}
"""
SHORT = {"steps": 12, "checkpoints": 2, "eval_episodes": 1, "dataset_size": 60, "batch_size": 16}
SHORT |= {"width": 8, "lr": 0.01}
TIMES = RunSpec("CartPole", norm="my_norms:times", **SHORT)
OWN = RunSpec("my_pack:Mine-v0", **SHORT)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder of modules on the path, none of them imported; a store of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LNQ_STORE", str(tmp_path / "store"))
    files = {"my_norms": NORMS, "my_part": "FACTOR = 2.0\n", "my_pack/__init__": TASKS}
    files |= {"my_pack/tasks": MINE, "my_mark": "open('ran', 'w').close()\n"}
    (tmp_path / "my_pack").mkdir()
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def edit(path, old, new):
    """Changes a file within the same second and without a change of its size or times."""
    before, text = path.stat(), path.read_text()
    assert old in text and len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swept(spec, **how):
    return sweep([spec], progress=False, **how)


def numbers(frame):
    return frame.drop(columns="seconds").to_csv()  # where two NaNs are equal


def test_a_norm_that_does_what_the_librarys_does_learns_the_same():
    own = RunSpec("CartPole", norm="my_norms:layer", **SHORT)
    ours = RunSpec("CartPole", norm="layer", **SHORT)
    a, b = (training.train(spec).curves for spec in (own, ours))
    assert set(own.own) == {"norm"} and own.key != ours.key
    for name in CURVES:
        if not name.startswith("injected") and name != "effective_lr":
            assert np.array_equal(a[name], b[name], equal_nan=True), name
    assert np.isnan(a["injected_gi2"]).all()


def test_a_norm_that_draws_random_numbers_trains_alike_whatever_else_draws():
    spec = RunSpec("CartPole", norm="my_norms:drop", **SHORT)
    data, initial = dataset_of("CartPole", 0, "protocol", 60), initial_params_of(spec)
    batches, after = np.zeros((5, 16), np.int32), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        learner = training.TorchLearner(spec, data, initial)
        torch.rand(seed)
        learner.advance(0, batches, np.full(5, 0.1))
        before = torch.get_rng_state()
        after.append([w.clone() for w in learner.q.state_dict().values()])
        learner.advance(5, batches, np.full(5, 0.1))
        assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(x, y) for x, y in zip(*after, strict=True))


def test_a_measurement_waits_for_a_step_that_draws():
    """Both put torch's one random state back; in turn, or one undoes what the other drew."""
    entered = threading.Event()

    def measure():
        with rest_of_torch(torch.device("cpu")):
            entered.set()

    with drawing(0):
        thread = threading.Thread(target=measure)
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()


def test_a_sweep_trains_once_and_keeps_results_under_the_source(project, capsys):
    first = swept(TIMES)
    assert "torch reference" in capsys.readouterr().err
    (folder,) = [p for p in (project / "store").iterdir() if p.is_dir()]
    assert folder.name == f"my_norms-{extensions.digest(TIMES)}"
    assert len(Store(folder).keys()) == 1 and not Store().keys()
    again = swept(TIMES)
    assert "reference" not in capsys.readouterr().err
    assert numbers(again) == numbers(first)
    assert len(curves([TIMES])) == 2


def test_a_task_and_a_norm_of_two_modules_train_together(project):
    both = RunSpec("my_pack:Mine-v0", norm="my_norms:times", **SHORT)
    first = swept(both)
    (folder,) = [p for p in (project / "store").iterdir() if p.is_dir()]
    assert "my_pack-" in folder.name and "+my_norms-" in folder.name
    assert numbers(swept(both)) == numbers(first) and len(first) == 1


def test_runs_of_one_module_that_fail_keep_no_others_from_training(project):
    with open(project / "my_norms.py", "a") as file:
        file.write("\ndef broken(width):\n    raise ValueError('not today')\n")
    broken = RunSpec("CartPole", norm="my_norms:broken", **SHORT)
    built_in = RunSpec("CartPole", norm="layer", **SHORT)
    with pytest.raises(SweepError, match=r"1 of the runs failed.*not today"):
        sweep([broken, built_in], progress=False)
    assert Store().keys() == {built_in.key}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    ("spec", "file", "old", "new"),
    [
        (TIMES, "my_part.py", "2.0", "3.0"),
        (TIMES, "my_norms.py", "FACTOR * x", "FACTOR + x"),
        (OWN, "my_pack/tasks.py", "2.0", "3.0"),
    ],
)
def test_changed_source_is_trained_again_as_it_is_on_disk(project, spec, file, old, new, loaded):
    """Also where Python has the old module in memory, and its cache cannot see the change."""
    if loaded:
        importlib.import_module(spec.modules[0])
    first = swept(spec)
    edit(project / file, old, new)
    assert lookup([spec], Store(), None).empty
    second = swept(spec)
    assert numbers(second) != numbers(first)
    edit(project / file, new, old)
    assert numbers(lookup([spec], Store(), None)) == numbers(first)
    assert numbers(swept(spec, refresh=True)) == numbers(first)


def test_what_a_program_has_set_in_a_module_has_no_part_in_a_run(project):
    first = swept(TIMES)
    sys.modules["my_part"].FACTOR = 7.0
    assert numbers(swept(TIMES, refresh=True)) == numbers(first)


def test_source_that_changes_during_a_sweep_stores_nothing(project, monkeypatch):
    original = training.train

    def slow(spec):
        edit(project / "my_part.py", "2.0", "3.0")
        return original(spec)

    monkeypatch.setattr(training, "train", slow)
    with pytest.raises(Exception, match="run it again"):
        swept(TIMES)
    assert not list((project / "store").rglob("*.parquet"))


def test_results_of_others_are_never_taken_for_it(project, monkeypatch):
    """A shipped row with the same key says nothing about the source here."""
    frame = swept(TIMES)
    shipped = type("Fake", (), {"keys": lambda _: {TIMES.key}, "results": lambda *_: frame})()
    assert len(lookup([TIMES], Store(), shipped)) == 1  # its own
    edit(project / "my_part.py", "2.0", "3.0")
    assert lookup([TIMES], Store(), shipped).empty


BAD = [
    ("my_norms:missing", "my_norms has no function missing"),
    ("my_norms:constant", "my_norms has no function constant"),
    ("my_norms:number", "it returns 3"),
    ("my_norms:narrow", "its module makes (2, 1) of (2, 8)"),
    ("my_nothing:f", "Python finds no file of that name"),
    ("__main__:f", "Python finds no file of that name"),
    ("my_bad:f", "line 1 of it or of what it imports is no Python"),
    ("my_worse:f", "importing it ended in ZeroDivisionError"),
]


@pytest.mark.parametrize(("norm", "came"), BAD)
def test_a_factory_that_is_none_is_refused_in_a_sentence(project, norm, came):
    (project / "my_bad.py").write_text("def f(width: return\n")
    (project / "my_worse.py").write_text("1 / 0\n")
    with pytest.raises(SpecError) as error:
        QNetwork(4, 2, 8, norm)
    text = str(error.value)
    assert came in text and " must " in text and "; write " in text and "\n" not in text


@pytest.mark.parametrize("name", ["layr", "my_norms.times", ":times", "my_norms:", "a b:c", 3])
def test_what_names_no_module_is_refused_as_before(name):
    with pytest.raises(SpecError, match=r"allowed are none, layer.*my_module:factory; write"):
        RunSpec("CartPole", norm=name)


def test_an_id_must_name_the_module_that_makes_the_environment(project):
    importlib.import_module("my_pack")
    assert extensions.digest(RunSpec("CartPole-v1")) == ""
    swept(RunSpec("CartPole-v1", **SHORT))
    with pytest.raises(SpecError, match=r'made in my_pack.*write env="my_pack:Flat-v0"'):
        swept(RunSpec("Flat-v0", **SHORT))  # CartPole's own class
    with pytest.raises(SpecError, match=r'write env="my_pack\.tasks:Mine-v0"'):
        swept(RunSpec("Mine-v0", **SHORT))
    here = type("Here", (CartPoleEnv,), {"__module__": "__main__"})  # a notebook's
    gymnasium.register("Here-v0", entry_point=here)
    with pytest.raises(SpecError, match=r'made in __main__.*write env="my_module:Here-v0"'):
        swept(RunSpec("Here-v0", **SHORT))
    assert not list((project / "store").rglob("*my_pack*"))


def test_what_an_entry_point_names_must_be_imported_by_the_module(project):
    edit(project / "my_pack/__init__.py", "from my_pack import tasks", "pass  # imports no tasks ")
    with pytest.raises(SpecError, match=r"write import my_pack\.tasks in my_pack"):
        swept(OWN)


def test_an_id_that_the_source_registers_no_more_is_gone(project):
    """Gymnasium remembers it, with the class of the older source."""
    swept(OWN)
    edit(project / "my_pack/__init__.py", '"Mine-v0"', '"Ours-v0"')
    with pytest.raises(SpecError, match="my_pack must register it"):
        swept(OWN)


def rows(**changes) -> pd.DataFrame:
    """Two rows of results, the second naming a module that leaves a mark when it is imported."""
    specs = [RunSpec("CartPole", **SHORT)] * 2
    frame = pd.DataFrame([{"key": s.key} | vars(s) | dict.fromkeys(CURVES, 0.0) for s in specs])
    frame.loc[1, list(changes)] = list(changes.values())
    return frame


MARKS = [{"norm": "my_mark:f"}, {"env": "my_mark:Mine-v0"}]


@pytest.mark.parametrize("change", MARKS, ids=str)
def test_a_row_that_names_a_module_becomes_a_spec_only_where_it_is_allowed(project, change):
    frame = rows(**change)
    assert list(foreign_modules(frame)) == ["", "my_mark"]
    with pytest.raises(SpecError, match=r'names the module .my_mark.*write allow=\["my_mark"\]'):
        spec_of(frame.iloc[1])
    with pytest.raises(SpecError):
        sample(frame, 2, 0)
    spec = spec_of(frame.iloc[1], ["my_mark"])
    assert spec.modules == ("my_mark",) and len(spec.key) == 16
    lookup([spec], Store(), None)  # the file is read, not run
    assert not (project / "ran").exists()
    with pytest.raises(Exception, match="my_mark"):
        swept(spec)  # allowed: now it runs
    assert (project / "ran").exists()


@pytest.mark.parametrize("change", MARKS, ids=str)
def test_verify_and_status_leave_a_named_module_alone(project, change, monkeypatch, capsys):
    frame = rows(**change)
    have = {"results": lambda _: frame, "keys": lambda _: set(frame["key"])}
    fake = type("Fake", (), have | {"lacking": lambda *_: {}})
    trained = []
    for module in (shipped, verify):
        monkeypatch.setattr(module, "Shipped", fake)
    monkeypatch.setattr(verify, "backend_for", lambda _: "engine")
    monkeypatch.setattr(verify, "trainer", lambda _: trained.append)
    monkeypatch.setattr(verify, "differences", lambda *_: pd.DataFrame(index=range(len(trained))))
    assert __main__.main(["status"]) == 0
    assert __main__.main(["verify", "--sample", "9"]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 rows name modules" in said and "write --allow-module my_mark" in said
    assert [spec.modules for spec in trained] == [()]
    assert not (project / "ran").exists()
    trained.clear()
    assert __main__.main(["verify", "--allow-module", "my_mark"]) == 0
    assert "skipped" not in capsys.readouterr().out
    assert {spec.modules for spec in trained} == {(), ("my_mark",)}


def test_shipping_knows_no_module(project):
    assert ship([TIMES], project / "results" / "mine", Store()) == []
