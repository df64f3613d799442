"""The experiment on the public rigs, from their files to tables: every rig, one epoch."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from ..recordings import RECORDINGS
from .conftest import Outcome, Project

EXPERIMENT = "experiments/real_rigs.yaml"
DATASETS = (
    "femto_official",
    "uestc_noise10.fold1",
    "hit_severity.fold0",
    "cwru_ir028",
    "gfd_load.fold2",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (RECORDINGS / "FEMTO").is_dir(),
        reason="no recordings: set PHM_DATA_ROOT to their folder",
    ),
]


@pytest.fixture(scope="module")
def outcome(unrun: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    import shutil

    folder = tmp_path_factory.mktemp("real") / "project"
    project = Project(
        Path(shutil.copytree(unrun.folder, folder)), {"PHM_DATA_ROOT": str(RECORDINGS)}
    )
    project.edit(
        EXPERIMENT,
        datasets=list(DATASETS),
        models=["dlinear", "patchtst", "timesnet", "fno", "trivial"],
        training={"epochs": 1},
        overrides=[{"cells": "hit_*", "model": {"patch_length": 512}}],
    )
    return project, project.snakemake("--configfile", str(folder / "config" / EXPERIMENT))


def score(
    project: Project, dataset: str, task: str, row: str, metric: str, model: str = "trivial"
) -> float:
    with (project.folder / "real_rigs" / "results.csv").open(encoding="utf-8") as file:
        found = [
            float(line["value"])
            for line in csv.DictReader(file)
            if (line["dataset"], line["model"], line["task"], line["row"], line["metric"])
            == (dataset, model, task, row, metric)
        ]
    assert len(found) == 1, found
    return found[0]


def test_every_rig_trains_through_to_its_tables(outcome: tuple[Project, Outcome]) -> None:
    project, said = outcome
    assert said.code == 0, said.text
    assert said.rules["train"] == 4 * len(DATASETS)
    folder = project.folder / "real_rigs" / "tables"
    for task in ("classification", "anomaly_detection", "signal_prediction", "rul_prediction"):
        assert "DLinear" in (folder / f"{task}.md").read_text(encoding="utf-8")
    assert not list(folder.glob("*_simulated.*"))


def test_trivial_rows_are_at_the_measured_levels(outcome: tuple[Project, Outcome]) -> None:
    """The levels that were measured apart from this code on the same recordings."""
    project, _ = outcome
    rul = ("femto_official", "rul_prediction")
    assert score(project, *rul, "clock", "rmse") == pytest.approx(0.191, abs=5e-3)
    assert score(project, *rul, "training mean", "rmse") == pytest.approx(0.296, abs=5e-3)
    assert score(project, "femto_official", "signal_prediction", "AR(32)", "nmse") == pytest.approx(
        0.98, abs=0.05
    )


def test_one_class_in_test_leaves_macro_scores_undefined(outcome: tuple[Project, Outcome]) -> None:
    project, _ = outcome
    text = (project.folder / "real_rigs" / "tables" / "classification.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| DLinear"))
    accuracy = score(project, "cwru_ir028", "classification", "model", "accuracy", "dlinear")
    assert f"acc {accuracy:.3f}" in row


def test_the_experiment_has_every_protocol(unrun: Project, copied: Callable[..., Project]) -> None:
    project = Project(copied(unrun).folder, {"PHM_DATA_ROOT": str(RECORDINGS)})
    said = project.dry("--configfile", str(project.folder / "config" / EXPERIMENT))
    assert said.code == 0, said.text
    assert said.rules["split"] == 34  # datasets, rotations counted
    assert said.rules["train"] == 4 * 34
    assert said.rules["classic"] == 5 * 34


def test_without_the_folder_the_dry_run_says_what_to_set(
    copied: Callable[..., Project], unrun: Project
) -> None:
    project = Project(copied(unrun).folder, {"PHM_DATA_ROOT": ""})
    said = project.dry("--configfile", str(project.folder / "config" / EXPERIMENT))
    assert said.code != 0
    assert "data_root:" in said.text
    assert "PHM_DATA_ROOT" in said.text
