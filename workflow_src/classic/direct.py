"""A direct forecast: each step of the horizon by its own weights on the last samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.features.autoregression import normalise

Floats = NDArray[np.float64]

PLACES = 16  # in a training span, from which the next steps are forecast


class DirectRidge:
    """Ridge regression per channel, on windows of zero mean and unit variance.

    The normal equations are added up, a batch of spans at a time: nothing grows with their number.
    """

    def __init__(self, past: int, penalty: float) -> None:
        self.past, self.penalty = past, penalty
        self._squares: Floats | None = None  # (C, p, p)
        self._products: Floats | None = None  # (C, p, H)

    def add(self, windows: NDArray[np.float32], horizons: NDArray[np.float32]) -> None:
        """Take in training windows (n, L, C) and what follows them (n, H, C).

        The end of a window is one place to forecast from; up to PLACES lie before it. A channel
        that does not move adds nothing.
        """
        length, steps = windows.shape[1], horizons.shape[1]
        past = min(self.past, length)
        inputs, mean, deviation = normalise(windows)  # (n, L, C)
        gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        outputs = (horizons - mean[:, None]) * gain[:, None]  # (n, H, C)
        spans = np.concatenate([inputs, outputs], 1).transpose(2, 0, 1)  # (C, n, L + H)
        for at in np.unique(np.linspace(past, length, PLACES).round().astype(np.int64)).tolist():
            x, y = spans[:, :, at - past : at], spans[:, :, at : at + steps]
            squares, products = x.transpose(0, 2, 1) @ x, x.transpose(0, 2, 1) @ y
            self._squares = squares if self._squares is None else self._squares + squares
            self._products = products if self._products is None else self._products + products

    def matrices(self) -> Floats:
        """(C, H, p) that map the last p normalised values, oldest first, to H steps."""
        if self._squares is None or self._products is None:
            raise ValueError("no window was added")
        size = self._squares.shape[1]
        power = np.trace(self._squares, axis1=1, axis2=2)[:, None, None] / size  # (C, 1, 1)
        ridge = (self.penalty * power + (power == 0)) * np.eye(size)
        return np.linalg.solve(self._squares + ridge, self._products).transpose(0, 2, 1)
