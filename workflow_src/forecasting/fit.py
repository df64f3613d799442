"""The largest micro-batch that fits, from few traces."""

from __future__ import annotations

import math
from collections.abc import Callable

# A peak is a line above a constant (of the optimizer, or of a whole batch). Where the line through
# two traces does not find the last size that fits, halving does.
_BY_LINE = 3
# A trace takes a second: one in so many spans is not searched for.
_FINE = 32


def largest_that_fits(peak: Callable[[int], int], batch: int, limit: float) -> tuple[int, int]:
    """The largest micro-batch whose peak is within `limit`, and that peak.

    Above 32 spans it is one that fits, while 3 % more spans do not. It is the whole `batch` or at
    most half of it: between the two a batch has two parts as well. (While its second part is
    computed, the gradients of the first are there; at the whole batch none are, so one line does
    not fit both.) (0, peak of one span) where not even one span fits.

    Args:
        peak: bytes of a step at a micro-batch; it never falls as the micro-batch grows to half.
        batch: spans of the logical batch.
        limit: bytes.
    """
    whole = peak(batch)
    if whole <= limit:
        return batch, whole
    one = peak(1) if batch > 1 else whole
    if one > limit:
        return 0, one
    over = math.ceil(batch / 2)
    too_much = peak(over)
    if too_much <= limit:
        return over, too_much
    fits, needed = 1, one
    for trial in range(batch):
        if over - fits <= max(1, fits // _FINE):
            break
        share = (limit - needed) / (too_much - needed) if trial < _BY_LINE else 0.5
        size = fits + min(max(int(share * (over - fits)), 1), over - fits - 1)
        traced = peak(size)
        if traced <= limit:
            fits, needed = size, traced
        else:
            over, too_much = size, traced
    return fits, needed
