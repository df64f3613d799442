"""From predictions to metrics.json: scores and nothing else (no torch)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workflow_src.files import write_text
from workflow_src.predictions import Predictions, read_predictions
from workflow_src.tasks.anomaly_detection import score as anomaly_detection
from workflow_src.tasks.classification import score as classification
from workflow_src.tasks.rul_prediction import score as rul_prediction
from workflow_src.tasks.scores import Scores
from workflow_src.tasks.signal_prediction import score as signal_prediction

SCORE: dict[str, Callable[[Predictions, str], Scores]] = {
    module.TASK: module.score
    for module in (classification, anomaly_detection, signal_prediction, rul_prediction)
}
CELL_NAME = ("dataset", "model", "task_set", "seed")


def evaluate(predictions: Predictions) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores by task, then by table row: ``values`` (None if undefined) and why ``undefined``."""
    return {
        task: {row: vars(SCORE[task](predictions, row)) for row in content.outputs}
        for task, content in predictions.tasks.items()
    }


def write_metrics(
    path_predictions: Path, path_metrics: Path, cell: Mapping[str, Any], identity: str
) -> None:
    """Score a predictions file into `path_metrics`, complete or not at all.

    Keys are ``cell`` (dataset, model, task_set, seed), ``identity`` (that of its cell.json: the
    settings behind the numbers) and ``scores``; numbers keep full precision.
    """
    content = {
        "cell": {key: cell[key] for key in CELL_NAME},
        "identity": identity,
        "scores": evaluate(read_predictions(path_predictions)),
    }
    for left in path_metrics.parent.glob(f".[0-9]*.{path_metrics.name}"):  # by one that was killed
        left.unlink(missing_ok=True)
    write_text(path_metrics, json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n")
