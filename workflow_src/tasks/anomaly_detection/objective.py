"""Supervised fault detection: weighted binary cross-entropy on one logit."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import BadData
from workflow_src.tasks.anomaly_detection.options import AnomalyKeys
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.meters import LogitMeter
from workflow_src.tasks.objective import HeadShape, Scale
from workflow_src.tasks.objectives import ObjectiveFacts
from workflow_src.tasks.pooling import PooledLinear


class AnomalyHead(nn.Module):
    """Pooled tokens, and extras where the objective gives any, to one logit."""

    def __init__(self, width: int, extras: int) -> None:
        super().__init__()
        self.logit = PooledLinear(width, 1, extras)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) and extra (B, E) to logits (B,)."""
        logit: Tensor = self.logit(tokens, extra)  # (B, 1)
        return logit.squeeze(1)  # (B,)


@dataclass
class AnomalyDetection:
    """Binary cross-entropy, faulty spans weighted by `pos_weight`; output (B,) logits.

    `pos_weight` is healthy over faulty training spans, so that both kinds count the same.
    `amplitude` gives the head the log-amplitude of each channel.
    """

    pos_weight: float
    weight: float = 1.0
    amplitude: bool = False
    name: str = field(default="anomaly_detection", init=False)

    def build_head(self, shape: HeadShape) -> nn.Module:
        """Pooled tokens (and C log-amplitudes) to one logit."""
        return AnomalyHead(shape.width, extras=shape.channels if self.amplitude else 0)

    def extra(self, batch: Batch) -> Tensor | None:
        """(B, C) log-amplitude, if asked for."""
        return batch.log_amplitude if self.amplitude else None

    def mask(self, batch: Batch) -> Tensor:
        """(B,) whether the span is known to be healthy or faulty."""
        return ~batch.anomaly.isnan()

    def loss(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) binary cross-entropy; spans without a label stand in as healthy."""
        target = batch.anomaly.nan_to_num(nan=0.0)  # (B,)
        entropy = functional.binary_cross_entropy_with_logits(
            output.float(), target, reduction="none"
        )
        return entropy * torch.where(target > 0.5, self.pos_weight, 1.0)

    def predict(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) logit of being faulty."""
        return output.float()

    def meter(self) -> LogitMeter:
        """AUROC and average precision from counts of logits."""
        return LogitMeter(self.mask)


def build(keys: AnomalyKeys, facts: ObjectiveFacts) -> AnomalyDetection:
    """The objective; a training part without spans of either kind is BadData."""
    if not facts.positives or not facts.negatives:
        raise BadData(
            "Supervised anomaly detection needs healthy and faulty spans in the training part.",
            found=f"{facts.negatives} healthy and {facts.positives} faulty spans",
            remedy="choose another split, or a task set without `anomaly_detection:`",
        )
    return AnomalyDetection(facts.negatives / facts.positives, keys.weight, keys.amplitude)
