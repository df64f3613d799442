"""What torch's caching allocator reserves on a GPU for tensors that come and go.

Rules of c10/cuda/CUDACachingAllocator.cpp, without its options (torch 2.13). Not yet compared with
a GPU.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass

from workflow_src.limits import MB

BLOCK = 512  # every size is rounded up to a multiple
SMALL, SMALL_SEGMENT = MB, 2 * MB  # sizes up to it share segments of 2 MB
LARGE, LARGE_SEGMENT = 10 * MB, 20 * MB  # sizes below it share segments of 20 MB
ROUND_LARGE = 2 * MB  # larger ones have a segment of their own, rounded


@dataclass(eq=False)
class _Block:
    """A part of a segment; neighbours by address."""

    size: int
    is_small: bool
    is_free: bool = False
    before: _Block | None = None
    after: _Block | None = None


class CachingAllocator:
    """Best fit among the free blocks of a pool, a new segment where none fits.

    Attributes:
        reserved: bytes of all segments; they are never given back.
    """

    def __init__(self) -> None:
        self.reserved = 0
        self._used: dict[int, _Block] = {}
        # Free blocks of the small and of the large pool, by size and then by age.
        self._free: dict[bool, list[tuple[int, int, _Block]]] = {True: [], False: []}
        self._count = 0

    def allocate(self, number: int, size: int) -> None:
        """Give a tensor of `size` bytes, known by `number`, its block."""
        if size == 0:
            return
        size = -(-size // BLOCK) * BLOCK
        block = self._fitting(size) or self._segment(size)
        rest = block.size - size
        if rest >= BLOCK if block.is_small else rest > SMALL:
            left = _Block(rest, block.is_small, True, before=block, after=block.after)
            if block.after is not None:
                block.after.before = left
            block.size, block.after = size, left
            self._put(left)
        block.is_free = False
        self._used[number] = block

    def free(self, number: int) -> None:
        """Take a tensor's block back, joined with free neighbours."""
        block = self._used.pop(number, None)
        if block is None:
            return
        for other in (block.before, block.after):
            if other is not None and other.is_free:
                self._take(other)
                block.size += other.size
                if other is block.before:
                    block.before = other.before
                    if block.before is not None:
                        block.before.after = block
                else:
                    block.after = other.after
                    if block.after is not None:
                        block.after.before = block
        block.is_free = True
        self._put(block)

    def _fitting(self, size: int) -> _Block | None:
        pool = self._free[size <= SMALL]
        index = bisect_left(pool, size, key=lambda entry: entry[0])
        return pool.pop(index)[2] if index < len(pool) else None

    def _segment(self, size: int) -> _Block:
        is_small = size <= SMALL
        if is_small:
            whole = SMALL_SEGMENT
        elif size < LARGE:
            whole = LARGE_SEGMENT
        else:
            whole = -(-size // ROUND_LARGE) * ROUND_LARGE
        self.reserved += whole
        return _Block(whole, is_small)

    def _put(self, block: _Block) -> None:
        self._count += 1
        insort(self._free[block.is_small], (block.size, self._count, block), key=lambda e: e[:2])

    def _take(self, block: _Block) -> None:
        pool = self._free[block.is_small]
        pool.pop(next(i for i, entry in enumerate(pool) if entry[2] is block))


def reserved_bytes(changes: Iterable[tuple[int, int]]) -> int:
    """Bytes reserved after storages came and went: their numbers and bytes, negative at the end."""
    allocator = CachingAllocator()
    for number, size in changes:
        if size > 0:
            allocator.allocate(number, size)
        elif size < 0:
            allocator.free(number)
    return allocator.reserved
