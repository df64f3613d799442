"""Resampling keeps what the new rate can hold, removes what it cannot, and moves nothing."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_src.data.resampling import HALF, SUPPORT, TRANSITION, ratio, resampled

SECONDS = 0.5
RATES = [(20000, 12000), (51200, 12000), (48000, 12000), (12800, 12000), (12000, 12000)]


def tone(rate: float, frequency: float, phase: float = 0.3) -> np.ndarray:
    time = np.arange(round(SECONDS * rate)) / rate
    return np.sin(2 * np.pi * frequency * time + phase).astype(np.float32)[:, None]


def inside(signal: np.ndarray) -> np.ndarray:
    """Without the samples at the ends for which the filter reaches beyond the recording."""
    return signal[SUPPORT:-SUPPORT]


@pytest.mark.parametrize(("native", "common"), RATES)
@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 1 - TRANSITION])
def test_a_tone_in_the_passband_comes_out_as_it_would_have_been_recorded(native, common, share):
    frequency = share * common / 2
    made = resampled(tone(native, frequency), ratio(native, common))
    expected = tone(common, frequency)
    assert made.shape == expected.shape
    assert made.dtype == np.float32
    # Amplitude, frequency and phase at once: no sample is off by more than a thousandth.
    np.testing.assert_allclose(inside(made), inside(expected), atol=1e-3)


@pytest.mark.parametrize(("native", "common"), [pair for pair in RATES if pair[0] > pair[1]])
@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 0.99])
def test_a_tone_above_the_new_nyquist_frequency_is_gone(native, common, place):
    frequency = common / 2 * (1 + 1e-6) + place * (native - common) / 2
    made = inside(resampled(tone(native, frequency), ratio(native, common)))
    assert 20 * math.log10(np.abs(made).max()) < -60


def test_at_the_common_rate_the_same_filter_is_passed():
    """Else a native recording could be told from a decimated one by the end of its spectrum."""
    edge = 12000 / 2 * (1 - TRANSITION / 4)  # inside the band in which the gain falls
    native = np.abs(inside(resampled(tone(12000, edge), ratio(12000, 12000)))).max()
    decimated = np.abs(inside(resampled(tone(48000, edge), ratio(48000, 12000)))).max()
    assert native < 0.5
    assert decimated == pytest.approx(native, abs=0.01)


def test_an_offset_stays_to_the_ends():
    signal = np.full((1000, 2), [3.0, -40.0], np.float32)
    made = resampled(signal, Fraction(3, 5))
    np.testing.assert_allclose(made, np.full((600, 2), [3.0, -40.0]), rtol=1e-4)


def test_no_sample_depends_on_what_lies_beyond_the_support():
    rng = np.random.default_rng(0)
    one = rng.standard_normal((2000, 1)).astype(np.float32)
    other = one.copy()
    other[1000:] = one[1000:] + np.tile([[1.0], [-1.0]], (500, 1))  # changes no mean
    change = np.abs(resampled(one, Fraction(1, 2)) - resampled(other, Fraction(1, 2)))[:, 0]
    assert change[: 500 - HALF].max() < 1e-6
    assert change[500 - HALF : 500].max() > 1e-4


@given(
    rate=st.integers(200, 100_000),
    up=st.integers(1, 30),
    down=st.integers(1, 30),
    length=st.integers(1, 400),
)
@settings(max_examples=60, deadline=None)
def test_the_ratio_is_exact_and_decides_the_length(rate, up, down, length):
    up, down = sorted((up, down))
    rates = ratio(rate * down, rate * up)
    assert rates == Fraction(up, down)
    made = resampled(np.ones((length, 2), np.float32), rates)
    assert made.shape == (math.ceil(length * rates), 2)


@pytest.mark.parametrize(
    ("native", "common", "what"),
    [
        (12000.0, 20000.0, "above"),  # upsampling
        (48000.0, 11999.0, "terms above"),
        (16666.67, 12000.0, "terms above"),
    ],
)
def test_a_ratio_that_makes_no_sense_is_refused(native, common, what):
    with pytest.raises(ValueError, match=what):
        ratio(native, common)


def test_rates_are_taken_as_they_are_written():
    assert ratio(97656.25, 19531.25) == Fraction(1, 5)
    assert ratio(0.3, 0.1) == Fraction(1, 3)  # of floats it would be 1 / 3.0000000000000004
