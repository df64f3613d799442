"""The network under Lightning's manual optimization: steps, schedule, validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from workflow_src.errors import Diverged
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.batches import TrainingBatches
from workflow_src.training.step import loss_sums, sample_keys, step, valid_labels, weighted

_USUAL_RATE = 1e-3  # of AdamW on networks of this size


class TrainingModule(pl.LightningModule):
    """One cell in training. Lightning keeps the loops; the step is our own."""

    def __init__(
        self,
        network: MultiTaskNetwork,
        training: Mapping[str, Any],
        batches: TrainingBatches,
        micro_batch_size: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.training_options = training
        self.batches = batches
        self.micro_batch_size = micro_batch_size
        self.epoch_losses: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        """AdamW; linear warm-up, then cosine to zero or constant, a step at a time."""
        optimizer = AdamW(
            self.network.parameters(),
            lr=self.training_options["learning_rate"],
            weight_decay=self.training_options["weight_decay"],
        )
        total = self.batches.per_epoch * self.training_options["epochs"]
        factor = rate_factor(
            total, self.training_options["warmup_share"], self.training_options["schedule"]
        )
        return [optimizer], [LambdaLR(optimizer, factor)]

    def on_train_epoch_start(self) -> None:
        """Forget the losses of the epoch before."""
        self.epoch_losses = {}

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One optimizer step over a logical batch."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        optimizer.zero_grad()  # type: ignore[union-attr]
        keys = sample_keys(self.batches.seed, self.global_step, batch.index)
        losses = step(self.network, batch, self.micro_batch_size, keys, self.manual_backward)
        limit = self.training_options["gradient_clip"] or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self._check({**losses, "the gradient": norm}, batch)
        optimizer.step()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr]
        self.batches.position += 1
        for name, loss in losses.items():
            self.epoch_losses[name] = self.epoch_losses.get(name, torch.zeros(())) + loss.cpu()

    def _check(self, values: Mapping[str, Tensor], batch: Batch) -> None:
        bad = [name for name, value in values.items() if not math.isfinite(float(value))]
        if bad:
            spans = f"spans {batch.index.tolist()} of the dataset's split.csv"
            raise self._diverged(bad[0], f"batch {self.batches.position + 1}", spans)

    def _diverged(self, name: str, where: str, found: str) -> Diverged:
        rate = self.training_options["learning_rate"]
        what = name if name == "the gradient" else f"the loss of {name}"
        return Diverged(
            f"Training diverged: {what} is not finite.",
            where=f"epoch {self.batches.epoch + 1}, {where}",
            found=found,
            remedy="in the model's file, or by `overrides:`\n"
            f"training:\n  learning_rate: {min(rate / 10, _USUAL_RATE):g}",
        )

    def on_train_epoch_end(self) -> None:
        """Stand at the beginning of the next epoch, before anything is saved."""
        self.batches.epoch += 1
        self.batches.position = 0

    def on_validation_epoch_start(self) -> None:
        """Start the sums over the whole part anew."""
        self._sums, self._counts = {}, {}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add a batch's losses to the sums over the whole part (never a mean of batch means)."""
        for start in range(0, len(batch), self.micro_batch_size):
            part = batch.part(start, min(start + self.micro_batch_size, len(batch)))
            for total, new in (
                (self._sums, loss_sums(self.network, part)),
                (self._counts, valid_labels(self.network, part)),
            ):
                for name, value in new.items():
                    total[name] = total.get(name, torch.zeros_like(value)) + value

    def on_validation_epoch_end(self) -> None:
        """Log the objective over the validation part."""
        for name, value in self._sums.items():
            if not math.isfinite(float(value)):
                raise self._diverged(name, "validation", f"a sum over the part of {float(value)}")
        self.log("val_loss", weighted(self.network, self._sums, self._counts))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the position in the data, the losses of the epoch so far and the random state."""
        checkpoint["batches"] = {"epoch": self.batches.epoch, "position": self.batches.position}
        checkpoint["epoch_losses"] = self.epoch_losses
        checkpoint["torch_rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the exact next batch and random draw."""
        self.batches.epoch = checkpoint["batches"]["epoch"]
        self.batches.position = checkpoint["batches"]["position"]
        self.epoch_losses = checkpoint["epoch_losses"]
        torch.set_rng_state(checkpoint["torch_rng"])


class rate_factor:  # noqa: N801 - used as a function; a class only so that it can be pickled
    """Learning rate over its peak at each of `total` steps."""

    def __init__(self, total: int, warmup_share: float, schedule: str) -> None:
        self.total = total
        self.warmup = math.ceil(total * warmup_share)
        self.schedule = schedule

    def __call__(self, done: int) -> float:
        """Factor of the step after `done` steps."""
        if done < self.warmup:
            return (done + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        progress = (done - self.warmup) / max(1, self.total - self.warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
