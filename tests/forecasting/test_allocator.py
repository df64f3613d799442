"""Segments of torch's caching allocator, by its rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workflow_src.forecasting.allocator import CachingAllocator, reserved_bytes
from workflow_src.limits import MB

from ..examples import examples


def test_small_tensors_share_segments_of_two_mb() -> None:
    assert reserved_bytes([(0, 1), (1, 512)]) == 2 * MB
    assert reserved_bytes([(number, MB) for number in range(3)]) == 4 * MB


def test_middle_ones_share_segments_of_twenty_mb_and_large_ones_have_their_own() -> None:
    assert reserved_bytes([(0, 2 * MB), (1, 9 * MB), (2, 9 * MB)]) == 20 * MB
    assert reserved_bytes([(0, 10 * MB)]) == 10 * MB
    assert reserved_bytes([(0, 11 * MB + 1)]) == 12 * MB


def test_a_freed_block_is_used_again_and_neighbours_are_joined() -> None:
    halves = [(0, 9 * MB), (1, 9 * MB), (0, -9 * MB), (1, -9 * MB)]
    assert reserved_bytes([*halves, (2, 9 * MB)]) == 20 * MB
    # 18 MB fit into what both leave, joined with the rest behind them.
    assert reserved_bytes([*halves, (2, 18 * MB)]) == 20 * MB


def test_holes_cost() -> None:
    three = [(0, 6 * MB), (1, 6 * MB), (2, 6 * MB)]
    assert reserved_bytes([*three, (1, -6 * MB), (3, 7 * MB)]) == 40 * MB


@examples(300)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40 * MB)), max_size=40))
def test_blocks_in_use_never_overlap_and_all_that_is_freed_joins_again(
    actions: list[tuple[bool, int]],
) -> None:
    allocator, alive, most, now = CachingAllocator(), [], 0, 0
    for number, (is_new, size) in enumerate(actions):
        if is_new or not alive:
            allocator.allocate(number, size)
            alive.append((number, size))
            now += size
        else:
            freed, size = alive.pop(size % len(alive))
            allocator.free(freed)
            now -= size
        most = max(most, now)
        assert allocator.reserved >= most
    reserved = allocator.reserved
    for number, _ in alive:
        allocator.free(number)
    # Nothing is in use: the same tensors in the same order need no segment more.
    for number, (is_new, size) in enumerate(actions):
        if is_new:
            allocator.allocate(number, size)
            allocator.free(number)
    assert allocator.reserved == reserved
