"""The end of a chapter: its claims with their verdicts, the same ones as on the board."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from . import verdicts
from .baselines import POLICIES
from .checks import HOLDS, Check
from .claims import CLAIMS
from .notebook import Parameters
from .ship import Shipped
from .spec import RunSpec
from .store import Store
from .sweep import lookup
from .verdict_tables import STYLE, formula, mark
from .verdicts import Verdict

NOTHING = pd.DataFrame(columns=["env", "arm", "optimizer", "bias", "seconds", "clamped_steps"])


def judged(p: Parameters | None, *numbers: int) -> list[tuple[Verdict, Verdict]]:
    """The verdicts on these claims under both readings, from finished runs alone.

    **Arguments** `p`: the chapter's parameters; None where the claims need no runs.
    """
    claims = [CLAIMS[number - 1] for number in numbers]
    optimizer = p.optimizer if p else "SGD"
    checks = [check for claim in claims for check in claim.checks if check.arms]
    runs = finished(p, checks) if p and checks else NOTHING
    pairs = []
    for claim in claims:
        first = verdicts.judge(claim, runs, optimizer, views=())
        same = not any(check.arms for check in claim.checks)  # a theorem has no readings
        second = first if same else verdicts.judge(claim, runs, optimizer, False, ())
        pairs.append((first, second))
    return pairs


def listed(pairs: Iterable[tuple[Verdict, Verdict]], page: str = "claims.html") -> str:
    """The claims as HTML, one row each: number, statement, the verdict under both readings.

    **Arguments** `page`: the address of the board, to which the numbers lead.
    """
    rows = "".join(
        f'<tr><td><a href="{page}#claim-{first.claim.number}">{first.claim.number}</a></td>'
        f"<td>{formula(first.claim.statement)}</td>"
        f'<td data-label="defaults">{mark(first.verdict)}</td>'
        f'<td data-label="as printed">{mark("" if second is first else second.verdict)}</td></tr>'
        for first, second in pairs
    )
    heads = "".join(f"<th>{head}</th>" for head in ("", "claim", "defaults", "as printed"))
    return (
        f'{STYLE}<table class="claims"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def where(verdict: Verdict, text: str, word: str = HOLDS) -> pd.Series:
    """For each task, whether the check of this text has this verdict; tasks without it are not in.

    **Arguments** `text`: how the check's text begins, as in "LN lowers SGI".
    """
    rows = verdict.rows[verdict.rows["check"].str.startswith(text)]
    return pd.Series((rows["verdict"] == word).to_numpy(), rows["env"])


def finished(p: Parameters, checks: list[Check]) -> pd.DataFrame:
    """`verdicts.frame` of those of the parameters' runs that the checks need; none is trained."""
    arms = {arm for check in checks for arm in check.networks}
    optimizers = {check.optimizer or p.optimizer for check in checks}
    policies = any(arm in POLICIES for check in checks for arm in check.arms)
    asked = {
        name: [s for s in specs if _arm(s) in arms and s.optimizer in optimizers]
        for name, specs in verdicts.specs(p.envs, p.seeds, p.steps, p.learning_rates).items()
    }
    every = [spec for specs in asked.values() for spec in specs]
    return verdicts.frame(asked, lookup(every, Store(), Shipped()), policies)


def _arm(spec: RunSpec) -> str:
    return spec.norm if spec.lr_control == "none" else spec.lr_control
