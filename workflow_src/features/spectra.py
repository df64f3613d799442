"""Amplitude spectra, and spectra of the squared envelope in a band that is chosen by kurtosis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

Values = NDArray[np.float64]

# The kurtosis of Gaussian noise in a band of n bins strays by about 2 / sqrt(n): no narrower band.
FEWEST_BINS = 256
DEEPEST_LEVEL = 4  # 2 ** 4 bands
# Of all bands of a level together. An impulsive band far below the rest is no resonance of the
# machine but, say, the electronics' (as in CWRU's recordings at 48 kHz).
LEAST_POWER = 0.03
_EDGE = 0.02  # share of a band's envelope left out at each end, where the ends of the stretch meet


@dataclass(frozen=True)
class Spectrum:
    """Amplitudes (bins,) at frequencies (bins,), in Hz; in cycles a sample at a rate of 1."""

    frequency: Values
    amplitude: Values


class Band(NamedTuple):
    """From .. to, in Hz, and the kurtosis of the complex envelope in it (0 for Gaussian noise)."""

    low: float
    high: float
    kurtosis: float


def amplitude_spectrum(signal: Values, rate_hz: float, segment: int) -> Spectrum:
    """Peak amplitudes, in the unit of ``signal`` (L,), averaged in power over segments.

    Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE
    Trans. Audio Electroacoust. 15(2), 1967: Hann windows of ``segment`` samples (at most L) that
    overlap by half, each less its mean. A tone on a bin has its own amplitude there; one between
    bins up to 15 % less. The level of noise depends on the segment.
    """
    frequency, power = welch(
        signal, rate_hz, window="hann", nperseg=min(segment, len(signal)), scaling="spectrum"
    )
    return Spectrum(np.asarray(frequency), np.sqrt(2 * power))  # power of a tone: amplitude^2 / 2


def squared_envelope(signal: Values, rate_hz: float, low: float, high: float) -> Values:
    """The squared envelope of ``signal`` (L,) in the band from low to high Hz: (M,).

    The band's half of the spectrum, moved to zero, is that of the analytic signal: its inverse
    transform is the complex envelope, at a rate of its own. Zeros double that rate to
    2 (high - low), so that squaring does not alias. Randall and Antoni (2011), section 4.3.
    """
    spectrum = np.fft.rfft(signal - signal.mean())  # (L // 2 + 1,)
    resolution = rate_hz / len(signal)
    first, last = round(low / resolution), round(high / resolution)
    band = 2 * spectrum[first:last]  # (B,), one-sided
    padded = 2 * len(band)
    envelope = np.fft.ifft(band, padded) * (padded / len(signal))  # (2 B,)
    return np.asarray(np.abs(envelope) ** 2)


def envelope_spectrum(signal: Values, rate_hz: float, band: Band, padding: int = 1) -> Spectrum:
    """Lines of the squared envelope of ``signal`` (L,) in a band, over its mean, up to its width.

    With ``padding`` zeros make it so many times as long: lines between bins are seen.

    An amplitude 1 + m cos(2 pi f t) of the carrier has a line 2 m / (1 + m^2 / 2) at f. Squared,
    since that favours a weak line: Ho and Randall, "Optimisation of bearing diagnostic techniques
    using simulated and actual bearing fault signals", Mechanical Systems and Signal Processing
    14(5) (2000) 763-788. Over the mean, so that the sensor's gain drops out.
    """
    squared = squared_envelope(signal, rate_hz, band.low, band.high)
    mean = squared.mean()
    window = np.hanning(len(squared))
    length = padding * len(squared)
    lines = np.abs(np.fft.rfft(window * (squared - mean), length)) * (2 / window.sum())
    frequency = np.fft.rfftfreq(length, 1 / (2 * (band.high - band.low)))
    share = lines / mean if mean > 0 else np.zeros_like(lines)
    return Spectrum(np.asarray(frequency, dtype=np.float64), np.asarray(share))


def kurtosis_band(signal: Values, rate_hz: float, narrowest_hz: float = 0.0) -> Band:
    """The band of ``signal`` (L,) whose complex envelope has the greatest kurtosis.

    The kurtogram of Antoni, "Fast computation of the kurtogram for the detection of transient
    faults", Mechanical Systems and Signal Processing 21 (2007) 108-124, over the binary levels of 2
    to 16 equal bands of 0 to rate / 2: of bands that hold LEAST_POWER of the signal's, and none
    narrower than ``narrowest_hz`` nor than FEWEST_BINS bins, save for the two halves.
    """
    top = rate_hz / 2
    bins = len(signal) // 2
    power = 2 * signal.var()  # the mean squared envelope of a tone is twice its power
    best = Band(0.0, top, -math.inf)
    for level in range(1, DEEPEST_LEVEL + 1):
        count = 2**level
        if level > 1 and (top / count < narrowest_hz or bins // count < FEWEST_BINS):
            break
        for number in range(count):
            low, high = number * top / count, (number + 1) * top / count
            squared = squared_envelope(signal, rate_hz, low, high)
            kurtosis = _kurtosis(squared)
            if squared.mean() >= LEAST_POWER * power and kurtosis > best.kurtosis:
                best = Band(low, high, kurtosis)
    return best


def _kurtosis(squared: Values) -> float:
    """Of a complex envelope whose squared modulus (M,) is given: E|a|^4 / (E|a|^2)^2 - 2."""
    edge = int(_EDGE * len(squared))
    inner = squared[edge : len(squared) - edge]
    mean = inner.mean()
    return float((inner**2).mean() / mean**2 - 2) if mean > 0 else -math.inf
