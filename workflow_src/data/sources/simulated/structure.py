"""From excitation to acceleration: impacts, resonant structure, noise, converter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Signal = NDArray[np.float64]

# Samples simulated before the first one kept, so that the structure already rings.
LEAD_IN = 512
# Steps a unit of amplitude (a 16-bit converter over +-8 g). Rounding to them makes the bytes the
# same on machines whose sine differs in the last digit.
STEPS_PER_G = 4096


@dataclass(frozen=True)
class Mode:
    """A resonance of the structure: its frequency, damping ratio and gain."""

    frequency_hz: float
    damping: float
    gain: float


def time_axis(samples: int, rate_hz: float) -> Signal:
    """Times in s of the samples, the lead-in at negative times: (LEAD_IN + samples,)."""
    return (np.arange(LEAD_IN + samples) - LEAD_IN) / rate_hz


def impacts(times_s: Signal, amplitudes: Signal, axis: Signal) -> Signal:
    """Impacts of given times (n,) and amplitudes (n,) on the time axis (L,): (L,).

    Each is shared between the two nearest samples, so that its position is not rounded.
    """
    rate_hz = (len(axis) - 1) / (axis[-1] - axis[0])
    position = (times_s - axis[0]) * rate_hz
    inside = (position >= 0) & (position < len(axis) - 1)
    position, amplitudes = position[inside], amplitudes[inside]
    left = np.floor(position).astype(np.int64)
    share = position - left
    train = np.zeros(len(axis))
    np.add.at(train, left, amplitudes * (1 - share))
    np.add.at(train, left + 1, amplitudes * share)
    return train


def ring(excitation: Signal, modes: Sequence[Mode], rate_hz: float) -> Signal:
    """The response (L,) of the structure's modes to an excitation (L,).

    A mode's impulse response is a decaying sine exp(-d w t) sin(w sqrt(1 - d^2) t), sampled
    (impulse invariance); a unit impact rings with an amplitude near the mode's gain.
    """
    response = np.zeros_like(excitation)
    for mode in modes:
        omega = 2 * np.pi * mode.frequency_hz / rate_hz
        radius = np.exp(-mode.damping * omega)
        angle = omega * np.sqrt(1 - mode.damping**2)
        numerator = [0.0, radius * np.sin(angle)]
        denominator = [1.0, -2 * radius * np.cos(angle), radius**2]
        response += mode.gain * lfilter(numerator, denominator, excitation)
    return response


def noise(rng: np.random.Generator, power: float, modes: Sequence[Mode], axis: Signal) -> Signal:
    """Noise (L,) of a given power: half from the process through the structure, half white."""
    rate_hz = (len(axis) - 1) / (axis[-1] - axis[0])
    process = ring(rng.standard_normal(len(axis)), modes, rate_hz)
    process /= process.std()
    return np.asarray(np.sqrt(power / 2) * (process + rng.standard_normal(len(axis))))


def poisson_times(rng: np.random.Generator, per_second: float, axis: Signal) -> Signal:
    """Times in s of impacts that come at random, ``per_second`` on average: (n,)."""
    count = rng.poisson(per_second * (axis[-1] - axis[0]))
    return np.asarray(rng.uniform(axis[0], axis[-1], count))


def record(signal: NDArray[np.float64]) -> NDArray[np.float32]:
    """What the converter stores of (LEAD_IN + samples, channels): (samples, channels), in g."""
    return (np.round(signal[LEAD_IN:] * STEPS_PER_G) / STEPS_PER_G).astype(np.float32)
