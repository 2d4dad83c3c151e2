"""A chapter's answer and its claims with their verdicts, the same ones as on the board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import unescape

import pandas as pd
from IPython.display import HTML, Markdown, display

from lnqlib.spec import RunSpec
from lnqlib.store import Store
from lnqlib.store.shipped import Shipped
from lnqlib.sweep import curves, lookup

from ..baselines import POLICIES
from ..findings import case, folded, told
from ..findings import listed as enumerated
from ..notebook import Parameters
from . import runs as claim_runs
from . import verdicts
from .checks import NO_RUNS, Check
from .statements import CLAIMS, checks_of
from .verdict_tables import MARKS, STYLE, formula, mark, tally
from .verdicts import UNTESTED, Verdict

Pairs = Sequence[tuple[Verdict, Verdict]]

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


def answer(pairs: Pairs, *sentences: str) -> None:
    """Shows what a page finds: the sentences, a badge a claim, and the claims in words, folded.

    **Arguments** `pairs`: of `judged`, asked once a page. Empty sentences are left out.
    """
    display(told(*sentences), Markdown(badges(pairs)))
    if not all(_elsewhere(first) for first, _ in pairs):
        display(folded("These claims in words", HTML(listed(pairs))))


def badges(pairs: Pairs) -> str:
    """One line of Markdown: number and verdict of each claim, each a link to its evidence.

    Both readings have a verdict where they differ. Claims without a task here are named after.
    """
    about = [pair for pair in pairs if not _elsewhere(pair[0])]
    networks = [(first, second) for first, second in about if second is not first]
    printed = any(second.word != NO_RUNS for _, second in networks)
    links = " \N{MIDDLE DOT} ".join(
        f"[**{first.claim.number}**\N{NO-BREAK SPACE}{_words(first, second, printed)}]"
        f"(claims.ipynb#claim-{first.claim.number})"
        for first, second in about
    )
    others = [first.claim.number for first, _ in pairs if _elsewhere(first)]
    one = len(others) == 1
    some = f"Claim{'' if one else 's'} {enumerated(others)} {'is' if one else 'are'}"
    left = case((others, f"{some} not about what is shown here."), "")
    head = "**[Verdicts](glossary.md#term-verdict) on the paper's claims, by these runs:**"
    shown = case((links, f"{head} {links}."), "")
    note = "As printed, without biases, there are no finished runs with these parameters."
    unprinted = case((networks and not printed, note), "")
    return " ".join(text for text in (shown, left, unprinted) if text)


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
    if not any(asked.values()):  # tasks that no claim is about
        return NOTHING
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


def _elsewhere(verdict: Verdict) -> bool:
    """Whether a claim is about tasks, and about none of those shown."""
    return verdict.word == UNTESTED and bool(checks_of(verdict.claim))


def _words(first: Verdict, second: Verdict, printed: bool) -> str:
    """`✓ holds`, or `✓ mostly, as printed ± mixed`."""
    words = [f"{unescape(MARKS[v.word])} {v.word}" for v in (first, second)]
    return words[0] if first.word == second.word or not printed else ", as printed ".join(words)


def _told(verdict: Verdict) -> str:
    return f"{mark(verdict.word)}<small>{tally(verdict)}</small>"
