"""The keys under ``simulated:`` of a rig."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from workflow_src.configuration.geometry import Bearing, Gear, Geometry
from workflow_src.configuration.source_options import SourceOptions

# What is simulated; a deep-groove bearing of type 6205.
BEARING = Bearing(elements=9, element_diameter=7.94, pitch_diameter=39.04)
GEAR = Gear(pinion_teeth=21, wheel_teeth=50)
GEOMETRIES = {
    "bearing": Geometry(bearing=BEARING, origin="as simulated"),
    "gearbox": Geometry(gear=GEAR, origin="as simulated"),
    "run_to_failure": Geometry(bearing=BEARING, origin="as simulated"),
}


class SimulatedOptions(SourceOptions):
    """What a user may set of a simulated rig; a key left out takes the rig's own value."""

    SUMMARY = "Options of the simulated source."
    EXAMPLE: ClassVar = {"kind": "bearing"}
    OPENED_BY = "workflow_src.data.sources.simulated:open_simulated"
    EXCLUDES: ClassVar = {"geometry": "The geometry of a simulated rig is what it simulates."}
    SIMULATED = True

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
        "in dB (gearbox: at full load); units deviate from it. Higher is easier.",
        examples=[3.0],
    )

    @field_validator("speeds_rpm")
    @classmethod
    def _distinct(cls, speeds: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """A speed given twice would make two recordings of one name."""
        if speeds is not None and len(set(speeds)) < len(speeds):
            raise ValueError(f"each speed once, for example {sorted(set(speeds))}")
        return speeds

    def machine(self) -> Geometry:
        """What is simulated."""
        return GEOMETRIES[self.kind]
