"""How far training is: a line a minute in a log, a bar in a terminal, a row an epoch on disk."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class History(Callback):
    """Appends one row an epoch to `history.csv`: losses and seconds."""

    def __init__(self, folder: Path, tasks: tuple[str, ...]) -> None:
        self.path = folder / "history.csv"
        self.columns = ("epoch", "seconds", "val_loss", *(f"loss_{task}" for task in tasks))
        self._start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        state: Any = module
        steps = max(1, state.batches.position)
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            "seconds": f"{time.monotonic() - self._start:.3f}",
        }
        if "val_loss" in trainer.callback_metrics:
            row["val_loss"] = f"{float(trainer.callback_metrics['val_loss']):.6g}"
        for task, total in state.epoch_losses.items():
            row[f"loss_{task}"] = f"{float(total) / steps:.6g}"
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            if new:
                writer.writeheader()
            writer.writerow(row)


class Reporter(Callback):
    """Says where training stands: a bar on a terminal, else one line a minute."""

    def __init__(self, epochs: int, *, every_s: float = 60.0) -> None:
        self.epochs = epochs
        self.every_s = every_s
        self._said = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin at the epoch that was restored."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("epoch", total=self.epochs)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Move the bar, or write the line that is due."""
        done = trainer.current_epoch + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        elif time.monotonic() - self._said >= self.every_s or done == self.epochs:
            self._said = time.monotonic()
            loss = trainer.callback_metrics.get("val_loss")
            text = "" if loss is None else f", validation loss {float(loss):.4f}"
            print(f"epoch {done}/{self.epochs}{text}", flush=True)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
