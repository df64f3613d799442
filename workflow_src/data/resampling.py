"""From a recording's own sampling rate to a lower one: one low-pass filter for all of them."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, kaiser_beta, upfirdn

MOST = 1000  # of either term of a ratio: the filter grows with them
STOPBAND_DB = 80.0
HALF = 51  # samples of the new rate on either side of the one that the filter computes
SUPPORT = 2 * HALF + 1
# The band in which the gain falls, as a share of the new Nyquist frequency, ends at that frequency.
# Kaiser: taps - 1 = (dB - 7.95) / (2.285 width), Oppenheim and Schafer, Discrete-Time Signal
# Processing, section 7.5.3.
TRANSITION = (STOPBAND_DB - 7.95) / (2.285 * np.pi * 2 * HALF)


def ratio(native_hz: float, common_hz: float) -> Fraction:
    """`common_hz` / `native_hz` as a fraction, exact for the decimals that they are written with.

    Raises ValueError where that would take more samples than there are, or a term above MOST.
    """
    exact = Fraction(repr(float(common_hz))) / Fraction(repr(float(native_hz)))
    if exact > 1:
        raise ValueError(f"{common_hz:g} Hz is above {native_hz:g} Hz")
    if exact.denominator > MOST:
        raise ValueError(f"{common_hz:g} / {native_hz:g} = {exact}, with terms above {MOST}")
    return exact


def resampled(signal: NDArray[np.float32], rates: Fraction) -> NDArray[np.float32]:
    """`signal` (L, C) at `rates` <= 1 times its rate: (ceil(L * rates), C), sample 0 in its place.

    Up to 1 - TRANSITION (0.90) of the new Nyquist frequency the gain is 1 within 1e-3, and from
    that frequency on nothing is left above -80 dB. A ratio of one passes the same filter, which
    `scipy.signal.resample_poly` would skip: so no recording can be told by how its spectrum ends.
    Beyond its ends a recording counts as its mean; SUPPORT samples are the reach of the filter.
    """
    up, down = rates.numerator, rates.denominator
    mean = signal.mean(0, dtype=np.float64)  # (C,)
    # (about L * rates + 2 HALF, C): the filter's own length is still in it, half on either side
    filtered: NDArray[np.float64] = upfirdn(_taps(up, down), signal - mean, up, down, axis=0)
    length = -(-len(signal) * up // down)
    kept: NDArray[np.float32] = (filtered[HALF : HALF + length] + mean).astype(np.float32)
    return kept  # (ceil(L * rates), C)


@functools.cache
def _taps(up: int, down: int) -> NDArray[np.float64]:
    """The filter at `up` times the native rate, (2 HALF down + 1,), its sum `up`."""
    cutoff = (1 - TRANSITION / 2) / down  # of the Nyquist frequency at that rate: the -6 dB point
    window = ("kaiser", kaiser_beta(STOPBAND_DB))
    taps: NDArray[np.float64] = up * firwin(2 * HALF * down + 1, cutoff, window=window)
    return taps
