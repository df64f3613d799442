"""Remaining useful life as a bounded fraction, with amplitude and age where they are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import BadData
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.meters import MomentMeter
from workflow_src.tasks.objective import HeadShape, Scale
from workflow_src.tasks.objectives import ObjectiveFacts
from workflow_src.tasks.pooling import PooledLinear
from workflow_src.tasks.rul_prediction.options import RulKeys

_HIDDEN = 64
_HUBER_DELTA = 0.1  # of a life: errors beyond it count linearly

RulInput = Literal["amplitude", "age"]
RulLoss = Literal["mse", "huber"]


class RulHead(nn.Module):
    """Pooled tokens and extras through one hidden layer to a fraction in (0, 1)."""

    def __init__(self, width: int, extras: int) -> None:
        super().__init__()
        self.join = PooledLinear(width, _HIDDEN, extras)
        self.fraction = nn.Linear(_HIDDEN, 1)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) and extra (B, E) to fractions (B,)."""
        hidden = functional.gelu(self.join(tokens, extra))  # (B, hidden)
        return torch.sigmoid(self.fraction(hidden).float()).squeeze(1)  # (B,)


@dataclass
class RulPrediction:
    """Squared or Huber loss (Huber 1964) on the fraction of life left; output (B,) in (0, 1).

    `inputs` join the pooled tokens: ``amplitude`` (log-amplitude of each channel) and ``age``
    (time in life over the mean training life).
    """

    weight: float = 1.0
    loss_name: RulLoss = "mse"
    inputs: tuple[RulInput, ...] = ("amplitude",)
    name: str = field(default="rul_prediction", init=False)

    def build_head(self, shape: HeadShape) -> nn.Module:
        """Pooled tokens and the chosen inputs to a fraction."""
        extras = shape.channels * ("amplitude" in self.inputs) + ("age" in self.inputs)
        return RulHead(shape.width, extras)

    def extra(self, batch: Batch) -> Tensor | None:
        """(B, C), (B, 1) or (B, C + 1) chosen inputs; a labelled span of unknown age is BadData."""
        columns = []
        if "amplitude" in self.inputs:
            columns.append(batch.log_amplitude)  # (B, C)
        if "age" in self.inputs:
            unknown = batch.age.isnan()
            refused = batch.index[unknown & self.mask(batch)]
            if len(refused):
                raise BadData(
                    "`age` is an input of rul_prediction, but the age of some spans is unknown.",
                    where=f"row {int(refused[0])} of the split, and {len(refused) - 1} more",
                    found="no time in life",
                    remedy="rul_prediction: {inputs: [amplitude]}   # without age",
                )
            columns.append(batch.age.nan_to_num(nan=0.0).unsqueeze(1))  # (B, 1)
        return torch.cat(columns, 1) if columns else None

    def mask(self, batch: Batch) -> Tensor:
        """(B,) whether the span belongs to a run that ended in failure."""
        return ~batch.rul.isnan()

    def loss(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) squared or Huber error; spans without a label stand in as error 0."""
        target = torch.where(self.mask(batch), batch.rul, output.detach().float())
        if self.loss_name == "huber":
            return functional.huber_loss(
                output.float(), target, reduction="none", delta=_HUBER_DELTA
            )
        return functional.mse_loss(output.float(), target, reduction="none")

    def predict(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) fraction of life left."""
        return output.float()

    def meter(self) -> MomentMeter:
        """Errors and correlation of the fraction."""
        return MomentMeter(self.mask)


def build(keys: RulKeys, facts: ObjectiveFacts) -> RulPrediction:
    """The objective; any training part will do."""
    return RulPrediction(keys.weight, keys.loss, tuple(keys.inputs))
