"""How far training is: a line a minute in a log, a bar in a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from workflow_src.training.module import TrainingModule


class Reporter(Callback):
    """Says where training stands: a bar on a terminal, else one line a minute and a last one."""

    def __init__(self, epochs: int, *, every_s: float = 60.0) -> None:
        self.epochs = epochs
        self.every_s = every_s
        self._said = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task = TaskID(0)  # the bar's only one

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin at the step that was restored."""
        if self._bar is not None:
            assert isinstance(module, TrainingModule)
            total = self.epochs * module.batches.per_epoch
            self._bar.start()
            self._task = self._bar.add_task("step", total=total, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Move the bar, or write the line that is due."""
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.global_step)
        elif time.monotonic() - self._said >= self.every_s:
            self._said = time.monotonic()
            self._say(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write where training ended, which may be before the last epoch."""
        if self._bar is None:
            self._say(trainer, module)

    def _say(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        batches, loss = module.batches, trainer.callback_metrics.get("val_loss")
        done = batches.epoch * batches.per_epoch + batches.position
        text = "" if loss is None else f", validation loss {float(loss):.4f}"
        epoch = done / batches.per_epoch
        print(f"epoch {epoch:.1f} of {self.epochs}, step {done}{text}", flush=True)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
