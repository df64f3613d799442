"""A classic cell: the predictions and report of a classic model, as a network's, no torch."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import features_file, rig_folder, runs_beside, split_folder
from workflow_src.classic.models import predict
from workflow_src.classic.problem import Problem
from workflow_src.code_digest import require_planned_code
from workflow_src.configuration.resolved_cell import ClassicModel, ResolvedCell
from workflow_src.data.label_support import require
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.features.table import FeatureTable
from workflow_src.limits import peak_rss_mb
from workflow_src.predictions import write_predictions
from workflow_src.scheduling.journal import Journal


def run_classic(cell_file: Path) -> None:
    """Write predictions.h5 and training.json beside the cell.json of a classic model."""
    cell = ResolvedCell.read(cell_file)
    journal = Journal(runs_beside(cell_file) / "attempts.jsonl")
    with journal.attempt(cell.identity):
        _run(cell_file.parent, cell)


def _run(folder: Path, cell: ResolvedCell) -> None:
    begun, code = time.monotonic(), require_planned_code(cell.code, "classic")
    assert isinstance(cell.model, ClassicModel)  # the rule's models are
    with problem_of(cell) as problem:
        write_predictions(folder / "predictions.h5", predict(cell.model, problem))
    TrainingReport(
        cell=cell.cell,
        identity=cell.identity,
        code=code,
        seconds=round(time.monotonic() - begun, 3),
        peak_rss_mb=peak_rss_mb(),
        versions=_versions(),
    ).write(folder / "training.json")


@contextlib.contextmanager
def problem_of(cell: ResolvedCell) -> Iterator[Problem]:
    """What the model of `cell` is given: the spans of its split, while the store is open."""
    dataset, split = cell.dataset, read_split(split_folder(cell.cell.dataset))
    sums = split.summary.sha256
    kept, _ = require(split.summary, cell.task_names, dataset.unsupported_tasks)
    with contextlib.closing(SpanReader(rig_folder(dataset.rig), split, dataset)) as reader:
        yield Problem(
            reader,
            kept,
            split.summary.score_facts(),
            cell.cell.seed,
            amplitude=cell.offers_amplitude,
            mean_life_s=split.summary.mean_training_life_s,
            geometry=cell.geometry or {},
            features=FeatureTable(features_file(cell.cell.dataset), sums.rows if sums else None),
        )


def _versions() -> dict[str, str]:
    """Of what the numbers may depend on: what the model has imported."""
    found = {"python": platform.python_version(), "numpy": np.__version__}
    learn = sys.modules.get("sklearn")
    return found if learn is None else {**found, "scikit-learn": learn.__version__}
