"""How processes share a logical batch: the one place that divides it."""

from __future__ import annotations


def rank_share(batch_size: int, rank: int, ranks: int) -> slice[int, int, None]:
    """What one of `ranks` processes takes of a batch: a contiguous part, perhaps empty."""
    return slice(rank * batch_size // ranks, (rank + 1) * batch_size // ranks)


def largest_share(batch_size: int, ranks: int) -> int:
    """Spans of the largest part."""
    return -(-batch_size // ranks)
