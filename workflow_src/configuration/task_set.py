"""What a network learns: an entry of config/task_sets.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workflow_src.configuration.base import StrictModel


class ClassificationKeys(StrictModel):
    """Fault class."""

    weight: float = Field(1.0, gt=0, description="Weight of the loss.", examples=[1.0])
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="Of the cross-entropy.", examples=[0.0]
    )


class AnomalyKeys(StrictModel):
    """Healthy or not, supervised."""

    weight: float = Field(0.6, gt=0, description="Weight of the loss.", examples=[0.6])
    amplitude: bool = Field(
        False,
        strict=True,
        description="Give the log amplitude to the head; an error for rigs whose amplitude is "
        "not comparable.",
        examples=[True],
    )


class SignalKeys(StrictModel):
    """The next `horizon` samples."""

    weight: float = Field(0.7, gt=0, description="Weight of the loss.", examples=[0.7])


class RulKeys(StrictModel):
    """Fraction of life left."""

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


class TaskSet(StrictModel):
    """Tasks that one network learns together; one that is not named is not learned."""

    classification: ClassificationKeys | None = Field(
        None, description="Fault class.", examples=[{"weight": 1.0}]
    )
    anomaly_detection: AnomalyKeys | None = Field(
        None, description="Healthy or not.", examples=[{"weight": 0.6}]
    )
    signal_prediction: SignalKeys | None = Field(
        None, description="The next samples.", examples=[{"weight": 0.7}]
    )
    rul_prediction: RulKeys | None = Field(
        None, description="Fraction of life left.", examples=[{"weight": 0.8}]
    )
