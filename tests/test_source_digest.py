"""The digest changes with everything that a function's numbers can come from, and with no more."""

import importlib
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from conftest import ROOT

from lnqlib.source_digest import NoSource, digest_of
from lnqlib.source_files import SourceFiles

FILES = {
    "my_net.py": (
        "import json\nimport my_installed\nimport my_pack.layers\nfrom my_tools import SCALE\n"
        "WIDTH = 64\n\ndef train(spec):\n    return helper() * WIDTH\n\n"
        "def helper():\n    from my_late import shift\n    return shift + SCALE\n"
    ),
    "my_tools.py": "SCALE = 2\nimport my_net\n",  # circular
    "my_late.py": "import this\nshift = 1\n",
    "this.py": "y = 1\n",  # found before the standard library's
    "site-packages/my_installed.py": "z = 1\n",
    "my_other.py": "raise RuntimeError\n",
    "my_pack/__init__.py": "from . import extra as e\n",
    "my_pack/extra.py": "from .deep import *\n",
    "my_pack/deep/__init__.py": "from .bottom import x\n",
    "my_pack/deep/bottom.py": "from ..layers import depth as x\n",
    "my_pack/layers.py": "depth = 1\n",
    "my_pack/unused.py": "",
}
UNUSED = {"my_other.py", "my_pack/unused.py", "site-packages/my_installed.py"}
USED = sorted(set(FILES) - UNUSED)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of modules, none of them imported."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_") or name == "this"]:
        del sys.modules[name]


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_files_are_those_that_are_imported_without_executing_them(project):
    files = SourceFiles("my_net")
    assert files.add("my_net")
    names = [n.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for n in USED]
    assert sorted(files.digests) == sorted(names)  # neither json nor my_installed
    assert not any(name.startswith("my_") for name in sys.modules)


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_of_the_files_counts_and_no_other(project, name):
    before = digest_of("my_net:factory")
    assert len(before) == 16 and int(before, 16) >= 0
    (project / name).write_text((project / name).read_text() + "more = 1\n")
    assert (digest_of("my_net:factory") != before) == (name in USED)


def test_an_installed_package_counts_where_it_is_asked_for(project):
    before = digest_of("my_installed")
    edit(project / "site-packages" / "my_installed.py", "1", "2")
    assert digest_of("my_installed") != before


def test_the_digest_is_the_same_in_another_process_and_once_imported(project):
    code = "from lnqlib.source_digest import digest_of; print(digest_of('my_net'))"
    command = [sys.executable, "-c", code]
    places = f"{ROOT}:{project}:{project / 'site-packages'}"
    path = {"PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"}
    there = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == digest_of("my_net")
    function = digest_of(importlib.import_module("my_net").train)
    assert there.stdout.strip() == digest_of("my_net")
    assert function == digest_of(sys.modules["my_net"].train)


@pytest.mark.parametrize("changed", ["WIDTH = 65", "return helper() + 1"])
def test_a_file_edited_after_its_import_is_neither_the_old_nor_the_new(project, changed):
    """The old code still runs, so that its numbers must not be found under the new source."""
    train = importlib.import_module("my_net").train
    before = digest_of(train), digest_of("my_net")
    line = "WIDTH = 64" if "=" in changed else "return helper() * WIDTH"
    edit(project / "my_net.py", line, changed)
    between = digest_of(train), digest_of("my_net")
    module = importlib.reload(sys.modules["my_net"])
    after = digest_of(module.train), digest_of("my_net")
    assert all(len({*digests}) == 3 for digests in zip(before, between, after, strict=True))


def test_methods_edited_after_their_import_count(project):
    lines = [
        "def plain(self):\n        return 1",
        "@staticmethod\n    def static():\n        return 2",
        "@classmethod\n    def of_class(cls):\n        return 3",
        "@property\n    def prop(self):\n        return 4",
        "@cache\n    def cached(self):\n        return 5",
    ]
    text = "from functools import cache\nclass Net:\n    " + "\n    ".join(lines) + "\n"
    path = project / "my_late.py"
    path.write_text(text)
    importlib.import_module("my_late")
    path.write_text("")
    digests = {digest_of("my_late")}
    for i in range(1, 6):
        edited = text.replace(f"return {i}", "return 0")
        path.write_text(edited)
        digests.add(digest_of("my_late"))
        del sys.modules["my_late"]
        digests.add(digest_of("my_late"))
        path.write_text(text)
        importlib.invalidate_caches()
        importlib.import_module("my_late")
    assert len(digests) == 11


@pytest.mark.parametrize("module, name", [("my_net", "WIDTH"), ("my_late", "shift")])
def test_a_constant_set_at_run_time_counts(project, monkeypatch, module, name):
    train = importlib.import_module("my_net").train
    importlib.import_module(module)
    before = digest_of(train)
    monkeypatch.setattr(sys.modules[module], name, 128)
    assert digest_of(train) != before


