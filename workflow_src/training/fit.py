"""A cell's training from its latest checkpoint to its final weights and report."""

from __future__ import annotations

import logging
import platform
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback

from workflow_src.artifacts.training_report import CheckpointCost, Rung, TrainingReport
from workflow_src.code_digest import code_digest
from workflow_src.configuration import NetworkCell
from workflow_src.data.windows import SpanReader
from workflow_src.errors import UserError
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Measured, Resumed
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.stop import Stop
from workflow_src.training.batches import PartBatches, TrainingBatches
from workflow_src.training.checkpoints import (
    BestWeights,
    Checkpoints,
    Patience,
    SealedFiles,
    latest,
    load_weights,
    save_weights,
)
from workflow_src.training.history import History, seconds_of
from workflow_src.training.module import TrainingModule
from workflow_src.training.progress import Reporter
from workflow_src.training.recovery import Recovery
from workflow_src.training.sampling import augmentation_of, groups_of
from workflow_src.training.watch import Watch

WEIGHTS, REPORT = "model.safetensors", "training.json"


@dataclass(frozen=True)
class Attempt:
    """What every part of one attempt needs.

    Attributes:
        cell: the resolved configuration of cell.json.
        identity: what decides the numbers, data and split included.
        folder: the cell's folder below runs/.
        request: what it is told.
        journal: events of all attempts.
        stop: whether to leave early.
        watch: memory against its limits.
        recovery: the network and the micro-batch in force.
        measured: what the journal's last line says of this attempt.
    """

    cell: NetworkCell
    identity: str
    folder: Path
    request: AttemptRequest
    journal: Journal
    stop: Stop
    watch: Watch
    recovery: Recovery
    measured: Measured


def fit(attempt: Attempt, reader: SpanReader) -> TrainingReport:
    """Train to the end; the first rank writes the weights and the report, in that order.

    Returns:
        The report.
    """
    training, ranks = attempt.cell.training, attempt.recovery.ranks
    batches = _batches(attempt, reader)
    validation = PartBatches(
        reader, reader.rows("val"), training.batch_size, rank=ranks.rank, ranks=ranks.count
    )
    best = _best(attempt, reader)
    checkpoints = Checkpoints(
        attempt.folder,
        attempt.request.checkpoint_minutes,
        ranks=ranks,
        best=best,
        reason=attempt.stop.reason,
        due=attempt.watch.checkpoint_due,
    )
    module = TrainingModule(
        attempt.recovery,
        training,
        batches,
        identity=attempt.identity,
        code=code_digest("network"),
        mark=attempt.watch.mark,
        probe=attempt.watch.probe,
    )
    trainer = _trainer(attempt, module, checkpoints, best)
    if ranks.first:  # it removes a damaged one before the others look
        latest(attempt.folder)
    ranks.wait()
    start = latest(attempt.folder)
    if start is not None and ranks.first:
        attempt.journal.append(Resumed(checkpoint=start.name))
    try:
        _run(trainer, module, batches, validation if len(reader.rows("val")) else None, start)
    finally:
        attempt.measured.steps = trainer.global_step
        batches.close()
    if best is not None:
        load_weights(attempt.recovery.network, best.path)
    report = _report(attempt, trainer, module, checkpoints, best)
    ranks.wait()
    if ranks.first:
        report.write(attempt.folder / REPORT)
        save_weights(attempt.recovery.network, attempt.folder / WEIGHTS)
    return report


def _batches(attempt: Attempt, reader: SpanReader) -> TrainingBatches:
    training, ranks = attempt.cell.training, attempt.recovery.ranks
    seed, rows = attempt.cell.cell.seed, reader.rows("train")
    return TrainingBatches(
        reader,
        rows,
        training.batch_size,
        seed,
        workers=attempt.request.workers,
        rank=ranks.rank,
        ranks=ranks.count,
        groups=groups_of(reader, rows, training.sampling),
        augmentation=augmentation_of(reader, rows, training.augmentation, seed),
        tell=attempt.journal.append,
    )


