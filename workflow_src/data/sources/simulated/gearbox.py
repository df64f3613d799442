"""One stage of spur gears whose pinion may have a damaged tooth, under several loads.

Mesh vibration and its modulation after McFadden, "Detecting fatigue cracks in gears by amplitude
and phase demodulation of the meshing vibration", J. Vib. Acoust. 108(2), 1986: each mesh harmonic
is modulated in amplitude and phase by the shafts' runout and, while it is in mesh, by the damaged
tooth, which also strikes once a revolution of the pinion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workflow_src.configuration.simulated import GEAR
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

DEFAULTS = Plan(
    seed=1,
    units_per_class=12,
    speeds_rpm=(1500.0,),
    rate_hz=8192.0,
    samples=8192,
    snr_db=6.0,
)
LOADS = (0.4, 0.7, 1.0)
PINION_TEETH, WHEEL_TEETH = GEAR.pinion_teeth, GEAR.wheel_teeth
CHANNELS = 2


@dataclass(frozen=True)
class Damage:
    """What a damaged tooth does at unit severity."""

    impact: float  # amplitude of the impact as the tooth behind it takes the load
    dip: float  # share of the mesh amplitude lost while it is in mesh
    lag: float  # radians of mesh phase lost while it is in mesh


DAMAGES = {
    NORMAL: Damage(impact=0.0, dip=0.0, lag=0.0),
    "chipped": Damage(impact=5.0, dip=0.25, lag=0.25),
    "broken": Damage(impact=14.0, dip=0.6, lag=0.6),
}


@dataclass(frozen=True)
class GearUnit:
    """What makes one gearbox and its mounting differ from another; drawn whatever the class."""

    gain: float  # of the sensors and their mounting
    balance: float  # amplitude of the second channel over that of the first
    resonance_hz: float
    damping: float
    casing_hz: float  # a lower mode, seen more by the second channel
    casing_gain: float
    noise: float  # factor on the noise's amplitude
    severity: float  # factor on the damage
    pinion_runout: float  # depth of the modulation once a turn of the pinion
    wheel_runout: float
    slope: float  # amplitude of a mesh harmonic over that of the one below
    knocks_hz: float  # impacts a second that have nothing to do with the gears

    def modes(self, channel: int) -> tuple[Mode, Mode]:
        """The resonances as the channel sees them."""
        return (
            Mode(self.resonance_hz, self.damping, 1.0),
            Mode(self.casing_hz, self.damping, self.casing_gain * (1 + channel)),
        )


RANGES = {
    "balance": (0.85, 1.18),
    "resonance_hz": (2300.0, 3400.0),
    "damping": (0.03, 0.07),
    "casing_hz": (800.0, 1400.0),
    "casing_gain": (0.2, 0.5),
    "noise": (0.8, 1.25),
    "severity": (0.8, 1.25),
    "pinion_runout": (0.05, 0.25),
    "wheel_runout": (0.05, 0.25),
    "slope": (0.5, 0.8),
    "knocks_hz": (2.0, 8.0),
}
MESH_HARMONICS = 4


def tooth_pulse(angle: Signal) -> Signal:
    """How far the damaged tooth is in mesh at the pinion's angle from it, (L,), 1 at the middle.

    A contact ratio near 1.6 keeps a tooth in mesh for some one and a half pitches.
    """
    wrapped = np.angle(np.exp(1j * angle))
    return np.asarray(np.exp(-0.5 * (wrapped / (0.75 * 2 * np.pi / PINION_TEETH)) ** 2))


def mesh(rng: np.random.Generator, unit: GearUnit, damage: Damage, angle: Signal) -> Signal:
    """Mesh harmonics (L, CHANNELS) along the pinion's angle (L,); power 1 without damage."""
    pulse = unit.severity * tooth_pulse(angle)
    pinion = np.cos(angle + 2 * np.pi * rng.random())
    wheel = np.cos(angle * PINION_TEETH / WHEEL_TEETH + 2 * np.pi * rng.random())
    envelope = 1 + unit.pinion_runout * pinion + unit.wheel_runout * wheel - damage.dip * pulse
    phase = 0.5 * (unit.pinion_runout * pinion + unit.wheel_runout * wheel) - damage.lag * pulse
    sizes = unit.slope ** np.arange(MESH_HARMONICS)
    sizes /= np.sqrt(np.sum(sizes**2) / 2)
    vibration = np.zeros((len(angle), CHANNELS))
    for harmonic, size in enumerate(sizes, start=1):
        carrier = harmonic * (PINION_TEETH * angle + phase)  # (L,)
        start = 2 * np.pi * rng.random(CHANNELS)
        # (L, 1) + (CHANNELS,) -> (L, CHANNELS)
        vibration += size * envelope[:, np.newaxis] * np.cos(carrier[:, np.newaxis] + start)
    return vibration


