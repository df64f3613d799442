"""Files of PHM-Vibench's format, read in place, from simulated and real recordings to tables."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

from workflow_src.configuration.reading import read
from workflow_src.configuration.schema import Rig
from workflow_src.configuration.simulated import SimulatedOptions
from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.simulated import simulate

from .. import phm_vibench_files as files
from ..recordings import RECORDINGS
from .conftest import REPOSITORY, STUDY, Outcome, Project

RIGS = REPOSITORY / "config" / "rigs"
LENGTH = 24_000  # of a recording that is kept of UESTC
RUNS = ("Bearing1_2", "Bearing1_1", "Bearing2_1", "Bearing2_2")
PLAIN = {"source": "phm_vibench", "unit": "unknown", "simulated": None}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (RECORDINGS / "FEMTO").is_dir(),
        reason="no recordings: set PHM_DATA_ROOT to their folder",
    ),
]


def real(rig: str, keep: Callable[[Recording], bool], until: str = "~") -> Iterator[Recording]:
    """Recordings of a folder rig, in the order of their runs, up to the run `until`."""
    options = Rig.model_validate(read(RIGS / f"{rig}.yaml")).folder
    assert options is not None
    for recording in FolderSource(options, RECORDINGS, RIGS).recordings():
        if recording.run_id > until:
            return
        if keep(recording):
            yield recording


def uestc() -> list[Recording]:
    """The first part that there is of each class and speed."""
    first: dict[str, Recording] = {}
    for recording in real("uestc", lambda recording: True):
        first.setdefault(recording.run_id, replace(recording, signal=recording.signal[:LENGTH]))
    return list(first.values())


def femto() -> list[Recording]:
    """Some whole runs, their stages by share of life as in the table: last tenth failing."""
    made = []
    for recording in real("femto", lambda recording: recording.run_id in RUNS, max(RUNS)):
        assert recording.time_s is not None
        assert recording.life_s is not None
        share = recording.time_s / recording.life_s
        stage = NORMAL if share < 0.4 else "failing" if share > 0.9 else None
        made.append(replace(recording, fault=stage))
    return made


def sim() -> Iterator[Recording]:
    return simulate(SimulatedOptions(kind="bearing", units_per_class=4, samples=4096))


def rig(name: str, **options: Any) -> dict[str, Any]:
    """A rig of one file; every table lies beside it."""
    return {
        **PLAIN,
        "amplitude_comparable": name == "femto",
        "phm_vibench": {
            "path": f"{name}/RM_099_TEST.h5",
            "metadata": f"{name}/metadata.xlsx",
            "dataset_ids": [99],
            **options,
        },
    }


BY_UNIT = {"strategy": "unit", "test_share": 0.25, "validation": {"strategy": "none"}}
BY_RUN = {
    "strategy": "unit",
    "test": {"unit_id": ["Bearing1_2"]},
    "validation": {"strategy": "none"},
}
BY_SPEED = {"strategy": "condition", "test": {"condition": ["800rpm"]}}
DATASETS = {
    "vb_uestc": {
        "rig": "vb_uestc",
        "span": {"window": 1024, "horizon": 64, "per_recording": 4},
        "split": BY_SPEED,
        "unsupported_tasks": "drop",
    },
    "vb_femto": {
        "rig": "vb_femto",
        "note": "normal and failing are stages by share of life: a proxy label",
        "span": {"window": 2048, "horizon": 64, "per_recording": 1},
        "split": BY_RUN,
    },
    "vb_sim": {
        "rig": "vb_sim",
        "span": {"window": 512, "horizon": 32, "per_recording": 2},
        "split": BY_UNIT,
        "unsupported_tasks": "drop",
    },
}
BEARINGS = {
    "files": ["{part}/{bearing}/acc_{index:d}.csv"],
    "fields": {"unit_id": "{bearing}", "run_id": "{bearing}"},
    "time": {"from": "index", "first": 1, "step_s": 10},
    "labels": "unit",
}
SPECIMENS = {
    "files": ["{unit}/{rest}"],
    "fields": {"unit_id": "{unit}", "speed_rpm": "{Domain_description}"},
}


@pytest.fixture(scope="module")
def outcome(unrun: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    root = tmp_path_factory.mktemp("vibench")
    defects = ["zero channels", "record without row", "mixed flags"]
    files.write_files(root / "uestc", uestc(), defects=["wrong length"])
    files.write_files(root / "femto", femto(), defects=defects)
    files.write_files(root / "sim", sim(), shape="(L,)", dtype="float32")
    folder = Path(shutil.copytree(unrun.folder, root / "project"))
    project = Project(folder, {"PHM_DATA_ROOT": str(root)}, patience_s=600)
    project.edit("rigs/vb_uestc.yaml", **rig("uestc"))
    project.edit("rigs/vb_femto.yaml", **rig("femto", **BEARINGS))
    project.edit("rigs/vb_sim.yaml", **rig("sim", **SPECIMENS))
    for name, keys in DATASETS.items():
        project.edit(f"datasets/{name}.yaml", **keys)
    training = {"epochs": 1, "batch_size": 64}
    project.edit(
        "config.yaml", datasets=list(DATASETS), models=["dlinear", "trivial"], training=training
    )
    return project, project.snakemake()


def test_files_in_place_train_through_to_tables(outcome: tuple[Project, Outcome]) -> None:
    project, said = outcome
    assert said.code == 0, said.text
    assert said.rules["train"] == said.rules["classic"] == len(DATASETS)
    tables = project.folder / STUDY / "tables"
    for task in ("classification", "anomaly_detection", "signal_prediction", "rul_prediction"):
        assert "DLinear" in (tables / f"{task}.md").read_text(encoding="utf-8")
    assert "a proxy label" in (tables / "rul_prediction.md").read_text(encoding="utf-8")
    with (project.folder / STUDY / "results.csv").open(encoding="utf-8") as file:
        scored = {(row["dataset"], row["task"]) for row in csv.DictReader(file)}
    assert ("vb_uestc", "classification") in scored
    assert ("vb_femto", "rul_prediction") in scored
    assert ("vb_sim", "anomaly_detection") in scored


@pytest.mark.parametrize("name", DATASETS)
def test_no_sample_is_copied(outcome: tuple[Project, Outcome], name: str) -> None:
    project, _ = outcome
    store = project.folder / "data" / name
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    with h5py.File(store / "recordings.h5", "r") as file:
        group = file["recordings"]
        links = [group.get(key, getlink=True) for key in group]
    assert len(links) == manifest["recordings"]
    assert all(isinstance(link, h5py.ExternalLink) for link in links)
    size = (store / "recordings.h5").stat().st_size
    assert size < 1024 * manifest["recordings"]  # a link is some hundred bytes
    assert size < manifest["bytes"] / 20


def test_the_report_lists_the_defects(outcome: tuple[Project, Outcome]) -> None:
    folder = outcome[0].folder / "data"
    text = (folder / "vb_femto" / "data-report.md").read_text(encoding="utf-8")
    assert "| a record with zero channels | 1 | left out |" in text
    assert "| a record without a row in the table | 1 | left out |" in text
    assert "proxy label" in text
    text = (folder / "vb_uestc" / "data-report.md").read_text(encoding="utf-8")
    assert "- Id 100: table 77, array 24000" in text
    text = (folder / "vb_sim" / "data-report.md").read_text(encoding="utf-8")
    assert "No disagreement." in text


def test_a_changed_file_stops_training_with_the_command_that_mends_it(
    outcome: tuple[Project, Outcome], tmp_path: Path
) -> None:
    """The last test of this file: it touches the users' files."""
    project, _ = outcome
    theirs = Path(project.environment["PHM_DATA_ROOT"]) / "sim" / "RM_099_TEST.h5"
    os.utime(theirs, (1_000_000_000, 1_000_000_000))
    project.verb("forget", f"{STUDY}/vb_sim/dlinear/all/1")
    project.edit("config.yaml", training={"epochs": 2, "batch_size": 64})
    refused = project.snakemake(f"{STUDY}/results/vb_sim/dlinear/all/seed1/predictions.h5")
    assert refused.code != 0
    assert "has changed since the store was made" in refused.text
    assert "--force data/vb_sim/recordings.h5" in refused.text
    mended = project.snakemake("--forcerun", "recordings", "--until", "recordings")
    assert mended.code == 0, mended.text
    assert mended.rules["recordings"] == len(DATASETS)
    again = project.snakemake(f"{STUDY}/results/vb_sim/dlinear/all/seed1/predictions.h5")
    assert again.code == 0, again.text
