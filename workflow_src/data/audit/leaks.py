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

from workflow_src.data.audit import retimed
from workflow_src.data.audit.anchors import HASHED, Hashes, Places, anchors, reach_of
from workflow_src.data.audit.matching import Match, Signal, match, needed_bits
from workflow_src.data.audit.phases import WHOLE, proves
from workflow_src.data.audit.segments import ORDER, Reader, Segment, segments
from workflow_src.data.split_files import SplitTable
from workflow_src.data.store import Store

_NEAR = 4  # samples: a landmark and an anchor say the same
_JUDGED = 8192  # samples of a segment that tell whether it is more than symmetry
_COMMON = 64  # a hash that is held out more often tells nothing: a pattern that returns


@dataclass(frozen=True)
class Shared:
    """One channel's segment of a held-out part that an earlier part (train, val) holds as well.

    Channels are those in use, counted from 0; begins are in samples of the recordings. ``length``
    counts held-out samples, each of which takes ``ratio`` samples of the earlier recording, less
    than 0 if it is played backwards.
    """

    earlier: Segment
    earlier_channel: int
    earlier_begin: int
    held: Segment
    held_channel: int
    held_begin: int
    length: int
    gain: float
    offset: float
    ratio: float = 1.0

    def holds(self, earlier: float, held: float) -> bool:
        """Whether it says that sample `earlier` of one recording is `held` of the other."""
        into = held - self.held_begin
        begin = self.earlier_begin + (self.length - 1 if self.ratio < 0 else 0)
        return abs(begin + self.ratio * into - earlier) <= _NEAR and 0 <= into <= self.length

    @property
    def earlier_end(self) -> int:
        """Behind the last sample of the earlier recording."""
        return self.earlier_begin + round(self.length * abs(self.ratio))

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
    reach = reach_of(split.summary.span)
    if reach is None:
        return Search([], None, 0)
    reader = Reader(store, split.summary.channel_kinds)
    wanted = segments(split)
    held = _Held(reader, [s for s in wanted if s.part != ORDER[0]], reach)
    found: list[Shared] = []
    for segment in wanted:
        if segment.part != ORDER[-1]:
            found += held.shared_with(segment, reader)
    return Search(found, reach + HASHED - 1, held.common)


