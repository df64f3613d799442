"""Signal prediction: squared error on the normalised horizon."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.tasks.batch import Batch
from workflow_src.tasks.meters import ForecastMeter
from workflow_src.tasks.objective import HeadShape, Scale
from workflow_src.tasks.objectives import ObjectiveFacts
from workflow_src.tasks.signal_prediction.options import SignalKeys
from workflow_src.tasks.signal_prediction.span_statistics import forecast_statistics

_NARROW = 8  # features a token keeps where all tokens are read


class HorizonHead(nn.Module):
    """The last token in full, and every token through a narrow gate, to the horizon.

    (D + 8 N) H C weights: linear in what is predicted. A flat head as PatchTST's (Nie et al.
    2023, D N H C) would outweigh the trunk.
    """

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.horizon, self.channels = shape.horizon, shape.channels
        outputs = shape.horizon * shape.channels
        self.last = nn.Linear(shape.width, outputs)
        self.narrow = nn.Linear(shape.width, _NARROW)
        self.all = nn.Linear(shape.tokens * _NARROW, outputs, bias=False)

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) to the normalised horizon (B, H, C)."""
        narrow = self.narrow(tokens).flatten(1)  # (B, N, 8) -> (B, 8 N)
        flat: Tensor = self.last(tokens[:, -1]) + self.all(narrow)  # (B, H C)
        return flat.reshape(-1, self.horizon, self.channels)  # (B, H C) -> (B, H, C)


@dataclass
class SignalPrediction:
    """Mean squared error over horizon and channels; output (B, H, C), normalised."""

    weight: float = 1.0
    name: str = field(default="signal_prediction", init=False)

    def build_head(self, shape: HeadShape) -> nn.Module:
        """Tokens to the horizon."""
        return HorizonHead(shape)

    def extra(self, batch: Batch) -> Tensor | None:
        """Nothing: the normalised forecast does not depend on amplitude."""
        return None

    def mask(self, batch: Batch) -> Tensor:
        """(B,) true: every span has a horizon."""
        return torch.ones_like(batch.index, dtype=torch.bool)

    def loss(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B,) mean squared error of the normalised horizon."""
        target = scale.apply(batch.horizon)  # (B, H, C)
        error = functional.mse_loss(output.float(), target.float(), reduction="none")
        return error.mean((1, 2))  # (B, H, C) -> (B,)

    def predict(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """(B, S) streaming statistics named by `span_statistics.STATISTICS`, on the CPU."""
        deviation, mean = torch.std_mean(batch.window, dim=1, correction=0)  # (B, C) each
        statistics = forecast_statistics(
            scale.undo(output.float()).numpy(force=True),
            batch.horizon.numpy(force=True),
            mean=mean.numpy(force=True),
            deviation=deviation.numpy(force=True),
            last=batch.window[:, -1].numpy(force=True),
        )
        return torch.from_numpy(statistics)

    def meter(self) -> ForecastMeter:
        """Skill, errors and correlation of the horizon."""
        return ForecastMeter(self.mask)


def build(keys: SignalKeys, facts: ObjectiveFacts) -> SignalPrediction:
    """The objective; any training part will do."""
    return SignalPrediction(keys.weight)
