"""How a kernel shows a chapter's figures, whatever its machine is set up for."""

from __future__ import annotations

import matplotlib
from IPython.core.formatters import BaseFormatter
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from traitlets import ObjectName, Unicode

from .figures import hover
from .figures.drawn import csv


class _CSV(BaseFormatter):
    """The numbers of a figure as one more form of the cell's output, beside the picture."""

    format_type = Unicode("text/csv")
    print_method = ObjectName("_repr_csv_")


class _Plot(BaseFormatter):
    """What a browser draws in the picture's place, beside it."""

    format_type = Unicode(hover.MIME)
    print_method = ObjectName("_repr_plot_")
    _return_type = dict


def prepare(shell: InteractiveShell) -> None:
    """Shows figures in the notebook, in matplotlib's own defaults, with numbers and plots.

    Containers set MPLBACKEND=Agg, under which a notebook has no pictures, and a matplotlibrc may
    ask for what is not installed, such as TeX.
    """
    matplotlib.rcdefaults()
    # tight bounding boxes cost time; figures have no empty margins to cut
    shell.config.InlineBackend.setdefault("print_figure_kwargs", {"bbox_inches": None})
    if hasattr(shell, "kernel"):
        shell.run_line_magic("matplotlib", "inline")
    formatter = shell.display_formatter
    for form, make in ((_CSV, csv), (_Plot, hover.plot)):
        kind = form(parent=formatter)
        formatter.formatters.setdefault(kind.format_type, kind).for_type(Figure, make)
        if kind.format_type not in formatter.active_types:
            formatter.active_types = [*formatter.active_types, kind.format_type]
