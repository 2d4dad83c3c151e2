"""How a kernel shows a chapter's figures, whatever its machine is set up for."""

from __future__ import annotations

import matplotlib
from IPython.core.formatters import BaseFormatter
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from traitlets import ObjectName, Unicode

from .figures.drawn import csv


class _CSV(BaseFormatter):
    """The numbers of a figure as one more form of the cell's output, beside the picture."""

    format_type = Unicode("text/csv")
    print_method = ObjectName("_repr_csv_")


def prepare(shell: InteractiveShell) -> None:
    """Shows figures in the notebook, in matplotlib's own defaults, with their numbers.

    Containers set MPLBACKEND=Agg, under which a notebook has no pictures, and a matplotlibrc may
    ask for what is not installed, such as TeX.
    """
    matplotlib.rcdefaults()
    # tight bounding boxes cost time; figures have no empty margins to cut
    shell.config.InlineBackend.setdefault("print_figure_kwargs", {"bbox_inches": None})
    if hasattr(shell, "kernel"):
        shell.run_line_magic("matplotlib", "inline")
    formatter = shell.display_formatter
    kinds = formatter.formatters.setdefault("text/csv", _CSV(parent=formatter))
    kinds.for_type(Figure, csv)
    if "text/csv" not in formatter.active_types:
        formatter.active_types = [*formatter.active_types, "text/csv"]
