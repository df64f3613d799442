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
AGREES = 0.95  # copies: 0.98 to 1, less in noise; other segments of an even machine: up to 0.93
_BEYOND = 0.1  # of agreement: by which a copy is closer than what returns
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


def proves(one: Values, other: Values, band: Band) -> bool:
    """Whether two signals (n,) agree, and more than the first agrees with itself a little later.

    A machine that turns evenly returns (0.8 is measured), and noise-free periodic signals wholly:
    these agree with what they are no copies of.
    """
    agreed = abs(agreement(one, other, band))
    return agreed >= AGREES and agreed >= _returning(one, band) + _BEYOND


def _returning(signal: Values, band: Band) -> float:
    """How far `signal` agrees with itself 1/8 to 5/8 of its length later."""
    size = len(signal)
    centred = signal - signal.mean()
    shared = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * size)) ** 2)
    energy = np.concatenate([[0], np.cumsum(centred**2)])  # of what lies before each sample
    delays = np.arange(size // 8, 5 * size // 8)
    both = energy[size - delays] * (energy[-1] - energy[delays])
    delay = int(delays[(shared[delays] / np.sqrt(np.maximum(both, 1e-300))).argmax()])
    within = frequencies(size - delay, band)
    first, second = centred[:-delay], centred[delay:]
    found = phases(first, second, kaiser(size - delay, _SIDE_LOBES))[within]
    between = np.linspace(-0.5, 0.5, 9)  # the period need not be whole samples
    turned = found @ np.exp(2j * np.pi * np.outer(within, between) / (size - delay))
    return float(np.abs(turned.real).max() / len(within))


def frequencies(size: int, band: Band) -> NDArray[np.int64]:
    """The frequencies of `size` samples that lie in `band`, without the mean."""
    return np.arange(max(1, math.ceil(band[0] * size)), math.floor(band[1] * size) + 1)
