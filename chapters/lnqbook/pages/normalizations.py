"""What the page on normalizations says: Table 1, the parts of LN, and the clamped points."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lnqlib.spec import default

from .. import stats, table1
from ..baselines import POLICIES
from ..claims.statements import HALF, MARGIN
from ..findings import case, in_tasks, listed
from ..numbers import number
from ..stats import clear, point_summary

PARTS = {
    "center": "Centering alone",
    "rms": "Scaling alone",
    "layer_affine": "Affine LN",
    "layer_after_relu": "LN after the ReLU",
    "crossq": "CrossQ",
}
"""LN's operations and variants, as a sentence begins with them."""
MOMENTA = (0.01, 0.001)
"""CrossQ's, besides the usual one."""
BESIDE_LN = ("none", "batch", "weight", *PARTS)
NAMED = {
    "none": "the network without LN",
    "layer": "LN",
    "batch": "batch normalization",
    "weight": "weight normalization",
    "untrained": "an untrained network",
    "uniform": "random actions",
}


def shares_of_gain(seeds: pd.DataFrame, norms: tuple[str, ...]) -> pd.DataFrame:
    """(norm - None) / (LN - None): an `Interval` for each task (rows) and norm (columns).

    **Arguments** `seeds`: columns env, norm, seed, return, as `table1.by_seed` gives them.
    """
    return pd.DataFrame({n: stats.by_env(seeds, table1.share_of_gain, n) for n in norms})


def whose_gain(shares: pd.DataFrame) -> str:
    """Whether batch and weight normalization bring less than half of LN's gain.

    **Arguments** `shares`: of `shares_of_gain`, with batch and weight.
    """
    less = shares.map(lambda share: share.high < HALF)
    both = list(less.index[less["batch"] & less["weight"]])
    alone = [
        f"{NAMED[norm]} in {listed(less.index[less[norm]])}"
        for norm in ("batch", "weight")
        if less[norm].any()
    ]
    return case(
        (
            len(both) == len(less),
            "It is LN that helps, and not normalization as such: batch and weight normalization "
            f"each bring less than half of LN's gain {in_tasks(both, len(shares))}.",
        ),
        (alone, f"Less than half of LN's gain is what these bring: {listed(alone)}."),
        "That batch and weight normalization bring less than half of LN's gain is not shown here.",
    )


def which_part(scaling: pd.Series, over_none: pd.DataFrame, over_ln: pd.Series) -> str:
    """Which of LN's two operations does the work.

    **Arguments** by task, paired by seed: `scaling`: the return of scaling alone minus that of
    centering alone. `over_none`: of rms and of center minus that of no normalization. `over_ln`: of
    scaling alone minus LN's.
    """
    more, less = clear(scaling)
    beyond, short = clear(over_ln)
    of = len(scaling)
    helps = {norm: len(clear(over_none[norm])[0]) == of for norm in ("rms", "center")}
    told = case(
        (
            len(more) == of and helps["rms"],
            "Of LN's two operations, dividing by the spread does the work: on its own it returns "
            "more than the network without LN and more than subtracting the mean on its own "
            f"{in_tasks(more, of)}",
        ),
        (
            len(less) == of and helps["center"],
            "Of LN's two operations, subtracting the mean does the work: on its own it returns "
            "more than the network without LN and more than dividing by the spread on its own "
            f"{in_tasks(less, of)}",
        ),
        (
            more and less,
            f"Of LN's two operations, dividing by the spread alone returns more in {listed(more)}, "
            f"subtracting the mean alone in {listed(less)}",
        ),
        (
            more,
            f"Of LN's two operations, dividing by the spread alone returns more in {listed(more)}",
        ),
        (
            less,
            f"Of LN's two operations, subtracting the mean alone returns more in {listed(less)}",
        ),
        "Which of LN's two operations does the work is undecided",
    )
    beside = case(
        (
            beyond and short,
            f"; compared with LN it returns more in {listed(beyond)} and less in {listed(short)}.",
        ),
        (beyond, f", and more than LN itself {in_tasks(beyond, of)}."),
        (short, f", and less than LN {in_tasks(short, of)}."),
        ".",
    )
    return told + (beside if more else ".")


