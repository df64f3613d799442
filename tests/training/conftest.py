"""A small simulated rig, split and configured as a run would, in a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from workflow_src.cells import runs_beside
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.stop import Stop
from workflow_src.training import run

from .. import small_cells
from ..small_cells import MODEL, SPLIT, rig

RIG = rig(1024)
DATASET = {
    "rig": "small",
    "span": {"window": 128, "horizon": 16, "per_recording": 3},
    "split": SPLIT,
}
TASKS = ("classification", "anomaly_detection", "signal_prediction")

WriteCell = Callable[..., Path]
UNHURRIED = AttemptRequest(checkpoint_minutes=1e9)  # saves at the end of epochs alone


def attempt(cell: Path, told: AttemptRequest = UNHURRIED, stop: Stop | None = None) -> Any:
    """An attempt in this process, framed in the journal as the supervisor does it."""
    journal = Journal(runs_beside(cell) / "attempts.jsonl")
    identity = json.loads(cell.read_text(encoding="utf-8"))["identity"]
    with journal.attempt(identity, told):
        return run.attempt(cell, told, journal, stop)


@pytest.fixture(scope="session")
def small_rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/small (the rig) and data/split (a dataset of it)."""
    folder = tmp_path_factory.mktemp("small_rig")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        recorded, dataset = {"rig": RIG, "table": None}, {"dataset": DATASET, "table": None}
        prepare_rig("small", recorded, description="", data_root=None, config_folder=folder)
        prepare_split("split", dataset, config_folder=folder)
    return folder


@pytest.fixture
def write_cell(small_rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteCell:
    """Writes the cell.json of a study in an empty folder, which is made the current one."""
    shutil.copytree(small_rig / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)

    def write(study: str, model: Mapping[str, Any] | None = None, **training: Any) -> Path:
        names = {"dataset": "split", "model": "dlinear", "task_set": "three", "seed": 7}
        options = {"batch_size": 16, "epochs": 3} | training
        given = dict(model or {})
        network = given if given.get("kind") == "classic" else MODEL | given
        return small_cells.write_cell(
            tmp_path / study / "results", names, DATASET, network, TASKS, options
        )

    return write
