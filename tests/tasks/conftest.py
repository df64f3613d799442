"""Predictions of one task, built from what a test cares about."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src.predictions import SPAN_COLUMNS, Predictions, ScoreFacts, TaskPredictions


def build(
    task: str,
    output: Any,
    target: Any = None,
    *,
    recording: Any = None,
    run: Any = None,
    part: Any = "test",
    mask: Any = None,
    time_s: Any = np.nan,
    columns: tuple[str, ...] = (),
    **facts: Any,
) -> Predictions:
    output = np.asarray(output, np.float32)
    count = len(output)
    recording = np.arange(count) if recording is None else recording
    spans = pd.DataFrame(
        {
            "rig": "rig",
            "recording_id": np.asarray(recording).astype(str),
            "unit_id": "u",
            "run_id": np.asarray(recording if run is None else run).astype(str),
            "condition": "c",
            "part": part,
            "start": 0.0,
            "time_s": time_s,
            "life_s": np.nan,
            "onset_s": np.nan,
        }
    )[list(SPAN_COLUMNS)]
    content = TaskPredictions(
        np.ones(count, bool) if mask is None else np.asarray(mask, bool),
        {"model": output},
        None if target is None else np.asarray(target, np.float64),
        columns,
    )
    return Predictions(spans, {task: content}, ScoreFacts.model_validate(facts))


@pytest.fixture(scope="session")
def predictions() -> Callable[..., Predictions]:
    return build


def take(predictions: Predictions, rows: Any) -> Predictions:
    """The same predictions with spans reordered, repeated or dropped."""
    tasks = {
        name: TaskPredictions(
            content.mask[rows],
            {row: output[rows] for row, output in content.outputs.items()},
            None if content.target is None else content.target[rows],
            content.columns,
        )
        for name, content in predictions.tasks.items()
    }
    spans = predictions.spans.iloc[rows].reset_index(drop=True)
    return Predictions(spans, tasks, predictions.facts)


@pytest.fixture(scope="session")
def repeat() -> Callable[..., Predictions]:
    return take


@pytest.fixture(scope="session")
def same_scores() -> Callable[[Any, Any], None]:
    def check(one: Any, other: Any) -> None:
        assert one.undefined == other.undefined
        for name, value in one.values.items():
            if value is not None:
                assert value == pytest.approx(other.values[name], abs=1e-6), name

    return check
