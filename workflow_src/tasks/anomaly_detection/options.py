"""The keys under `anomaly_detection:` of a task set."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from workflow_src.configuration.base import ConfigError
from workflow_src.configuration.task_options import Label, TaskOptions


class AnomalyKeys(TaskOptions):
    """Healthy or not, supervised."""

    SUMMARY = "Healthy or not."
    EXAMPLE: ClassVar = {"weight": 0.6}
    LABEL: ClassVar[Label | None] = "anomaly"

    weight: float = Field(0.6, gt=0, description="Weight of the loss.", examples=[0.6])
    amplitude: bool = Field(
        False,
        strict=True,
        description="Give the log amplitude to the head; an error for rigs whose amplitude is "
        "not comparable.",
        examples=[True],
    )

    @property
    def reads_amplitude(self) -> bool:
        """Whether it is asked for."""
        return self.amplitude

    def without_amplitude(self) -> Self:
        """The same keys, unless they ask for it."""
        if self.amplitude:
            raise ConfigError("There is no amplitude to give.", put={"amplitude": False})
        return self
