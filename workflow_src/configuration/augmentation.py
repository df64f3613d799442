"""Random changes of training spans: the keys of `training.augmentation`."""

from __future__ import annotations

from pydantic import Field

from workflow_src.configuration.base import StrictModel


class Augmentation(StrictModel):
    """How spans are changed each time that they are drawn for training; never in other parts."""

    noise_db: float | None = Field(
        None,
        description="Signal-to-noise ratio of white noise on the window; the horizon stays as it "
        "is.",
        examples=[20],
    )
    polarity: bool = Field(
        False,
        strict=True,
        description="Turn every second span upside down, at random and all channels at once.",
        examples=[True],
    )
    shift: int = Field(
        0,
        ge=0,
        description="Start up to so many samples earlier or later, between the first and the last "
        "sample that training has in the recording.",
        examples=[64],
    )
    scale: float | None = Field(
        None,
        gt=1,
        description="Multiply by a factor between 1 / scale and scale; refused where amplitude is "
        "an input.",
        examples=[1.5],
    )
