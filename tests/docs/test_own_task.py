"""The task and the metric of docs/extending.md work in a copy of the workflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ..workflow.conftest import STUDY, Project, _write_project
from .page import REPOSITORY, blocks

REGISTRY = "workflow_src/configuration/tasks.py"
TASK_SETS = "config/task_sets.yaml"
SCORES = "workflow_src/tasks/classification/score.py"
LAST = "score = METRICS.score\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small run in a copy of the workflow, with the task and the metric of the page in it."""
    made = _write_project(tmp_path / "project")
    folder = made.folder
    files = blocks("A task")
    inserted = {
        REGISTRY: ("_OPTIONS = {\n", "_OPTIONS = {\n" + files.pop(REGISTRY)),
        SCORES: (LAST, blocks("A metric")[SCORES] + f"\n\n{LAST}"),
    }
    for name, (before, after) in inserted.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert text.count(before) == 1
        write(folder / name, text.replace(before, after))
    sets = (REPOSITORY / TASK_SETS).read_text(encoding="utf-8")
    write(folder / TASK_SETS, sets + files.pop(TASK_SETS))
    for name, content in files.items():
        write(folder / name, content)
    return made


SCORE = """
import json, sys
import numpy as np
from workflow_src.configuration.task_set import TaskSet
from workflow_src.evaluation import evaluate
from workflow_src.predictions import SPAN_COLUMNS, Predictions, ScoreFacts, TaskPredictions
import pandas as pd

spans = pd.DataFrame({column: ["x"] * 4 for column in SPAN_COLUMNS})
spans = spans.assign(part="test", recording_id=list("abcd"))
every = np.ones(4, bool)
logits = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
levels = np.array([[0, 0], [0, 2], [0, 0], [0, 0]], np.float32)
tasks = {
    "classification": TaskPredictions(every, {"model": logits}, np.array([0.0, 0, 1, 1])),
    "level_prediction": TaskPredictions(every, {"model": levels}, columns=("truth", "forecast")),
}
found = evaluate(Predictions(spans, tasks, ScoreFacts(classes=("a", "b"))))
print(json.dumps({
    "given": list(TaskSet.model_validate({"level_prediction": {}}).given()),
    "scores": {task: rows["model"].model_dump() for task, rows in found.items()},
    "heavy": sorted({"torch", "matplotlib"} & set(sys.modules)),
}))
"""


@pytest.mark.slow
def test_the_task_and_the_metric_of_the_page_are_scored(project: Project) -> None:
    command = [sys.executable, "-c", SCORE]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["given"], found["heavy"]) == (["level_prediction"], [])
    scores = found["scores"]
    assert scores["classification"]["values"]["geometric_mean"] == pytest.approx(0.5**0.5)
    assert scores["level_prediction"]["values"] == {"rmse": 1.0, "r2": None}
    assert scores["level_prediction"]["undefined"] == {"r2": "all levels are equal"}


@pytest.mark.slow
def test_the_task_of_the_page_is_trained_and_shown(project: Project) -> None:
    models, sets = "models=[dlinear,trivial]", "task_sets=[level]"
    done = project.snakemake("--config", models, sets, "hardware=local")
    assert done.code == 0, done.text
    results = pd.read_csv(project.folder / STUDY / "results.csv")
    level = results[(results["task"] == "level_prediction") & (results["metric"] == "rmse")]
    assert set(level["row"]) == {"model", "no change"}
    assert level["value"].between(0, 5).all()
    table = project.tables["level_prediction_simulated.md"].decode()
    assert "Level of the horizon, RMSE" in table
    assert "no change" in table
    runs = project.folder / STUDY / "runs" / STUDY / "dlinear" / "level" / "seed1"
    history = (runs / "history.csv").read_text(encoding="utf-8")
    assert "level_prediction_span_rmse" in history
