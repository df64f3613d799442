"""What training leaves in runs/: checkpoints and the best weights, whole or absent."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from safetensors.torch import load_model, save_model
from torch import nn

from workflow_src.errors import Stopped
from workflow_src.files import move, remove, write_whole
from workflow_src.training.module import TrainingModule
from workflow_src.training.ranks import Ranks

CHECKPOINT, PREVIOUS = "last.ckpt", "previous.ckpt"
BEST = "best.*.safetensors"

_SEAL = b"sha256:"
_SEAL_BYTES = len(_SEAL) + hashlib.sha256().digest_size
# A checkpoint at the end of an epoch may cost this share of the time since the one before.
_SHARE = 0.02
# What ranks agree on: nothing, to save, to save and leave.
_ORDERS = ("", "save", "deadline", "terminated")


class SealedFiles(CheckpointIO):
    """Checkpoints with the SHA-256 of their bytes behind them.

    They are written as they are serialised, without a copy in memory, and read by weights_only:
    a checkpoint from elsewhere cannot run code.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`; a failure leaves what was there before."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                hashing = _Hashing(file)
                torch.save(checkpoint, hashing)  # type: ignore[arg-type]
                file.write(_SEAL + hashing.digest())

        write_whole(Path(path), write)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """What `save_checkpoint` was given, on the CPU unless `map_location` says otherwise."""
        loaded: dict[str, Any] = torch.load(
            path, map_location=map_location or "cpu", weights_only=True
        )
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the file."""
        remove(Path(path))


class _Hashing:
    """A file to write to that knows the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.digest = self._hash.digest

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def is_whole(path: Path) -> bool:
    """Whether the bytes of a checkpoint are those that were written."""
    left = path.stat().st_size - _SEAL_BYTES
    found = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            found.update(block)
            left -= len(block)
        return left == 0 and file.read() == _SEAL + found.digest()


def latest(folder: Path) -> Path | None:
    """The checkpoint to go on from, or None; one that is damaged is said, removed, passed over."""
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if path.exists():
            if is_whole(path):
                return path
            print(f"{path} is damaged: going on from the one before, if any", flush=True)
            remove(path)
    return None


def remove_checkpoints(folder: Path) -> None:
    """Remove what only a training that goes on would need."""
    for pattern in (CHECKPOINT, PREVIOUS, BEST):
        for path in folder.glob(pattern):
            remove(path)


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


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and of the checkpoints'.

    Each file bears its epoch: a run that goes on from an older checkpoint still finds the best
    that this one knew.
    """

    def __init__(self, folder: Path, ranks: Ranks) -> None:
        self.folder = folder
        self.ranks = ranks
        self.loss = float("inf")
        self.epoch = -1
        self._before = -1  # the best epoch that the checkpoint before the last one knows

    @property
    def path(self) -> Path:
        """The best weights so far."""
        return self._path(self.epoch)

    def _path(self, epoch: int) -> Path:
        return self.folder / BEST.replace("*", str(epoch))

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the weights where the loss is lower than ever."""
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.loss:
            self.loss, self.epoch = loss, trainer.current_epoch
            assert isinstance(module, TrainingModule)
            if self.ranks.first:
                save_weights(module.network, self.path)

    def on_saved(self) -> None:
        """Remove what neither of the two checkpoints knows as the best."""
        for path in self.folder.glob(BEST):
            if path not in (self.path, self._path(self._before)):
                remove(path)
        self._before = self.epoch

    def state_dict(self) -> dict[str, float]:
        """The best so far, for a resumed run."""
        return {"loss": self.loss, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """The best of the run that is resumed."""
        self.loss, self.epoch = state_dict["loss"], int(state_dict["epoch"])
        self._before = self.epoch


class Checkpoints(Checkpoint):
    """Saves after each epoch, or more seldom where that would cost more than 2 % of the time.

    Inside an epoch it saves when `minutes` have passed or `due` says so, and before it leaves:
    when `reason` (of the seconds that are needed until it is asked again) gives one.
    """

    def __init__(
        self,
        folder: Path,
        minutes: float,
        *,
        ranks: Ranks,
        best: BestWeights | None = None,
        reason: Callable[[float], str | None] = lambda needed_s: None,
        due: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path = folder / CHECKPOINT
        self.seconds = 60.0 * minutes
        self.best = best
        self.spent_s = 0.0
        self.saves = 0
        self._ranks = ranks
        self._reason, self._due = reason, due
        self._cost_s = self._longest_s = 0.0
        self._saved = self._asked = time.monotonic()

    def save(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Write the checkpoint; the one before stays, for a disk may damage what was whole."""
        begun = time.monotonic()
        module.metrics["train"].settle()
        if self._ranks.first:
            if self.path.exists():
                move(self.path, self.path.with_name(PREVIOUS))
            trainer.save_checkpoint(self.path, weights_only=False)
            if self.best is not None:
                self.best.on_saved()
        self._saved = time.monotonic()
        self._cost_s = self._saved - begun
        self.spent_s += self._cost_s
        self.saves += 1

    def state_dict(self) -> dict[str, float]:
        """The longest time between two chances to leave, validation included."""
        return {"longest_s": self._longest_s}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """What the attempts before have learned of it."""
        self._longest_s = state_dict["longest_s"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Time is counted from here."""
        self._saved = self._asked = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save when the time has come; after an epoch's last batch its own end does."""
        assert isinstance(module, TrainingModule)
        if module.batches.position < module.batches.per_epoch:
            since = time.monotonic() - self._saved
            self._leave_or_save(trainer, module, since >= self.seconds)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the finished epoch."""
        assert isinstance(module, TrainingModule)
        since = time.monotonic() - self._saved
        cheap = self._cost_s <= _SHARE * since
        self._leave_or_save(trainer, module, cheap or since >= self.seconds)

    def _leave_or_save(self, trainer: pl.Trainer, module: TrainingModule, wanted: bool) -> None:
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._asked)
        self._asked = now
        # Twice: a save may be slower than the last one was, on a shared file system above all.
        reason = self._reason(2 * self._cost_s + self._longest_s)
        wanted = wanted and self._ranks.first  # which alone knows what a save costs
        own = reason or ("save" if self._due() or wanted else "")
        order = _ORDERS[self._ranks.largest(_ORDERS.index(own), module.device)]
        if order:
            self.save(trainer, module)
        done = f"epoch {module.batches.epoch}, batch {module.batches.position}"
        left = f"Saved, to be gone on with by the same command, and left after {done}"
        if order == "deadline":
            raise Stopped("deadline", f"{left}: the end of the job is near")
        if order == "terminated":
            raise Stopped("terminated", f"{left}: a signal came")


class Patience(EarlyStopping):
    """Stops after `patience` epochs without a lower validation loss, in a resumed run too."""

    def __init__(self, patience: int) -> None:
        super().__init__("val_loss", patience=patience)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Stop at once where the run was interrupted after its last epoch.

        Lightning restores the count of epochs, not the decision that followed from it.
        """
        trainer.should_stop = self.wait_count >= self.patience
