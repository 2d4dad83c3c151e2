"""Findings as outputs of cells: a sentence for each case, chosen by the data.

    told(
        case((gain.low > 0, "LN returns more."), (gain.high < 0, "LN returns less."),
             "The interval contains 0."),
    )

A page's Markdown explains and holds no finding, so that what the data say is there wherever the
notebook is read. What not every reader needs is `folded` under a title.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO

import pandas as pd
from IPython.display import HTML, Markdown
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from mdit_py_plugins.dollarmath import dollarmath_plugin

from .numbers import printed

Output = str | Markdown | HTML | pd.DataFrame | Figure


def case(*cases: tuple[object, str] | str) -> str:
    """The sentence of the first case whose condition is true; a sentence alone is always true.

    **Raises** `ValueError` where no case is.
    """
    for each in cases:
        condition, sentence = (True, each) if isinstance(each, str) else each
        if condition:
            return sentence
    raise ValueError(
        f"none of {len(cases)} cases is true; end with a sentence alone, as in "
        'case((x > 0, "more"), "not more")'
    )


def told(*sentences: str) -> Markdown | HTML:
    """The sentences as one paragraph; empty ones are left out."""
    return _markdown(" ".join(printed(sentence) for sentence in sentences if sentence))


def bullets(*sentences: str) -> Markdown | HTML:
    """The sentences as a list; empty ones are left out."""
    return _markdown("\n".join(f"- {printed(sentence)}" for sentence in sentences if sentence))


def _markdown(text: str) -> Markdown | HTML:
    """An empty `Markdown` would be shown as `<IPython.core.display.Markdown object>`."""
    return Markdown(text) if text else HTML("")


def led(lead: str, sentence: str) -> str:
    """The sentence behind `lead`, in which its first word is small unless it is an abbreviation."""
    first = sentence[:1] if sentence[1:2].isupper() else sentence[:1].lower()
    return f"{lead} {first}{sentence[1:]}"


def listed(names: Iterable[object], nothing: str = "no task") -> str:
    """`CartPole, Acrobot and Pendulum`; `nothing` for an empty list."""
    *first, last = [str(name) for name in names] or [nothing]
    return f"{', '.join(first)} and {last}" if first else last


def in_tasks(names: Sequence[str], of: int) -> str:
    """`in all 4 tasks` where they are all `of` several, `in Acrobot and Pendulum`, `in no task`."""
    return f"in all {of} tasks" if len(names) == of > 1 else f"in {listed(names)}"


def count(number: int, one: str, many: str = "") -> str:
    """`no claim`, `1 claim`, `3 claims`."""
    return f"{number or 'no'} {one if number < 2 else many or one + 's'}"


def sided(
    signs: Mapping[str, int],
    up: str = "above 0",
    down: str = "below 0",
    neither: str = "nowhere clear of 0",
) -> str:
    """`above 0 in CartPole and Acrobot, and below 0 in Pendulum`; `nowhere clear of 0`.

    **Arguments** `signs`: by task, 1 or -1, and 0 where it is not decided. `neither`: what is said
    where it is 0 in every task.
    """
    found = pd.Series(signs, dtype=int)
    parts = [
        f"{word} in {tasks(found == side)}"
        for word, side in ((up, 1), (down, -1))
        if (found == side).any()
    ]
    return ", and ".join(parts) or neither


def tasks(which: pd.Series) -> str:
    """The tasks at which `which` is true, as in "CartPole, Acrobot and Pendulum".

    "all 4 tasks" where it always is, "no task" where it never is.
    """
    every = which.all() and len(which) > 1
    return f"all {len(which)} tasks" if every else listed(which.index[which])


def folded(title: str, *outputs: Output) -> HTML:
    """The outputs behind a title that opens them: a `<details>`, which needs no script.

    For tables and what is said of them. A figure with a number of its own is the output of a cell
    tagged `hide-output`, whose title is `code_prompt_show` in the cell's metadata.

    **Arguments** `outputs`: text is Markdown with `$math$`; a frame is a table, `tables.shown`
    before; a figure is drawn at twice its size, with the title for description; None is nothing.

    **Returns** an empty `HTML` where there is no output.
    """
    parts = "\n".join(_html(output, title) for output in outputs if output is not None)
    head = f"<summary>{escape(printed(title))}</summary>"
    return HTML(f'<details class="folded">{head}\n{parts}\n</details>' if parts else "")


def _html(output: Output, title: str) -> str:
    match output:
        case HTML():
            return output.data
        case pd.DataFrame():
            return output.to_html(border=0)
        case Figure():
            image = BytesIO()
            output.savefig(image, format="png", dpi=2 * output.dpi, bbox_inches=None)
            data = b64encode(image.getvalue()).decode()
            return f'<img src="data:image/png;base64,{data}" alt="{escape(title)}">'
    text = output.data if isinstance(output, Markdown) else printed(output)
    return MarkdownIt().enable("table").use(dollarmath_plugin, renderer=_formula).render(text)


def _formula(text: str, options: dict[str, bool]) -> str:
    """What MathJax looks for, in the book and in JupyterLab."""
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f'<span class="tex2jax_process">{left}{escape(text)}{right}</span>'
