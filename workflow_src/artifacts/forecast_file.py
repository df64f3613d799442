"""`<study>/forecasts/<dataset>.json`: what the networks of a dataset are expected to need."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from workflow_src.configuration import REVISIONS, Hardware, ResolvedCell, identity
from workflow_src.configuration.schema import Request
from workflow_src.json_files import JsonFile

# Keys of a request, a hardware class and `training:` that change no bytes.
_SAME_FOR_REQUEST = {"runtime_minutes", "checkpoint_minutes"}
_SAME_FOR_CLASS = {"cores", "gpu_model", "gpus", "max_runtime_minutes", "precisions"}
_SAME_FOR_TRAINING = {
    "epochs",
    "learning_rate",
    "weight_decay",
    "schedule",
    "warmup_share",
    "gradient_clip",
    "early_stopping_patience",
    "sampling",
}


class CellForecast(BaseModel):
    """What all seeds of a cell need, on one hardware class.

    Attributes:
        name: model/task_set.
        parameters: numbers that are learned.
        share: spans of a batch that one device computes.
        micro_batch: the largest that fits; 1 where none does.
        activation_checkpointing: whether it fits only with activations recomputed.
        device_mb: GPU memory at that micro-batch, MB; None: the class has no GPU.
        host_mb: host memory of all processes of the training, MB.
        refusal: why it fits nowhere on this class; "": it fits.
        epoch_s: seconds of an epoch with its validation; None: not known.
        around_s: seconds before the first epoch and after the last, predictions included.
        parts_mb: what one process holds of the memory in which its tensors lie, by kind; a forecast
            of an earlier version has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    parameters: int = Field(ge=0)
    share: int = Field(ge=1)
    micro_batch: int = Field(ge=1)
    activation_checkpointing: bool
    device_mb: int | None = Field(ge=0)
    host_mb: int = Field(ge=1)
    refusal: str = ""
    epoch_s: float | None = None
    around_s: float | None = None
    parts_mb: tuple[tuple[str, float], ...] = ()

    def seconds(self, epochs: int) -> float | None:
        """Of a training of so many epochs; None: not known."""
        if self.epoch_s is None:
            return None
        return epochs * self.epoch_s + (self.around_s or 0.0)

    def corrected(self, correction: Correction | None) -> CellForecast:
        """With what was learned."""
        if correction is None:
            return self
        changed: dict[str, float] = {"host_mb": math.ceil(correction.host * self.host_mb)}
        if self.device_mb is not None:
            changed["device_mb"] = math.ceil(correction.device * self.device_mb)
        if self.epoch_s is not None:
            changed["epoch_s"] = round(correction.seconds * self.epoch_s, 3)
        return self.model_copy(update=changed)


class Correction(BaseModel):
    """What finished attempts teach of the forecasts of one model on one hardware class.

    Attributes:
        hardware, model: names.
        host, device, seconds: factors of the forecast of host memory, GPU memory and epochs.
        host_cells, device_cells, seconds_cells: cells that each was learned from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    hardware: str
    model: str
    host: float = 1.0
    host_cells: int = 0
    device: float = 1.0
    device_cells: int = 0
    seconds: float = 1.0
    seconds_cells: int = 0

    @property
    def cells(self) -> int:
        """Cells that anything was learned from."""
        return max(self.host_cells, self.device_cells, self.seconds_cells)

    def in_words(self) -> list[str]:
        """The factors of memory that are not 1."""
        factors = {
            "host memory": (self.host, self.host_cells),
            "GPU memory": (self.device, self.device_cells),
        }
        return [
            f"{what} of {self.model} on {self.hardware}: forecast x {factor:.2f}, learned from "
            f"{cells} cell{'' if cells == 1 else 's'}"
            for what, (factor, cells) in factors.items()
            if factor != 1.0
        ]


class DatasetForecast(JsonFile):
    """The forecasts of a dataset, by `forecast_key`."""

    cells: dict[str, CellForecast]


def forecast_key(cell: ResolvedCell, request: Request, hardware: Hardware) -> str:
    """What decides the forecast of a cell, in sixteen hex digits; seeds do not."""
    content = cell.model_dump(
        exclude={"cell": True, "identity": True, "code": True, "training": _SAME_FOR_TRAINING}
    )
    # A class without rates keeps the forecasts that it had before there were any.
    of_class = _SAME_FOR_CLASS if hardware.rates else {*_SAME_FOR_CLASS, "rates"}
    return identity(
        [
            content,
            request.model_dump(exclude=_SAME_FOR_REQUEST),
            hardware.model_dump(exclude=of_class),
            REVISIONS["forecasts"],
        ]
    )
