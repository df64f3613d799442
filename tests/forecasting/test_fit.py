"""From peaks at a few micro-batches to the largest that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.forecasting.fit import fit_memory, largest_that_fits

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
def test_it_is_the_one_that_trying_them_all_finds(peak: Peaks, limit: int) -> None:
    size, needed = largest_that_fits(peak, peak.batch, limit)
    asked = [*range(1, (peak.batch + 1) // 2 + 1), peak.batch]
    assert size == max((each for each in asked if peak(each) <= limit), default=0)
    assert needed == peak(size or 1)


def test_few_traces_are_needed() -> None:
    peak = Peaks(10_000, 2_000, 300, 500, 384)
    assert largest_that_fits(peak, 384, 50_500) == (160, 50_500)
    assert len(set(peak.tried)) == 5  # the whole, one, a quarter, half; and the proposal


def test_a_step_that_grows_faster_than_its_fit_is_tried_smaller() -> None:
    size, needed = largest_that_fits(lambda size: 100 * size + (size % 64) ** 2, 256, 9_000)
    assert 0 < needed <= 9_000
    assert size > 60


def test_the_fit_is_the_line_above_the_constant() -> None:
    fit = fit_memory(lambda size: max(700, 100 + 50 * size), 32)
    assert fit.at(1) == 700
    assert [fit.at(size) for size in (16, 20, 32)] == pytest.approx([900, 1100, 1700])
