"""The keys under `rul_prediction:` of a task set."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field

from workflow_src.configuration.task_options import Label, TaskOptions


class RulKeys(TaskOptions):
    """Fraction of life left."""

    SUMMARY = "Fraction of life left."
    EXAMPLE: ClassVar = {"weight": 0.8}
    LABEL: ClassVar[Label | None] = "rul"

    weight: float = Field(0.8, gt=0, description="Weight of the loss.", examples=[0.8])
    loss: Literal["mse", "huber"] = Field(
        "mse", description="On the bounded output.", examples=["huber"]
    )
    inputs: list[Literal["amplitude", "age"]] = Field(
        ["amplitude"],
        description="What the head is given beside the tokens. Amplitude is left out by itself "
        "where the rig's is not comparable; rows that use age carry '+age' in tables.",
        examples=[["amplitude", "age"]],
    )

    @property
    def reads_amplitude(self) -> bool:
        """Whether it is one of the inputs."""
        return "amplitude" in self.inputs

    @property
    def reads_age(self) -> bool:
        """Whether it is one of the inputs."""
        return "age" in self.inputs

    def without_amplitude(self) -> Self:
        """The other inputs."""
        return self.model_copy(update={"inputs": [i for i in self.inputs if i != "amplitude"]})
