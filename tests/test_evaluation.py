import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_src.artifacts.cell_metrics import CellMetrics
from workflow_src.cells import Cell
from workflow_src.evaluation import evaluate, write_metrics
from workflow_src.predictions import (
    SPAN_COLUMNS,
    Predictions,
    ScoreFacts,
    TaskPredictions,
    write_predictions,
)
from workflow_src.tasks import TASKS
from workflow_src.tasks.registry import task_of

CELL = Cell("d", "m", "t", 7)


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    count = 40
    spans = pd.DataFrame({column: ["x"] * count for column in SPAN_COLUMNS})
    spans["recording_id"] = [f"r{i // 2}" for i in range(count)]
    spans["run_id"] = [f"run{i // 10}" for i in range(count)]
    spans["part"] = ["val", "test"] * (count // 2)
    for column in ("start", "time_s", "life_s", "onset_s"):
        spans[column] = np.arange(count, dtype=float)
    everything = np.ones(count, bool)

    def task(shape, target=None, columns=()):
        output = np.abs(rng.normal(size=shape)).astype(np.float32) + 0.1
        rows = {"model": output, "baseline": output[::-1].copy()}
        return TaskPredictions(everything, rows, target, columns)

    columns = task_of("signal_prediction").columns
    signal = task((count, len(columns)), columns=columns)
    for output in signal.outputs.values():
        output[:, :2] = (40, 2)
    return Predictions(
        spans,
        {
            "classification": task((count, 3), np.arange(count) // 2 % 2),
            "anomaly_detection": task(count, np.arange(count) // 2 % 2),
            "signal_prediction": signal,
            "rul_prediction": task(count, rng.random(count)),
        },
        ScoreFacts(classes=("normal", "inner", "outer")),
    )


@pytest.mark.parametrize("name", TASKS)
def test_metrics_have_names_of_their_own_and_those_that_are_shown_are_among_them(name):
    task = task_of(name)
    names = [metric.name for metric in task.metrics]
    stand_in = [] if task.stand_in is None else [task.stand_in[0]]
    assert {task.main, *task.companions, *stand_in} <= set(names)
    assert len(set(names)) == len(names) >= 4
    assert len({metric.label for metric in task.metrics}) == len(names)


def test_each_row_of_each_task_has_a_value_or_a_reason_for_every_metric(predictions):
    found = evaluate(predictions)
    assert list(found) == list(predictions.tasks)
    for name in TASKS:
        for row in ("model", "baseline"):
            scores = found[name][row]
            assert list(scores.values) == [metric.name for metric in task_of(name).metrics]
            none = {name for name, value in scores.values.items() if value is None}
            assert none == set(scores.undefined)
    assert "outer" in found["classification"]["model"].undefined["macro_f1"]


def test_metrics_are_written_whole_with_full_precision_and_bytes_that_repeat(tmp_path, predictions):
    write_predictions(tmp_path / "predictions.h5", predictions)
    texts = []
    for name in ("one.json", "two.json"):
        write_metrics(tmp_path / "predictions.h5", tmp_path / name, CELL, "abc")
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    found = CellMetrics.read(tmp_path / "one.json")
    assert found == CellMetrics(cell=CELL, identity="abc", scores=evaluate(predictions))
    content = json.loads(texts[0])
    assert content["cell"] == vars(CELL)
    assert list(content["scores"]) == sorted(content["scores"])
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.h5", "one.json", "two.json"}


def test_a_failure_keeps_the_metrics_before(tmp_path, predictions):
    path = tmp_path / "metrics.json"
    path.write_text("before")
    predictions.tasks["rul_prediction"].outputs["model"][:] = np.nan
    write_predictions(tmp_path / "predictions.h5", predictions)
    with pytest.raises(Exception, match="not finite"):
        write_metrics(tmp_path / "predictions.h5", path, CELL, "abc")
    assert path.read_text() == "before"


@pytest.mark.slow
def test_evaluation_and_baselines_import_neither_torch_nor_sklearn():
    code = (
        "import sys; import workflow_src.evaluation, workflow_src.classic.trivial;"
        "print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_what_a_killed_evaluation_left_is_removed(tmp_path, predictions):
    left = tmp_path / ".123.metrics.json"
    left.write_text("{", encoding="utf-8")
    write_predictions(tmp_path / "predictions.h5", predictions)
    write_metrics(tmp_path / "predictions.h5", tmp_path / "metrics.json", CELL, "abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "predictions.h5"]
