"""Bearings run until they fail, a snapshot every few minutes.

The vibration is that of ``bearing``; its impacts and the roughness behind them grow from the onset
of a defect to failure, late, early or in steps. The layout (short snapshots at a fixed interval) is
that of Nectoux et al., "PRONOSTIA: an experimental platform for bearings accelerated degradation
tests", IEEE PHM 2012; the laws of growth are this file's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.simulated.bearing import (
    FAULTS,
    RANGES,
    BearingUnit,
    bearing_vibration,
)
from workflow_src.data.sources.simulated.plan import Plan, draw_unit, generator, stratified
from workflow_src.data.sources.simulated.structure import record

DEFAULTS = Plan(
    seed=1,
    units_per_class=4,
    speeds_rpm=(1800.0,),
    rate_hz=12800.0,
    samples=2560,
    snr_db=3.0,
)
SHORTEST_LIFE_S, LONGEST_LIFE_S = 3600.0, 36000.0
# The same for every life, so that the spacing of snapshots tells nothing of it.
SNAPSHOT_EVERY_S = 300.0
# Onset of the defect as a share of life, from .. to, by the way it grows.
ONSETS = {"late": (0.5, 0.65), "early": (0.25, 0.4), "stepwise": (0.35, 0.5)}
# One sensor measures every life: amplitude is comparable.
UNIT_RANGES = RANGES | {
    "gain": (0.93, 1.08),
    "noise": (0.95, 1.05),
    "unbalance": (0.95, 1.05),
    "severity": (0.9, 1.1),  # here a factor on the amplitudes below
}
# Amplitude of the impacts at onset and at failure.
FIRST_IMPACT, LAST_IMPACT = 4.0, 24.0
# Factor on the noise's amplitude at failure, when the tracks are rough.
LAST_ROUGHNESS = 2.5


@dataclass(frozen=True)
class DrawnLife:
    """When a defect begins, when it ends the bearing's life, and how it grows between."""

    growth: str
    onset_s: float
    life_s: float
    steps: tuple[float, ...]  # where a stepwise defect breaks out further, shares of its time

    def damage(self, time_s: float) -> float:
        """Size of the defect, 0 at onset and near 1 at failure."""
        share = (time_s - self.onset_s) / (self.life_s - self.onset_s)
        if self.growth == "late":
            return float(np.expm1(3 * share) / np.expm1(3))
        if self.growth == "early":
            return float(np.expm1(-2 * share) / np.expm1(-2))
        passed = sum(share >= step for step in self.steps)
        return float((passed + share) / (len(self.steps) + 1))


def lives(rng: np.random.Generator, count: int) -> list[DrawnLife]:
    """``count`` lives, log-uniform and stratified, the ways of growth in equal parts."""
    spread = LONGEST_LIFE_S / SHORTEST_LIFE_S
    # One life from each of ``count`` equal strata: a spread of five-fold whatever the seed.
    ends = SHORTEST_LIFE_S * spread ** stratified(rng, count)
    names = list(ONSETS)
    growths = [names[i % len(names)] for i in rng.permutation(count)]
    drawn = []
    for end, growth in zip(ends, growths, strict=True):
        onset = end * rng.uniform(*ONSETS[growth])
        steps = tuple(float(step) for step in np.sort(rng.uniform(0.1, 0.9, 3)))
        drawn.append(DrawnLife(growth, float(onset), float(end), steps))
    return drawn


def snapshots(
    plan: Plan, unit_id: str, unit: BearingUnit, fault: str, life: DrawnLife, speed: float
) -> Iterator[Recording]:
    """The snapshots of one life, in order of time."""
    condition = f"{speed:g}rpm"
    for number, time_s in enumerate(np.arange(0.0, life.life_s, SNAPSHOT_EVERY_S)):
        failing = bool(time_s >= life.onset_s)
        damage = life.damage(time_s) if failing else 0.0
        worn = replace(
            unit,
            severity=unit.severity * (FIRST_IMPACT + (LAST_IMPACT - FIRST_IMPACT) * damage),
            noise=unit.noise * LAST_ROUGHNESS**damage,
        )
        rng = generator(plan.seed, "run_to_failure", unit_id, str(number))
        state = fault if failing else NORMAL
        signal = bearing_vibration(rng, worn, state, speed, plan)
        yield Recording(
            recording_id=f"{unit_id}_{number:04d}",
            unit_id=unit_id,
            condition=condition,
            run_id=unit_id,
            signal=record(signal),
            channel_kinds=("vibration",),
            rate_hz=plan.rate_hz,
            fault=state,
            time_s=float(time_s),
            life_s=life.life_s,
            onset_s=life.onset_s,
            attributes={"speed_rpm": f"{speed:g}", "growth": life.growth},
        )


def recordings(plan: Plan) -> Iterator[Recording]:
    """Every life of each fault, one after the other."""
    plan.require_rate(RANGES["resonance_hz"][1])
    count = plan.units_per_class
    rig = "run_to_failure"
    drawn = lives(generator(plan.seed, rig, "lives"), count * len(FAULTS))
    for index, life in enumerate(drawn):
        # Faults in turn, so that neither speed nor life follows the fault.
        fault = FAULTS[index % len(FAULTS)]
        number = index // len(FAULTS)
        speed = plan.speeds_rpm[number % len(plan.speeds_rpm)]
        unit_id = f"{fault}_u{number}"
        unit = BearingUnit(**draw_unit(generator(plan.seed, rig, unit_id), UNIT_RANGES))
        yield from snapshots(plan, unit_id, unit, fault, life, speed)
