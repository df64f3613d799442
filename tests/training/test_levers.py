"""Every lever at once, on each of the four models, through a whole attempt."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.cells import runs_beside
from workflow_src.predictions import read_predictions
from workflow_src.scheduling.attempt_request import AttemptRequest

from .conftest import TASKS, WriteCell, attempt

MODELS: dict[str, dict[str, Any]] = {
    "dlinear": {"backbone": "dlinear"},
    "patchtst": {"backbone": "patchtst", "heads": 2, "feed_forward": 16},
    "timesnet": {"backbone": "timesnet", "feed_forward": 8, "top_k": 2, "kernels": 2},
    "fno": {"backbone": "fno", "modes": 3},
}
LEVERS = AttemptRequest(checkpoint_minutes=1e9, micro_batch_size=3, activation_checkpointing=True)


def losses(cell: Path) -> list[float]:
    """The epoch's mean loss of each task."""
    with (runs_beside(cell) / "history.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return [float(row[f"loss_{task}"]) for task in TASKS]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", MODELS)
def test_an_epoch_with_all_levers(write_cell: WriteCell, model: str, precision: str) -> None:
    """Recomputed activations, half precision, fused AdamW, micro-batches: beside none of them."""
    plain = write_cell("plain", MODELS[model], epochs=1, fused_optimizer=False)
    levers = write_cell("levers", MODELS[model], epochs=1, precision=precision)
    attempt(plain)
    attempt(levers, LEVERS)
    report = json.loads((levers.parent / "training.json").read_text(encoding="utf-8"))
    assert report["activation_checkpointing"]
    assert report["micro_batch_size"] == 3
    # Half precision has 8 or 11 bits: losses of the same few steps differ by as much.
    for found, expected in zip(losses(levers), losses(plain), strict=True):
        assert math.isclose(found, expected, rel_tol=0.03)
    for cell in (plain, levers):
        predictions = read_predictions(cell.parent / "predictions.h5")
        for task in TASKS:
            assert np.isfinite(predictions.tasks[task].outputs["model"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_recomputing_activations_changes_no_bit(write_cell: WriteCell, model: str) -> None:
    kept, recomputed = (write_cell(name, MODELS[model], epochs=1) for name in ("kept", "again"))
    attempt(kept)
    attempt(recomputed, AttemptRequest(checkpoint_minutes=1e9, activation_checkpointing=True))
    for name in ("model.safetensors", "predictions.h5"):
        assert (kept.parent / name).read_bytes() == (recomputed.parent / name).read_bytes()
