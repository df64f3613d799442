"""A rolling bearing with a point defect on one of its parts, at constant speeds.

Impacts and their modulation after McFadden and Smith, "Model for the vibration produced by a
single point defect in a rolling element bearing", J. Sound Vib. 96(1), 1984; random slip after
Antoni and Randall, "A stochastic model for simulation and diagnostics of rolling element bearings
with localized faults", J. Vib. Acoust. 125(3), 2003.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workflow_src.configuration.simulated import BEARING
from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.simulated.plan import Plan, draw_gains, draw_unit, generator
from workflow_src.data.sources.simulated.structure import (
    Mode,
    Signal,
    impacts,
    noise,
    poisson_times,
    record,
    ring,
    time_axis,
)
from workflow_src.features.fault_orders import bearing_orders

DEFAULTS = Plan(
    seed=1,
    units_per_class=12,
    speeds_rpm=(1200.0, 1500.0, 1800.0),
    rate_hz=12800.0,
    samples=12288,
    snr_db=3.0,
)
FAULTS = ("inner", "outer", "ball")


ORDERS = bearing_orders(BEARING)
# Impacts a revolution of the shaft.
DEFECT_ORDERS = {"inner": ORDERS["BPFI"], "outer": ORDERS["BPFO"], "ball": ORDERS["2 BSF"]}


@dataclass(frozen=True)
class BearingUnit:
    """What makes one specimen and its mounting differ from another; drawn whatever the class."""

    gain: float  # of the sensor and its mounting
    resonance_hz: float  # the mode that the impacts excite most
    damping: float
    path_hz: float  # a lower mode on the way to the sensor
    path_gain: float
    noise: float  # factor on the noise's amplitude
    severity: float  # amplitude of the defect's impacts, if it has one
    slip: float  # standard deviation of the time between impacts, as a share of it
    unbalance: float  # amplitude of the shaft's harmonics
    knocks_hz: float  # impacts a second that have nothing to do with the bearing
    load_zone: float  # Stribeck's load distribution factor

    def modes(self) -> tuple[Mode, Mode]:
        """The structure's resonances."""
        return (
            Mode(self.resonance_hz, self.damping, 1.0),
            Mode(self.path_hz, 1.5 * self.damping, self.path_gain),
        )


RANGES = {
    "resonance_hz": (2500.0, 4000.0),
    "damping": (0.03, 0.07),
    "path_hz": (700.0, 1500.0),
    "path_gain": (0.2, 0.6),
    "noise": (0.8, 1.25),
    "severity": (4.8, 8.8),
    "slip": (0.004, 0.015),
    "unbalance": (0.8, 1.25),
    "knocks_hz": (3.0, 12.0),
    "load_zone": (0.6, 0.95),
}
# Share of an impact on the outer ring that a ball's impact on the inner ring keeps on its longer
# way to the sensor.
INNER_PATH = 0.6
# Twice the mains frequency, the hum of the motor.
MAINS_HUM_HZ = 100.0


def load(angle: Signal, load_zone: float) -> Signal:
    """Stribeck's share of the greatest load at an angle from the load zone's centre, (n,)."""
    inside = 1 - (1 - np.cos(angle)) / (2 * load_zone)
    return np.asarray(np.maximum(inside, 0.0) ** 1.5)


def defect_impacts(
    rng: np.random.Generator, unit: BearingUnit, fault: str, shaft_hz: float, axis: Signal
) -> Signal:
    """The impacts (L,) of a defect on one part, the strongest of about unit amplitude."""
    order = DEFECT_ORDERS[fault]
    period = 1 / (order * shaft_hz)
    count = int(np.ceil((axis[-1] - axis[0]) / period)) + 2
    # The slips add up (a random walk), so that the harmonics of the line broaden.
    steps = period * (1 + unit.slip * rng.standard_normal(count))
    times = axis[0] - period * rng.random() + np.cumsum(steps) - steps[0]
    start = 2 * np.pi * rng.random()
    if fault == "outer":
        size = np.ones(count)  # the ring rests, its defect within the load zone
    elif fault == "inner":
        size = load(2 * np.pi * shaft_hz * times + start, unit.load_zone)
    else:
        size = load(2 * np.pi * ORDERS["FTF"] * shaft_hz * times + start, unit.load_zone)
        size[1::2] *= INNER_PATH
    return impacts(times, size * np.exp(0.2 * rng.standard_normal(count)), axis)


def shaft_harmonics(
    rng: np.random.Generator, unit: BearingUnit, shaft_hz: float, axis: Signal
) -> Signal:
    """Unbalance, misalignment and hum, (L,); power 1 at an unbalance of 1."""
    lines = [(shaft_hz, 1.0), (2 * shaft_hz, 0.6), (3 * shaft_hz, 0.3), (MAINS_HUM_HZ, 0.4)]
    scale = unit.unbalance / np.sqrt(sum(size**2 for _, size in lines) / 2)
    wave = np.zeros_like(axis)
    for hz, size in lines:
        wave += scale * size * np.cos(2 * np.pi * (hz * axis + rng.random()))
    return wave


def bearing_vibration(
    rng: np.random.Generator,
    unit: BearingUnit,
    fault: str,
    speed_rpm: float,
    plan: Plan,
) -> Signal:
    """Acceleration of a bearing of class ``fault``, lead-in included: (L, 1)."""
    axis = time_axis(plan.samples, plan.rate_hz)
    shaft_hz = speed_rpm / 60 * (1 + 0.005 * rng.standard_normal())
    knock_times = poisson_times(rng, unit.knocks_hz, axis)
    excitation = impacts(knock_times, 2 * rng.standard_normal(len(knock_times)), axis)
    if fault != NORMAL:
        excitation += unit.severity * defect_impacts(rng, unit, fault, shaft_hz, axis)
    noise_power = unit.noise**2 * 10 ** (-plan.snr_db / 10)
    vibration = (
        shaft_harmonics(rng, unit, shaft_hz, axis)
        + ring(excitation, unit.modes(), plan.rate_hz)
        + noise(rng, noise_power, unit.modes(), axis)
    )
    return unit.gain * vibration[:, np.newaxis]  # (L,) -> (L, 1)


def recordings(plan: Plan) -> Iterator[Recording]:
    """One recording for each class, unit and speed."""
    plan.require_rate(RANGES["resonance_hz"][1])
    for fault in (NORMAL, *FAULTS):
        gains = draw_gains(generator(plan.seed, "bearing", fault), plan.units_per_class)
        for number, gain in enumerate(gains):
            unit_id = f"{fault}_u{number}"
            unit = BearingUnit(
                gain=float(gain), **draw_unit(generator(plan.seed, "bearing", unit_id), RANGES)
            )
            for speed in plan.speeds_rpm:
                condition = f"{speed:g}rpm"
                name = f"{unit_id}_{condition}"
                rng = generator(plan.seed, "bearing", unit_id, condition)
                yield Recording(
                    recording_id=name,
                    unit_id=unit_id,
                    condition=condition,
                    run_id=name,
                    signal=record(bearing_vibration(rng, unit, fault, speed, plan)),
                    channel_kinds=("vibration",),
                    rate_hz=plan.rate_hz,
                    fault=fault,
                    attributes={"speed_rpm": f"{speed:g}"},
                )
