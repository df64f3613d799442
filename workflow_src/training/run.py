"""One attempt at a cell: from cell.json and a request to a cause."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import logging
import os
import platform
import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback

from workflow_src.cells import rig_folder, runs_beside, split_folder
from workflow_src.configuration import Dataset, identity
from workflow_src.data.split_files import read_split
from workflow_src.data.support import require
from workflow_src.data.windows import SpanReader
from workflow_src.errors import UserError
from workflow_src.files import write_text, write_whole
from workflow_src.limits import peak_rss_mb
from workflow_src.predictions import write_predictions
from workflow_src.scheduling.journal import Cause, Journal
from workflow_src.training.assembly import MultiTaskNetwork, build_network
from workflow_src.training.batches import PartBatches, TrainingBatches
from workflow_src.training.checkpoints import (
    BEST,
    CHECKPOINT,
    PREVIOUS,
    BestWeights,
    Checkpoints,
    Patience,
    latest,
    load_weights,
    save_weights,
)
from workflow_src.training.module import TrainingModule
from workflow_src.training.predict import predict
from workflow_src.training.progress import History, Reporter

HALF_WRITTEN_S = 600
WEIGHTS, PREDICTIONS, REPORT = "model.safetensors", "predictions.h5", "training.json"


@dataclass(frozen=True)
class Told:
    """What the request told this attempt; nothing of it changes a number."""

    accelerator: str
    micro_batch_size: int
    checkpoint_minutes: float


def attempt(cell_file: Path, told: Told) -> Cause:
    """Train the cell of `cell_file` (or finish it again) and lay its declared outputs beside it.

    The journal in runs/ gets a started and an ended line. Raises what stopped the attempt after
    that line is written.
    """
    folder = runs_beside(cell_file)
    folder.mkdir(parents=True, exist_ok=True)
    remove_half_written(folder, cell_file.parent)
    cell = json.loads(cell_file.read_text(encoding="utf-8"))
    journal = Journal(folder / "attempts.jsonl")
    with journal.attempt(told=asdict(told), identity=cell["identity"]):
        _attempt(cell_file, cell, folder, told, journal)
    return Cause.DONE


def remove_half_written(*folders: Path) -> None:
    """Remove temporary files that a kill left; young ones may be another process's."""
    for folder in folders:
        for left in folder.glob(".[0-9]*"):
            if time.time() - left.stat().st_mtime > HALF_WRITTEN_S:
                left.unlink(missing_ok=True)


def _attempt(
    cell_file: Path, cell: Mapping[str, Any], folder: Path, told: Told, journal: Journal
) -> None:
    dataset = Dataset.model_validate(cell["dataset"])
    store = rig_folder(dataset.rig)
    split = read_split(split_folder(cell["cell"]["dataset"]))
    whole = full_identity(cell, store, split_folder(cell["cell"]["dataset"]))
    move_aside_foreign(folder, whole)
    finished = all((folder / name).exists() for name in (WEIGHTS, PREDICTIONS, REPORT))
    if not finished:
        torch.set_num_threads(cell["training"]["torch_threads"])
        kept, _ = require(split.facts, list(cell["tasks"]), dataset.unsupported_tasks)
        with contextlib.closing(SpanReader(store, split, dataset)) as reader:
            network = build_network(cell, kept, reader, split.facts)
            # Weights are final once their report is there; it is written before them.
            if not ((folder / WEIGHTS).exists() and (folder / REPORT).exists()):
                _train(cell, network, reader, folder, told, journal, whole)
            load_weights(network, folder / WEIGHTS)
            device = torch.device(told.accelerator)
            size = told.micro_batch_size or cell["training"]["batch_size"]
            facts = {"classes": list(reader.classes), "strength": split.facts["strength"]}
            facts["mean_training_life_s"] = split.facts.get("mean_training_life_s")
            write_predictions(folder / PREDICTIONS, predict(network, reader, facts, size, device))
    # Only the finished cell loses what a resumed one would need.
    for name in (CHECKPOINT, PREVIOUS, BEST):
        (folder / name).unlink(missing_ok=True)
    for name in (WEIGHTS, PREDICTIONS, REPORT):
        link_or_copy(folder / name, cell_file.parent / name)


def full_identity(cell: Mapping[str, Any], store: Path, split: Path) -> str:
    """What decides the numbers: the resolved configuration, the recordings and the split."""
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    spans = hashlib.sha256((split / "split.csv").read_bytes()).hexdigest()
    return identity([cell["identity"], manifest["sha256"], spans])


