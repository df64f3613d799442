"""Places of a signal that its content alone decides, and a hash of the content there.

Two signals that share a segment have the same anchors in it, wherever the segment lies in each.
Anchors are chosen by winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003): the place of the
least hash among every `reach` places. A shared segment of `reach` + ``HASHED`` - 1 samples holds
one for certain, and one sample in (`reach` + 1) / 2 is an anchor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

HASHED = 129  # samples that a hash covers: 128 comparisons of neighbours
REACHES = (256, 128, 64, 32)  # powers of two, for minima by doubling
_BLOCK = 1 << 16  # samples hashed at once: some MB, whatever the length of the signal
_NO_CONTENT = np.uint64(np.iinfo(np.uint64).max)


def reach_of(span: int) -> int | None:
    """The reach with which two copies of one span share an anchor; None: the span is too short."""
    return next((reach for reach in REACHES if reach + HASHED - 1 <= span), None)


def anchors(signal: NDArray[np.float32], reach: int) -> tuple[Hashes, Places]:
    """Hashes and places (n,) of the anchors of `signal` (length,), by place.

    A hash depends on which of two neighbours is the larger, ties included, so it is that of any
    copy with another gain (of either sign) or offset. Content in which nothing rises or nothing
    falls, as silence and saturation, has none; of a repeated pattern only the first stays.
    """
    found = list(_by_block(signal, reach))
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    places, first = np.unique(np.concatenate([p for _, p in found]), return_index=True)
    hashes = np.concatenate([h for h, _ in found])[first]
    new = np.ones(len(hashes), np.bool_)
    new[1:] = hashes[1:] != hashes[:-1]
    return hashes[new], places[new]


def _by_block(signal: NDArray[np.float32], reach: int) -> Iterator[tuple[Hashes, Places]]:
    """Anchors of blocks that overlap so that each `reach` places lie together in one."""
    for begin in range(0, len(signal) - HASHED - reach + 2, _BLOCK):
        hashes = _hashes(signal[begin : begin + _BLOCK + HASHED + reach - 2])
        places = _least(hashes, reach)
        yield hashes[places], places + begin


def _hashes(block: NDArray[np.float32]) -> Hashes:
    """A hash of each ``HASHED`` samples of `block`: (length - HASHED + 1,)."""
    up, down = block[1:] > block[:-1], block[1:] < block[:-1]
    rising, falling = _words(up), _words(down)
    second = (
        rising[64:] * np.uint64(0xD1B54A32D192ED03),
        falling[64:] * np.uint64(0xD1B54A32D192ED03),
    )
    mixed = mix(rising[:-64] ^ mix(second[0])) + mix(falling[:-64] ^ mix(second[1]))
    flat = ((rising[:-64] | rising[64:]) == 0) | ((falling[:-64] | falling[64:]) == 0)
    mixed[flat] = _NO_CONTENT
    return mixed


def _words(bits: NDArray[np.bool_]) -> Hashes:
    """The 64 bits from each place on as one number: (length - 63,)."""
    count = max(0, len(bits) - 63)
    words = np.empty(count, np.uint64)
    for first in range(
        8
    ):  # a byte's first bit lies at each 8th place: read across bytes from there
        packed = np.packbits(bits[first:], bitorder="little")
        places = len(range(first, count, 8))
        words[first::8] = np.ndarray(places, "<u8", packed, strides=(1,))
    return words


def mix(words: ArrayLike) -> Hashes:
    """Spread over 64 bits (the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = np.array(words, np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _least(hashes: Hashes, reach: int) -> Places:
    """The places that hold the least hash of some `reach` places in a row."""
    least, most, width = hashes, None, 1
    while width < reach:
        least = np.minimum(least[:-width], least[width:])
        width *= 2
    # A place holds the least of a window if it equals the largest of the minima of its windows.
    padding = np.zeros(reach - 1, np.uint64)
    most, width = np.concatenate([padding, least, padding]), 1
    while width < reach:
        most = np.maximum(most[:-width], most[width:])
        width *= 2
    return np.flatnonzero((hashes == most) & (hashes != _NO_CONTENT))
