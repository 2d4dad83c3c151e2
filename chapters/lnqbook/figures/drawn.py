"""The numbers that a figure draws, as a table: a page offers them under the figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

_DRAWN = "_lnq_drawn"


def record(figure: Figure, frame: pd.DataFrame) -> None:
    """Keeps `frame`, numbers that are drawn in `figure`, below earlier ones."""
    setattr(figure, _DRAWN, [*getattr(figure, _DRAWN, []), frame])


def drawn(figure: Figure) -> pd.DataFrame:
    """All that was recorded for `figure`; a column that some part lacks is empty there."""
    frames = getattr(figure, _DRAWN, [])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def csv(figure: Figure) -> str | None:
    """`drawn` as CSV with seven digits; None where nothing was recorded, as for a sketch."""
    frame = drawn(figure)
    return frame.to_csv(index=False, float_format="%.7g") if len(frame) else None
