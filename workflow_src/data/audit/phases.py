"""How far two signals agree in phase, each frequency counting alike, and whether one returns.

The phase transform (Knapp and Carter, IEEE Trans. ASSP 24, 1976) without what is silent: tones that
are free of noise leave most frequencies silent, and so prove nothing, however well they correlate.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import kaiser

Values = NDArray[np.float64]
Band = tuple[float, float]  # cycles a sample, both ends included

WHOLE: Band = (0.0, 0.5)
AGREES = 0.75  # copies at 20 dB of noise: 0.84 to 1; other content 0 +- 1.4 / sqrt(frequencies)
_SILENT = 1e-14  # of the largest cross power: what rounding to float32 leaves between pure tones
_SIDE_LOBES = 20  # Kaiser's beta: below -150 dB, so that a tone is heard at 13 frequencies


def phases(one: Values, other: Values, taper: Values) -> NDArray[np.complex128]:
    """The phase between two signals at each frequency as a number of size 1; 0 in silence."""
    cross = np.fft.rfft(one * taper) * np.conj(np.fft.rfft(other * taper))
    size = np.abs(cross)
    heard = size > _SILENT * size.max(initial=0)
    return np.divide(cross, size, out=np.zeros_like(cross), where=heard)


def agreement(one: Values, other: Values, band: Band) -> float:
    """Mean cosine of the phase between two signals (n,) over `band`, silence counting as 0."""
    taper = kaiser(len(one), _SIDE_LOBES)
    found = phases(one - one.mean(), other - other.mean(), taper)
    return float(found[frequencies(len(one), band)].real.mean())


def returns(signal: Values, band: Band) -> bool:
    """Whether `signal` holds the same once more, a quarter to a half of its length later.

    Then it agrees with what it is no copy of, as periodic signals do that are free of noise.
    """
    size = len(signal)
    centred = signal - signal.mean()
    shared = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * size)) ** 2)
    energy = np.concatenate([[0], np.cumsum(centred**2)])  # of what lies before each sample
    delays = np.arange(size // 4, size // 2)
    both = energy[size - delays] * (energy[-1] - energy[delays])
    delay = int(delays[(shared[delays] / np.sqrt(np.maximum(both, 1e-300))).argmax()])
    return abs(agreement(signal[:-delay], signal[delay:], band)) >= AGREES


def frequencies(size: int, band: Band) -> NDArray[np.int64]:
    """The frequencies of `size` samples that lie in `band`, without the mean."""
    return np.arange(max(1, math.ceil(band[0] * size)), math.floor(band[1] * size) + 1)
