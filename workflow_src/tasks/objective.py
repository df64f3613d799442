"""What a task tells the training step: its head, target, mask, loss and output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from workflow_src.tasks.batch import Batch


@dataclass(frozen=True)
class HeadShape:
    """Sizes that a head is built for: tokens (B, N, D), horizon (B, H, C), classes, extras."""

    tokens: int  # N
    width: int  # D
    horizon: int  # H
    channels: int  # C
    classes: int  # K


class Scale(Protocol):
    """Normalisation of a window (statistics of the input part only)."""

    def apply(self, y: Tensor) -> Tensor:
        """(B, T, C) in the rig's unit to normalised."""

    def undo(self, y: Tensor) -> Tensor:
        """(B, T, C) normalised to the rig's unit."""


class Meter(Protocol):
    """Metrics of a task over all spans so far, in constant size and time a span.

    ``state`` is that of a set of spans: those of disjoint sets merge to that of their union.
    """

    state: Tensor

    def update(self, output: Tensor, batch: Batch, scale: Scale) -> None:
        """Add the spans of a micro-batch that bear a label, without waiting for the device."""

    def merge(self, other: Tensor) -> None:
        """Add the spans of another meter's state."""

    def compute(self) -> dict[str, float]:
        """Metric to value, NaN where it is undefined."""

    def reset(self) -> None:
        """Forget all spans."""


class Objective(Protocol):
    """One task of a network. A loss is per sample; the step divides by the valid labels."""

    name: str
    weight: float

    def build_head(self, shape: HeadShape) -> nn.Module:
        """A module `head(tokens (B, N, D), extra (B, E) | None) -> output`."""

    def extra(self, batch: Batch) -> Tensor | None:
        """(B, E) inputs that join the pooled tokens, or None."""

    def mask(self, batch: Batch) -> Tensor:
        """(B,) bool: which samples bear a label of this task."""

    def loss(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) loss of each sample; values of masked samples are finite and ignored."""

    def predict(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B, ...) what the predictions file keeps of each sample."""

    def meter(self) -> Meter:
        """A new meter of what the head gives, without spans so far."""
