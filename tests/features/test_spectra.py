"""Spectra hold the amplitudes and frequencies that were put in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import get_window, hilbert

from workflow_src.features import spectra
from workflow_src.features.spectra import (
    Band,
    amplitude_spectrum,
    envelope_spectrum,
    kurtosis_band,
    squared_envelope,
)

RATE = 8000.0
TIME = np.arange(1 << 14) / RATE


def peak(spectrum, above=0.0):
    start = np.searchsorted(spectrum.frequency, above)
    at = start + int(spectrum.amplitude[start:].argmax())
    return spectrum.frequency[at], spectrum.amplitude[at]


@given(
    amplitude=st.floats(1e-3, 1e3),
    bin_=st.integers(10, 1000),
    phase=st.floats(0, 6.28),
    offset=st.floats(-10, 10),
)
def test_a_tone_has_its_amplitude_and_frequency(amplitude, bin_, phase, offset):
    hertz = bin_ * RATE / 2048
    tone = amplitude * np.cos(2 * np.pi * hertz * TIME + phase) + offset * amplitude
    found = peak(amplitude_spectrum(tone, RATE, 2048))
    assert found == pytest.approx((hertz, amplitude), rel=1e-3)


def test_a_tone_between_two_bins_loses_at_most_15_per_cent():
    tone = np.cos(2 * np.pi * 500.5 * RATE / 2048 * TIME)
    _, amplitude = peak(amplitude_spectrum(tone, RATE, 2048))
    assert 0.84 < amplitude < 0.86


@given(arrays(np.float64, st.integers(16, 200), elements=st.floats(-100, 100)))
def test_parseval(signal):
    """Half the squares of the amplitudes are the power of what the window leaves."""
    length = len(signal)
    window = get_window("hann", length)
    amplitude = amplitude_spectrum(signal, RATE, length).amplitude
    bandwidth = length * np.sum(window**2) / window.sum() ** 2  # in bins
    power = np.sum(amplitude**2 / 2) / bandwidth
    left = np.sum((window * (signal - signal.mean())) ** 2) / np.sum(window**2)
    assert power == pytest.approx(left, rel=1e-6, abs=1e-9)


@given(
    depth=st.floats(0.1, 1.0),
    modulation=st.floats(20, 300),
    carrier=st.floats(2400, 2600),
    gain=st.floats(1e-3, 1e3),
)
def test_a_modulated_carrier_has_a_line_at_the_modulations_frequency(
    depth, modulation, carrier, gain
):
    """And of the stated height, whatever the gain."""
    signal = 1 + depth * np.cos(2 * np.pi * modulation * TIME)
    signal = gain * signal * np.cos(2 * np.pi * carrier * TIME)
    made = envelope_spectrum(signal, RATE, Band(2000.0, 3000.0, 0.0))
    hertz, height = peak(made, above=5)
    resolution = RATE / len(TIME)
    assert hertz == pytest.approx(modulation, abs=resolution)
    assert height == pytest.approx(2 * depth / (1 + depth**2 / 2), rel=0.17)


@pytest.mark.parametrize("length", [4096, 4097, 5000])
def test_the_squared_envelope_is_that_of_the_analytic_signal(length):
    time = np.arange(length) / RATE
    signal = (1 + 0.5 * np.cos(2 * np.pi * 40 * time)) * np.cos(2 * np.pi * 1000 * time)
    own = squared_envelope(signal, RATE, 0, RATE / 2)
    other = np.abs(hilbert(signal)) ** 2
    at_own = np.arange(len(own)) / len(own) * length  # the rates differ by the odd sample
    np.testing.assert_allclose(own, np.interp(at_own, np.arange(length), other), atol=0.03)


def impulses(rng, carrier, period, length=1 << 15):
    """Impacts `period` samples apart that ring at `carrier`, in white noise."""
    signal = np.zeros(length)
    signal[:: int(period)] = 1.0
    axis = np.arange(300) / RATE
    ringing = np.exp(-400 * axis) * np.sin(2 * np.pi * carrier * axis)
    return 3 * np.convolve(signal, ringing)[:length] + 0.6 * rng.standard_normal(length)


@pytest.mark.parametrize("carrier", [700.0, 1700.0, 3300.0])
def test_the_band_of_impacts_is_found_and_shows_their_rate(carrier):
    signal = impulses(np.random.default_rng(1), carrier, 100)
    band = kurtosis_band(signal, RATE, 250)
    assert band.low <= carrier <= band.high
    assert band.kurtosis > 1
    hertz, _ = peak(envelope_spectrum(signal, RATE, band), above=20)
    assert hertz / (RATE / 100) == pytest.approx(round(hertz / (RATE / 100)), abs=0.02)


def test_an_impulsive_band_of_hardly_any_power_is_passed_over(monkeypatch):
    rng = np.random.default_rng(2)
    spectrum = np.fft.rfft(rng.standard_normal(1 << 15))
    spectrum[np.fft.rfftfreq(1 << 15, 1 / RATE) > 1500] = 0
    signal = np.fft.irfft(spectrum) + 0.02 * impulses(rng, 3300.0, 1000)
    assert kurtosis_band(signal, RATE, 250).high <= 2000
    monkeypatch.setattr(spectra, "LEAST_POWER", 0.0)
    assert kurtosis_band(signal, RATE, 250).low >= 3000


def test_noise_has_no_kurtosis_and_short_signals_no_narrow_bands():
    noise = np.random.default_rng(3).standard_normal(1 << 15)
    assert abs(kurtosis_band(noise, RATE).kurtosis) < 0.4
    short = kurtosis_band(noise[:600], RATE)
    assert short.high - short.low == RATE / 4
    wide = kurtosis_band(noise, RATE, narrowest_hz=900)
    assert wide.high - wide.low >= 900


def test_silence_has_no_lines():
    band = kurtosis_band(np.zeros(1000), RATE)
    made = envelope_spectrum(np.zeros(1000), RATE, band)
    assert not made.amplitude.any()
