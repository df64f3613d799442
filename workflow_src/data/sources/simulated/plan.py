"""What to simulate, and the seeded draws that make each specimen different."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workflow_src.errors import UserError

# Least and greatest gain of a sensor and its mounting.
GAINS = (0.32, 3.2)


@dataclass(frozen=True)
class Plan:
    """How many specimens of a rig are recorded, and how."""

    seed: int
    units_per_class: int
    speeds_rpm: tuple[float, ...]
    rate_hz: float
    samples: int
    snr_db: float

    def replaced(self, given: Mapping[str, Any]) -> Plan:
        """This plan with the values that were given."""
        return replace(self, **given)

    def require_rate(self, highest_hz: float) -> None:
        """Raise ``UserError`` unless the rate resolves the highest structural resonance."""
        lowest_rate = 2.2 * highest_hz
        if self.rate_hz < lowest_rate:
            raise UserError(
                "The sampling rate is too low for the rig's resonances.",
                where="options of the simulated source, key rate_hz",
                found=f"rate_hz: {self.rate_hz:g}",
                expected=f"at least {lowest_rate:g} Hz (resonances up to {highest_hz:g} Hz)",
                remedy=f"rate_hz: {lowest_rate:g}",
            )


def generator(seed: int, *names: str) -> np.random.Generator:
    """The random numbers of one named thing (rig, unit, recording).

    They depend on the seed and the names alone, so that another speed or a longer list of them
    changes no other recording.
    """
    words = [zlib.crc32(name.encode()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def draw_unit(
    rng: np.random.Generator, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """The properties of one specimen, each log-uniform within its range.

    The draws are independent. Stratified within a class, a held-out unit would lie where other
    classes have a unit and its own has none, and whatever learns resonances by heart would score
    below chance.
    """
    return {name: float(low * (high / low) ** rng.random()) for name, (low, high) in ranges.items()}


def stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """``count`` draws in (0, 1), one from each of ``count`` equal strata, in random order.

    For what must be spread alike whatever the seed (McKay, Beckman and Conover, "A comparison of
    three methods for selecting values of input variables", Technometrics 21(2), 1979).
    """
    return np.asarray((rng.permutation(count) + rng.random(count)) / count, dtype=np.float64)


def draw_gains(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Gains of the sensors of the specimens of one class, log-uniform over 20 dB.

    Stratified, because among a dozen independent gains chance would often let amplitude alone
    tell the classes apart.
    """
    low, high = GAINS
    return np.asarray(low * (high / low) ** stratified(rng, count), dtype=np.float64)
