"""A logical batch as tensors; what every task's target, mask and loss read."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B spans of one dataset.

    Labels are masked per task: ``fault`` is -1, ``anomaly`` and ``rul`` are NaN, where a span
    bears none. ``log_amplitude`` is the log of the standard deviation of the window per channel,
    standardised (absolute) or less that of the unit's first snapshots (relative); ``age`` the
    time in life over the mean training life (NaN where unknown).
    """

    window: Tensor  # (B, L, C) float32, in the rig's unit
    horizon: Tensor  # (B, H, C)
    fault: Tensor  # (B,) int64
    anomaly: Tensor  # (B,) float32
    rul: Tensor  # (B,) float32, fraction of life left
    log_amplitude: Tensor  # (B, C)
    age: Tensor  # (B,)
    index: Tensor  # (B,) int64, row of the span in the split

    def __len__(self) -> int:
        return len(self.index)

    def part(self, start: int, stop: int) -> Batch:
        """Samples `start` to `stop` as a micro-batch (views, no copies)."""
        return Batch(*(getattr(self, f.name)[start:stop] for f in fields(self)))

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        return Batch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))
