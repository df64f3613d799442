"""The keys under `signal_prediction:` of a task set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from workflow_src.configuration.task_options import Label, TaskOptions


class SignalKeys(TaskOptions):
    """The next `horizon` samples."""

    SUMMARY = "The next samples."
    EXAMPLE: ClassVar = {"weight": 0.7}
    LABEL: ClassVar[Label | None] = None

    weight: float = Field(0.7, gt=0, description="Weight of the loss.", examples=[0.7])
