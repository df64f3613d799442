"""The network under Lightning's manual optimization: steps, schedule, validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from workflow_src.code_digest import UNKNOWN, joined
from workflow_src.configuration import Training
from workflow_src.errors import Diverged, UserError
from workflow_src.tasks.batch import Batch
from workflow_src.training.batches import TrainingBatches
from workflow_src.training.optimizer import adamw
from workflow_src.training.precision import Precision
from workflow_src.training.randomness import RandomState
from workflow_src.training.recovery import Recovery
from workflow_src.training.running_metrics import RunningMetrics
from workflow_src.training.schedule import RateFactor
from workflow_src.training.step import (
    Mark,
    StepOptions,
    StepTotals,
    loss_sums,
    means,
    sample_keys,
    step,
    unwatched,
    valid_labels,
    weighted_loss,
)

_USUAL_RATE = 1e-3  # of AdamW on networks of this size


class TrainingModule(pl.LightningModule):
    """One cell in training. Lightning keeps the loops; the step is our own.

    Args:
        recovery: the network, and the micro-batch at which it is computed.
        training: keys of `training:`.
        batches: the training part.
        identity: what decides the numbers; a checkpoint of another one is refused.
        code: digest of the code of this process; of a training that goes on, those before it.
        mark: told which phase and component comes next.
        probe: told at the start of each epoch that its first step is to be looked at closely.
    """

    def __init__(
        self,
        recovery: Recovery,
        training: Training,
        batches: TrainingBatches,
        *,
        identity: str = "",
        code: str = "",
        mark: Mark = unwatched,
        probe: Callable[[bool], object] = lambda on: None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = recovery.network
        self.recovery, self.ranks = recovery, recovery.ranks
        self.training_options = training
        self.batches = batches
        self.identity, self.code = identity, code
        self.mark, self.probe = mark, probe
        self.precision = Precision(training.precision)
        self.loss_scale = self.precision.loss_scale()
        self.metrics = {
            part: RunningMetrics(self.network.objectives, self.ranks) for part in ("train", "val")
        }
        self.epoch_sums: dict[str, Tensor] = {}  # of losses and gradient norms, over its steps
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        """AdamW; linear warm-up, then cosine to zero or constant, a step at a time."""
        options = self.training_options
        optimizer = adamw(self.network.parameters(), options)
        total = self.batches.per_epoch * options.epochs
        factor = RateFactor(total, options.warmup_share, options.schedule)
        return [optimizer], [LambdaLR(optimizer, factor)]

    # ------------------------------------------------------------------ training

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before, unless this one goes on in its middle."""
        if self.batches.position == 0:
            self.epoch_sums = {}
            self.metrics["train"].reset()
        self.probe(True)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One optimizer step over a logical batch, whatever memory it takes to compute it."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        optimizer.zero_grad()  # type: ignore[union-attr]
        counts = self.ranks.summed(valid_labels(self.network, batch))
        sums, norm = self._gradient(batch, counts)
        losses = means(self.ranks.summed(sums.losses), counts)
        self._check({**losses, "the gradient": norm}, batch)
        self._add(losses, self.ranks.summed(sums.squares))
        # From here on nothing is done again: an optimizer step cannot be taken back.
        self.mark("optimizer", "optimizer")
        optimizer.step()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr]
        self.loss_scale.succeeded()
        self.metrics["train"].keep()
        self.batches.position += 1
        if self.batches.position == self.batches.per_epoch:
            self.metrics["train"].settle()
        self.probe(False)
        self.mark("data", None)

    def _add(self, losses: Mapping[str, Tensor], squares: Mapping[str, Tensor]) -> None:
        norms = {name: square.sqrt() / self.loss_scale.scale for name, square in squares.items()}
        for kind, values in (("loss", losses), ("norm", norms)):
            for name, value in values.items():
                before = self.epoch_sums.get(f"{kind}_{name}", torch.zeros_like(value))
                self.epoch_sums[f"{kind}_{name}"] = before + value

    def _gradient(self, batch: Batch, counts: Mapping[str, Tensor]) -> tuple[StepTotals, Tensor]:
        """The clipped gradient, in `.grad`; its norm before clipping, and sums over the batch.

        Where memory runs out the step is computed again in smaller parts; where a float16
        gradient overflows, at half the scale.
        """
        keys = sample_keys(self.batches.seed, self.global_step, batch.index)
        limit = self.training_options.gradient_clip or math.inf
        parameters = list(self.network.parameters())
        while True:
            sums = self.recovery.run(
                "training",
                lambda size: step(self.network, batch, size, keys, counts, self._how("train")),
                self._undo,
                self.device,
            )
            self.ranks.sum_gradients(parameters)
            self.loss_scale.unscale(parameters)
            norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
            if bool(norm.isfinite()) or not self.loss_scale.overflowed():
                return sums, norm
            self._undo()

    def _undo(self) -> None:
        for parameter in self.network.parameters():
            parameter.grad = None
        self.metrics["train"].drop()

    def _how(self, part: str) -> StepOptions:
        return StepOptions(
            autocast=lambda: self.precision.autocast(self.device.type),
            scale=self.loss_scale.scale if part == "train" else 1.0,
            meters=self.metrics[part].meters,
            mark=self.mark,
        )

    def _check(self, values: Mapping[str, Tensor], batch: Batch) -> None:
        finite = torch.stack([value.double() for value in values.values()]).isfinite().tolist()
        if not all(finite):
            bad = [name for name, good in zip(values, finite, strict=True) if not good]
            spans = f"spans {batch.index.tolist()} of the dataset's split.csv"
            raise self._diverged(bad[0], f"batch {self.batches.position + 1}", spans)

    def _diverged(self, name: str, where: str, found: str) -> Diverged:
        rate = self.training_options.learning_rate
        what = name if name == "the gradient" else f"the loss of {name}"
        return Diverged(
            f"Training diverged: {what} is not finite.",
            where=f"epoch {self.batches.epoch + 1}, {where}",
            found=found,
            expected="finite numbers; the last checkpoint is from before and is kept",
            remedy="in the model's file, or by `overrides:`\n"
            f"training:\n  learning_rate: {min(rate / 10, _USUAL_RATE):g}",
        )

    def on_train_epoch_end(self) -> None:
        """Stand at the beginning of the next epoch, before anything is saved."""
        self.batches.epoch += 1
        self.batches.position = 0

    # ------------------------------------------------------------------ validation

    def on_validation_epoch_start(self) -> None:
        """Start the sums over the whole part anew."""
        names = [objective.name for objective in self.network.objectives]
        self._sums = dict.fromkeys(names, torch.zeros((), dtype=torch.float64, device=self.device))
        self._counts = dict.fromkeys(names, torch.zeros((), dtype=torch.int64, device=self.device))
        self.metrics["val"].reset()
        self.mark("evaluation", None)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add a batch's losses to the sums over the whole part (never a mean of batch means)."""
        sums = self.recovery.run(
            "validation",
            lambda size: loss_sums(self.network, batch, size, self._how("val")),
            self.metrics["val"].drop,
            self.device,
        )
        self.metrics["val"].keep()
        for total, new in ((self._sums, sums), (self._counts, valid_labels(self.network, batch))):
            for name, value in new.items():
                total[name] = total[name] + value

    def on_validation_epoch_end(self) -> None:
        """Log the objective over the validation part."""
        sums, counts = self.ranks.summed(self._sums), self.ranks.summed(self._counts)
        for name, value in sums.items():
            if not math.isfinite(float(value)):
                raise self._diverged(name, "validation", f"a sum over the part of {float(value)}")
        self.log("val_loss", weighted_loss(self.network, means(sums, counts)))
        self.metrics["val"].settle()
        self.mark("data", None)

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that an identical continuation needs beside weights, optimizer and schedule."""
        checkpoint["cell"] = {
            "identity": self.identity,
            "code": self.code,
            "epoch": self.batches.epoch,
            "position": self.batches.position,
            "epoch_sums": self.epoch_sums,
            "metrics": self.metrics["train"].state_dict(),
            "loss_scale": self.loss_scale.state_dict(),
            "recovery": self.recovery.state_dict(),
            "random": RandomState.now().to_checkpoint(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the exact next batch, draw and micro-batch."""
        kept = checkpoint["cell"]
        if kept["identity"] != self.identity:
            raise UserError(
                "A checkpoint is of another configuration, rig or split.",
                found=kept["identity"],
                expected=self.identity,
                remedy="python -m workflow_src reset <study>/<dataset>/<model>/<task_set>/<seed>",
            )
        self.code = joined(kept.get("code", UNKNOWN), self.code)
        self.batches.epoch, self.batches.position = kept["epoch"], kept["position"]
        self.epoch_sums = kept["epoch_sums"]
        if self.ranks.first:  # it holds what all ranks had counted
            self.metrics["train"].load_state_dict(kept["metrics"])
        self.loss_scale.load_state_dict(kept["loss_scale"])
        self.recovery.load_state_dict(kept["recovery"])
        RandomState.from_checkpoint(kept["random"]).restore()
