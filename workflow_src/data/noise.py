"""The deviation of windows, and white noise in proportion to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def deviation(window: Floats) -> NDArray[np.float64]:
    """Standard deviation (n, C) of windows (n, L, C); float64, for an offset may be large."""
    samples = window.transpose(0, 2, 1).astype(np.float64, order="C")  # (n, C, L)
    samples -= samples.mean(-1, keepdims=True)
    # window.std(1) steps over C and takes twenty times as long.
    found: NDArray[np.float64] = np.sqrt(
        np.einsum("ncl,ncl->nc", samples, samples) / samples.shape[-1]
    )
    return found


def add_noise(window: Floats, ratio_db: float, rng: np.random.Generator) -> None:
    """Add white noise to `window` (L, C), `ratio_db` below the deviation of each channel."""
    level = deviation(window[None])[0] * 10 ** (-ratio_db / 20)  # (C,)
    window += (level * rng.standard_normal(window.shape)).astype(np.float32)
