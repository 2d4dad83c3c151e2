"""Q-networks of nine libraries: whether `interference` measures them, how fast, how exactly.

    python benchmarks/agents.py                      # what is installed here
    python benchmarks/agents.py --cleanrl CHECKOUT/cleanrl
    python benchmarks/agents.py --loop CHECKOUT/cleanrl   # its dqn.py, run with a probe in it
    python benchmarks/agents.py --table a.jsonl b.jsonl ...   # one table of several runs

The libraries pin one another's dependencies, so each has an environment of its own, with this
repository on PYTHONPATH. A row is one network: what has to be passed beside it, the seconds of a
batch of 128 (16 images), and the largest relative difference to `tests/loop.py`, which takes one
transition, one backward pass and one pair at a time. Networks that insist on float32 are compared
with the loop in float32 and in float64.
"""

from __future__ import annotations

import argparse
import ast
import collections
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from loop import loop  # noqa: E402

from lnqlib.data import Transitions  # noqa: E402
from lnqlib.metrics import NAMES, interference  # noqa: E402

Case = tuple[str, nn.Module, str, str]
"""Name, network, batch ("vector" or "images"), and `forward` as source; "" for none."""


def spaces(kind: str) -> tuple[Any, Any]:
    import gymnasium

    box = gymnasium.spaces.Box
    obs = box(-5, 5, (4,), np.float32)
    if kind == "images":
        obs = box(0, 255, (4, 84, 84), np.uint8)
    return obs, gymnasium.spaces.Discrete(2)


def sb3() -> Iterator[Case]:
    import gymnasium
    from stable_baselines3 import DQN

    class Env(gymnasium.Env):
        def __init__(self, kind: str):
            self.observation_space, self.action_space = spaces(kind)

    yield "DQN, MlpPolicy: model.q_net", DQN("MlpPolicy", Env("vector")).q_net, "vector", ""
    cnn = DQN("CnnPolicy", Env("images"), buffer_size=10)
    yield "DQN, CnnPolicy: model.q_net", cnn.q_net, "images", ""
    yield "DQN: model.policy", cnn.policy, "images", "lambda q, obs: q.q_net(obs)"


def sb3_contrib() -> Iterator[Case]:
    from sb3_contrib import QRDQN

    agent = QRDQN("MlpPolicy", "CartPole-v1")
    mean = "lambda q, obs: q(obs).mean(1)"
    yield "QR-DQN: model.quantile_net", agent.quantile_net, "vector", mean


def cleanrl(folder: Path) -> Iterator[Case]:
    def network(file: str, *arguments: object, name: str = "QNetwork") -> nn.Module:
        """A network of one of its scripts, without running the script."""
        tree = ast.parse((folder / file).read_text())
        kinds = ast.ClassDef | ast.FunctionDef
        tree.body = [n for n in tree.body if isinstance(n, kinds) and not n.decorator_list]
        known: dict[str, Any] = {"nn": nn, "torch": torch, "np": np, "F": nn.functional}
        known |= {"math": math, "collections": collections}
        known["envs"] = arguments[0]  # a global that one of the scripts reads
        exec(compile(tree, file, "exec"), known)
        return known[name](*arguments)

    def envs(kind: str) -> SimpleNamespace:
        obs, actions = spaces(kind)
        return SimpleNamespace(single_observation_space=obs, single_action_space=actions)

    atoms = "lambda q, obs: (torch.softmax(q.network({}).view(len(obs), q.n, q.n_atoms), 2)"
    atoms += " * q.atoms).sum(2)"
    yield "dqn.py", network("dqn.py", envs("vector")), "vector", ""
    yield "dqn_atari.py", network("dqn_atari.py", envs("images")), "images", ""
    yield "c51.py", network("c51.py", envs("vector")), "vector", atoms.format("obs")
    yield (
        "c51_atari.py",
        network("c51_atari.py", envs("images")),
        "images",
        atoms.format("obs / 255"),
    )
    yield "pqn.py", network("pqn.py", envs("vector")), "vector", ""
    impala = network("qdagger_dqn_atari_impalacnn.py", envs("images"))
    yield "qdagger_dqn_atari_impalacnn.py", impala, "images", ""
    rainbow = network(
        "rainbow_atari.py",
        envs("images"),
        51,
        -10,
        10,
        name="NoisyDuelingDistributionalNetwork",
    )
    expected = "lambda q, obs: (q(obs) * q.support).sum(2)"
    yield "rainbow_atari.py", rainbow, "images", expected


