"""`training.json`: what the training of one cell was, and took."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workflow_src.cells import Cell
from workflow_src.json_files import JsonFile

_PART = ConfigDict(extra="forbid", frozen=True, strict=True)


class Fit(BaseModel):
    """How a step was computed."""

    model_config = _PART

    micro_batch: int
    activation_checkpointing: bool


class Rung(BaseModel):
    """What was made smaller when memory ran out, and during what."""

    model_config = _PART

    of: Literal["host", "gpu"]
    during: str
    before: Fit
    after: Fit


class CheckpointCost(BaseModel):
    """How often checkpoints were saved, and the seconds that it took."""

    model_config = _PART

    saves: int
    seconds: float


class TrainingReport(JsonFile):
    """What a network's training says; a baseline, or a cell that has no task left, says less.

    Attributes:
        cell: whose it is.
        identity: of a network that of cell, recordings and split together; of a baseline its
            cell's.
        code: digest of the code that trained; several are joined by `+`.
        epochs, steps: that were done, over all attempts.
        parameters: of the network.
        micro_batch_size: samples in memory at once, at the end.
        activation_checkpointing: whether activations were recomputed, at the end.
        accelerator: cpu or cuda.
        devices: processes that shared each batch.
        workers: processes beside each that read.
        attempts: that were started.
        rungs: what was made smaller, in order.
        checkpoints: of the last attempt.
        peak_rss_mb: largest resident memory, MB.
        peaks_mb: peaks of memory, MB, by the columns of history.csv.
        versions: of what a number may depend on.
        seconds, seconds_per_epoch: of all epochs and of one; of a baseline of its whole run.
        best_epoch: whose weights are kept, from 1; None without early stopping.
        dropped: why a task is not learned, by task.
    """

    cell: Cell
    identity: str
    code: str | None = None
    epochs: int | None = None
    steps: int | None = None
    parameters: int | None = None
    micro_batch_size: int | None = None
    activation_checkpointing: bool | None = None
    accelerator: str | None = None
    devices: int | None = None
    workers: int | None = None
    attempts: int | None = None
    rungs: tuple[Rung, ...] = ()
    checkpoints: CheckpointCost | None = None
    peak_rss_mb: int | float | None = None
    peaks_mb: dict[str, int | float] = Field({})
    versions: dict[str, str] = Field({})
    seconds: float | None = None
    seconds_per_epoch: float | None = None
    best_epoch: int | None = None
    dropped: dict[str, str] = Field({})
