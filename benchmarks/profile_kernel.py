"""The compiled kernel's hot blocks: instructions by kind, and the share of the time spent in each.

    python benchmarks/profile_kernel.py

The machine code is numba's, its text objdump's (binutils), the time perf's (linux-perf).
A block is a stretch without a jump into it or out of it, as a loop's body is.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from itertools import product

import numba
import numpy as np
import pandas as pd

from lnqlib.engine import fused
from lnqlib.run import dataset_of, initial_params_of
from lnqlib.spec import RunSpec


def report(env: str, norm: str) -> None:
    spec = RunSpec(env, norm=norm)
    dataset = dataset_of(env, spec.seed, spec.data, spec.dataset_size)
    learner = fused.FusedLearner(spec, dataset, initial_params_of(spec))
    learner.advance(0, np.zeros((1, spec.batch_size), np.int32), np.zeros(1))
    found = blocks(disassembly(learner.steps))
    samples, microseconds = timing(learner)
    n, m = learner.task.obs_dim + 1, learner.task.num_actions
    table = pd.DataFrame([counts([text for _, text in block], n, m) for block in found])
    inside = [sum(samples[offset] for offset, _ in block) for block in found]
    table["% time"] = 100 * np.array(inside) / samples.total()
    print(f"\n{env} {norm}: {microseconds:.1f} us a step on one core")
    print(table[table["% time"] >= 0.5].to_string(index=False, float_format="{:.1f}".format))
    print(table.groupby("part")["% time"].sum().round(1).to_dict())


def disassembly(kernel) -> list[tuple[int, str]]:
    """The kernel's instructions, each with its offset from the kernel's first."""
    (compiled,) = kernel.overloads.values()
    name = compiled.fndesc.llvm_func_name
    with tempfile.NamedTemporaryFile(suffix=".o") as file:
        file.write(compiled.library._get_compiled_object())
        file.flush()
        command = ["objdump", "--no-show-raw-insn", f"--disassemble={name}", file.name]
        text = subprocess.check_output(command, text=True)
    found = re.findall(r"^\s*([0-9a-f]+):\t(.+)$", text, re.MULTILINE)
    start = int(found[0][0], 16)
    # a jump's target is written "1e60 <name+0x1e60>": the offset is what follows the plus
    return [(int(a, 16) - start, re.sub(r"[0-9a-f]+ <.*\+0x(\w+)>", r"\1", s)) for a, s in found]


def blocks(code: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    jumps = {offset: text.split()[-1] for offset, text in code if text.startswith("j")}
    targets = {int(target, 16) for target in jumps.values() if target[0] != "*"}
    found: list[list[tuple[int, str]]] = [[]]
    for offset, text in code:
        if offset in targets:
            found.append([])
        found[-1].append((offset, text))
        if offset in jumps:
            found.append([])
    return [block for block in found if block]


def counts(texts: list[str], n: int, m: int) -> dict:
    """What a block is made of, and which of the step's parts its mix of instructions is."""
    packed = [text for text in texts if re.match(r"v(fn?m(add|sub)\w+|mul)ps", text)]
    memory = [text for text in texts if "(" in text and not text.startswith(("lea", "nop"))]
    stores = [text for text in memory if re.match(r"v?mov\w*\s+[%$][^(]*,[^,]*\(", text)]
    peaks = sum(text.startswith("vmaxps") for text in texts)  # one for each vector of units
    packed_stores = sum(bool(re.match("v?mov[au]ps", text)) for text in stores)
    part = "dW" if packed_stores and len(packed) // packed_stores == fused.BLOCK else "rest"
    if packed and peaks:
        forward = {n + m: "forward s'", n + 1: "forward s"}.get(len(packed) / peaks, "rest")
        part = "gates, dV" if packed_stores else forward
    return {
        "part": part,
        "bits": 256 if any("%ymm" in text for text in packed) else 128 if packed else 0,
        "instructions": len(texts),
        "mul-adds": len(packed),
        "per mul-add": len(texts) / len(packed) if packed else np.nan,
        "loads": len(memory) - len(stores),
        "stores": len(stores),
        "stack": sum("%rsp)" in text for text in memory),
        "shuffles": sum(bool(re.match(r"v(extract|shuf|perm|movshdup|hadd)", t)) for t in texts),
    }


def timing(learner: fused.FusedLearner) -> tuple[Counter, float]:
    """Samples by offset in the kernel, and microseconds a step by the thread's own clock."""
    (compiled,) = learner.steps.overloads.values()
    start = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    batches = np.random.default_rng(0).integers(10_000, size=(2_000, 128), dtype=np.int32)
    with tempfile.TemporaryDirectory() as folder:
        command = ["perf", "record", "-q", "-e", "cycles:u", "-F", "5000", "-p", str(os.getpid())]
        recorder = subprocess.Popen([*command, "-o", file := f"{folder}/perf.data"])
        time.sleep(1)
        before = time.thread_time()
        for _ in range(50):
            learner.advance(0, batches, np.full(len(batches), 1e-3))
        microseconds = (time.thread_time() - before) * 1e6 / (50 * len(batches))
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        text = subprocess.check_output(["perf", "script", "-i", file, "-F", "ip"], text=True)
    return Counter(int(address, 16) - start for address in text.split()), microseconds


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        numba.config.CACHE_DIR = folder  # numba has the object code of what it compiles, not loads
        for env, norm in product(("CartPole", "Acrobot"), ("none", "layer")):
            report(env, norm)
