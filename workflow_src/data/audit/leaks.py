"""Content that two parts of a split share, whatever the recordings are called.

The anchors of what validation and test use are kept, 16 bytes each; then each recording of
training (and of validation, against test) is read, and where it has an anchor of the same hash the
samples are compared. Memory: two recordings, and 1/8 byte for each sample and channel held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.audit.anchors import HASHED, Hashes, Places, anchors, reach_of
from workflow_src.data.audit.matching import Match, match, needed_bits
from workflow_src.data.audit.stretches import ORDER, Reader, Stretch, stretches
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Store

_COMMON = 64  # a hash that is held out more often tells nothing: a pattern that returns


@dataclass(frozen=True)
class Shared:
    """One channel's stretch of a held-out part that an earlier part (train, val) holds as well.

    Channels are those in use, counted from 0; begins are in samples of the recordings.
    """

    earlier: Stretch
    earlier_channel: int
    earlier_begin: int
    held: Stretch
    held_channel: int
    held_begin: int
    length: int
    gain: float
    offset: float

    @property
    def shift(self) -> int:
        """Samples by which the content lies later in the held-out recording."""
        return self.held_begin - self.earlier_begin


@dataclass(frozen=True)
class Search:
    """What was found; content shared over `least` samples is certain to be found, None: none is.

    ``common`` counts anchors that were passed over because their content is held out more often
    than 64 times.
    """

    found: list[Shared]
    least: int | None
    common: int


def search(store: Store, split: SplitTable) -> Search:
    """All content that two parts share, found by what the samples are."""
    reach = reach_of(int(split.facts["span"]))
    if reach is None:
        return Search([], None, 0)
    reader = Reader(store, split.facts["channel_kinds"])
    wanted = stretches(split)
    held = _Held(reader, [s for s in wanted if s.part != ORDER[0]], reach)
    found: list[Shared] = []
    for stretch in wanted:
        if stretch.part != ORDER[-1]:
            found += held.shared_with(stretch, reader)
    return Search(found, reach + HASHED - 1, held.common)


class _Held:
    """The anchors of the held-out stretches, by hash."""

    def __init__(self, reader: Reader, held: Sequence[Stretch], reach: int) -> None:
        self._reach = reach
        self._stretches = [(s, c) for s in held for c in range(len(reader.channels(s[0])))]
        lengths = [s.end - s.begin for s, _ in self._stretches]
        self._begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for number, (stretch, channel) in enumerate(self._stretches):
            found, at = anchors(reader.read(stretch)[channel], reach)
            hashes.append(found)
            places.append(at + self._begins[number])
        self._hashes = np.concatenate(hashes)
        order = np.argsort(self._hashes, kind="stable")
        self._hashes, self._places = self._hashes[order], np.concatenate(places)[order]
        ranks = [ORDER.index(s.part) for s, _ in self._stretches]
        self._ranks = np.array(ranks, np.int8)
        self.common = 0

    def shared_with(self, stretch: Stretch, reader: Reader) -> Iterator[Shared]:
        """What `stretch` shares with a stretch of a later part."""
        samples = reader.read(stretch)  # (C, n)
        held = int(self._begins[-1])
        for channel, signal in enumerate(samples):
            bits = needed_bits(len(signal), held)
            for number, here, there in self._candidates(stretch, signal):
                other, at = self._stretches[number]
                theirs = reader.read(other)[at]
                for m in _along(signal, theirs, here, there, bits):
                    yield Shared(
                        stretch, channel, stretch.begin + m.first,
                        other, at, other.begin + m.second,
                        m.length, m.gain, m.offset,
                    )  # fmt: skip

    def _candidates(
        self, stretch: Stretch, signal: NDArray[np.float32]
    ) -> Iterator[tuple[int, Places, Places]]:
        """Held-out stretches, and the places of anchors here and there that have one hash."""
        hashes, places = anchors(signal, self._reach)
        here, there = self._pairs(hashes, places)
        which = np.searchsorted(self._begins, there, side="right") - 1
        later = self._ranks[which] > ORDER.index(stretch.part)
        here, there, which = here[later], there[later], which[later]
        for number in np.unique(which):
            own = which == number
            yield int(number), here[own], there[own] - self._begins[number]

    def _pairs(self, hashes: Hashes, places: Places) -> tuple[Places, Places]:
        first = np.searchsorted(self._hashes, hashes, side="left")
        count = np.searchsorted(self._hashes, hashes, side="right") - first
        self.common += int((count > _COMMON).sum())
        count[count > _COMMON] = 0
        here = np.repeat(places, count)
        within = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
        return here, self._places[np.repeat(first, count) + within]


def _along(
    signal: NDArray[np.float32],
    other: NDArray[np.float32],
    here: Places,
    there: Places,
    bits: float,
) -> Iterator[Match]:
    """The matches of pairs of places, each once: what one covers is not looked at again."""
    shifts = there - here
    order = np.lexsort((here, shifts))
    shift, end = None, 0
    for i, j in zip(here[order].tolist(), there[order].tolist(), strict=True):
        if j - i == shift and i < end:
            continue
        found = match(signal, other, i, j, bits)
        if found is not None:
            shift, end = j - i, found.first + found.length
            yield found
