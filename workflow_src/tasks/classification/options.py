"""The keys under `classification:` of a task set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from workflow_src.configuration.task_options import Label, TaskOptions


class ClassificationKeys(TaskOptions):
    """Fault class."""

    SUMMARY = "Fault class."
    EXAMPLE: ClassVar = {"weight": 1.0}
    LABEL: ClassVar[Label | None] = "fault"

    weight: float = Field(1.0, gt=0, description="Weight of the loss.", examples=[1.0])
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="Of the cross-entropy.", examples=[0.0]
    )