def tianshou() -> Iterator[Case]:
    from tianshou.env.atari.atari_network import C51Net, DQNet, QRDQNet
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.discrete import ImplicitQuantileNetwork

    first = "lambda q, obs: q(obs)[0]"
    yield "Net", Net(state_shape=4, action_shape=2, hidden_sizes=[64, 64]), "vector", first
    dueling = Net(
        state_shape=4,
        action_shape=2,
        hidden_sizes=[64],
        dueling_param=({"hidden_sizes": [32]}, {"hidden_sizes": [32]}),
    )
    yield "Net, dueling", dueling, "vector", first
    atoms = "lambda q, obs: (q(obs)[0] * torch.linspace(-10, 10, 51)).sum(2)"
    c51 = Net(state_shape=4, action_shape=2, hidden_sizes=[64], softmax=True, num_atoms=51)
    yield "Net, C51", c51, "vector", atoms
    yield "DQNet", DQNet(c=4, h=84, w=84, action_shape=2), "images", first
    quantiles = QRDQNet(c=4, h=84, w=84, action_shape=2, num_quantiles=20)
    yield "QRDQNet", quantiles, "images", "lambda q, obs: q(obs)[0].mean(2)"
    c51net = C51Net(c=4, h=84, w=84, action_shape=2, num_atoms=51)
    yield "C51Net", c51net, "images", atoms
    trunk = Net(state_shape=4, action_shape=32, hidden_sizes=[64])
    iqn = ImplicitQuantileNetwork(preprocess_net=trunk, action_shape=2, hidden_sizes=[32])
    fixed = "lambda q, obs: fixed_quantiles(q, obs)"
    yield "ImplicitQuantileNetwork", iqn, "vector", fixed


def fixed_quantiles(q: nn.Module, obs: torch.Tensor) -> torch.Tensor:
    """IQN draws its quantile levels anew in each call; here the same levels each time."""
    drawn = torch.rand
    levels = (torch.arange(8) + 0.5) / 8
    torch.rand = lambda n, k, **kinds: levels.expand(n, 8).to(obs.device)
    try:
        return q(obs, sample_size=8)[0][0].mean(2)
    finally:
        torch.rand = drawn


def torchrl() -> Iterator[Case]:
    from torchrl.modules import MLP, DuelingCnnDQNet, QValueActor

    mlp = MLP(in_features=4, out_features=2, num_cells=[64, 64])
    yield "MLP", mlp, "vector", ""
    from torchrl.data import OneHot

    actor = QValueActor(mlp, spec=OneHot(2), in_keys=["observation"])
    wrapped = 'lambda q, obs: q(TensorDict({"observation": obs}, len(obs)))["action_value"]'
    yield "QValueActor", actor, "vector", wrapped
    cnn = DuelingCnnDQNet(2)
    with torch.no_grad():
        cnn(torch.zeros(2, 4, 84, 84))  # its lazy layers find their sizes
    yield "DuelingCnnDQNet", cnn, "images", "lambda q, obs: q(obs / 255)"


def skrl() -> Iterator[Case]:
    from skrl.models.torch import DeterministicMixin, Model

    class QNetwork(DeterministicMixin, Model):
        def __init__(self, obs: Any, actions: Any):
            Model.__init__(self, observation_space=obs, action_space=actions, device="cpu")
            DeterministicMixin.__init__(self)
            self.net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))

        def compute(self, inputs, role=""):
            return self.net(inputs["observations"]), {}

    act = 'lambda q, obs: q.act({"observations": obs})[0]'
    yield "DeterministicMixin", QNetwork(*spaces("vector")), "vector", act


