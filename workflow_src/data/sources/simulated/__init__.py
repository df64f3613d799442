"""Simulated rigs: vibration from published models, the same bytes for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workflow_src.data.recordings import Recording
from workflow_src.data.sources.simulated import bearing, gearbox, run_to_failure
from workflow_src.data.sources.simulated.plan import Plan

__all__ = ["SimulatedOptions", "simulate"]

_RIGS = {
    "bearing": (bearing.DEFAULTS, bearing.recordings),
    "gearbox": (gearbox.DEFAULTS, gearbox.recordings),
    "run_to_failure": (run_to_failure.DEFAULTS, run_to_failure.recordings),
}


class SimulatedOptions(BaseModel):
    """What a user may set of a simulated rig; a key left out takes the rig's own value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bearing", "gearbox", "run_to_failure"] = Field(
        description="Which rig: bearing faults, gear tooth faults, or bearings run to failure.",
        examples=["bearing"],
    )
    seed: int = Field(
        default=1,
        ge=0,
        description="Seed of every random draw; another seed is another set of specimens.",
        examples=[1],
    )
    units_per_class: int | None = Field(
        default=None,
        ge=3,
        description="Specimens of each class (run_to_failure: of each fault); at least 3, so that "
        "a split by unit exists. Rig's own: bearing 12, gearbox 12, run_to_failure 4.",
        examples=[12],
    )
    speeds_rpm: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Shaft speeds in rev/min. Each unit is recorded at each of them; a "
        "run_to_failure unit keeps one for life, assigned in turn. Rig's own: bearing "
        "1200, 1500, 1800; gearbox 1500; run_to_failure 1800.",
        examples=[[1200, 1500, 1800]],
    )
    rate_hz: float | None = Field(
        default=None,
        gt=0,
        description="Sampling rate in Hz; must exceed 2.2 times the highest structural resonance. "
        "Rig's own: bearing and run_to_failure 12800, gearbox 8192.",
        examples=[12800.0],
    )
    samples: int | None = Field(
        default=None,
        ge=256,
        description="Samples a recording (run_to_failure: a snapshot). "
        "Rig's own: bearing 12288, gearbox 8192, run_to_failure 2560.",
        examples=[12288],
    )
    snr_db: float | None = Field(
        default=None,
        description="Power of the healthy machine's periodic vibration over that of the noise, "
        "in dB (gearbox: at full load); units deviate from it. Higher is easier. "
        f"Rig's own: bearing {bearing.DEFAULTS.snr_db:g}, gearbox {gearbox.DEFAULTS.snr_db:g}, "
        f"run_to_failure {run_to_failure.DEFAULTS.snr_db:g}.",
        examples=[3.0],
    )

    @field_validator("speeds_rpm")
    @classmethod
    def _distinct(cls, speeds: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """A speed given twice would make two recordings of one name."""
        if speeds is not None and len(set(speeds)) < len(speeds):
            raise ValueError(f"each speed once, for example {sorted(set(speeds))}")
        return speeds


def simulate(options: SimulatedOptions) -> Iterator[Recording]:
    """The recordings of a simulated rig, in an order that depends on the options only.

    Signals are (samples, channels) float32 in units of g. Raises ``UserError`` where the rate is
    too low for the rig's resonances.
    """
    defaults, recordings = _RIGS[options.kind]
    given = options.model_dump(exclude={"kind"}, exclude_none=True)
    plan: Plan = defaults.replaced(given)
    return recordings(plan)
