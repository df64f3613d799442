"""Optimizer steps outside of the trainer: what is traced and what is timed is one sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.configuration import NetworkCell, Training
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.optimizer import adamw
from workflow_src.training.precision import Precision
from workflow_src.training.ranks import Ranks
from workflow_src.training.running_metrics import RunningMetrics
from workflow_src.training.step import (
    Mark,
    StepOptions,
    loss_sums,
    means,
    sample_keys,
    step,
    unwatched,
    valid_labels,
)


class Steps:
    """Steps in the order of `TrainingModule.training_step`, on the network's device.

    Args:
        network: in training mode.
        training: the cell's keys of `training:`.
        micro_batch: spans at once.
        mark: as of `StepOptions`.
    """

    def __init__(
        self,
        network: MultiTaskNetwork,
        training: Training,
        micro_batch: int,
        mark: Mark = unwatched,
    ) -> None:
        self.network, self.size = network, micro_batch
        self.clip = training.gradient_clip or torch.inf
        self.optimizer = adamw(network.parameters(), training)
        self.precision = Precision(training.precision)
        self.scale = self.precision.loss_scale()
        self.metrics = RunningMetrics(network.objectives, Ranks())
        self.device = next(network.parameters()).device
        self.mark = mark
        self.done = 0

    def gradient(self, batch: Batch) -> Tensor:
        """Lay the clipped gradient of `batch` in `.grad`; its norm before clipping, ()."""
        self.optimizer.zero_grad()
        self.metrics.drop()
        parameters = list(self.network.parameters())
        counts = valid_labels(self.network, batch)
        keys = sample_keys(0, self.done, batch.index)
        sums = step(self.network, batch, self.size, keys, counts, self._options(self.scale.scale))
        self.scale.unscale(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        means(sums.losses, counts)
        return norm

    def update(self) -> None:
        """Move the weights along the gradient."""
        self.optimizer.step()
        self.metrics.keep()
        self.done += 1

    def checked(self, batch: Batch) -> None:
        """A whole step, again at a smaller loss scale where its gradient is not finite."""
        while not bool(self.gradient(batch).isfinite()) and self.scale.overflowed():
            pass
        self.update()

    def validate(self, batch: Batch) -> None:
        """The losses of `batch` without gradients, as in validation."""
        loss_sums(self.network, batch, self.size, self._options(1.0))
        self.metrics.drop()

    def _options(self, scale: float) -> StepOptions:
        return StepOptions(
            autocast=lambda: self.precision.autocast(self.device.type),
            scale=scale,
            meters=self.metrics.meters,
            mark=self.mark,
        )


def noise(size: int, cell: NetworkCell, split: SplitSummary) -> Batch:
    """As many spans of noise with every label, from the global generator of torch."""
    span, channels, classes = cell.dataset.span, split.channels, len(split.classes)
    return Batch(
        window=torch.randn(size, span.window, channels),  # (B, L, C)
        horizon=torch.randn(size, span.horizon, channels),  # (B, H, C)
        fault=torch.randint(0, max(classes, 1), (size,)),
        anomaly=torch.randint(0, 2, (size,)).float(),
        rul=torch.rand(size),
        log_amplitude=torch.randn(size, channels),  # (B, C)
        age=torch.rand(size),
        index=torch.arange(size),
    )
