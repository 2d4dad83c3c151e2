"""The paper's metrics for any Q-network, and what readers ask for beside them.

`definitions` and `second` hold the equations, `companions` and `panel` what goes with them,
`report` how to read it all, `probe` how to measure in training. `grams` and `layers` find inner
products of gradients; `network`, `problem` and `batch` read somebody's network and transitions,
with `copies`, `rows` and `quiet` for how it is copied, indexed and left undisturbed.
"""

from .batch import Batch, MetricError, check_batch, check_features
from .companions import churn, dormant, feature_norm, features_of, stable_rank
from .definitions import NAMES, SEEM, SINGULAR, interference, isometry, isometry_in_order, seem
from .panel import PANEL, Panel, panel
from .reading import references
from .report import Report, report
from .second import second_order

__all__ = [
    "NAMES",
    "PANEL",
    "SEEM",
    "SINGULAR",
    "Batch",
    "MetricError",
    "Panel",
    "Report",
    "check_batch",
    "check_features",
    "churn",
    "dormant",
    "feature_norm",
    "features_of",
    "interference",
    "isometry",
    "isometry_in_order",
    "panel",
    "references",
    "report",
    "second_order",
    "seem",
    "stable_rank",
]