def gear_vibration(
    rng: np.random.Generator,
    unit: GearUnit,
    damage: Damage,
    speed_rpm: float,
    load: float,
    plan: Plan,
) -> Signal:
    """Acceleration of both channels, lead-in included: (L, CHANNELS)."""
    axis = time_axis(plan.samples, plan.rate_hz)
    shaft_hz = speed_rpm / 60 * (1 + 0.005 * rng.standard_normal())
    angle = 2 * np.pi * shaft_hz * axis  # the damaged tooth is in mesh at 0, 2 pi, ...
    angle += 2 * np.pi * rng.random()
    turns = np.arange(np.ceil(angle[0] / (2 * np.pi)), angle[-1] / (2 * np.pi))
    hits = axis[0] + (2 * np.pi * turns - angle[0]) / (2 * np.pi * shaft_hz)
    sizes = damage.impact * unit.severity * np.exp(0.2 * rng.standard_normal(len(hits)))
    knocks = poisson_times(rng, unit.knocks_hz, axis)
    excitation = impacts(hits, load * sizes, axis)
    excitation += impacts(knocks, 2 * rng.standard_normal(len(knocks)), axis)
    noise_power = unit.noise**2 * 10 ** (-plan.snr_db / 10)
    vibration = load * mesh(rng, unit, damage, angle)
    for channel in range(CHANNELS):
        modes = unit.modes(channel)
        vibration[:, channel] += ring(excitation, modes, plan.rate_hz)
        vibration[:, channel] += noise(rng, noise_power, modes, axis)
    # (L, CHANNELS) by (CHANNELS,)
    vibration *= unit.gain * np.array([1.0, unit.balance])
    return vibration


def recordings(plan: Plan) -> Iterator[Recording]:
    """One recording for each class, unit, speed and load."""
    plan.require_rate(RANGES["resonance_hz"][1])
    for fault, damage in DAMAGES.items():
        gains = draw_gains(generator(plan.seed, "gearbox", fault), plan.units_per_class)
        for number, gain in enumerate(gains):
            unit_id = f"{fault}_u{number}"
            unit = GearUnit(
                gain=float(gain), **draw_unit(generator(plan.seed, "gearbox", unit_id), RANGES)
            )
            for speed in plan.speeds_rpm:
                for load in LOADS:
                    condition = f"{speed:g}rpm_load{100 * load:g}"
                    name = f"{unit_id}_{condition}"
                    rng = generator(plan.seed, "gearbox", unit_id, condition)
                    yield Recording(
                        recording_id=name,
                        unit_id=unit_id,
                        condition=condition,
                        run_id=name,
                        signal=record(gear_vibration(rng, unit, damage, speed, load, plan)),
                        channel_kinds=("vibration",) * CHANNELS,
                        rate_hz=plan.rate_hz,
                        fault=fault,
                        attributes={"speed_rpm": f"{speed:g}", "load": f"{load:g}"},
                    )
