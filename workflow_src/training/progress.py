"""How far training is: a line a minute in a log, a bar in a terminal, a row an epoch on disk."""

from __future__ import annotations

import csv
import io
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workflow_src.files import write_text


class History(Callback):
    """Keeps `history.csv`: one row an epoch, with its losses and seconds over all attempts."""

    def __init__(self, folder: Path, tasks: tuple[str, ...]) -> None:
        self.path = folder / "history.csv"
        self.columns = ("epoch", "seconds", "val_loss", *(f"loss_{task}" for task in tasks))
        self._start = 0.0
        self._spent = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Drop rows of epochs that the checkpoint does not hold: they are run again."""
        state: Any = module
        kept = [row for row in self._rows() if int(row["epoch"]) <= state.batches.epoch]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_text(self.path, text.getvalue())
        # An epoch that was resumed in its middle began `_spent` seconds ago.
        self._start = time.monotonic() - self._spent

    def _rows(self) -> list[dict[str, str]]:
        """The rows so far, less one that a kill tore."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        state: Any = module
        row: dict[str, Any] = {
            "epoch": state.batches.epoch + 1,
            "seconds": f"{time.monotonic() - self._start:.3f}",
        }
        if "val_loss" in trainer.callback_metrics:
            row["val_loss"] = f"{float(trainer.callback_metrics['val_loss']):.6g}"
        for task, total in state.epoch_losses.items():
            row[f"loss_{task}"] = f"{float(total) / state.batches.per_epoch:.6g}"
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)

    def state_dict(self) -> dict[str, Any]:
        """Seconds that the current epoch has taken."""
        return {"spent": time.monotonic() - self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Seconds of an epoch that is resumed in its middle."""
        self._spent = state_dict["spent"]


class Reporter(Callback):
    """Says where training stands: a bar on a terminal, else one line a minute and a last one."""

    def __init__(self, epochs: int, *, every_s: float = 60.0) -> None:
        self.epochs = epochs
        self.every_s = every_s
        self._said = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin at the step that was restored."""
        if self._bar is not None:
            state: Any = module
            total = self.epochs * state.batches.per_epoch
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
        state: Any = module
        batches, loss = state.batches, trainer.callback_metrics.get("val_loss")
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
