"""The paper's metrics for any Q-network: `interference`, `second_order`, `isometry`.

`definitions` holds the equations, `second` the second-order terms, `grams` and `layers` how inner
products of gradients are found, `network` and `problem` how somebody's network and batch are read.
"""

from .batch import Batch, MetricError, check_batch, check_features
from .definitions import NAMES, SEEM, SINGULAR, interference, isometry, seem
from .second import second_order

__all__ = [
    "NAMES",
    "SEEM",
    "SINGULAR",
    "Batch",
    "MetricError",
    "check_batch",
    "check_features",
    "interference",
    "isometry",
    "second_order",
    "seem",
]
