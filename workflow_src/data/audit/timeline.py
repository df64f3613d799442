"""The timeline on which one signal is another at another rate or played backwards, proven on both.

Block after block from a common landmark, the phases of the two must agree at most frequencies, each
counting alike (the phase transform of Knapp and Carter, IEEE Trans. ASSP 24, 1976); each block
says how far the next one has drifted. Then the whole must agree once more: over so long a time the
lines of a machine are few frequencies among many, and they alone are no copy.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from workflow_src.data.audit.landmarks import HIGH, LOW, Signal, between, gridded
from workflow_src.data.audit.phases import Values, frequencies, phases, proves

GRID = 2  # samples of the earlier signal a grid step: its band reaches 0.11 cycles a sample
_BLOCK = 256  # grid steps
_LEAST = 4  # blocks
SHORTEST = _LEAST * _BLOCK * GRID  # samples of the earlier signal that a proof takes
_MOST = 32  # blocks that the whole is judged by
_PAD = 64  # grid steps beside a piece, for the echo of its ends
_DRIFT = 3.0  # grid steps from block to block: 1 %
_BLOCK_AGREES = 0.4  # of independent signals: 0 +- 0.12
_FINEST = 2000  # denominator of a measured ratio
_STRAIGHT = 1.0  # grid steps that a block may lie off the line
_BAND = (LOW[1], HIGH[0])  # cycles a grid step


class Timeline(NamedTuple):
    """`length` samples of the held signal from `held` on are the earlier one's about `earlier`.

    Its sample k is the earlier signal at ``earlier + ratio * (k - held)``, times ``gain``; `ratio`
    is negative where it is played backwards.
    """

    held: int
    length: int
    earlier: float
    ratio: float
    gain: float


def timeline(
    earlier: Signal, held: Signal, at: float, held_at: float, ratio: Fraction
) -> Timeline | None:
    """The timeline through sample `at` of one signal and `held_at` of the other, near `ratio`.

    `ratio` counts samples of the earlier signal a sample of the other, negative if backwards. None
    where they do not agree for ``_LEAST`` blocks, or where the content returns within them.
    """
    pair = _Pair(earlier, held, ratio)
    blocks = sorted(pair.blocks(at, held_at))
    if len(blocks) < _LEAST:
        return None
    places, theirs = np.array(blocks).T
    slope, offset = np.polyfit(places, theirs, 1)
    if np.abs(slope * places + offset - theirs).max() > _STRAIGHT * GRID:
        return None
    judged = places[:_MOST]
    middle = (judged[0] + judged[-1]) / 2
    drift = abs(slope - float(ratio)) * (judged[-1] - judged[0])
    precise = ratio if drift < _STRAIGHT else Fraction(float(slope)).limit_denominator(_FINEST)
    gain = _Pair(earlier, held, precise).gain(slope * middle + offset, middle, len(judged))
    if gain is None:
        return None
    half = _BLOCK * float(pair.held_step) / 2
    begin = max(0, math.ceil(places[0] - half))
    end = min(len(held), math.floor(places[-1] + half))
    return Timeline(begin, end - begin, float(slope * begin + offset), float(slope), gain)


class _Pair:
    """Two signals on grids that a ratio makes alike."""

    def __init__(self, earlier: Signal, held: Signal, ratio: Fraction) -> None:
        self._earlier, self._held, self._ratio = earlier, held, ratio
        self.held_step = abs(Fraction(GRID) / ratio)

    def blocks(self, at: float, held_at: float) -> list[tuple[float, float]]:
        """Centres (held, earlier) of the blocks that agree, one after the other from a place on."""
        first = self._block(at, held_at)
        if first is None:
            return []
        found = [(held_at, first)]
        for way in (1, -1):
            theirs, own = first, held_at
            while True:
                own += way * _BLOCK * float(self.held_step)
                step = math.copysign(_BLOCK * GRID, self._ratio)
                there = self._block(theirs + way * step, own)
                if there is None:
                    break
                theirs = there
                found.append((own, theirs))
        return found

    def _block(self, at: float, held_at: float) -> float | None:
        """Where about `at` the earlier signal agrees with the block about `held_at`."""
        ours, theirs = self._pieces(at, held_at, _BLOCK)
        if ours is None or theirs is None:
            return None
        agreements = np.abs((phases(ours, theirs, _HANN)[_IN_BLOCK] @ _DRIFTS).real) / len(
            _IN_BLOCK
        )
        best = int(agreements.argmax())
        return at + GRID * float(_LAGS[best]) if agreements[best] >= _BLOCK_AGREES else None

    def _pieces(
        self, at: float, held_at: float, size: int
    ) -> tuple[Values, Values] | tuple[None, None]:
        """`size` grid steps about the two places, in one direction; None beyond an end."""
        ours = _about(self._earlier, at, Fraction(GRID), size)
        theirs = _about(self._held, held_at, self.held_step, size)
        if ours is None or theirs is None:
            return None, None
        return ours, theirs[::-1] if self._ratio < 0 else theirs

    def gain(self, at: float, held_at: float, blocks: int) -> float | None:
        """The gain of the copy, None where so many blocks about the two places are none."""
        ours, theirs = self._pieces(at, held_at, blocks * _BLOCK)
        if ours is None or theirs is None:
            return None
        if not proves(ours, theirs, _BAND):
            return None
        return float(ours @ theirs / (ours @ ours))


def _about(signal: Signal, centre: float, step: Fraction, size: int) -> Values | None:
    """`signal` in the band at `size` times about `centre`, `step` samples apart."""
    reach = float(step) * size / 2
    if centre - reach < -1 or centre + reach > len(signal):
        return None
    pieces = math.ceil((size + 2 * _PAD) / step.denominator)
    samples, steps = step.numerator * pieces, step.denominator * pieces
    first = round(centre) - samples // 2
    taken = signal[max(0, first) : first + samples].astype(np.float64)
    filled = np.zeros(samples)
    filled[max(0, -first) : max(0, -first) + len(taken)] = taken - taken.mean()
    grid = gridded(filled, steps)
    return between(grid, (centre - first) / float(step) - (size - 1) / 2, size)


_HANN: Values = np.hanning(_BLOCK)
_IN_BLOCK = frequencies(_BLOCK, _BAND)
_LAGS: Values = np.linspace(-_DRIFT, _DRIFT, 25)
_DRIFTS = np.exp(2j * np.pi * np.outer(_IN_BLOCK, _LAGS) / _BLOCK)