def test_a_global_that_is_computed_counts(project, monkeypatch):
    (project / "my_computed.py").write_text(
        "import os\nWIDTH = int(os.environ['MY_WIDTH'])\n"
        "def train(spec):\n    return [build() for _ in range(2)]\n"
        "def build():\n    return WIDTH\n"
    )
    digests = []
    for width in ("1", "2", "1"):
        monkeypatch.setenv("MY_WIDTH", width)
        sys.modules.pop("my_computed", None)
        digests.append(digest_of(importlib.import_module("my_computed").train))
    assert digests[0] == digests[2] != digests[1]


def made(width, net=None, step=1):
    return lambda spec, step=step: (width, net, step)


class Settings:
    def __init__(self, width):
        self.width = width


def test_closures_and_defaults_count_by_value():
    distinct = [
        made(1), made(1.0), made("1"), made((1, 2)), made([1, 2]), made({"a": 1}), made({"a": 2}),
        made({1, 2}), made(np.arange(3)), made(np.arange(3.0)), made(np.float32(1)), made(made),
        made(partial(made, 1)), made(partial(made, 2)), made(Settings(1)), made(Settings(2)),
        made(np), made(np.mean), made(np.exp), made(len), made(Settings), made(1, 2),
        made(1, step=2), made(torch.zeros(2)), made(torch.ones(2)), made(torch.device("cpu")),
        partial(made(1), step=3),
    ]  # fmt: skip
    assert len({digest_of(f) for f in distinct}) == len(distinct)
    again = [made({"b": (1, [2.0])}, Settings([{1, 2}, None])) for _ in range(2)]
    assert digest_of(again[0]) == digest_of(again[1])
    circular = [1]
    circular.append(circular)
    assert digest_of(made(circular)) != digest_of(made([1]))


def test_a_captured_network_counts_by_its_weights():
    def net(seed):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())

    a, b, c = (digest_of(made(1, net(seed))) for seed in (0, 0, 1))
    assert a == b != c


@pytest.mark.parametrize("captured", [np.random.default_rng(0), object(), (x for x in ())])
def test_a_value_without_a_digest_is_refused_in_a_sentence(captured):
    f = made(1, [captured])
    with pytest.raises(NoSource, match=r'net is a .*, whose value has no digest; .*version = "1"'):
        digest_of(f)
    f.version = "1"
    first = digest_of(f)
    f.version = "2"
    assert digest_of(f) != first
    f.version = None
    with pytest.raises(NoSource):
        digest_of(f)
    f.version = 1.5
    with pytest.raises(NoSource, match=r'version is 1.5; .*; write version = "1"'):
        digest_of(f)


def test_without_source_the_sentence_asks_for_a_version():
    with pytest.raises(NoSource, match="no_such_module has no source file; write"):
        digest_of("no_such_module")
    with pytest.raises(NoSource, match="sys has no source file"):
        digest_of("sys:exit")
    code = "from lnqlib.source_digest import digest_of\ndigest_of(lambda spec: 1)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    last = ended.stderr.splitlines()[-1]
    assert "NoSource: <lambda> has no source here; put it into a file" in last


def test_a_script_is_its_file_and_what_it_imports(project):
    script = project / "my_script.py"
    script.write_text(
        "import sys, my_tools\nfrom lnqlib.source_digest import digest_of\n"
        "WIDTH = sys.argv[1]\nlogs = open(__file__)\n"
        "def train(spec):\n    logs, my_tools\n    return WIDTH\n"
        "if __name__ == '__main__':\n    print(digest_of(train))\n"
    )

    def run(width):
        command = [sys.executable, "-B", script, width]
        path = {"PYTHONPATH": f"{ROOT}:{project / 'site-packages'}"}
        return subprocess.run(command, env=path, capture_output=True, text=True, check=True).stdout

    first = run("1")
    assert run("1") == first != run("2")
    edit(project / "my_late.py", "1", "2")
    assert run("1") != first


def test_functions_of_a_notebook_count_by_source_with_all_that_they_name(shell):
    cells = {
        "net": "class Net(Base):\n    depth = 2\n    def forward(self):\n        return act(WIDTH)",
        "act": "def act(x):\n    return x + 1",
        "width": "WIDTH = 64",
        "unused": "OTHER = 1",
    }
    shell.run_cell("import torch\nclass Base(torch.nn.Module):\n    pass").raise_error()
    shell.run_cell("def train(spec):\n    return Net().forward()").raise_error()
    for cell in cells.values():
        shell.run_cell(cell).raise_error()
    train = shell.user_ns["train"]
    before = digest_of(train)
    assert digest_of(train) == before
    changes = {"net": ("depth = 2", "depth = 3"), "act": ("+ 1", "- 1"), "width": ("64", "65")}
    for name, (old, new) in changes.items():
        shell.run_cell(cells[name].replace(old, new)).raise_error()
        assert digest_of(train) != before, name
        shell.run_cell(cells[name]).raise_error()
        assert digest_of(train) == before, name
    shell.run_cell("OTHER = 2").raise_error()
    assert digest_of(train) == before