def margin(name: str, shares: pd.Series) -> str:
    """Where a variant loses, or brings, more than a fifth of LN's gain.

    **Arguments** `name`: begins the sentence. `shares`: intervals by task.
    """
    fifth = {0.2: "a fifth"}.get(MARGIN, f"{MARGIN:.0%}")
    lost = [env for env, share in shares.items() if share.high < 1 - MARGIN]
    won = [env for env, share in shares.items() if share.low > 1 + MARGIN]
    return case(
        (
            lost and won,
            f"{name} loses more than {fifth} of LN's gain in {listed(lost)}, and brings more than "
            f"{fifth} beyond it in {listed(won)}.",
        ),
        (lost, f"{name} loses more than {fifth} of LN's gain {in_tasks(lost, len(shares))}."),
        (won, f"{name} brings more than {fifth} beyond LN's gain {in_tasks(won, len(shares))}."),
        f"{name} clearly loses or brings more than {fifth} of LN's gain in no task.",
    )


def beside(norm: str, over_none: pd.Series, over_ln: pd.Series, shares: pd.Series) -> str:
    """One of `PARTS` against the network without LN and against LN, as an item of a list.

    **Arguments** by task: the differences of returns, paired by seed, and the shares of LN's gain.
    """
    of, none = len(over_none), "the network without LN"
    told = case(
        (
            not any(clear(over_none) + clear(over_ln)),
            f"does not differ clearly from {none} or from LN",
        ),
        f"{_against(over_none, none, of)}, and {_against(over_ln, 'LN', of)}",
    )
    told = f"**{PARTS[norm]}** {told}."
    if norm in ("center", "rms"):
        return told
    return f"{told} {margin('It', shares)}"


def by_momentum(runs: pd.DataFrame, crossq: pd.DataFrame) -> dict[float, pd.Series]:
    """CrossQ's shares of LN's gain by task, for each momentum, over the seeds that it has.

    **Arguments** `runs`: with None's and LN's. `crossq`: of one or several momenta.
    """
    return {
        momentum: shares_of_gain(
            table1.by_seed(pd.concat([runs[runs["seed"].isin(mine["seed"])], mine])), ("crossq",)
        )["crossq"]
        for momentum, mine in crossq.groupby("momentum", sort=False)
    }


def momenta(shares: Mapping[float, pd.Series]) -> str:
    """What another momentum makes of CrossQ, as the last item of the list.

    **Arguments** `shares`: of `by_momentum`.
    """
    others = " ".join(margin(f"With {momentum:g} it", by) for momentum, by in shares.items())
    return (
        f"CrossQ's running statistics have a momentum of {default('momentum'):g} there, PyTorch's "
        "default; the paper calls it one more hyperparameter and does not state it. " + others
    )


def same_table(compared: pd.DataFrame, seeds: int) -> str:
    """Whether ours is the paper's Table 1: how many of its numbers lie in our intervals.

    **Arguments** `compared`: of `table1.compare`. `seeds`: behind our intervals.
    """
    once = compared[compared["norm"] != "uniform"]  # Random counts once
    sure = once[once["agrees"].isin(["yes", "no"])]
    if sure.empty:
        return (
            "**Is it the same table?** The paper has no certain number for the tasks shown, or "
            "these runs have no intervals."
        )
    inside, above = int((sure["agrees"] == "yes").sum()), int((sure["difference"] > 0).sum())
    some = "one number" if len(sure) == 1 else f"{len(sure)} numbers"
    told = (
        f"**Is it the same table?** Of the paper's {some} whose column is certain (Random counted "
        f"once, as the untrained network), {_some(inside)} in our interval; ours is the higher one "
        f"in {above or 'none'}. The paper prints no intervals."
    )
    miss = table1.expected_miss(seeds)
    return told + case(
        (
            miss > 0,
            " If an experiment of its size measured the same quantity, its mean would lie outside "
            f"our interval in about {miss:.0%} of all cells; more misses than that mean that the "
            "experiments differ.",
        ),
        "",
    )


