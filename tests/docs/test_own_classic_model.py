"""The classic model of docs/extending.md is planned, run and shown as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from workflow_src.classic.models import predict
from workflow_src.classic.problem import Problem
from workflow_src.configuration import ResolvedCell, load
from workflow_src.configuration.resolved_cell import ClassicModel
from workflow_src.configuration.snapshot import keep, kept
from workflow_src.errors import UserError
from workflow_src.evaluation import evaluate

from ..classic.test_trivial import CLASSES, Source
from ..workflow.conftest import RUN, _write_project
from .page import blocks

SECTION = "A classic model"
FILE = "config/models/nearest_mean"
NAMED = {**RUN, "models": ["nearest_mean"], "hardware": "local"}


def written(folder: Path) -> Path:
    for place, text in blocks(SECTION).items():
        (folder / place).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Any:
    made = _write_project(tmp_path / "project")
    written(made.folder)
    return made


def cell(folder: Path) -> ResolvedCell:
    return load(NAMED, folder / "config").resolve("tiny", "nearest_mean", "all", 1)


def model_of(folder: Path) -> ClassicModel:
    model = cell(folder).model
    assert isinstance(model, ClassicModel)
    return model


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_it_learns_and_its_key_changes_what(project: Any) -> None:
    problem = Problem(Source(), ["classification", "rul_prediction"], CLASSES, 1)
    levels = []
    for key in ("kurtosis: true", "kurtosis: false"):
        yaml = project.folder / f"{FILE}.yaml"
        yaml.write_text(blocks(SECTION)[f"{FILE}.yaml"] + key + "\n", encoding="utf-8")
        predictions = predict(model_of(project.folder), problem)
        assert list(predictions.tasks) == ["classification"]
        levels.append(evaluate(predictions)["classification"]["model"].values["accuracy"])
    assert min(levels) > 0.8  # the faulty half of a life is louder
    assert model_of(project.folder).model_dump()["kurtosis"] is False


def test_its_text_is_in_the_identity_and_jobs_read_the_kept_one(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("WORKFLOW_CONFIGURATION", "")
    configuration = load(NAMED, project.folder / "config")
    before = configuration.resolve("tiny", "nearest_mean", "all", 1)
    keep(configuration)
    replaced(project.folder / f"{FILE}.py", "-distance", "-2 * distance")
    assert cell(project.folder).identity != before.identity
    assert kept().resolve("tiny", "nearest_mean", "all", 1) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("yaml", "method: nearest_mean.py", "method: nearest.py", "method: my_method.py"),
        ("yaml", "kind: classic", "kind: classic\nkurtosys: false", "nearest is `kurtosis`"),
        ("yaml", "kind: classic", "kind: classic\nwidth: 8", "takes `method` and no size"),
        ("py", "class Options(", "class Keys(", "import ClassicOptions"),
        ("py", "def predict(", "def answer(", "no function `predict`"),
        ("py", "return problem.predictions(held, outputs)", "return outputs", "return problem."),
    ],
)
def test_what_is_wrong_with_it_is_told(
    project: Any, file: str, old: str, new: str, said: str
) -> None:
    replaced(project.folder / f"{FILE}.{file}", old, new)
    with pytest.raises(UserError, match=re.escape(said)):
        predict(model_of(project.folder), Problem(Source(), ["classification"], CLASSES, 1))


@pytest.mark.slow
def test_a_cell_of_it_is_run_by_the_command_of_the_page(project: Any) -> None:
    done = project.snakemake("--config", "models=[nearest_mean]", "hardware=local")
    assert done.code == 0, done.text
    metrics = json.loads(project.kept("nearest_mean").read("metrics.json"))
    assert list(metrics["scores"]) == ["classification"]
    assert b"Nearest mean" in b"".join(project.tables.values())
    assert project.dry("--config", "models=[nearest_mean]", "hardware=local").nothing_to_do
