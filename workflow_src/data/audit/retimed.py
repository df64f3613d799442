"""Copies at another rate, and backwards in noise: by landmarks, where anchors have no say.

Of what is held out, pieces are brought to the grid of an earlier signal at each of the trial
ratios, and the codes of their largest landmarks kept. Each earlier signal is brought to that grid
once. Landmarks of one code are candidates; the samples decide. Memory: about 6 KB for each piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from workflow_src.data.audit.landmarks import (
    MARGIN,
    Landmarks,
    Signal,
    gridded,
    landmarks,
    of_spectra,
)
from workflow_src.data.audit.timeline import GRID, SHORTEST, Timeline, timeline

PIECE = 4800  # samples
_EVEN = 240  # a multiple of most denominators
EVERY = 8 * PIECE  # samples of what is held out that one piece speaks for
_KEPT = 8  # landmarks of a piece and ratio: half of them outlast a change of rate
_COMMON = 64  # a code that is held out more often tells nothing
_TRIED = 8  # candidates of two signals and a ratio
_ROWS = 64  # pieces at once
_BLOCK = 1 << 16  # samples of an earlier signal at once
_NEAR = 4  # samples within which two timelines are one

# Quotients of the usual rates 10, 12, 12.8, 16, 20, 24, 25.6, 32, 40, 48, 50, 51.2 and 64 kHz, and
# of small numbers; with their inverses.
_LARGER = (
    "16/15 6/5 5/4 32/25 4/3 3/2 25/16 8/5 5/3 15/8 2 25/12 32/15 12/5 5/2 64/25 8/3 3 16/5 10/3 "
    "15/4 4 64/15"
)
RATIOS = (
    Fraction(1),  # backwards alone: a machine that turns evenly resembles itself a little later
    *(Fraction(r) for r in _LARGER.split()),
    *(1 / Fraction(r) for r in _LARGER.split()),
)


class Held:
    """The landmarks of signals that are held out, by code, at every trial ratio."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int]] = []  # (number of the signal, begin)
        self._waiting: list[Signal] = []
        self._longest = 0  # of the signals that the waiting pieces are of
        self._found: list[tuple[NDArray[np.uint64], NDArray[np.void]]] = []

    def add(self, number: int, signal: Signal) -> None:
        """Keep the landmarks of `signal` under its `number`."""
        count = max(1, math.ceil(len(signal) / EVERY))
        self._longest = max(self._longest, len(signal))
        for begin in np.linspace(0, max(0, len(signal) - PIECE), count).astype(int).tolist():
            self._pieces.append((number, begin))
            self._waiting.append(signal[begin : begin + PIECE])
            if len(self._waiting) == _ROWS:
                self._take()

    def sort(self) -> None:
        """Make ready for candidates, once the last signal is added."""
        if self._waiting:
            self._take()
        codes = np.concatenate([np.empty(0, np.uint64), *(c for c, _ in self._found)])
        marks = np.concatenate([np.empty(0, _MARK), *(m for _, m in self._found)])
        order = np.argsort(codes, kind="stable")
        self._codes, self._marks, self._found = codes[order], marks[order], []

    def _take(self) -> None:
        lengths = np.array([len(piece) for piece in self._waiting])
        width = -(-int(lengths.max()) // _EVEN) * _EVEN
        rows = np.zeros((len(lengths), width), np.float32)
        for row, piece in zip(rows, self._waiting, strict=True):
            row[: len(piece)] = piece - piece.mean()
        spectra = scipy.fft.rfft(rows, axis=-1)
        first = len(self._pieces) - len(rows)
        for trial, ratio in enumerate(RATIOS):
            if self._longest * ratio < SHORTEST:
                continue
            steps = round(width * ratio / GRID)
            found = landmarks(of_spectra(spectra, steps), lengths * steps // width, _KEPT)
            marks = np.empty(len(found.codes), _MARK)
            marks["piece"], marks["trial"] = found.rows + first, trial
            marks["ahead"], marks["place"] = found.ahead, found.places * width / steps
            self._found.append((found.codes, marks))
        self._waiting, self._longest = [], 0

    def candidates(
        self, signal: Signal, wanted: NDArray[np.bool_]
    ) -> dict[tuple[int, Fraction], list[tuple[float, float]]]:
        """Places (here, there) that have one code, by number of the signal and signed ratio.

        Only of the signals that are `wanted`, by number.
        """
        groups: dict[tuple[int, Fraction], list[tuple[float, float]]] = {}
        for found in _landmarks_of(signal):
            which, marks = self._of_codes(found.codes)
            number, begin = self._owners(marks)
            backwards = marks["ahead"] != found.ahead[which]
            kept = wanted[number] & (backwards | (marks["trial"] != RATIOS.index(Fraction(1))))
            which, marks, number, backwards = (
                which[kept],
                marks[kept],
                number[kept],
                backwards[kept],
            )
            there = begin[kept] + marks["place"]
            for one, trial, reverse, place, other in zip(
                number.tolist(), marks["trial"].tolist(), backwards.tolist(),
                found.places[which].tolist(), there.tolist(), strict=True,
            ):  # fmt: skip
                ratio = -RATIOS[trial] if reverse else RATIOS[trial]
                groups.setdefault((one, ratio), []).append((place, other))
        return groups

    def _of_codes(self, codes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        """Which of `codes` are held out, and each mark that has one of them."""
        first = np.searchsorted(self._codes, codes, side="left")
        count = np.searchsorted(self._codes, codes, side="right") - first
        count[count > _COMMON] = 0
        which = np.repeat(np.arange(len(count)), count)
        within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        return which, self._marks[first[which] + within]

    def _owners(self, marks: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of the signal of each mark, and where in it its piece begins."""
        numbers, begins = np.array(self._pieces, np.int64).reshape(-1, 2).T
        return numbers[marks["piece"]], begins[marks["piece"]]


_MARK = np.dtype([("piece", "u4"), ("place", "f4"), ("trial", "u1"), ("ahead", "?")])


def _landmarks_of(signal: Signal) -> Iterator[Landmarks]:
    """The landmarks of an earlier signal block by block, their places in samples."""
    beside = GRID * MARGIN
    for begin in range(0, max(1, len(signal) - 2 * beside), _BLOCK - 2 * beside):
        block = signal[begin : begin + _BLOCK]
        size = min(_BLOCK, 1 << max(0, len(block) - 1).bit_length())
        row = np.zeros((1, size), np.float32)
        row[0, : len(block)] = block - block.mean()
        steps = size // GRID
        found = landmarks(gridded(row, steps), np.array([len(block) // GRID]))
        yield found._replace(places=begin + found.places * GRID)


def timelines(
    signal: Signal,
    other: Signal,
    ratio: Fraction,
    places: Sequence[tuple[float, float]],
    known: Callable[[float, float], bool],
) -> Iterator[Timeline]:
    """The timelines through `places` of two signals, each once, but those that are `known`."""
    found: list[Timeline] = []
    tried = 0
    for here, there in places:
        if known(here, there) or any(_on(one, here, there) for one in found):
            continue
        if tried == _TRIED:
            break
        tried += 1
        one = timeline(signal, other, here, there, ratio)
        if one is not None:
            found.append(one)
            yield one


def _on(one: Timeline, here: float, there: float) -> bool:
    return abs(one.earlier + one.ratio * (there - one.held) - here) < _NEAR
