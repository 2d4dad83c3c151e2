"""The metrics of `metrics.NAMES` from what the interference kernel sums over pairs of samples."""

from __future__ import annotations

import numpy as np

# what is summed over the samples j: pairs that count, then the metrics' sums
Q, G, F, GF, NORM2, LOSS, QGI, SGI, MGI, DGI, SQUARED, BATCH = range(12)
SUMS = 12


def values_of(found: np.ndarray, batch_size: int, lr: np.ndarray) -> dict[str, np.ndarray]:
    """The values of `metrics.NAMES` from the kernel's sums.

    **Arguments** `found` (N, K, SUMS); `lr` (N,).

    **Returns** a dict of arrays (N, K); a mean over no pair is NaN.
    """
    s, B, lr = np.moveaxis(found, -1, 0), batch_size, lr[:, None]
    td_loss, dgi = s[LOSS] / B, s[DGI] / B**2
    gi2 = 2 * lr * dgi - lr**2 * s[SQUARED] / B**2
    means = {
        "qgi_plus": (s[QGI], s[Q] * (s[Q] - 1)),
        "sgi": (s[SGI] + s[G], s[G] ** 2),  # the cosine of a self pair is 1
        "sgi_off": (s[SGI], s[G] * (s[G] - 1)),
        "mgi": (s[MGI], s[G] * s[F]),
        "gi2_scaled": (gi2, td_loss),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {name: np.where(n != 0, x / n, np.nan) for name, (x, n) in means.items()}
    return values | {
        "dgi": dgi,
        "gi2": gi2,
        "gi2_minibatch": s[BATCH] / B,
        "td_loss": td_loss,
        "qgi_plus_zero": s[QGI] / (B * (B - 1)),
        "sgi_zero": (s[SGI] + s[G]) / B**2,
        "sgi_off_zero": s[SGI] / (B * (B - 1)),
        "mgi_zero": s[MGI] / B**2,
        "grad_norm2": s[NORM2] / B,
        "zero_gradients": B**2 - s[G] * s[GF],
    }
