"""The checksum with which HDF5 closes a chunk (filter 3, fletcher32)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

BYTES = 4


def is_whole(chunk: bytearray | memoryview) -> bool:
    """Whether a chunk's last four bytes are the checksum of those before it, an even number."""
    words = np.frombuffer(chunk, ">u2")[: -BYTES // 2].astype(np.float64)  # (n,)
    stored = int.from_bytes(chunk[-BYTES:], "little")
    # Below 2**53 for chunks up to 1 MiB, so exact; a product of vectors is what is fast.
    first, second = int(words.sum()), int(words @ _weights(len(words)))
    return stored == _folded(second) << 16 | _folded(first)


@functools.lru_cache(maxsize=4)
def _weights(count: int) -> NDArray[np.float64]:
    """How often each word is in the sum of sums: count, count - 1, ..., 1."""
    return np.arange(count, 0, -1, dtype=np.float64)


def _folded(total: int) -> int:
    """`total` modulo 65535, which stands for 0 unless nothing was added."""
    return total and (total - 1) % 65535 + 1