def order(cells: pd.DataFrame, turned: list[str]) -> str:
    """Which network returns most.

    **Arguments** `cells`: of `table1.cells`. `turned`: the tasks in which LN minus None has the
    other sign at the learning rates without a clamped run.
    """
    return f"**Is the order the same?** {_highest(cells)}" + case(
        (
            turned,
            " One caution: these averages contain learning rates at which runs were clamped. Over "
            f"those without a clamped run LN returns less than the network without LN in "
            f"{listed(turned)}, as shown below.",
        ),
        "",
    )


def missing(compared: pd.DataFrame, names: Mapping[str, str]) -> str:
    """What is lost of the paper's table, and where a number whose column is uncertain fits."""
    lost = int(((compared["agrees"] == table1.LOST) & (compared["norm"] != "uniform")).sum())
    trained = compared[~compared["norm"].isin(POLICIES)].replace({"norm": dict(names)})
    stray = [table1.stray(group) for _, group in trained.groupby("env", sort=False)]
    told = case(
        (lost > 1, f"{lost} of the paper's cells are lost in our copy, and none is filled in."),
        (lost, "One of the paper's cells is lost in our copy, and it is not filled in."),
        "",
    )
    parts = [told, *filter(None, stray)]
    return f"**What is missing?** {' '.join(filter(None, parts))}" if any(parts) else ""


def barren(runs: pd.DataFrame) -> str:
    """How many of Acrobot's datasets hold no transition to the goal; "" without Acrobot."""
    acrobot = runs[runs["env"] == "Acrobot"].drop_duplicates("seed")
    none = int((acrobot["goal_transitions"] == 0).sum())
    return case(
        (
            none,
            f"**What do the data hold?** In {none} of Acrobot's {len(acrobot)} datasets no "
            "transition reaches the goal. There every reward is the same, so a network's "
            "return there was not learned from rewards ([more](interference.ipynb)).",
        ),
        "",
    )


def two_readings(gaps: pd.Series, compared: pd.DataFrame) -> str:
    """How the two policies called Random differ.

    **Arguments** `gaps`: uniform actions minus untrained network, by task, paired by seed.
    `compared`: `table1.compare` of the two policies.
    """
    more, less = clear(gaps)
    told = case(
        (
            more and less,
            f"Random actions return more than an untrained network in {listed(more)} and less in "
            f"{listed(less)}.",
        ),
        (more, f"Random actions return more than an untrained network in {listed(more)}."),
        (less, f"Random actions return less than an untrained network in {listed(less)}."),
        "The two do not differ clearly in the tasks shown.",
    )
    known = compared[compared["agrees"].isin(["yes", "no"])]
    if known.empty:
        return told
    inside = {norm: int((rows["agrees"] == "yes").sum()) for norm, rows in known.groupby("norm")}
    of = len(known) // known["norm"].nunique()
    both = [
        f"{_some(inside.get(p, 0))} in the interval of {NAMED[p]}" for p in ("untrained", "uniform")
    ]
    paper = "the paper's one known number" if of == 1 else f"the paper's {of} known numbers"
    return f"{told} Of {paper}, {listed(both)}."


def all_clamped(runs: pd.DataFrame) -> pd.DataFrame:
    """The (task, norm, lr) points at which every run was clamped, by rising learning rate.

    **Arguments** `runs`: one row a run, one optimizer.

    **Returns** columns env, norm, lr, value (the mean return), low, high, and as_good: whether the
    interval reaches that of the learning rate at which the norm returns most in this task.
    """
    points = point_summary(runs, "return")
    every = (runs["clamped_steps"] > 0).groupby([runs[name] for name in _POINT]).all()
    best = points.loc[points.groupby(["env", "norm"])["value"].idxmax()]
    best = best.set_index(["env", "norm"])["low"].rename("best").reset_index()
    points = points.merge(best, on=["env", "norm"]).merge(every.rename("every").reset_index())
    found = points[points["every"].astype(bool)]
    return found.assign(as_good=found["high"] >= found["best"])[[*_POINT, *_VALUE, "as_good"]]


