"""What training leaves in runs/: checkpoints and the best weights, whole or absent."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from safetensors.torch import load_model, save_model
from torch import nn

from workflow_src.files import write_whole

CHECKPOINT, PREVIOUS = "last.ckpt", "previous.ckpt"
BEST = "best.safetensors"


def latest(folder: Path) -> Path | None:
    """The checkpoint to go on from, or None; one that is damaged is said, removed, passed over."""
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if path.exists():
            if _verifies(path):
                return path
            print(f"{path} is damaged: going on from the one before, if any", flush=True)
            path.unlink()
    return None


def _verifies(path: Path) -> bool:
    """Whether each member of the archive that torch wrote has the checksum it was written with."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError):
        return False


def save_weights(network: nn.Module, path: Path) -> None:
    """The weights alone, as safetensors: loading them cannot run code."""

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode  # safetensors makes its file readable by the owner alone
        save_model(network, str(temporary))
        temporary.chmod(mode)

    write_whole(path, write)


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of `path` into `network`; every name must match."""
    load_model(network, path, strict=True)


class Checkpoints(Checkpoint):
    """Saves at the end of each epoch, and inside one when `minutes` have passed."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.path = folder / CHECKPOINT
        self.seconds = 60.0 * minutes
        self._saved = time.monotonic()

    def save(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint; the one before stays, for a disk may damage what was whole."""
        if self.path.exists():
            self.path.replace(self.path.with_name(PREVIOUS))
        write_whole(self.path, lambda path: trainer.save_checkpoint(path, weights_only=False))
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save when the time has come; after an epoch's last batch its own end does."""
        batches: Any = module.batches
        due = time.monotonic() - self._saved >= self.seconds
        if due and batches.position < batches.per_epoch:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the finished epoch."""
        self.save(trainer)


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest validation loss."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / BEST
        self.loss = float("inf")
        self.epoch = -1

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the weights where the loss is lower than ever."""
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.loss:
            self.loss, self.epoch = loss, trainer.current_epoch
            network: Any = module.network
            save_weights(network, self.path)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, for a resumed run."""
        return {"loss": self.loss, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The best of the run that is resumed."""
        self.loss, self.epoch = state_dict["loss"], state_dict["epoch"]


class Patience(EarlyStopping):
    """Stops after `patience` epochs without a lower validation loss, in a resumed run too."""

    def __init__(self, patience: int) -> None:
        super().__init__("val_loss", patience=patience)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Stop at once where the run was interrupted after its last epoch.

        Lightning restores the count of epochs, not the decision that followed from it.
        """
        trainer.should_stop = self.wait_count >= self.patience
