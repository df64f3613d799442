"""The cells that the campaign trains, and all of a finished one that no fault may change."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file

from workflow_src.cells import runs_beside
from workflow_src.data.prepare import prepare_rig, prepare_split

from .. import small_cells
from ..small_cells import MODEL, SPLIT, rig

SHORT = {"window": 128, "horizon": 16, "per_recording": 3}
LONG = {"window": 1024, "horizon": 16, "per_recording": 24}
PATCHTST = {
    **{key: value for key, value in MODEL.items() if key not in ("kernel", "individual")},
    "backbone": "patchtst",
    "heads": 2,
    "feed_forward": 16,
}
LABELS, ALL = (
    ("classification", "anomaly_detection"),
    (
        "classification",
        "anomaly_detection",
        "signal_prediction",
    ),
)


@dataclass(frozen=True)
class Variant:
    """One cell; `outcomes_within` is None where every bit must come out again."""

    name: str
    span: Mapping[str, int] = field(default_factory=lambda: SHORT)
    model: Mapping[str, Any] = field(default_factory=lambda: MODEL)
    tasks: tuple[str, ...] = ALL
    training: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 0


VARIANTS = (
    Variant("plain", training={"epochs": 30, "batch_size": 5}),
    Variant(
        "early",
        training={
            "epochs": 400,
            "batch_size": 5,
            "learning_rate": 0.01,
            "early_stopping_patience": 15,
        },
    ),
    Variant(
        "patches",
        model=PATCHTST,
        tasks=LABELS,
        training={"epochs": 25, "batch_size": 4, "early_stopping_patience": 20},
    ),
    Variant("worker", training={"epochs": 20, "batch_size": 5}, workers=1),
)
# A step of the whole batch takes some hundred MB: less memory makes the micro-batch shrink.
WIDE = Variant(
    "wide",
    span=LONG,
    model={
        **PATCHTST,
        "width": 64,
        "depth": 2,
        "heads": 4,
        "feed_forward": 128,
        "patch_length": 8,
        "patch_count": 256,
    },
    training={"epochs": 3, "batch_size": 192},
)


def write_data(folder: Path) -> None:
    """The rig and its splits, in folder/data: what all runs read."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        recorded = {"rig": rig(4096), "table": None}
        prepare_rig("small", recorded, description="", data_root=None, config_folder=folder)
        for variant in (*VARIANTS, WIDE):
            dataset = {"dataset": _dataset(variant), "table": None}
            prepare_split(variant.name, dataset, config_folder=folder)


def _dataset(variant: Variant) -> dict[str, Any]:
    return {"rig": "small", "span": dict(variant.span), "split": SPLIT}


def write_cell(folder: Path, variant: Variant) -> Path:
    """The cell.json of a study in `folder`, which holds data/; relative, as rules name it."""
    names = {"dataset": variant.name, "model": "network", "task_set": "tasks", "seed": 7}
    path = small_cells.write_cell(
        folder / "study" / "results",
        names,
        _dataset(variant),
        variant.model,
        variant.tasks,
        variant.training,
    )
    return path.relative_to(folder)


@dataclass(frozen=True)
class Outcome:
    """What a finished cell leaves that must not depend on what befell it."""

    metrics: bytes
    weights: bytes
    predictions: bytes
    history: tuple[tuple[tuple[str, str], ...], ...]
    report: tuple[tuple[str, Any], ...]


def outcome(cell: Path) -> Outcome:
    """Read it; seconds and memory peaks are left out."""
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    with (runs_beside(cell) / "history.csv").open(newline="", encoding="utf-8") as file:
        history = tuple(
            tuple((k, v) for k, v in row.items() if k != "seconds" and not k.endswith("_mb"))
            for row in csv.DictReader(file)
        )
    return Outcome(
        (cell.parent / "metrics.json").read_bytes(),
        (cell.parent / "model.safetensors").read_bytes(),
        (cell.parent / "predictions.h5").read_bytes(),
        history,
        tuple((name, report[name]) for name in ("steps", "epochs", "best_epoch", "parameters")),
    )


def differences(found: Outcome, expected: Outcome, *, history: bool = True) -> list[str]:
    """The parts that differ in any bit; a history that was torn on purpose is not compared."""
    parts = ["metrics", "weights", "predictions", "report"] + ["history"] * history
    return [part for part in parts if getattr(found, part) != getattr(expected, part)]


WITHIN = {"weights": 1e-3, "outputs": 1e-3, "scores": 1e-3}


def distances(found: Path, expected: Path) -> dict[str, float]:
    """Largest absolute differences of two finished cells: weights, outputs, scores."""
    weights = [load_file(cell.parent / "model.safetensors") for cell in (found, expected)]
    scores = [_scores(cell) for cell in (found, expected)]
    outputs = [_outputs(cell.parent / "predictions.h5") for cell in (found, expected)]
    return {
        name: max(float(np.abs(pair[0][key] - pair[1][key]).max()) for key in pair[1])
        for name, pair in (("weights", weights), ("outputs", outputs), ("scores", scores))
    }


def too_far(distance: Mapping[str, float]) -> list[str]:
    """The parts of `distances` beyond what a shrunk micro-batch may change."""
    return [f"{part} by {distance[part]:.2g}" for part in WITHIN if distance[part] > WITHIN[part]]


def _outputs(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r", locking=False) as file:
        return {task: group["outputs/model"][:] for task, group in file["tasks"].items()}


def _scores(cell: Path) -> dict[str, Any]:
    found = json.loads((cell.parent / "metrics.json").read_text(encoding="utf-8"))["scores"]
    return {
        f"{task}/{name}": np.float64(value)
        for task, rows in found.items()
        for name, value in rows["model"]["values"].items()
        if isinstance(value, float)
    }
