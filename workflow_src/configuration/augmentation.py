"""Random changes of training spans: the keys of `training.augmentation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from workflow_src.configuration.base import Keys
from workflow_src.configuration.messages import as_yaml
from workflow_src.errors import UserError


class Augmentation(Keys):
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


def refuse_scaling(cell: Mapping[str, Any], where: str) -> None:
    """Raise ``UserError`` where the scale of spans is an input of a head, or of nothing at all.

    Args:
        cell: its resolved `dataset`, `amplitude_comparable`, `tasks`, `model` and `training`.
        where: its name.
    """
    scale = ((cell["training"]["augmentation"]) or {}).get("scale")
    if scale is None:
        return
    offered = cell["amplitude_comparable"] and cell["dataset"]["amplitude"] != "none"
    readers = [name for name, options in cell["tasks"].items() if _reads_amplitude(options)]
    if offered and readers:
        what = f"amplitude is an input of {', '.join(readers)}, and would say nothing"
        mend = as_yaml(("amplitude",), "none") + "\nof the dataset, or no `scale`"
    elif cell["model"]["normalisation"] == "window":
        what = "normalisation: window takes every factor away again"
        mend = as_yaml(("normalisation",), "none") + "\nof the model, or no `scale`"
    else:
        return
    raise UserError(
        "Training spans cannot be scaled here.",
        where=f"{where}, key `training.augmentation.scale`",
        found=f"scale: {scale}; {what}",
        remedy=mend,
    )


def _reads_amplitude(options: Mapping[str, Any]) -> bool:
    return bool(options.get("amplitude")) or "amplitude" in options.get("inputs", ())
