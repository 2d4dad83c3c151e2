"""What the board says as a whole, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..findings import case, count, listed
from .checks import CALM
from .verdicts import FAILS, HOLDS, MOSTLY, NO_RUNS, UNTESTED, Verdict

Pairs = Sequence[tuple[Verdict, Verdict]]
GOOD = (HOLDS, MOSTLY)


def answers(pairs: Pairs) -> list[str]:
    """What holds under both readings, what fails, what depends on the reading, what is open."""
    words = {first.claim.number: (first.word, second.word) for first, second in pairs}
    good = [n for n, both in words.items() if set(both) <= set(GOOD)]
    fail = [n for n, both in words.items() if both == (FAILS, FAILS)]
    open_ = [n for n, both in words.items() if {NO_RUNS, UNTESTED} & set(both)]
    turned = [n for n, (a, b) in words.items() if n not in open_ and _side(a) != _side(b)]
    other = [n for n in words if n not in (*good, *fail, *open_, *turned)]
    return [
        f"**Of {count(len(words), 'claim')}**, {_some(good, 'holds', 'hold')} in all or most of "
        "the tasks under both readings.",
        case(
            (fail, f"Under both readings {_some(fail, 'fails', 'fail')}."),
            "No claim fails under both readings.",
        ),
        case(
            (turned, f"The two readings give different verdicts on {_some(turned)}."),
            "No verdict differs between the two readings.",
        ),
        case((other, f"Neither confirmed nor refuted under either reading: {_some(other)}."), ""),
        case((open_, f"Lacking runs under a reading, or not testable: {_some(open_)}."), ""),
    ]


def firmness(pairs: Pairs) -> str:
    """Which verdicts under the defaults no view changes, and what changes the others."""
    firm = [first.claim.number for first, _ in pairs if first.firm]
    loose = [first for first, _ in pairs if first.firm is False]
    calm = [v.claim.number for v in loose if any(t.startswith(CALM) for t in v.turned)]
    alone = [v.claim.number for v in loose if all(t.startswith(CALM) for t in v.turned)]
    told = case(
        (firm, f"Under the defaults the verdicts on {_some(firm)} are firm: no view changes them."),
        "Under the defaults no verdict is firm: a view changes each that has one.",
    )
    return told + case(
        (
            calm,
            " Leaving out the points and learning rates with a clamped run changes the result of "
            f"some task in {count(len(calm), 'claim')}; in {len(alone) or 'none'} of these it is "
            "the only view that does.",
        ),
        "",
    )


def found_in_words(runs: pd.DataFrame) -> str:
    """How many of the claims' runs there are.

    **Arguments** `runs`: as `runs.frame` makes them.
    """
    missing = int(runs["seconds"].isna().sum())
    told = f"Of the {len(runs):,} runs that the claims need, {len(runs) - missing:,} were found."
    return f"{told} {case((missing, 'These commands train the others:'), 'Nothing is missing.')}"


def repeated(verdict: Verdict) -> str:
    """What became of the claims that one claim repeats with Adam."""
    by_word = pd.Series({unit.name: unit.verdict for unit in verdict.units}, dtype=object)
    parts = [f"{word}: {listed(by_word.index[by_word == word])}" for word in dict.fromkeys(by_word)]
    return "With Adam alone, claim by claim: " + "; ".join(parts) + "." if parts else ""


def _some(numbers: Sequence[int], one: str = "", many: str = "", nothing: str = "no claim") -> str:
    """`claim 3 holds`, `claims 3 and 5 hold`, `no claim holds`."""
    verb = f" {one if len(numbers) < 2 else many}" if one else ""
    if not numbers:
        return f"{nothing}{verb}"
    return f"{'claim' if len(numbers) == 1 else 'claims'} {listed(numbers)}{verb}"


def _side(word: str) -> int:
    return 1 if word in GOOD else -1 if word == FAILS else 0


def scale_in_words(runs: pd.DataFrame) -> str:
    """How many of the paper's seeds there are, for each network and reading.

    **Arguments** `runs`: as `runs.frame` makes them; the fewest seeds of the tasks count.
    """
    done = runs[runs["seconds"].notna()]
    parts = []
    for reading, bias in (("With the defaults", True), ("as printed", False)):
        told = []
        for names, networks, paper in _PAPERS_SEEDS:
            mine = done[(done["bias"] == bias) & done["network"].isin(networks)]
            tasks = pd.MultiIndex.from_product([runs["env"].unique(), networks])
            seeds = mine.groupby(["env", "network"])["seed"].nunique().reindex(tasks, fill_value=0)
            fewest = int(seeds.min()) if len(seeds) else 0
            told.append(
                case(
                    (fewest >= paper, f"{names} have the paper's {paper} seeds"),
                    (fewest, f"{names} have {fewest} of its {paper} seeds"),
                    f"{names} have no runs yet",
                )
            )
        parts.append(f"{reading}, {listed(told)}")
    return f"{'; '.join(parts)}."


_PAPERS_SEEDS = (("None and LN", ("none", "layer"), 30), ("BN and WN", ("batch", "weight"), 20))
