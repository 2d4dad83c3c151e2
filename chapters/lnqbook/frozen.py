"""A digest of each plan: questions and statistics that were committed before the runs they judge.

    python -m lnqbook.frozen

It covers the code of the modules that decide and the keys of the runs that they read. Docstrings,
comments, layout and imports do not count.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from types import ModuleType

from lnqlib.spec import study

from . import crossfit, online_statistics, target_statistics

PLANS = {"target": target_statistics, "online": online_statistics}
FROZEN = {"target": "2b09cdf212ac5276", "online": "44895b915aa32dd0"}
"""The digests that were committed before the first full-length run of each study. A plan that is
changed afterwards keeps its digest here, and its page says what changed and why."""


def digest_of(study_name: str, *modules: ModuleType) -> str:
    """16 hexadecimal digits of the modules' code and the keys of a study's runs."""
    parts = sorted(spec.key for spec in study(study_name))
    for module in modules:
        code = ast.parse(inspect.getsource(module))
        for node in ast.walk(code):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                node.body = [part for part in node.body if not _silent(part)] or [ast.Pass()]
        parts.append(ast.unparse(code))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def digest(name: str) -> str:
    """That of a plan in `PLANS`."""
    return digest_of(name, PLANS[name], crossfit)


def line(name: str) -> str:
    """What a page says of its plan."""
    return f"The plan's digest is `{digest(name)}`; `python -m lnqbook.frozen` prints the plan."


def main() -> None:
    for name, plan in PLANS.items():
        print(f"{name}: {digest(name)}, {len(study(name)):,} runs")
        for text in (*plan.PLAN, *(f"{key}: {asked}" for key, asked in plan.QUESTIONS.items())):
            print(f"  {text}")


def _silent(node: ast.stmt) -> bool:
    imports = isinstance(node, ast.Import | ast.ImportFrom)
    return imports or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


if __name__ == "__main__":
    main()
