"""From peaks at a few micro-batches to the largest that fits."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from workflow_src.forecasting.fit import largest_that_fits

from ..examples import examples


class Peaks:
    """Of steps of `batch` spans, as they are: gradients of a first part lie beside the second."""

    def __init__(self, constant: int, fixed: int, slope: int, gradients: int, batch: int) -> None:
        self.constant, self.fixed, self.slope = constant, fixed, slope
        self.gradients, self.batch = gradients, batch
        self.tried: list[int] = []

    def __call__(self, size: int) -> int:
        self.tried.append(size)
        several = self.gradients * (size < self.batch)
        return max(self.constant, self.fixed + several + self.slope * size)


COSTS = st.builds(
    Peaks,
    constant=st.integers(0, 10**6),
    fixed=st.integers(0, 10**6),
    slope=st.integers(1, 10**5),
    gradients=st.integers(0, 10**6),
    batch=st.integers(1, 512),
)


@examples(300)
@given(COSTS, st.integers(0, 10**8))
@example(Peaks(constant=16601, fixed=0, slope=8300, gradients=0, batch=7), 24_900)
def test_it_is_within_one_in_32_of_what_trying_all_finds(peak: Peaks, limit: int) -> None:
    size, needed = largest_that_fits(peak, peak.batch, limit)
    asked = [*range(1, (peak.batch + 1) // 2 + 1), peak.batch]
    best = max((each for each in asked if peak(each) <= limit), default=0)
    assert size == best or best - best // 32 <= size < best <= (peak.batch + 1) // 2
    assert needed == peak(size or 1)
    assert size == 0 or needed <= limit


def test_few_traces_are_needed() -> None:
    peak = Peaks(10_000, 2_000, 300, 500, 384)
    assert largest_that_fits(peak, 384, 50_500) == (160, 50_500)
    assert len(peak.tried) == 6  # the whole, one, half; the line twice; and one span more


@examples(300)
@given(COSTS, st.integers(0, 10**8))
def test_traces_are_few_also_where_a_constant_covers_the_line(peak: Peaks, limit: int) -> None:
    largest_that_fits(peak, peak.batch, limit)
    assert len(peak.tried) == len(set(peak.tried))
    assert len(peak.tried) <= 6 + math.log2(peak.batch)
