import numpy as np
import pandas as pd
import pytest

from workflow_src.errors import BadData
from workflow_src.predictions import (
    SPAN_COLUMNS,
    Predictions,
    ScoreFacts,
    TaskPredictions,
    read_predictions,
    write_predictions,
)


def spans(count):
    table = pd.DataFrame({column: ["ä b/c"] * count for column in SPAN_COLUMNS})
    for column in ("start", "time_s", "life_s", "onset_s"):
        table[column] = np.linspace(0, 1 / 3, count)
    table["onset_s"] = np.nan
    return table


def make(count):
    rng = np.random.default_rng(0)
    return Predictions(
        spans(count),
        {
            "signal_prediction": TaskPredictions(
                np.ones(count, bool),
                {row: rng.normal(size=(count, 2)).astype(np.float32) for row in ("b", "AR(32)")},
                columns=("one", "two"),
            ),
            "classification": TaskPredictions(
                rng.random(count) < 0.5,
                {"model": rng.normal(size=(count, 3)).astype(np.float32)},
                target=rng.integers(0, 3, count).astype(np.float64),
            ),
        },
        ScoreFacts(classes=("normal", "innér"), mean_training_life_s=1 / 3),
    )


@pytest.mark.parametrize("count", [0, 1, 7])
def test_what_is_written_is_read_back(tmp_path, count):
    before = make(count)
    write_predictions(tmp_path / "p.h5", before)
    after = read_predictions(tmp_path / "p.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]
    assert after.facts == before.facts
    for column in SPAN_COLUMNS:
        assert np.array_equal(
            after.spans[column], before.spans[column], equal_nan=column == "onset_s"
        )
    assert list(after.tasks) == list(before.tasks)
    for name, task in before.tasks.items():
        found = after.tasks[name]
        assert np.array_equal(found.mask, task.mask)
        assert found.columns == task.columns
        assert list(found.outputs) == list(task.outputs)
        assert all(np.array_equal(found.outputs[row], task.outputs[row]) for row in task.outputs)
        assert (found.target is None) == (task.target is None)
        if task.target is not None:
            assert np.array_equal(found.target, task.target)


def test_rows_that_do_not_line_up_are_refused():
    with pytest.raises(ValueError, match="classification/model has 2 rows, the spans have 3"):
        Predictions(
            spans(3),
            {"classification": TaskPredictions(np.ones(3, bool), {"model": np.zeros((2, 3))})},
        )


def test_a_failed_write_keeps_the_file_before(tmp_path):
    path = tmp_path / "p.h5"
    write_predictions(path, make(3))
    before = path.read_bytes()
    broken = make(4)
    del broken.spans["rig"]
    with pytest.raises(KeyError):
        write_predictions(path, broken)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.h5"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path, damage):
    path = tmp_path / "p.h5"
    if damage != "missing":
        write_predictions(path, make(200))
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    with pytest.raises(BadData, match=r"rm .*p\.h5"):
        read_predictions(path)
