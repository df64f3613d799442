"""From traces of a few micro-batches to the largest that fits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryFit:
    """Peak of a step in several parts, bytes: max(constant, fixed + slope x micro-batch).

    Attributes:
        constant: what the optimizer or a whole logical batch takes, whatever the micro-batch.
        fixed: what is there beside the spans of a micro-batch.
        slope: of a span.
    """

    constant: float
    fixed: float
    slope: float

    def at(self, micro_batch: int) -> float:
        """Bytes at a micro-batch."""
        return max(self.constant, self.fixed + self.slope * micro_batch)

    def largest_within(self, limit: float, most: int) -> int:
        """The largest micro-batch up to `most` that takes no more than `limit`; 0 without one."""
        if self.at(1) > limit:
            return 0
        if self.slope <= 0 or limit == math.inf:
            return most
        return min(most, max(1, math.floor((limit - self.fixed) / self.slope + 1e-6)))


def fit_memory(peak: Callable[[int], int], most: int) -> MemoryFit:
    """The fit to the peaks at one span, at half of `most` and at `most`."""
    one = peak(1)
    if most == 1:
        return MemoryFit(constant=one, fixed=one, slope=0.0)
    half = max(1, most // 2)
    lower, upper = peak(half), peak(most)
    slope = max(0.0, (upper - lower) / (most - half))
    return MemoryFit(constant=one, fixed=upper - slope * most, slope=slope)


def largest_that_fits(peak: Callable[[int], int], batch: int, limit: float) -> tuple[int, int]:
    """The largest micro-batch whose peak is within `limit`, and that peak.

    It is the whole `batch` or at most half of it: between the two a batch has two parts as well.
    (While its second part is computed, the gradients of the first are there; at the whole batch
    none are, so one line does not fit both.) The fit proposes, a trace of the proposal decides:
    where that is above the limit, a smaller one is tried. (0, peak of one span) where not even one
    span fits.
    """
    whole = peak(batch)
    if whole <= limit or batch == 1:
        return (batch if whole <= limit else 0), whole
    most = -(-batch // 2)
    size = max(1, fit_memory(peak, most).largest_within(limit, most))
    while size:
        needed = peak(size)
        if needed <= limit:
            return size, needed
        size = size * 9 // 10 if size > 10 else size - 1
    return 0, peak(1)
