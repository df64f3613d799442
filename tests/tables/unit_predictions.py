"""Predictions on units of several recordings, for every task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow_src.predictions import Predictions, ScoreFacts, TaskPredictions
from workflow_src.tasks.registry import task_of

CLASSES = ("normal", "inner", "outer")
TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")


def predictions(
    seed: int, units: int = 4, recordings: int = 2, skill: float = 0.6, **columns: str
) -> Predictions:
    """So many units of each class, each a run of recordings of one to four spans.

    `columns` set a column of the spans throughout.
    """
    rng = np.random.default_rng(seed)
    rows, classes = [], []
    for label in range(len(CLASSES)):
        for u in range(units):
            for r in range(recordings):
                for start in range(int(rng.integers(1, 5))):
                    rows.append((f"{label}_{u}_{r}", f"{label}_{u}", f"{label}_{u}", start, r))
                    classes.append(label)
    names = ["recording_id", "unit_id", "run_id", "start", "time_s"]
    spans = pd.DataFrame(rows, columns=names).astype({"time_s": float})
    known = {"rig": "a", "condition": "c", "life_s": 9.0, "onset_s": np.nan, **columns}
    spans = spans.assign(part="test", **known)
    target, n = np.array(classes), len(rows)
    everywhere = np.ones(n, np.bool_)
    # Each unit is as easy as it is: what a bootstrap of units is about.
    ease = skill * rng.normal(1, 0.5, (len(CLASSES), units))
    ease = ease[target, [int(name.split("_")[1]) for name in spans["recording_id"]]]  # (n,)
    logits = rng.normal(size=(n, len(CLASSES)))
    logits[np.arange(n), target] += ease
    columns_of = task_of("signal_prediction").columns
    statistics = np.abs(rng.normal(1 + ease[:, None], 0.2, (n, len(columns_of))))
    statistics[:, columns_of.index("steps")] = 64
    statistics[:, columns_of.index("channels")] = rng.integers(0, 3, n)
    left = 1 - spans["time_s"].to_numpy() / recordings
    tasks = {
        "classification": TaskPredictions(everywhere, {"model": logits}, target.astype(float)),
        "anomaly_detection": TaskPredictions(
            everywhere, {"model": -logits[:, 0]}, (target > 0).astype(float)
        ),
        "signal_prediction": TaskPredictions(everywhere, {"model": statistics}, columns=columns_of),
        "rul_prediction": TaskPredictions(
            everywhere, {"model": left + 0.1 * rng.normal(size=n) * ease}, left
        ),
    }
    healthy = np.flatnonzero(target == 0)[:1]  # sets the threshold of alarms
    whole = Predictions(spans, tasks, ScoreFacts(classes=CLASSES))
    return joined(whole, healthy)


def joined(whole: Predictions, validation: np.ndarray) -> Predictions:
    """The same with some rows once more, in the validation part."""
    rows = np.concatenate([np.arange(len(whole.spans)), validation])
    spans = whole.spans.iloc[rows].reset_index(drop=True)
    spans.loc[len(whole.spans) :, "part"] = "val"
    return Predictions(spans, {k: _rows(v, rows) for k, v in whole.tasks.items()}, whole.facts)


def drawn(whole: Predictions, copies: dict[str, int]) -> Predictions:
    """The test part with so many copies of each unit, each a unit of its own name."""
    is_test = (whole.spans["part"] == "test").to_numpy()
    pieces, names = [np.flatnonzero(~is_test)], [np.array([""] * int((~is_test).sum()))]
    for unit, count in copies.items():
        rows = np.flatnonzero(is_test & (whole.spans["unit_id"] == unit).to_numpy())
        for copy in range(count):
            pieces.append(rows)
            names.append(np.array([f"#{copy}"] * len(rows)))
    rows = np.concatenate(pieces)
    spans = whole.spans.iloc[rows].reset_index(drop=True)
    for column in ("unit_id", "run_id", "recording_id"):
        spans[column] = spans[column] + np.concatenate(names)
    return Predictions(spans, {k: _rows(v, rows) for k, v in whole.tasks.items()}, whole.facts)


def _rows(task: TaskPredictions, rows: np.ndarray) -> TaskPredictions:
    return TaskPredictions(
        task.mask[rows],
        {name: output[rows] for name, output in task.outputs.items()},
        None if task.target is None else task.target[rows],
        task.columns,
    )