def clamped_return(points: pd.DataFrame, names: Mapping[str, str]) -> str:
    """What clamping did to the return.

    **Arguments** `points`: of `all_clamped`. `names`: of the norms in the text.
    """
    good = points[points["as_good"].astype(bool)]
    where = [
        f"{names[norm]} in {env} (at {', '.join(number(lr, 1) for lr in group['lr'])})"
        for (env, norm), group in good.groupby(["env", "norm"], sort=False)
    ]
    worse = len(points) - len(good)
    told = (
        "There is one point (task, network and learning rate) at which every run was clamped. "
        if len(points) == 1
        else f"There are {len(points)} points (task, network and learning rate) at which every run "
        "was clamped. "
    )
    if points["low"].isna().all() and len(points):
        return f"{told}What that did to the return cannot be said: one seed has no interval."
    better = f"as good as this network gets in its task: {listed(where)}. There the loss "
    better += "means nothing, but the order of actions that the greedy policy needs survives."
    lower = "the return is clearly lower than at the network's best learning rate."
    return case(
        (points.empty, "At no point was every run clamped."),
        (worse and where, f"{told}At {worse} of them {lower} At the others it is {better}"),
        (where, f"{told}The return is {better}"),
        f"{told}Each time {lower}",
    )


def without_clamped(full: pd.Series, free: pd.Series, cells: pd.DataFrame) -> str:
    """What is left of LN's gain at the learning rates without a clamped run.

    **Arguments** `full`, `free`: LN minus None by task, over all learning rates and over those.
    `cells`: `table1.cells` over those.
    """
    gone = [env for env in full.index if env not in free.index]
    every = case(
        (
            all(gain.sign > 0 for gain in full),
            f"Over all learning rates LN returns more than the network without LN "
            f"{in_tasks(list(full.index), len(full))}.",
        ),
        f"Over all learning rates LN returns more than the network without LN in "
        f"{listed(clear(full)[0])}.",
    )
    more, less = clear(free)
    calm = case(
        (not len(free), " No learning rate is without a clamped run."),
        (
            more and less,
            f" Over those without a clamped run it returns more in {listed(more)}, and less in "
            f"{listed(less)}. {_highest(cells)}",
        ),
        (more, f" Over those without a clamped run it does so {in_tasks(more, len(free))}."),
        (less, f" Over those without a clamped run it returns less {in_tasks(less, len(free))}."),
        " Over those without a clamped run no difference is clear of 0.",
    )
    none = case((gone and len(free), f" None is left in {listed(gone)}."), "")
    return every + calm + none


def turned(full: pd.Series, free: pd.Series) -> list[str]:
    """The tasks in which two `table1.gain_by_env` have opposite signs, the second negative."""
    return [env for env in free.index if full[env].sign > 0 > free[env].sign]


def _highest(cells: pd.DataFrame) -> str:
    """`The highest return is LN's in all 4 tasks.`"""
    top = cells.loc[cells.groupby("env", sort=False)["value"].idxmax()]
    envs = {norm: list(rows["env"]) for norm, rows in top.groupby("norm", sort=False)}
    if list(envs) == ["layer"]:
        return f"The highest return is LN's {in_tasks(envs['layer'], len(top))}."
    parts = [f"{NAMED.get(norm, norm)} in {listed(mine)}" for norm, mine in envs.items()]
    return f"The highest return is that of {listed(parts)}."


def _some(number: int) -> str:
    """`none lies`, `1 lies`, `3 lie`."""
    return f"{number or 'none'} {'lie' if number > 1 else 'lies'}"


def _against(gaps: pd.Series, other: str, of: int) -> str:
    """`returns more than LN in A and less in B`, from intervals by task."""
    more, less = clear(gaps)
    return case(
        (more and less, f"returns more than {other} in {listed(more)} and less in {listed(less)}"),
        (more, f"returns more than {other} {in_tasks(more, of)}"),
        (less, f"returns less than {other} {in_tasks(less, of)}"),
        f"does not differ clearly from {other}",
    )


_POINT, _VALUE = ["env", "norm", "lr"], ["value", "low", "high"]
