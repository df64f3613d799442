"""Places of a signal that outlast another rate, direction or some noise, and a code of each.

Both signals are brought to one grid by their spectra, and to one band that every copy keeps. A
landmark is the largest deflection for some time; its time between two grid steps is that of the
content. The code says where the signal has the sign of the landmark, before and behind it: neither
gain nor sign of the copy counts, and played backwards it is the same code read from its other end
(as the landmarks of Wang, ISMIR 2003, are of a spectrogram).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Float = TypeVar("Float", np.float32, np.float64)

LOW, HIGH = (0.02, 0.04), (0.17, 0.22)  # edges of the band, in cycles a grid step
_REACH = 32  # grid steps to each side, of which a landmark is the largest
_SIDE, _STEP = 24, 3  # signs to each side, and grid steps between them: what the band keeps apart
_WAY = _SIDE * _STEP + 4  # grid steps that a code covers to each side, with those to interpolate
MARGIN = 112  # grid steps at an end of a signal without landmarks: a code, and its filter's echo
_NODES = np.arange(-2, 4)  # grid steps that a value between 0 and 1 is interpolated from
_AROUND = np.linspace(-0.75, 0.75, 7)  # grid steps about a peak


class Landmarks(NamedTuple):
    """Landmarks (n,): `codes` alike for a copy in either direction, `ahead` which of the two.

    ``rows`` says whose each is, ``places`` where, in grid steps.
    """

    codes: NDArray[np.uint64]
    ahead: NDArray[np.bool_]
    rows: NDArray[np.int64]
    places: NDArray[np.float64]


def gridded(samples: NDArray[Float], size: int) -> NDArray[Float]:
    """The signals of `samples` (R, n) on `size` grid steps, (R, size), of the band alone.

    An ideal interpolation: the rate changes by size / n, whatever the two are.
    """
    return of_spectra(scipy.fft.rfft(samples, axis=-1), size)


def of_spectra(spectra: NDArray[np.complexfloating], size: int) -> NDArray[Any]:
    """The signals of `spectra` (R, F) on `size` grid steps, (R, size), of the band alone."""
    weights = _weights(size)[: spectra.shape[-1]]
    return np.asarray(scipy.fft.irfft(spectra[..., : len(weights)] * weights, size, axis=-1))


@lru_cache(256)
def _weights(size: int) -> Signal:
    frequency = np.arange(int(HIGH[1] * size) + 1) / size
    rising = np.clip((frequency - LOW[0]) / (LOW[1] - LOW[0]), 0, 1)
    falling = np.clip((HIGH[1] - frequency) / (HIGH[1] - HIGH[0]), 0, 1)
    weights = np.sin(np.pi / 2 * rising) ** 2 * np.sin(np.pi / 2 * falling) ** 2
    return np.asarray(weights, np.float32)


def landmarks(grids: Signal, ends: NDArray[np.int64], most: int | None = None) -> Landmarks:
    """The landmarks of each row of `grids` (R, n), whose signal takes the first `ends` (R,) steps.

    Only the `most` largest of a row.
    """
    flat, length = grids.ravel(), grids.shape[1]
    peaks = _peaks(grids, ends)
    if most is not None:
        peaks = _largest(flat, peaks, length, most)
    signs = np.sign(flat[peaks])
    places = peaks + _summits(flat, peaks, signs)
    codes, backwards = _codes(flat, places, signs)
    rows = peaks // length
    return Landmarks(np.minimum(codes, backwards), codes <= backwards, rows, places - rows * length)


def _peaks(grids: Signal, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in the flattened `grids` that none within ``_REACH`` exceeds."""
    rows, length = grids.shape
    blocks = length // _REACH
    size = np.abs(grids)
    largest = size[:, : blocks * _REACH].reshape(rows, blocks, _REACH).argmax(2)
    within = largest + _REACH * np.arange(blocks)  # (R, blocks)
    inside = (within >= MARGIN) & (within < ends[:, None] - MARGIN)
    places = (within + length * np.arange(rows)[:, None])[inside]
    near = _windows(size.ravel(), places, _REACH)
    heights = near[:, _REACH]
    return np.asarray(places[(near.max(axis=1, initial=0) == heights) & (heights > 0)])


def _windows(flat: Signal, places: NDArray[np.int64], reach: int) -> Signal:
    """`flat` from `reach` steps before each of `places` to `reach` behind: (n, 2 reach + 1)."""
    if not len(places):
        return np.empty((0, 2 * reach + 1), np.float32)
    return np.lib.stride_tricks.sliding_window_view(flat, 2 * reach + 1)[places - reach]


def _largest(flat: Signal, peaks: NDArray[np.int64], length: int, most: int) -> NDArray[np.int64]:
    """The `most` largest of `peaks` in each row."""
    rows = peaks // length
    order = np.lexsort((-np.abs(flat[peaks]), rows))
    rows = rows[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    return peaks[order][rank < most]


def _summits(flat: Signal, peaks: NDArray[np.int64], signs: Signal) -> NDArray[np.float64]:
    """Where each peak is highest, in grid steps from its place."""
    near = _windows(flat, peaks, 4).astype(np.float64)
    heights = near @ _summit_weights() * signs[:, None]  # (n, 7)
    top = np.clip(heights.argmax(axis=1), 1, len(_AROUND) - 2) if len(peaks) else peaks
    each = np.arange(len(peaks))
    before, at, behind = (heights[each, top + i] for i in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + behind, -1e-30)
    step = _AROUND[1] - _AROUND[0]
    return np.asarray(_AROUND[top] + step * np.clip(0.5 * (before - behind) / bend, -1, 1))


@lru_cache(1)
def _summit_weights() -> NDArray[np.float64]:
    """What makes the values ``_AROUND`` a grid step of the 9 steps about it: (9, 7)."""
    whole = np.floor(_AROUND).astype(np.int64)
    weights = np.zeros((9, len(_AROUND)))
    for column, of_steps in enumerate(_interpolation(_AROUND - whole)):
        weights[4 + whole[column] + _NODES, column] = of_steps
    return weights


def _codes(
    flat: Signal, places: NDArray[np.float64], signs: Signal
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Signs at even distances before and behind each place as bits, and the bits in reverse."""
    whole = np.floor(places).astype(np.int64)
    near = _windows(flat, whole, _WAY)
    weights = _interpolation(places - whole).astype(np.float32)
    at = _WAY + _STEP * np.r_[-_SIDE:0, 1 : _SIDE + 1]
    values = sum(near[:, at + node] * weights[:, [i]] for i, node in enumerate(_NODES))
    bits = np.asarray(values * signs[:, None] > 0)  # (n, 48)
    powers = np.uint64(1) << np.arange(2 * _SIDE, dtype=np.uint64)
    return bits @ powers, bits[:, ::-1] @ powers


def _interpolation(between: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lagrange's weights (n, 6) of the grid steps ``_NODES`` for places 0 <= `between` < 1."""
    weights = np.ones((len(between), len(_NODES)))
    for i, node in enumerate(_NODES):
        for other in _NODES[node != _NODES]:
            weights[:, i] *= (between - other) / (node - other)
    return weights


def between(grid: NDArray[np.float64], first: float, size: int) -> NDArray[np.float64]:
    """The values of `grid` (n,) at `size` places a step apart from `first` on, 2 steps inside."""
    whole = math.floor(first)
    (weights,) = _interpolation(np.array([first - whole]))
    near = grid[whole + _NODES[0] : whole + _NODES[-1] + size]
    return np.convolve(near, weights[::-1], "valid")
