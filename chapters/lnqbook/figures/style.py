"""The look of the book's figures: a name, color, mark and dash for each network, and the style.

None is blue, hollow and dashed, LN orange, filled and solid. Variants of either have shades of
their own: violet and dark blues for None, browns for LN. Colors in one figure can be told apart
without red or without green; where there are many, dashes and marks differ, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ..claims.checks import NETWORKS

WIDTH = 8.0  # inches; the page shows a figure 768 pixels wide, so that a point is a point
GREY = "0.45"
CLAMPED = "^"  # the mark of a point with a clamped seed; no network has it


class Look(NamedTuple):
    """A network's line, and its mark's rim, in `color`; `fill` is inside the mark."""

    color: str
    fill: str
    dash: str | tuple
    marker: str


_NONE, _LN, _HOLLOW = "#0173b2", "#de8f05", "white"
LOOKS = {
    "none": Look(_NONE, _HOLLOW, "--", "o"),
    "layer": Look(_LN, _LN, "-", "o"),
    "batch": Look("#029e73", "#029e73", "-.", "s"),
    "weight": Look("#882255", "#882255", ":", "D"),
    "center": Look("#332288", "#332288", (0, (4, 1, 1, 1, 1, 1)), "v"),
    "rms": Look("#117733", "#117733", "-.", "P"),
    "layer_affine": Look("#a3190f", "#a3190f", (0, (6, 2)), "D"),
    "layer_after_relu": Look("black", "black", ":", "s"),
    "crossq": Look("#56b4e9", "#56b4e9", "-", "X"),
    # trained as None or LN, measured as the other: rim and line as trained, fill as measured
    "injected": Look("#4b1fc2", _LN, "-", "D"),
    "removed": Look("#7f2704", _HOLLOW, "--", "D"),
    # App. D's controls
    "project": Look("#7f2704", "#7f2704", (0, (6, 2)), "s"),
    "own_decay": Look("#56b4e9", _HOLLOW, ":", "D"),
    "paired_decay": Look("#08306b", _HOLLOW, "-.", "s"),
    # policies without training
    "untrained": Look(GREY, GREY, "-", "o"),
    "uniform": Look(GREY, _HOLLOW, "-", "o"),
    # the inputs of linear regression
    "spread": Look("#029e73", "#029e73", "-", "o"),
    "shuffled": Look(_NONE, _NONE, ":", "v"),
    "constant": Look("#cc78bc", "#cc78bc", "--", "s"),
}
NAMES = {norm: NETWORKS[norm] for norm in LOOKS if norm in NETWORKS}
NAMES |= {"center": "centering", "rms": "scaling (RMS)"}
NAMES |= {"injected": "None, LN injected", "removed": "LN, removed"}
NAMES |= {kind: f"{kind} norm" for kind in ("spread", "shuffled", "constant")}
LABELS = {
    "loss": r"training loss $\ell$",
    "qgi_plus": r"$\mathrm{QGI}_+$",
    "sgi": r"$\mathrm{SGI}$",
    "mgi": r"$\mathrm{MGI}$",
    "dgi": r"$\mathrm{DGI}$",
    "gi2": r"$\mathrm{GI}_2$",
    "gi2_scaled": r"$\mathrm{GI}_2\,/\,\ell$",
    "td_loss": r"batch loss $\ell$",
    "injected_gi2": r"$\mathrm{GI}_2$, LN injected",
    "realised": "realized decrement",
    "second_over_first": r"kept $(\star)$ / first order",
    "deferred_over_kept": r"deferred / kept $(\star)$",
    "switched": r"share with another $a^*$",
    "same_sign": "sign as realized",
    "lr": r"learning rate $\eta$",
    "step": "gradient step",
    "weight_norm": r"$\|(W, b)\|$",
    "norm_growth": r"$\|(W, b)\|$, start = 1",
    "lr_decay": r"effective $\eta$, start = 1",
}
LABELS |= {f"iso_{k}": rf"$\mathrm{{ISO}}_{k}$" for k in "opt3"}
WORDS = {
    "return": "return",
    "loss": "training loss \u2113",
    "td_loss": "batch loss \u2113",
    "qgi_plus": "QGI\u208a",
    "sgi": "SGI",
    "mgi": "MGI",
    "dgi": "DGI",
    "gi2": "GI\u2082",
    "gi2_scaled": "GI\u2082 / \u2113",
    "gi2_minibatch": "GI\u2082, minibatch step",
    "iso_o": "ISO\u2092",
    "iso_p": "ISO\u209a",
    "iso_t": "ISO\u209c",
    "iso_3": "ISO\u2083",
    "weight_norm": "norm of the weights",
    "effective_lr": "effective learning rate",
    "grad_norm2": "squared norm of the gradient",
    "injected_gi2": "GI\u2082, LN injected",
    "realised": "realized decrement",
    "first_order": "first-order decrement",
    "hessian": "second-order decrement",
    "stable_rank": "stable rank of the features",
    "dormant": "share of dormant units",
    "churn": "churn",
    "seem_scaled": "SEEM, scaled",
}
"""Metrics in plain text, for what a browser draws."""
LOG = {"second_over_first", "deferred_over_kept"}
LOG |= {"loss", "td_loss", "weight_norm", "effective_lr", "norm_growth", "lr_decay"}
SIGNED_LOG = {"first_order", "hessian", "realised", "realised_held", "realised_minibatch"}
SIGNED_LOG |= {"dgi", "gi2", "gi2_scaled", "gi2_minibatch", "injected_gi2", "injected_gi2_scaled"}
STYLE = sns.axes_style("ticks") | {
    "figure.dpi": 192,  # two pixels of the picture to one of the page
    "figure.facecolor": "white",  # the dark theme shows pictures on white, so this suits both
    "savefig.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.titley": 1.0,  # titles need not avoid an offset such as 1e7: no panel has one
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.07,  # inches above and below each row of panels
}


def in_style(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the book's style and leaves no figure open, so that a notebook shows it once.

    Empty axis labels get fixed coordinates: placing them beside all tick labels would take a fifth
    of the figure's time. To label such an axis later, call its `set_label_coords`, too.
    """

    @wraps(draw)
    def styled(*args, **kwargs) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            plt.close(figure)
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                if not axis.get_label_text():
                    axis.set_label_coords(0.5, 0.5)
        return figure

    return styled


def label(metric: str) -> str:
    """A metric as an axis names it."""
    return LABELS.get(metric, metric.replace("_", " "))


def rate(lr: float) -> str:
    """A learning rate in a legend: a power of ten if the exponent is a multiple of one half."""
    exponent = np.log10(lr)
    if np.isclose(2 * exponent, np.round(2 * exponent)):
        return rf"$\eta = 10^{{{exponent:.3g}}}$"
    return rf"$\eta$ = {lr:.2g}"


def shades(color: str, count: int) -> list[str]:
    """`color` from pale to dark, for values from small to large."""
    if count == 1:
        return [color]
    pale, dark = sns.light_palette(color, 3)[1], sns.dark_palette(color, 3)[1]
    return sns.blend_palette([pale, color, dark], count).as_hex()