def move_aside_foreign(folder: Path, whole: str) -> None:
    """Move what another configuration, rig or split left in runs/ aside; never go on from it.

    The journal stays: it tells what was tried.
    """
    stamp = folder / "identity"
    before = stamp.read_text(encoding="utf-8") if stamp.exists() else whole
    if before != whole:
        aside = folder / "aside" / f"{before}-{time.strftime('%Y%m%dT%H%M%S')}"
        aside.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name in (CHECKPOINT, PREVIOUS, BEST):  # never continued, and large
                path.unlink()
            elif path.name not in ("aside", "attempts.jsonl", stamp.name):
                path.rename(aside / path.name)
        # Last: a kill in between must not leave foreign files without the stamp that tells.
        stamp.rename(aside / stamp.name)
    if not stamp.exists():
        write_text(stamp, whole)


def _train(
    cell: Mapping[str, Any],
    network: MultiTaskNetwork,
    reader: SpanReader,
    folder: Path,
    told: Told,
    journal: Journal,
    whole: str,
) -> None:
    training = cell["training"]
    batches = TrainingBatches(
        reader, reader.rows("train"), training["batch_size"], cell["cell"]["seed"]
    )
    micro = told.micro_batch_size or training["batch_size"]
    module = TrainingModule(network, training, batches, micro)
    validation = PartBatches(reader, reader.rows("val"), training["batch_size"])
    best = BestWeights(folder) if training["early_stopping_patience"] else None
    if best is not None and not len(validation):
        raise UserError(
            "Early stopping needs a validation part, and the split has none.",
            where=f"the dataset {cell['cell']['dataset']}",
            remedy="training:\n  early_stopping_patience: 0",
        )
    trainer = _trainer(training, told, _callbacks(training, network, folder, told, best))
    start = latest(folder)
    if start is not None:
        journal.append("resumed", checkpoint=start.name)
    _fit(trainer, module, batches, validation, start)
    if best is not None:
        load_weights(network, best.path)
    report = {
        "cell": cell["cell"],
        "identity": whole,
        "epochs": batches.epoch,
        "steps": trainer.global_step,
        "best_epoch": None if best is None else best.epoch + 1,
        "parameters": sum(p.numel() for p in network.parameters()),
        "micro_batch_size": micro,
        "accelerator": told.accelerator,
        "attempts": journal.attempts(cell["identity"]),
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
        **_seconds(folder / "history.csv"),
    }
    write_text(folder / REPORT, json.dumps(report, indent=1, sort_keys=True))
    save_weights(network, folder / WEIGHTS)


def _trainer(training: Mapping[str, Any], told: Told, callbacks: list[Callback]) -> pl.Trainer:
    # Its tips, its notices of each restart and what it calls deprecated are not for a cell's log.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning\.")
    return pl.Trainer(
        accelerator="gpu" if told.accelerator == "cuda" else "cpu",
        devices=1,
        # Inside a Slurm job Lightning would count the job's tasks, and requeue it by itself.
        plugins=[LightningEnvironment()],
        max_epochs=training["epochs"],
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _fit(
    trainer: pl.Trainer,
    module: TrainingModule,
    batches: TrainingBatches,
    validation: PartBatches,
    start: Path | None,
) -> None:
    try:
        trainer.fit(
            module,
            batches,
            validation if len(validation) else None,
            ckpt_path=start,
            weights_only=True,  # a checkpoint cannot run code
        )
    except SystemExit as error:
        # Lightning ends the process with 1, "do not try again", when it is interrupted.
        raise KeyboardInterrupt from error


def _callbacks(
    training: Mapping[str, Any],
    network: MultiTaskNetwork,
    folder: Path,
    told: Told,
    best: BestWeights | None,
) -> list[Callback]:
    callbacks: list[Callback] = [
        History(folder, tuple(learner.name for learner in network.learners)),
        Reporter(training["epochs"]),
        Checkpoints(folder, told.checkpoint_minutes),
    ]
    if best is not None:
        callbacks += [best, Patience(training["early_stopping_patience"])]
    return callbacks


def _seconds(history: Path) -> dict[str, float]:
    """Seconds of all epochs, over all attempts."""
    with history.open(encoding="utf-8", newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {
        "seconds": round(sum(seconds), 3),
        "seconds_per_epoch": round(sum(seconds) / len(seconds), 4),
    }


def link_or_copy(source: Path, target: Path) -> None:
    """Lay `source` at `target` without a second copy of its bytes where the file system can."""

    def lay(temporary: Path) -> None:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)

    write_whole(target, lay)


def versions() -> dict[str, str]:
    """Versions that a number may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": version("pytorch-lightning"),
    }
