"""The same bits on any x86-64-v3 processor, shown by a shipped run that another one trained."""

import os
import subprocess
import sys

import llvmlite.binding as llvm
import pytest

from lnqlib import compiled, engine
from lnqlib.spec import RunSpec
from lnqlib.store.shipped import Shipped
from lnqlib.store.verify import differences

HERE = llvm.get_host_cpu_features()
needs_v3 = pytest.mark.skipif(not compiled.portable(HERE), reason="not an x86-64-v3 processor")


def test_only_x86_64_v3_is_asked_for():
    host = dict.fromkeys([*compiled.V3, "avx512f", "sse4a"], True)
    asked = compiled.portable(host).split(",")
    assert {name[1:] for name in asked if name[0] == "+"} == set(compiled.V3)
    assert {"-avx512f", "-sse4a"} <= set(asked)
    assert sorted(name[1:] for name in asked) == sorted(host)


@pytest.mark.parametrize("missing", ["avx2", "fma"])
def test_a_processor_that_lacks_a_part_keeps_its_own_target(missing):
    host = dict.fromkeys(compiled.V3, True)
    assert compiled.portable(host | {missing: False}) is None
    assert compiled.portable({name: True for name in host if name != missing}) is None


@needs_v3
@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, compiled.TUNED_FOR),
        ({"NUMBA_CPU_NAME": "generic"}, "generic"),
        ({"NUMBA_CPU_NAME": compiled.TUNED_FOR}, compiled.TUNED_FOR),
    ],
)
def test_the_environment_may_ask_for_another_target(environment, name):
    program = (
        "from lnqlib import compiled, tasks; "
        "print(tasks.step.targetctx.codegen().magic_tuple()[1], compiled.pinned())"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k != "NUMBA_CPU_NAME"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == [name, str(not environment)]


@needs_v3
@pytest.mark.skipif(not compiled.pinned(), reason="another target was asked for")
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_a_shipped_run_trained_again_is_the_same_in_every_bit(norm):
    spec, shipped = RunSpec("CartPole", norm, lr=1e-3), Shipped()
    assert spec.steps == 200_000
    rows, lacking = shipped.results([spec]), shipped.lacking([spec])
    assert (differences(rows, [engine.train(spec)], lacking) == 0.0).all(axis=None)
