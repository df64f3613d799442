"""From a recording's own sampling rate to a lower one: one low-pass filter for all of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import scipy
from numpy.typing import NDArray

FILTER = {"scipy": scipy.__version__}  # what makes resampled samples
MOST = 20_000  # of either term of a ratio: the filter's 102 taps for each of them stay in memory
BLOCK = 1 << 17  # samples of the old rate that are filtered at once
STOPBAND_DB = 80.0
HALF = 51  # samples of the new rate on either side of the one that the filter computes
SUPPORT = 2 * HALF + 1
# The band in which the gain falls, as a share of the new Nyquist frequency, ends at that frequency.
# Kaiser: taps - 1 = (dB - 7.95) / (2.285 width), Oppenheim and Schafer, Discrete-Time Signal
# Processing, section 7.5.3.
TRANSITION = (STOPBAND_DB - 7.95) / (2.285 * np.pi * 2 * HALF)


def ratio(native_hz: float, common_hz: float) -> Fraction:
    """`common_hz` / `native_hz` as a fraction, exact for the decimals that they are written with.

    Where that has a term above MOST it is the nearest fraction that has none; it is off by a share
    of 1 / (2 MOST) at most, 25 millionths, which is no more than two crystals differ by. Raises
    ValueError where it would take more samples than there are.
    """
    exact = Fraction(repr(float(common_hz))) / Fraction(repr(float(native_hz)))
    if exact > 1:
        raise ValueError(f"{common_hz:g} Hz is above {native_hz:g} Hz")
    if exact < Fraction(1, MOST):
        raise ValueError(f"{common_hz:g} Hz is below {native_hz:g} / {MOST} Hz")
    return exact.limit_denominator(MOST)


def inexact(natives_hz: Iterable[float], common_hz: float) -> list[str]:
    """A sentence for each rate from which `common_hz` is made by a fraction that is not exact."""
    said = []
    for native_hz in sorted(set(natives_hz)):
        rates = ratio(native_hz, common_hz)
        reached = rates * Fraction(repr(float(native_hz)))
        if off := float(reached / Fraction(repr(float(common_hz))) - 1):
            said.append(
                f"{native_hz!r} Hz become {float(reached):.9g} Hz by {rates}, {1e6 * off:+.4g} "
                f"millionths off {common_hz:g} Hz"
            )
    return said


def resampled(signal: NDArray[np.float32], rates: Fraction) -> NDArray[np.float32]:
    """`signal` (L, C) at `rates` <= 1 times its rate: (ceil(L * rates), C), sample 0 in its place.

    Up to 1 - TRANSITION (0.90) of the new Nyquist frequency the gain is 1 within 1e-3, and from
    that frequency on nothing is left above -80 dB. A ratio of one passes the same filter, which
    `scipy.signal.resample_poly` would skip: so no recording can be told by how its spectrum ends.
    Beyond its ends a recording counts as its mean; SUPPORT samples are the reach of the filter.
    Beside input and result a block is in memory.
    """
    from scipy.signal import upfirdn  # slow to import, and every reader of a split imports this

    up, down = rates.numerator, rates.denominator
    mean, taps = signal.mean(0, dtype=np.float64), _taps(up, down)  # (C,), (2 HALF down + 1,)
    made = np.empty((-(-len(signal) * up // down), signal.shape[1]), np.float32)
    # `up` samples of the new rate last as long as `down` of the old one: blocks are of such turns.
    ahead, turns = -(-HALF // up), max(1, BLOCK // down)
    for start in range(0, len(made), turns * up):
        stop = min(start + turns * up, len(made))
        turn = max(0, start // up - ahead)  # from which on the filter reaches into the block
        part = signal[turn * down : (stop + HALF) * down // up + 1] - mean
        # (about L_part * rates + 2 HALF, C): the filter's length is in it, half on either side
        filtered: NDArray[np.float64] = upfirdn(taps, part, up, down, axis=0)
        first = HALF + start - turn * up
        made[start:stop] = filtered[first : first + stop - start] + mean
    return made  # (ceil(L * rates), C)


@functools.lru_cache(maxsize=4)  # of up to 16 MB each
def _taps(up: int, down: int) -> NDArray[np.float64]:
    """The filter at `up` times the native rate, (2 HALF down + 1,), its sum `up`."""
    from scipy.signal import firwin, kaiser_beta

    cutoff = (1 - TRANSITION / 2) / down  # of the Nyquist frequency at that rate: the -6 dB point
    window = ("kaiser", kaiser_beta(STOPBAND_DB))
    taps: NDArray[np.float64] = up * firwin(2 * HALF * down + 1, cutoff, window=window)
    return taps