def pfrl() -> Iterator[Case]:
    from pfrl import q_functions

    values = "lambda q, obs: q(obs).q_values"
    fc = q_functions.FCStateQFunctionWithDiscreteAction(4, 2, 64, 2)
    yield "FCStateQFunctionWithDiscreteAction", fc, "vector", values
    dueling = q_functions.DuelingDQN(2)
    yield "DuelingDQN", dueling, "images", "lambda q, obs: q(obs / 255).q_values"
    c51 = q_functions.DistributionalFCStateQFunctionWithDiscreteAction(4, 2, 51, -10, 10, 64, 2)
    yield "DistributionalFCStateQFunction...", c51, "vector", values


def d3rlpy() -> Iterator[Case]:
    import d3rlpy as library

    value = "lambda q, obs: q(obs).q_value"

    def function(shape: tuple[int, ...], **settings: Any) -> nn.Module:
        algo = library.algos.DQNConfig(**settings).create()
        algo.create_impl(shape, 2)
        return algo.impl.q_function[0]

    yield "DQN: algo.impl.q_function[0]", function((4,)), "vector", value
    quantiles = library.models.QRQFunctionFactory(n_quantiles=20)
    yield "DQN, QR", function((4,), q_func_factory=quantiles), "vector", value
    pixels = function(
        (4, 84, 84), observation_scaler=library.preprocessing.PixelObservationScaler()
    )
    yield "DQN, pixels", pixels, "images", "lambda q, obs: q(obs / 255).q_value"


def agilerl() -> Iterator[Case]:
    from agilerl.algorithms import DQN, RainbowDQN

    yield "DQN: agent.actor", DQN(*spaces("vector")).actor, "vector", ""
    rainbow = RainbowDQN(*spaces("vector"))
    yield "RainbowDQN: agent.actor", rainbow.actor, "vector", ""


MARK = "        obs = next_obs\n"  # after which CleanRL's dqn.py trains
PROBE = """        if global_step == 0:
            from lnqlib.probe import Probe, undisturbed
            probe = Probe(lr=args.learning_rate, every=500, gamma=args.gamma, writer=writer)
        if global_step > args.learning_starts and probe.due(global_step):
            with undisturbed(seed=global_step):
                measured = rb.sample(128)
            probe(global_step, q_network, measured, target=target_network)
        if global_step == args.total_timesteps - 1:
            probe.to_csv("interference.csv")
"""
END = "\ntorch.save((q_network.state_dict(), torch.get_rng_state(), random.random()), 'end.pt')\n"