def _best(attempt: Attempt, reader: SpanReader) -> BestWeights | None:
    if not attempt.cell.training.early_stopping_patience:
        return None
    if not len(reader.rows("val")):
        raise UserError(
            "Early stopping needs a validation part, and the split has none.",
            where=f"the dataset {attempt.cell.cell.dataset}",
            remedy="training:\n  early_stopping_patience: 0",
        )
    return BestWeights(attempt.folder, attempt.recovery.ranks)


def _trainer(
    attempt: Attempt, module: TrainingModule, checkpoints: Checkpoints, best: BestWeights | None
) -> pl.Trainer:
    # Its tips, its notices of each restart and what it calls deprecated are not for a cell's log.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\.")
    training, ranks = attempt.cell.training, attempt.recovery.ranks
    callbacks: list[Callback] = []
    if ranks.first:
        tasks = [objective.name for objective in module.network.objectives]
        metrics = list(module.metrics["train"].compute())
        history = History(attempt.folder, metrics, tasks, attempt.watch.epoch_peaks)
        callbacks += [history, Reporter(training.epochs)]
    callbacks += [checkpoints]
    if best is not None:
        callbacks += [best, Patience(training.early_stopping_patience)]
    cuda = attempt.request.accelerator == "cuda"
    return pl.Trainer(
        accelerator="gpu" if cuda else "cpu",
        # Each rank is a trainer by itself; what ranks exchange is the module's business.
        devices=[ranks.rank] if cuda else 1,
        # Inside a Slurm job Lightning would count the job's tasks, and requeue it by itself.
        plugins=[_Alone(), SealedFiles()],
        max_epochs=training.epochs,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


class _Alone(LightningEnvironment):
    """One process as Lightning sees it, whatever the variables of a launcher say."""

    def local_rank(self) -> int:
        """The only one."""
        return 0


def _run(
    trainer: pl.Trainer,
    module: TrainingModule,
    batches: TrainingBatches,
    validation: PartBatches | None,
    start: Path | None,
) -> None:
    # Lightning would put a handler of its own before ours, and leave a validation without saving.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    try:
        trainer.fit(
            module,
            batches,
            validation,
            ckpt_path=start,
            weights_only=True,  # a checkpoint cannot run code
        )
    except SystemExit as error:
        # Lightning ends the process with 1, "do not try again", when it is interrupted.
        raise KeyboardInterrupt from error


def _report(
    attempt: Attempt,
    trainer: pl.Trainer,
    module: TrainingModule,
    checkpoints: Checkpoints,
    best: BestWeights | None,
) -> TrainingReport:
    request, recovery, batches = attempt.request, attempt.recovery, module.batches
    peaks = attempt.watch.peaks()
    seconds, per_epoch = seconds_of(attempt.folder / "history.csv")
    return TrainingReport(
        cell=attempt.cell.cell,
        identity=attempt.identity,
        code=module.code,
        epochs=batches.epoch,
        steps=trainer.global_step,
        parameters=sum(p.numel() for p in recovery.network.parameters()),
        micro_batch_size=recovery.size,
        activation_checkpointing=recovery.checkpointing,
        accelerator=request.accelerator,
        devices=request.devices,
        workers=batches.workers,
        attempts=attempt.journal.attempts(attempt.cell.identity),
        rungs=tuple(Rung.model_validate(rung) for rung in recovery.rungs),
        checkpoints=CheckpointCost(saves=checkpoints.saves, seconds=round(checkpoints.spent_s, 3)),
        peak_rss_mb=peaks["host_mb"],
        peaks_mb=dict(peaks),
        versions=versions(),
        seconds=seconds,
        seconds_per_epoch=per_epoch,
        best_epoch=None if best is None else best.epoch + 1,
    )


def versions() -> dict[str, str]:
    """Versions that a number may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": version("pytorch-lightning"),
    }
