"""`history.csv`: one row an epoch, over all attempts."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from workflow_src.files import look_first, write_text
from workflow_src.training.module import TrainingModule

_PHASES = ("data", "forward", "backward", "optimizer", "evaluation")


def columns(metrics: Sequence[str], tasks: Sequence[str]) -> tuple[str, ...]:
    """All columns: losses, norms of the tasks' gradients at the tokens, metrics, peaks in MB."""
    heads = [f"head_{task}" for task in tasks]
    return (
        "epoch",
        "seconds",
        "micro_batch_size",
        "val_loss",
        *(f"loss_{task}" for task in tasks),
        *(f"norm_{task}" for task in tasks),
        *(f"{part}_{metric}" for part in ("train", "val") for metric in metrics),
        "host_mb",
        "device_mb",
        *(f"phase_{phase}_mb" for phase in _PHASES),
        *(f"component_{name}_mb" for name in ("trunk", *heads, "optimizer")),
    )


class History(Callback):
    """Keeps `history.csv`; an epoch's seconds are those of all attempts at it.

    Args:
        folder: where the file lies.
        metrics: names of the running metrics, `<task>_<metric>`.
        tasks: names of the tasks.
        peaks: memory peaks since the last call, MB, by column.
    """

    def __init__(
        self,
        folder: Path,
        metrics: Sequence[str],
        tasks: Sequence[str],
        peaks: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self.path = folder / "history.csv"
        self.columns = columns(metrics, tasks)
        self._peaks = peaks
        self._start = 0.0
        self._spent = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Drop rows of epochs that the checkpoint does not hold: they are run again."""
        assert isinstance(module, TrainingModule)
        text = io.StringIO()
        writer = self._writer(text)
        writer.writeheader()
        writer.writerows(
            row for row in _whole_rows(self.path) if int(row["epoch"]) <= module.batches.epoch
        )
        write_text(self.path, text.getvalue())
        # An epoch that was resumed in its middle began `_spent` seconds ago.
        self._start = time.monotonic() - self._spent

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self.columns, extrasaction="ignore", lineterminator="\n")

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        assert isinstance(module, TrainingModule)
        row: dict[str, str | float] = {
            "epoch": module.batches.epoch + 1,
            "seconds": f"{time.monotonic() - self._start:.3f}",
            "micro_batch_size": module.recovery.size,
            **self._peaks(),
        }
        if "val_loss" in trainer.callback_metrics:
            row["val_loss"] = f"{float(trainer.callback_metrics['val_loss']):.6g}"
        for name, total in module.epoch_sums.items():
            row[name] = f"{float(total) / module.batches.per_epoch:.6g}"
        for part, running in module.metrics.items():
            for name, value in running.compute().items():
                row[f"{part}_{name}"] = f"{value:.6g}"
        look_first()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            self._writer(file).writerow(row)

    def state_dict(self) -> dict[str, float]:
        """Seconds that the current epoch has taken."""
        return {"spent": time.monotonic() - self._start}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Seconds of an epoch that is resumed in its middle."""
        self._spent = state_dict["spent"]


def _whole_rows(history: Path) -> list[dict[str, str]]:
    """The rows so far, less one that a kill tore."""
    if not history.exists():
        return []
    with history.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    return [row for row in rows if row.get("epoch", "").isdigit()]


def seconds_of(history: Path) -> tuple[float, float]:
    """Seconds of all epochs, over all attempts, and of one on average; torn rows left out."""
    each = []
    for row in _whole_rows(history):
        with contextlib.suppress(KeyError, ValueError):
            each.append(float(row["seconds"]))
    mean = sum(each) / max(1, len(each))
    return round(sum(each), 3), round(mean, 4)
