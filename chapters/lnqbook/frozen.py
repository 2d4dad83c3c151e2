"""A digest of each plan: questions and statistics that were committed before the runs they judge.

    python -m lnqbook.frozen

It covers the code of the modules that decide and the keys of the runs that they read. Docstrings,
comments, layout and imports do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
from importlib.abc import InspectLoader

from lnqlib.spec import study

PLANS = {
    "target": ("lnqbook.target_statistics", "lnqbook.crossfit"),
    "online": ("lnqbook.online_statistics", "lnqbook.crossfit"),
    "mechanisms": (
        *("lnqbook.mechanisms", "lnqbook.mediators", "lnqbook.foresight", "lnqbook.mediation"),
        *("lnqbook.crossfit", "lnqlib.arms.definition", "lnqlib.arms.reference"),
    ),
}
"""The modules that decide, by study; the first of them has the questions."""
FROZEN = {
    "target": "2b09cdf212ac5276",
    "online": "44895b915aa32dd0",
    "mechanisms": "8a642898d392999f",
}
"""The digests that were committed before the first full-length run of each study. A plan that is
changed afterwards keeps its digest here, and its page says what changed and why."""


def digest(name: str) -> str:
    """16 hexadecimal digits of the code of a plan in `PLANS` and the keys of its study's runs."""
    parts = sorted(spec.key for spec in study(name))
    for module in PLANS[name]:
        code = ast.parse(source(module))
        for node in ast.walk(code):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                node.body = [part for part in node.body if not _silent(part)] or [ast.Pass()]
        parts.append(ast.unparse(code))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def source(module: str) -> str:
    """The source of a module, which need not be imported."""
    found = importlib.util.find_spec(module)
    assert found is not None and isinstance(found.loader, InspectLoader)
    return found.loader.get_source(module) or ""


def line(name: str) -> str:
    """What a page says of its plan."""
    return f"The plan's digest is `{digest(name)}`; `python -m lnqbook.frozen` prints the plan."


def main() -> None:
    for name, (first, *_) in PLANS.items():
        plan = importlib.import_module(first)
        print(f"{name}: {digest(name)}, {len(study(name)):,} runs")
        for text in (*plan.PLAN, *(f"{key}: {asked}" for key, asked in plan.QUESTIONS.items())):
            print(f"  {text}")


def _silent(node: ast.stmt) -> bool:
    imports = isinstance(node, ast.Import | ast.ImportFrom)
    return imports or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


if __name__ == "__main__":
    main()
