"""Rigs that the package bearing-datasets builds, from raw files to tables, with no network."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ..recordings import RECORDINGS
from .conftest import Outcome, Project

DATASETS = ("bd_hit_sm", "bd_uestc", "bd_cwru", "bd_femto")
STUDY = "packaged"
RUN = {
    "study": STUDY,
    "datasets": list(DATASETS),
    "models": ["dlinear", "trivial"],
    "task_sets": ["all"],
    "seeds": [1],
    "training": {"epochs": 1},
    "overrides": [{"cells": "bd_hit_sm*", "model": {"patch_length": 512}}],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (RECORDINGS / "FEMTO").is_dir(),
        reason="no recordings: set PHM_DATA_ROOT to their folder",
    ),
]


def data_root(folder: Path) -> Path:
    """A folder of data with the two local rigs, and a raw cache of the two public ones."""
    cache = folder / "bearing_datasets" / "_raw" / "sha256"
    cache.mkdir(parents=True)
    for name in ("CWRU", "FEMTO"):
        (folder / name).symlink_to(RECORDINGS / name)
    for name in ("HIT_SM", "UESTC"):
        for path in (RECORDINGS / name).rglob("*.mat"):
            (cache / hashlib.sha256(path.read_bytes()).hexdigest()).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def outcome(unrun: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    folder = tmp_path_factory.mktemp("packaged")
    environment = {"PHM_DATA_ROOT": str(data_root(folder / "data"))}
    copy = Path(shutil.copytree(unrun.folder, folder / "project"))
    project = Project(copy, environment, patience_s=900)
    (project.folder / "config" / "config.yaml").write_text(json.dumps(RUN), encoding="utf-8")
    return project, project.snakemake()


def table_of(project: Project, rig: str) -> list[dict[str, str]]:
    path = project.folder / "data" / rig / "recordings.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_four_train_through_to_their_tables(outcome: tuple[Project, Outcome]) -> None:
    project, said = outcome
    assert said.code == 0, said.text
    assert said.rules["built"] == 4
    assert said.rules["train"] == 4
    folder = project.folder / STUDY / "tables"
    for task in ("classification", "anomaly_detection", "signal_prediction", "rul_prediction"):
        assert "DLinear" in (folder / f"{task}.md").read_text(encoding="utf-8")


def test_nothing_is_built_again(outcome: tuple[Project, Outcome]) -> None:
    project, _ = outcome
    assert project.snakemake().nothing_to_do


@pytest.mark.parametrize(
    ("rig", "recordings", "faults"),
    [
        ("bd_hit_sm", 10, {"normal", "inner", "outer"}),
        ("bd_uestc", 12, {"normal", "inner", "outer", "ball"}),
        ("bd_cwru", 8, {"normal", "inner", "outer", "ball"}),
        ("bd_femto", 569, {""}),
    ],
)
def test_the_recordings_are_those_of_the_folders(
    outcome: tuple[Project, Outcome], rig: str, recordings: int, faults: set[str]
) -> None:
    project, _ = outcome
    table = table_of(project, rig)
    assert len(table) == recordings
    assert {row["fault"] for row in table} == faults
    manifest = json.loads((project.folder / "data" / rig / "manifest.json").read_text("utf-8"))
    folder = {"bd_hit_sm": "HIT_SM", "bd_uestc": "UESTC", "bd_cwru": "CWRU", "bd_femto": "FEMTO"}
    for name, digest in list(manifest["files"].items())[:20]:
        (path,) = (p for p in (RECORDINGS / folder[rig]).rglob(Path(name).name) if name in str(p))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_the_strength_and_the_tasks_are_those_of_the_folder_source(
    outcome: tuple[Project, Outcome],
) -> None:
    project, _ = outcome
    strengths = {
        name: json.loads((project.folder / "data" / name / "split.json").read_text("utf-8"))
        for name in DATASETS
    }
    assert {name: facts["strength"] for name, facts in strengths.items()} == {
        "bd_hit_sm": "condition",
        "bd_uestc": "condition",
        "bd_cwru": "time_block",
        "bd_femto": "unit",
    }


def test_time_in_life_comes_from_the_number_of_the_snapshot(
    outcome: tuple[Project, Outcome],
) -> None:
    """Of the FEMTO runs every k-th snapshot is there: a count of those would be no time."""
    project, _ = outcome
    table = [row for row in table_of(project, "bd_femto") if row["run_id"] == "Bearing1_1"]
    assert [float(r["time_s"]) for r in table] == [10.0 * (int(r["snapshot"]) - 1) for r in table]
    assert {float(r["life_s"]) for r in table} == {float(table[-1]["time_s"])}
    assert float(table[1]["time_s"]) == 460.0  # every 46th
    with (project.folder / STUDY / "results.csv").open(encoding="utf-8") as file:
        (clock,) = (
            float(row["value"])
            for row in csv.DictReader(file)
            if (row["dataset"], row["model"], row["row"], row["metric"])
            == ("bd_femto", "trivial", "clock", "rmse")
        )
    assert clock == pytest.approx(0.191, abs=5e-3)  # measured apart from this code


def test_without_raw_files_and_network_one_error_says_what_to_put_where(
    unrun: Project, tmp_path: Path
) -> None:
    project = Project(
        Path(shutil.copytree(unrun.folder, tmp_path / "project")),
        {"PHM_DATA_ROOT": str(tmp_path), "https_proxy": "http://127.0.0.1:9"},
    )
    project.edit("config.yaml", datasets=["bd_uestc"])
    said = project.snakemake("data/bd_uestc/built.json")
    assert said.code != 0
    log = (project.folder / "data" / "logs" / "bd_uestc.built.log").read_text(encoding="utf-8")
    assert "12 of 12 raw files of `uestc` are missing and cannot be fetched." in log
    assert "Data/B_1000/B_1000_5.mat: 1114632 bytes, sha256 18829b8b6b8c" in log
    assert "Traceback" not in log
    assert "12 of 12 raw files" in said.text  # and not only in a log
    with (tmp_path / "bearing_datasets" / "uestc_last.missing.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[0]["address"].startswith("https://raw.githubusercontent.com/ChangLiu2024/")
