"""The segment that two signals share around a common anchor, proven on the samples themselves."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.audit.anchors import HASHED

Signal = NDArray[np.float32]

_NEAR = 0.1  # of the deviation: what a copy may differ by, in another resolution say
_CORRELATED = 0.999  # what a scaled copy must be; 8 bits over the range of a signal are 0.9999
_SHARED_PHASE = 0.5  # of independent signals: 0 +- 0.05 on the shortest segment
_SURPRISE_BITS = 40  # no false alarm in 10**12 pairs of channels
_OVERSTATED = 3  # zlib takes up to thrice the entropy of rare events between few levels
_REPEATING = 1 / 32  # bits a sample that zlib takes for a pattern that returns


class Match(NamedTuple):
    """`length` samples of one signal from `first` on are those of another from `second` on.

    second = `gain` * first + `offset`; gain 1 and offset 0 where they agree to the last bit.
    """

    first: int
    second: int
    length: int
    gain: float
    offset: float

    @property
    def exact(self) -> bool:
        """Whether the samples agree to the last bit."""
        return self.gain == 1 and self.offset == 0


def match(one: Signal, other: Signal, i: int, j: int, bits: float) -> Match | None:
    """The longest shared segment that holds ``one[i : i + HASHED]`` and ``other[j : ...]``.

    None where there is none, or where it holds less than `bits` of information, so that chance
    explains it.
    """
    if np.array_equal(one[i : i + HASHED], other[j : j + HASHED]):
        found = _extended(one, other, i, j, 1.0, 0.0, 0.0)
    else:
        scaled = _scaled(one, other, i, j)
        if scaled is None:
            return None
        found = scaled
    segment = one[found.first : found.first + found.length]
    return found if information(segment) >= bits else None


def needed_bits(samples: int, others: int) -> float:
    """Information beyond which no two places of `samples` and `others` agree by chance."""
    return _OVERSTATED * (math.log2(max(samples, 1)) + math.log2(max(others, 1)) + _SURPRISE_BITS)


def information(segment: Signal) -> float:
    """Bits that `segment` takes, compressed, beyond those of silence of its length.

    Constant and repeated content has hardly any, however long it is; a signal of few levels has
    what distinguishes it.
    """
    levels, codes = np.unique(segment, return_inverse=True)
    kind = np.uint8 if len(levels) <= 256 else np.uint16 if len(levels) <= 65536 else np.uint32
    coded = codes.astype(kind)
    silence = np.zeros_like(coded)
    taken = len(zlib.compress(coded.tobytes())) - len(zlib.compress(silence.tobytes()))
    return 8 * taken - _REPEATING * len(segment)


def _extended(
    one: Signal, other: Signal, i: int, j: int, gain: float, offset: float, near: float
) -> Match:
    """As far to both sides as ``other`` is ``gain * one + offset`` within `near`."""
    before, after = min(i, j), min(len(one) - i, len(other) - j)
    back = _agreeing(one[i - before : i][::-1], other[j - before : j][::-1], gain, offset, near)
    forth = _agreeing(one[i : i + after], other[j : j + after], gain, offset, near)
    return Match(i - back, j - back, back + forth, gain, offset)


def _agreeing(one: Signal, other: Signal, gain: float, offset: float, near: float) -> int:
    """How many samples agree before the first that does not."""
    if near == 0:
        differ = one != other
    else:
        differ = np.abs(gain * one.astype(np.float64) + offset - other) > near
    return int(np.argmax(differ)) if differ.any() else len(one)


def _scaled(one: Signal, other: Signal, i: int, j: int) -> Match | None:
    """The segment that another gain, offset or resolution makes of the same content."""
    found = Match(i, j, HASHED, 1.0, 0.0)
    for _ in range(2):  # the gain is known better once the segment is
        gain, offset, correlation = _fit(*_both(one, other, found))
        if not abs(correlation) >= _CORRELATED:
            return None
        near = _NEAR * float(_both(one, other, found)[1].std())
        found = _extended(one, other, i, j, gain, offset, near)
        if found.length < HASHED:
            return None
    a, b = _both(one, other, found)
    shared = abs(_fit(a, b)[2]) >= _CORRELATED and phase_agreement(a, b) >= _SHARED_PHASE
    return found if shared else None


def _both(
    one: Signal, other: Signal, found: Match
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a = one[found.first : found.first + found.length].astype(np.float64)
    b = other[found.second : found.second + found.length].astype(np.float64)
    return a, b


def _fit(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float, float]:
    """Gain, offset and correlation of b = gain * a + offset by least squares."""
    centred, other = a - a.mean(), b - b.mean()
    power, shared = float(centred @ centred), float(centred @ other)
    if not power or not float(other @ other):
        return 0.0, 0.0, 0.0
    gain = shared / power
    correlation = shared / math.sqrt(power * float(other @ other))
    return gain, float(b.mean() - gain * a.mean()), correlation


def phase_agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean cosine of the phase between two signals (n,), each frequency counting alike: 0 to 1.

    About 0 for two recordings that share no more than a strong tone, 1 for copies; the sign of
    the gain does not count (the phase transform of Knapp and Carter, IEEE Trans. ASSP 24, 1976).
    """
    taper = np.hanning(len(a))
    cross = np.fft.rfft((a - a.mean()) * taper) * np.conj(np.fft.rfft((b - b.mean()) * taper))
    size = np.abs(cross)
    heard = size > 0
    return abs(float((cross[heard].real / size[heard]).mean())) if heard.any() else 0.0
