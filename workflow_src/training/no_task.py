"""A cell whose tasks were all dropped: results that say so, in place of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.code_digest import code_digest
from workflow_src.configuration import NetworkCell
from workflow_src.data.windows import SpanReader
from workflow_src.predictions import Predictions, write_predictions
from workflow_src.training.checkpoints import save_weights


def write_nothing_learned(
    cell: NetworkCell,
    whole: str,
    dropped: Mapping[str, str],
    reader: SpanReader,
    outputs: tuple[Path, Path, Path],
) -> None:
    """Write weights, predictions and report of a network without a head: none holds a number.

    `whole` is the identity of cell, recordings and split; `dropped` gives the reason by task.
    """
    weights, predictions, report = outputs
    rows = np.concatenate([reader.rows("val"), reader.rows("test")])
    write_predictions(predictions, Predictions(reader.frame(rows), {}))
    TrainingReport(
        cell=cell.cell, code=code_digest("network"), identity=whole, dropped=dict(dropped)
    ).write(report)
    save_weights(torch.nn.Module(), weights)
    print("Nothing to train:", *(f"{task}: {why}" for task, why in dropped.items()), sep="\n  ")