def cleanrl_loop(folder: Path) -> dict[str, Any]:
    """CleanRL's dqn.py itself, as a script, with the lines of `PROBE` in it and without."""
    text, row = (folder / "dqn.py").read_text(), {"lines": PROBE.count("\n")}
    if text.count(MARK) != 1:
        return row | {"why not": f"dqn.py has {text.count(MARK)} lines {MARK.strip()!r}"}
    sizes = ["--total-timesteps", "1600", "--learning-starts", "300", "--no-cuda"]
    path = os.pathsep.join([str(folder.resolve().parent), str(ROOT)])
    ends = []
    for lines in ("", PROBE):
        with tempfile.TemporaryDirectory() as place:
            script = Path(place) / "dqn.py"
            script.write_text(text.replace(MARK, MARK + lines) + END)
            done = subprocess.run(
                [sys.executable, script, *sizes],
                cwd=place,
                env=os.environ | {"PYTHONPATH": path},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                return row | {"why not": done.stderr.strip().splitlines()[-1]}
            ends.append(torch.load(script.with_name("end.pt"), weights_only=False))
            if lines:
                kept = pd.read_csv(script.with_name("interference.csv"))
    same = all(torch.equal(x, y) for x, y in zip(*(e[0].values() for e in ends), strict=True))
    same &= torch.equal(ends[0][1], ends[1][1]) and ends[0][2] == ends[1][2]
    row |= {"measurements": len(kept), "steps": kept["step"].tolist(), "the same bits": same}
    return row | {"gi2_scaled, sgi at the end": kept[["gi2_scaled", "sgi"]].iloc[-1].tolist()}


LIBRARIES: dict[str, tuple[str, Callable[..., Iterator[Case]]]] = {
    "stable-baselines3": ("stable-baselines3", sb3),
    "sb3-contrib": ("sb3-contrib", sb3_contrib),
    "tianshou": ("tianshou", tianshou),
    "torchrl": ("torchrl", torchrl),
    "skrl": ("skrl", skrl),
    "pfrl": ("pfrl", pfrl),
    "d3rlpy": ("d3rlpy", d3rlpy),
    "agilerl": ("agilerl", agilerl),
}


def batch_of(kind: str) -> Transitions:
    rng = np.random.default_rng(0)
    B = 128 if kind == "vector" else 16
    obs, next_obs = rng.normal(size=(2, B, 4)).astype(np.float32)
    if kind == "images":
        obs, next_obs = rng.integers(0, 256, (2, B, 4, 84, 84), dtype=np.uint8)
    reward = rng.normal(size=B).astype(np.float32)
    return Transitions(obs, rng.integers(2, size=B), reward, next_obs, rng.random(B) < 0.1)


def measure(library: str, case: Case) -> dict[str, Any]:
    name, q, kind, source = case
    known: dict[str, Any] = {"torch": torch, "fixed_quantiles": fixed_quantiles}
    if "TensorDict" in source:
        from tensordict import TensorDict

        known["TensorDict"] = TensorDict
    forward = eval(source, known) if source else None
    options = {"forward": forward} if source else {}
    row = {"library": library, "network": name, "pass": source}
    batch = batch_of(kind)
    q.eval()
    try:
        interference(q, batch, 1e-3, **options)
        started = perf_counter()
        result = interference(q, batch, 1e-3, **options)
        row |= {"seconds": perf_counter() - started, "precision": result.dtype}
    except Exception as error:
        return row | {"why not": f"{type(error).__name__}: {error}"}
    few = Transitions(*(x[: 16 if kind == "vector" else 4] for x in batch))
    ours = interference(q, few, 1e-3, **options)
    read = forward or (lambda q, obs: q(obs))
    for dtype in dict.fromkeys((getattr(torch, result.dtype), torch.float64)):
        try:
            theirs = loop(q, few, 1e-3, forward=read, dtype=dtype)
        except RuntimeError:  # the network insists on float32
            continue
        gaps = [abs(ours[n] - theirs[n]) / max(abs(theirs[n]), 1e-3) for n in NAMES]
        row[f"difference, {str(dtype).removeprefix('torch.')}"] = max(gaps)
    return row


def run(folder: Path | None) -> Iterator[dict[str, Any]]:
    sources = {name: (made, (version_of(package),)) for name, (package, made) in LIBRARIES.items()}
    for library, (cases, (installed,)) in sources.items():
        if installed is None:
            continue
        try:
            yield from (measure(f"{library} {installed}", case) for case in cases())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            yield {"library": f"{library} {installed}", "network": "", "why not": said}
    if folder is not None:
        yield from (measure("CleanRL", case) for case in cleanrl(folder))


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| library | network | pass | seconds | precision | difference to the loop |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        gaps = [f"{x:.0e} ({k.split()[1]})" for k, x in row.items() if k.startswith("difference")]
        last = ", ".join(gaps) or row.get("why not", "the loop cannot run it")
        seconds = f"{row['seconds']:.2f}" if "seconds" in row else "refused"
        passed = f"`forward={row['pass']}`" if row.get("pass") else "nothing"
        cells = [row["library"], row["network"], passed, seconds, row.get("precision", ""), last]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cleanrl", type=Path, help="the folder of CleanRL's scripts")
    parser.add_argument("--loop", type=Path, help="the folder of CleanRL's scripts")
    parser.add_argument("--table", type=Path, nargs="+", help="outputs to make a table of")
    told = parser.parse_args()
    if told.loop:
        print(json.dumps(cleanrl_loop(told.loop)))
    elif told.table:
        print(table([json.loads(x) for path in told.table for x in path.read_text().splitlines()]))
    else:
        for found in run(told.cleanrl):
            print(json.dumps(found), flush=True)
