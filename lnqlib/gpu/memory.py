"""Memory on the card."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda


class Lent:
    """Memory for some arrays, used again for others of their sizes: to free it would stop others.

    `queue`: the stream that copies and kernels wait in.
    """

    def __init__(self, queue: Any):
        self.queue = queue
        self.there: list[Any] = []

    def __call__(self, *arrays: np.ndarray) -> list[Any]:
        """The arrays on the card, until the next call."""
        if [there.shape for there in self.there] == [array.shape for array in arrays]:
            for there, array in zip(self.there, arrays, strict=True):
                there.copy_to_device(array, stream=self.queue)
        else:
            self.there = [cuda.to_device(array, stream=self.queue) for array in arrays]
        return self.there
