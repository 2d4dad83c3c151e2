"""A digest of questions and statistics, printed and committed before the runs that answer them.

    python -m lnqbook.frozen

It covers the source of the modules that state them and the keys of the runs that they read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lnqlib.spec import study

from . import online_statistics, target_statistics

SHARED = ("crossfit",)
PLANS = {"target": target_statistics, "online": online_statistics}


def digest(name: str) -> str:
    """16 hexadecimal digits of the plan of a study in `PLANS`."""
    folder = Path(__file__).parent
    sources = (f"{name}_statistics", *SHARED)
    parts = [(folder / f"{module}.py").read_bytes() for module in sources]
    keys = sorted(spec.key for spec in study(name))
    return hashlib.sha256(b"".join([*parts, "\n".join(keys).encode()])).hexdigest()[:16]


def line(name: str) -> str:
    """What a page says of its plan."""
    return f"The plan's digest is `{digest(name)}`; `python -m lnqbook.frozen` prints the plan."


def main() -> None:
    for name, plan in PLANS.items():
        print(f"{name}: {digest(name)}, {len(study(name)):,} runs")
        for line in (*plan.PLAN, *(f"{key}: {text}" for key, text in plan.QUESTIONS.items())):
            print(f"  {line}")


if __name__ == "__main__":
    main()
