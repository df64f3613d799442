"""Log energies of windows: in all, and in octaves of the spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.features.shape import NAMES, OCTAVES

Values = NDArray[np.float64]

_SILENCE = 1e-12  # least RMS, so that a dead channel has a logarithm
_FIRST = NAMES.index("spectrum octave 0")


def log_shares(shape: Values) -> Values:
    """(n, C OCTAVES) logarithms of the share of power in each octave, of shapes (n, C F)."""
    shares = shape.reshape(len(shape), -1, len(NAMES))[:, :, _FIRST : _FIRST + OCTAVES]
    return shares.reshape(len(shape), -1)


def log_energies(window: NDArray[np.float32], shape: Values) -> Values:
    """(n, C OCTAVES + C) logarithms of the RMS in each octave, then of the whole.

    Of windows (n, L, C), and their shapes (n, C F).
    """
    rms = np.log(np.maximum(window.std(1, dtype=np.float64), _SILENCE))  # (n, C)
    octaves = log_shares(shape) / 2 + np.repeat(rms, OCTAVES, axis=1)
    return np.concatenate([octaves, rms], 1)
