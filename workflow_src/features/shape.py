"""The shape of windows apart from their level: moments, factors, bands of spectrum and envelope.

A gain or an offset of the sensor changes none of them, and none needs a speed or a rate.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

OCTAVES = 8  # from half of the rate down
MOMENTS = ("skewness", "kurtosis", "crest", "impulse", "shape", "clearance")
NAMES = (
    *MOMENTS,
    *(f"spectrum octave {k}" for k in range(OCTAVES)),
    *(f"envelope octave {k}" for k in range(OCTAVES)),
    "envelope depth",
)
_LEAST = 1e-9  # share of a band, so that an empty one has a logarithm
_STILL = 1e-6  # a deviation below this share of the mean is rounding of a constant


def shape_features(window: NDArray[np.float32]) -> Values:
    """(n, C F) of windows (n, L, C): of each channel the F features NAMES.

    Crest, impulse, shape and clearance factor: the peak over RMS, over the mean modulus and over
    the squared mean root modulus; RMS over mean modulus. Bands hold the logarithm of their share
    of the power. A window that does not move has zeros.
    """
    signal = window.transpose(0, 2, 1).astype(np.float64, order="C")  # (n, C, L)
    mean = signal.mean(-1, keepdims=True)
    signal -= mean
    rms = np.sqrt((signal**2).mean(-1, keepdims=True))
    still = (rms <= _STILL * np.abs(mean)) | (rms == 0)
    signal /= np.where(still, 1.0, rms)
    features = np.concatenate([_moments(signal), _bands(signal)], -1)  # (n, C, F)
    features[still[..., 0]] = 0.0
    return features.reshape(len(window), -1)  # (n, C F)


def _moments(signal: Values) -> Values:
    """(n, C, 6) of signals (n, C, L) of mean 0 and deviation 1."""
    modulus = np.abs(signal)
    peak, mean = modulus.max(-1), np.maximum(modulus.mean(-1), _LEAST)
    root = np.maximum(np.sqrt(modulus).mean(-1) ** 2, _LEAST)
    square = signal**2
    columns = [(square * signal).mean(-1), np.log(np.maximum((square**2).mean(-1), _LEAST))]
    columns += [np.log(np.maximum(peak / d, _LEAST)) for d in (1.0, mean)]
    columns += [1 / mean, np.log(np.maximum(peak / root, _LEAST))]
    return np.stack(columns, -1)


def _bands(signal: Values) -> Values:
    """(n, C, 2 OCTAVES + 1): octaves of the spectrum and of the squared envelope's; its depth."""
    length = signal.shape[-1]
    spectrum = np.fft.rfft(signal * np.hanning(length), axis=-1)  # (n, C, L // 2 + 1)
    analytic = np.fft.ifft(2 * np.fft.rfft(signal, axis=-1), length, axis=-1)  # (n, C, L)
    squared = np.abs(analytic) ** 2
    mean = squared.mean(-1, keepdims=True)
    squared = squared / np.where(mean > 0, mean, 1.0) - 1
    envelope = np.fft.rfft(squared * np.hanning(length), axis=-1)
    depth = np.log(np.maximum(squared.std(-1), _LEAST))[..., None]
    octaves = [_octaves(np.abs(lines) ** 2) for lines in (spectrum, envelope)]
    return np.concatenate([*octaves, depth], -1)


def _octaves(power: Values) -> Values:
    """(..., OCTAVES) logarithms of the share of power (..., bins) in each octave from the top."""
    bins = power.shape[-1] - 1
    edges = [max(1, round(bins / 2**k)) for k in range(OCTAVES + 1)]
    edges[0] = bins + 1
    total = power[..., 1:].sum(-1)
    shares = [power[..., low:high].sum(-1) for high, low in pairwise(edges)]
    return np.log(np.stack(shares, -1) / np.where(total > 0, total, 1.0)[..., None] + _LEAST)
