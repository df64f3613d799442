"""From predictions to metrics.json: scores and nothing else (no torch)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workflow_src.artifacts.cell_metrics import CellMetrics, Scores
from workflow_src.cells import Cell
from workflow_src.features.autoregression import REFERENCE
from workflow_src.features.table import FeatureTable
from workflow_src.predictions import Predictions, read_predictions
from workflow_src.tasks.registry import task_of


def evaluate(predictions: Predictions) -> dict[str, dict[str, Scores]]:
    """Scores by task, then by table row."""
    return {
        task: {row: task_of(task).score(predictions, row) for row in content.outputs}
        for task, content in predictions.tasks.items()
    }


def write_metrics(
    path_predictions: Path,
    path_metrics: Path,
    cell: Cell,
    identity: str,
    features: FeatureTable | None = None,
) -> None:
    """Score a predictions file into `path_metrics`, complete or not at all.

    `identity` is that of the cell.json: the settings behind the numbers. `features` of the
    dataset hold the forecast that others are compared with.
    """
    predictions = read_predictions(path_predictions)
    if features is not None:
        starts = predictions.spans["start"].to_numpy(np.float64)
        if (reference := features.of_held(REFERENCE, starts)) is not None:
            predictions.spans[REFERENCE] = reference
    scores = evaluate(predictions)
    for left in path_metrics.parent.glob(f".[0-9]*.{path_metrics.name}"):  # by one that was killed
        left.unlink(missing_ok=True)
    CellMetrics(cell=cell, identity=identity, scores=scores).write(path_metrics)
