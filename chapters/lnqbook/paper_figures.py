"""The paper's figures in words: what its captions say one sees, beside what these runs show."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from IPython.display import Markdown

from .findings import case, in_tasks, listed, sided
from .link_words import none_finished, on_sides
from .numbers import printed
from .ranks import side

SAYS = {
    "Fig. 1, first row": "“first-order gradient interference (SGI, defined later) positively "
    "correlates with the training loss”, and LN “tends to decrease first-order gradient "
    "interference, even though it improves the training loss”.",
    "Fig. 1, second row": "GI₂ has “a more intuitive (i.e., negative) correlation with the loss”, "
    "and LN “tends to increase this metric”. “MountainCar largely does not follow these trends.”",
    "Fig. 2, first order": "“QGI₊ and (more so) SGI positively correlate with the loss.” QGI₊'s "
    "correlations “tend to break” where weights are clamped; SGI's “tend to hold at any given "
    "learning rate”.",
    "Fig. 2, GI₂": "“GI₂ negatively correlates with the loss.” The correlations “tend to hold at "
    "any given learning rate”; “MountainCar is an outlier”.",
    "Fig. 3": "“For both SGD and Adam, LN *still* tends to improve GI₂, even without allowing the "
    "network to take even a single training step with LN in place. MountainCar is again an "
    "exception.”",
    "Fig. 4": "“ISOₚ correlates well with return. These correlations tend to hold at any given "
    "learning rate (LR), and also sometimes across learning rates.”",
    "Fig. 5, Adam": "“The results are mostly similar at all values of k.”",
    "Fig. 6, SGD": "“The various values of k again give mostly similar results”.",
    "Fig. 7": "MGI “still counterintuitively correlates with return” (its text says with the "
    "loss), and DGI “still positively correlates with the loss”.",
    "Fig. 8, Adam": "“The results are similar to the SGD case.”",
    "Fig. 9, SGI": "“On CartPole, SGI correlates negatively with the return, even though it "
    "correlates negatively with the loss as well. For Adam (not shown), the correlation between "
    "SGI and loss reverses, but the correlation between SGI and return remains negative.”",
    "Fig. 9, GI₂": "“The same as Fig. 1, but with additional plots showing the correlation with "
    "return, not only with training loss.”",
}
"""By figure, what the paper's captions say; its pictures are not described."""


def beside(seen: Mapping[str, str]) -> Markdown:
    """A table: a figure's caption in the paper's words, and what is seen here.

    **Arguments** `seen`: by figure of `SAYS`, a sentence; an empty one says that nothing is shown.
    """
    rows = [f"| **{name}.** {SAYS[name]} | {printed(here)} |" for name, here in seen.items()]
    return Markdown("\n".join(["| The paper's figure | Here |", "| --- | --- |", *rows]))


def signs(name: str, y: str, rho: pd.Series) -> str:
    """On which side of 0 rho(name, y) lies, and where it is undecided."""
    found = sides(rho)
    rest = found.index[found == 0]
    return f"\u03c1({name}, {y}) is {on_sides(rho)}" + case(
        (0 < len(rest) < len(found), f"; in {listed(rest)} its sign is undecided."), "."
    )


def sides(rho: pd.Series) -> pd.Series:
    """`ranks.side` by task."""
    return rho.map(side).astype(int)


def alike(name: str, y: str, rho: pd.Series | None, other: pd.Series | None) -> str:
    """What rho is with Adam, and where that is its side with SGD.

    **Arguments** `rho`: intervals by task with Adam. `other`: with SGD. None: not trained.
    """
    if rho is None or other is None:
        return none_finished("Adam" if rho is None else "SGD")
    adam, sgd = sides(rho), sides(other)
    same = [env for env in adam.index if env in sgd and adam[env] == sgd[env] != 0]
    return f"{signs(name, y, rho)} " + case(
        (len(same) == len(adam), f"With SGD its sign is the same {in_tasks(same, len(adam))}."),
        (same, f"With SGD its sign is clearly the same only {in_tasks(same, len(adam))}."),
        "In no task is its sign clearly the same with SGD.",
    )


def every_size(y: str, rho: pd.DataFrame | None, optimizer: str) -> str:
    """Where rho has one side for every metric of a frame by (metric, task).

    **Arguments** `rho`: with the column `y`; None: not trained.
    """
    if rho is None:
        return none_finished(optimizer)
    table = sides(rho[y]).unstack("task")
    one = {env: int(table[env].iloc[0]) * (table[env].nunique() == 1) for env in table}
    rest = [env for env, sign in one.items() if not sign]
    return case(
        (any(one.values()), f"For every k \u03c1 with the {y} is {sided(one)}"),
        f"In no task does \u03c1 with the {y} lie on one side of 0 for every k",
    ) + case(
        (len(rest) not in (0, len(one)), f"; in {listed(rest)} it depends on k, or is undecided."),
        ".",
    )
