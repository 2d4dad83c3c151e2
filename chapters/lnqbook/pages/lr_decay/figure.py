"""App. D's figure of Lemma 5: the errors of its two identities after one step."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ...figures.layout import log_lines
from ...figures.style import GREY, LABELS, WIDTH, in_style, rate, shades

HUES = [sns.color_palette("colorblind")[i] for i in (2, 4, 9, 7, 5)]  # None and LN keep theirs
MARKS = "osDvP"  # a triangle that points up is a clamped seed


@in_style
def lemma5_errors(by_lr: pd.DataFrame, by_eps: pd.DataFrame) -> Figure:
    """Lemma 5, the direction's error against the learning rate, the norm's against LN's eps.

    **Arguments**

    - `by_lr`: rows of `lemma5.residuals`, several learning rates a case, the exact case first.
    - `by_eps`: the columns eps, lr and norm, several eps a learning rate.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(0.95 * WIDTH, 3.4))
    cases = by_lr.groupby("case", sort=False)
    log_lines(left, ((case, x["lr"], x["direction"]) for case, x in cases), HUES, MARKS)
    exact = by_lr[by_lr["case"] == by_lr["case"].iloc[0]]
    label = r"$\sqrt{1 + \rho^2} - 1$"
    left.loglog(exact["lr"], exact["expected"], ":", color="black", label=label, zorder=4)
    rates = by_eps.groupby("lr")
    lines = ((rate(lr), rows["eps"], rows["norm"].abs()) for lr, rows in rates)
    log_lines(right, lines, shades(HUES[1], len(rates)), MARKS[1] * len(rates))
    right.axhline(1, color=GREY, linewidth=0.8)
    left.set(xlabel=LABELS["lr"], ylabel="error of the direction")
    right.set(xlabel=r"LN's $\epsilon$", ylabel="relative error of the norm's growth")
    for ax in (left, right):
        ax.legend()
    return figure