class _Held:
    """What is known of the held-out segments by content: anchors, and landmarks at other rates."""

    def __init__(self, reader: Reader, held: Sequence[Segment], reach: int) -> None:
        self._reach = reach
        self._segments = [(s, c) for s in held for c in range(len(reader.channels(s[0])))]
        lengths = [s.end - s.begin for s, _ in self._segments]
        self._begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        forwards: list[tuple[Hashes, Places]] = []
        backwards: list[tuple[Hashes, Places]] = []
        self._retimed = retimed.Held()
        for number, (segment, channel) in enumerate(self._segments):
            signal = reader.read(segment)[channel]
            for kept, played in ((forwards, signal), (backwards, signal[::-1])):
                hashes, places = anchors(played, reach)
                kept.append((hashes, places + self._begins[number]))
            self._retimed.add(number, signal)
        self._retimed.sort()
        self._forwards, self._backwards = _Anchors(forwards), _Anchors(backwards)
        ranks = [ORDER.index(s.part) for s, _ in self._segments]
        self._ranks = np.array(ranks, np.int8)

    @property
    def common(self) -> int:
        """Anchors passed over so far because their content is held out too often."""
        return self._forwards.common

    def shared_with(self, segment: Segment, reader: Reader) -> Iterator[Shared]:
        """What `segment` shares with a segment of a later part."""
        samples = reader.read(segment)  # (C, n)
        for channel, signal in enumerate(samples):
            found = list(self._copies(segment, channel, signal, reader))
            yield from found
            yield from self._retimed_copies(segment, channel, signal, reader, found)

    def _copies(
        self, segment: Segment, channel: int, signal: Signal, reader: Reader
    ) -> Iterator[Shared]:
        """Copies sample for sample, played forwards and backwards."""
        bits = needed_bits(len(signal), int(self._begins[-1]))
        hashes, places = anchors(signal, self._reach)
        for held in (self._forwards, self._backwards):
            pairs = held.pairs(hashes, places)
            for number, here, there in self._by_segment(ORDER.index(segment.part), *pairs):
                other, at = self._segments[number]
                theirs = reader.read(other)[at]
                back = held is self._backwards
                for m in _along(signal, theirs[::-1] if back else theirs, here, there, bits):
                    if back and not _distinct(signal, theirs[::-1], m):
                        continue
                    begin = len(theirs) - m.second - m.length if back else m.second
                    yield Shared(
                        segment, channel, segment.begin + m.first,
                        other, at, other.begin + begin,
                        m.length, m.gain, m.offset, -1.0 if back else 1.0,
                    )  # fmt: skip

    def _by_segment(
        self, rank: int, here: Places, there: Places
    ) -> Iterator[tuple[int, Places, Places]]:
        """The segments of parts after `rank` that `there` lies in, and the places in each."""
        which = np.searchsorted(self._begins, there, side="right") - 1
        later = self._ranks[which] > rank
        here, there, which = here[later], there[later], which[later]
        for number in np.unique(which):
            own = which == number
            yield int(number), here[own], there[own] - self._begins[number]

    def _retimed_copies(
        self,
        segment: Segment,
        channel: int,
        signal: Signal,
        reader: Reader,
        known: Sequence[Shared],
    ) -> Iterator[Shared]:
        """Copies at another rate or in noise, in either direction, beyond those `known`."""
        wanted = self._ranks > ORDER.index(segment.part)
        for (number, ratio), places in self._retimed.candidates(signal, wanted).items():
            other, at = self._segments[number]
            theirs = reader.read(other)[at]
            own = [one for one in known if (one.held, one.held_channel) == (other, at)]

            def is_known(
                here: float,
                there: float,
                own: Sequence[Shared] = own,
                origin: tuple[int, int] = (segment.begin, other.begin),
                ratio: float = float(ratio),
            ) -> bool:
                here, there = here + origin[0], there + origin[1]
                return any(one.ratio == ratio and one.holds(here, there) for one in own)

            for line in retimed.timelines(signal, theirs, ratio, places, is_known):
                length = round(line.length * abs(line.ratio))
                first = line.earlier - (length if line.ratio < 0 else 0)
                yield Shared(
                    segment, channel, segment.begin + round(first),
                    other, at, other.begin + line.held,
                    line.length, line.gain, 0.0, line.ratio,
                )  # fmt: skip


class _Anchors:
    """Anchors by hash, and how many were passed over."""

    def __init__(self, found: Sequence[tuple[Hashes, Places]]) -> None:
        hashes = np.concatenate([np.empty(0, np.uint64), *(h for h, _ in found)])
        places = np.concatenate([np.empty(0, np.int64), *(p for _, p in found)])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._places = hashes[order], places[order]
        self.common = 0

    def pairs(self, hashes: Hashes, places: Places) -> tuple[Places, Places]:
        """Places of anchors here and there that have one hash."""
        first = np.searchsorted(self._hashes, hashes, side="left")
        count = np.searchsorted(self._hashes, hashes, side="right") - first
        self.common += int((count > _COMMON).sum())
        count[count > _COMMON] = 0
        here = np.repeat(places, count)
        within = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
        return here, self._places[np.repeat(first, count) + within]


def _distinct(signal: Signal, played: Signal, found: Match) -> bool:
    """Whether the segment is more than symmetry: a tone is itself when played backwards."""
    length = min(found.length, _JUDGED)
    skipped = (found.length - length) // 2
    first, second = found.first + skipped, found.second + skipped
    a = signal[first : first + length].astype(np.float64)
    b = played[second : second + length].astype(np.float64)
    return proves(a, b, WHOLE)


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
