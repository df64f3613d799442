"""Resampling keeps what the new rate can hold, removes what it cannot, and moves nothing."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import kaiser_beta

from workflow_src.data import resampling
from workflow_src.data.resampling import (
    HALF,
    MOST,
    SUPPORT,
    TRANSITION,
    inexact,
    ratio,
    resampled,
)

from ..examples import examples

SECONDS = 0.5
RATES = [(20000, 12000), (51200, 12000), (48000, 12000), (12800, 12000), (12000, 12000)]
RATES += [(48828, 12000), (48828.125, 12000), (20000, 11999)]  # terms of thousands


def tone(rate: float, frequency: float, phase: float = 0.3) -> np.ndarray:
    time = np.arange(round(SECONDS * rate)) / rate
    return np.sin(2 * np.pi * frequency * time + phase).astype(np.float32)[:, None]


def inside(signal: np.ndarray) -> np.ndarray:
    """Without the samples at the ends for which the filter reaches beyond the recording."""
    return signal[SUPPORT:-SUPPORT]


@pytest.mark.fast_cases("0.1-*", "0.9*-51200-12000")
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


@pytest.mark.fast_cases("0.0-*", "0.99-51200-12000")
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
@examples(60)
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
        (48000.0, 2.0, "below"),
    ],
)
def test_a_ratio_that_makes_no_sense_is_refused(native, common, what):
    with pytest.raises(ValueError, match=what):
        ratio(native, common)


def test_rates_are_taken_as_they_are_written():
    assert ratio(97656.25, 19531.25) == Fraction(1, 5)
    assert ratio(0.3, 0.1) == Fraction(1, 3)  # of floats it would be 1 / 3.0000000000000004


@given(native=st.floats(200, 1e6), share=st.floats(1e-3, 1))
@examples(300)
def test_any_two_rates_have_a_ratio_that_is_near_enough(native, share):
    """25 millionths, the most that the nearest fraction is off; one that is off is said."""
    common = native * share
    rates = ratio(native, common)
    assert max(rates.numerator, rates.denominator) <= MOST
    off = float(rates) * native / common - 1
    assert abs(off) <= 0.5 / MOST * 1.0001
    said = inexact([native], common)
    assert len(said) == (rates != Fraction(repr(common)) / Fraction(repr(native)))


def test_how_far_a_ratio_is_off_is_said():
    assert inexact([48828.0, 48000.0, 48828.125], 12000.0) == []
    (said,) = inexact([25600.3], 12800.0)
    off = float(said.split(", ")[-1].split()[0])
    assert off == pytest.approx(
        1e6 * (float(ratio(25600.3, 12800.0)) * 25600.3 / 12800.0 - 1), 1e-2
    )
    assert "25600.3 Hz become" in said


@pytest.mark.parametrize(
    ("up", "down"), [(1000, 4069), (768, 3125), (11999, 20000), (3, 5), (1, 1)]
)
def test_it_is_the_windowed_sum_over_all_samples(up, down):
    """Computed in another way: sample by sample, with the continuous kernel, without polyphase."""
    signal = np.random.default_rng(3).standard_normal(9000).astype(np.float32)
    made = resampled(signal[:, None], Fraction(up, down))[:, 0]
    assert len(made) == math.ceil(Fraction(9000 * up, down))
    mean = signal.mean(dtype=np.float64)
    for sample in (0, 1, 77, len(made) // 2, len(made) - 1):
        # Distance of every old sample from the new one, in periods of the new rate.
        away = np.arange(9000) * up / down - sample
        width = 1 - TRANSITION / 2
        window = np.i0(kaiser_beta(80) * np.sqrt(np.clip(1 - (away / HALF) ** 2, 0, None)))
        kernel = width * np.sinc(width * away) * window * (np.abs(away) <= HALF)
        kernel *= up / down / np.i0(kaiser_beta(80))
        expected = kernel @ (signal - mean) + mean
        assert made[sample] == pytest.approx(expected, abs=2e-4)


@given(
    length=st.integers(1, 3000),
    block=st.integers(1, 700),
    terms=st.sampled_from([(1, 1), (1, 3), (7, 9), (250, 1017)]),
)
@examples(60)
def test_blocks_change_no_bit(length, block, terms):
    signal = np.random.default_rng(length).standard_normal((length, 2)).astype(np.float32)
    whole = resampled(signal, Fraction(*terms))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "BLOCK", block)
        np.testing.assert_array_equal(resampled(signal, Fraction(*terms)), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("native", "common"), [(48828, 12000), (20000, 11999), (48000, 12000)])
def test_memory_does_not_grow_with_the_terms_or_the_length(native, common):
    signal = np.zeros((2_000_000, 2), np.float32)
    rates = ratio(native, common)
    resampling._taps.cache_clear()
    tracemalloc.start()
    made = resampled(signal, rates)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - made.nbytes < 150e6
