"""The end of a chapter: its claims with their verdicts, the same ones as on the board."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lnqlib.spec import RunSpec
from lnqlib.store import Store
from lnqlib.store.shipped import Shipped
from lnqlib.sweep import curves, lookup

from ..baselines import POLICIES
from ..notebook import Parameters
from . import runs as claim_runs
from . import verdicts
from .checks import SUPPORTED, Check
from .statements import CLAIMS, checks_of
from .verdict_tables import STYLE, formula, mark, tally
from .verdicts import Verdict

NOTHING = pd.DataFrame(columns=["env", "network", "optimizer", "bias", "seconds", "clamped_steps"])


def judged(p: Parameters | None, *numbers: int) -> list[tuple[Verdict, Verdict]]:
    """The verdicts on these claims under both readings, from finished runs alone.

    **Arguments** `p`: the chapter's parameters; None where the claims need no runs.
    """
    claims = [CLAIMS[number - 1] for number in numbers]
    checks = [check for claim in claims for check in checks_of(claim) if check.networks]
    runs = claim_runs.Runs(finished(p, checks) if p and checks else NOTHING)
    optimizer = p.optimizer if p else "SGD"
    return [verdicts.both(claim, runs, optimizer, views=False) for claim in claims]


def listed(pairs: Iterable[tuple[Verdict, Verdict]], page: str = "claims.html") -> str:
    """The claims as HTML, one row each: number, statement, the verdict under both readings.

    **Arguments** `page`: the address of the board, to which the numbers lead.
    """
    rows = "".join(
        f'<tr><td><a href="{page}#claim-{first.claim.number}">{first.claim.number}</a></td>'
        f"<td>{formula(first.claim.statement)}</td>"
        f'<td data-label="defaults">{_told(first)}</td>'
        f'<td data-label="as printed">{"the same" if second is first else _told(second)}</td></tr>'
        for first, second in pairs
    )
    heads = "".join(f"<th>{head}</th>" for head in ("", "claim", "defaults", "as printed"))
    return (
        f'{STYLE}<table class="claims"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def where(verdict: Verdict, text: str, word: str = SUPPORTED) -> pd.Series:
    """For each task, whether the check of this text has this word; tasks without it are not in.

    **Arguments** `text`: how the check's text begins, as in "LN lowers SGI".
    """
    rows = verdict.rows[verdict.rows["check"].str.startswith(text)]
    return pd.Series((rows["word"] == word).to_numpy(bool), rows["env"])


def finished(p: Parameters, checks: list[Check]) -> pd.DataFrame:
    """`runs.frame` of those of the parameters' runs that the checks need; trains none."""
    trained = {name for check in checks for name in check.trained}
    optimizers = {check.optimizer or p.optimizer for check in checks}
    policies = any(name in POLICIES for check in checks for name in check.networks)
    asked = {
        name: [
            s for s in specs if claim_runs.network_of(s) in trained and s.optimizer in optimizers
        ]
        for name, specs in claim_runs.specs(p.envs, p.seeds, p.steps, p.learning_rates).items()
    }
    return looked_up(asked, policies, any(check.growth for check in checks))


def looked_up(
    asked: dict[str, list[RunSpec]], policies: bool = True, growth: bool = True
) -> pd.DataFrame:
    """`runs.frame` of the finished ones among `asked`.

    **Arguments** `growth`: whether to read the checkpoints for the weights' growth.
    """
    every = [spec for specs in asked.values() for spec in specs]
    watched = curves(claim_runs.weights_watched(asked)) if growth else None
    return claim_runs.frame(asked, lookup(every, Store(), Shipped()), policies, watched)


def _told(verdict: Verdict) -> str:
    return f"{mark(verdict.word)}<small>{tally(verdict)}</small>"
