"""A small simulated rig and the cells of it that tests train, as a run would write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_src.cells import Cell
from workflow_src.configuration import REVISIONS, Dataset, NetworkCell, Training
from workflow_src.configuration.resolved_cell import ClassicModel, NetworkModel, ResolvedCell
from workflow_src.configuration.schema import TaskSet

SPLIT = {
    "strategy": "unit",
    "test_share": 0.25,
    "validation": {"strategy": "unit", "share": 0.25},
}
MODEL = {
    "kind": "network",
    "backbone": "dlinear",
    "embedding": "patch",
    "normalisation": "window",
    "width": 8,
    "depth": 1,
    "patch_length": 16,
    "patch_count": 8,
    "dropout": 0.2,
    "kernel": 3,
    "individual": False,
}


def rig(samples: int) -> dict[str, Any]:
    """Bearings with four units a class, `samples` a recording."""
    kind = {"kind": "bearing", "units_per_class": 4, "samples": samples, "speeds_rpm": [1500]}
    return {"source": "simulated", "unit": "g", "amplitude_comparable": False, "simulated": kind}


def write_cell(
    folder: Path,
    names: Mapping[str, Any],
    dataset: Mapping[str, Any],
    model: Mapping[str, Any],
    tasks: Sequence[str],
    training: Mapping[str, Any],
) -> Path:
    """The cell.json below the results `folder`; `names` are dataset, model, task_set and seed."""
    network = model.get("kind") != "classic"
    cell = (NetworkCell if network else ResolvedCell)(
        cell=Cell(**names),
        dataset=Dataset.model_validate(dataset),
        amplitude_comparable=False,
        rig={},
        split_table=None,
        tasks=TaskSet.model_validate({task: {} for task in tasks}),
        model=(NetworkModel if network else ClassicModel).model_validate(model),
        revision=REVISIONS["models"],
        training=Training.model_validate({"learning_rate": 3e-3, **training}),
    )
    path = folder / cell.cell.folder / "cell.json"
    cell.named(cell.cell, cell.content()).write(path)
    return path
