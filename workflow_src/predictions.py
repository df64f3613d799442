"""The file between models and scores: one row a span, one group a task.

Networks and baselines write it, evaluation reads it; nothing else passes between them.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_src.configuration import REVISIONS
from workflow_src.configuration.task_options import Label
from workflow_src.configuration.tasks import TASK_OPTIONS
from workflow_src.errors import BadData
from workflow_src.files import write_whole

MODEL_ROW = "model"
SPAN_COLUMNS = (
    "rig",
    "recording_id",
    "unit_id",
    "run_id",
    "condition",
    "part",
    "start",
    "time_s",
    "life_s",
    "onset_s",
)
_NUMBERS = ("start", "time_s", "life_s", "onset_s")


@dataclass
class TaskPredictions:
    """What was predicted for one task, a row a span.

    ``mask`` (n,) says which spans bear a label; ``target`` is (n,): class index, 0/1 or fraction
    of life left (absent for signal prediction, whose targets are too large to keep). ``outputs``
    maps a table row (``model`` for a network, else the baseline's name) to (n, ...): logits
    (n, classes), a logit (n,), a fraction (n,), or streaming statistics (n, statistics) whose
    names are `columns`. ``distances`` names the rows whose score ranks spans, but is no logit.
    """

    mask: NDArray[np.bool_]
    outputs: dict[str, NDArray[np.float32]]
    target: NDArray[np.float64] | None = None
    columns: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()


class TruncatedRun(BaseModel):
    """A test run that is seen up to a given time; all in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    truncation_s: float
    snapshot_s: float | None = None  # of its last snapshot before the truncation
    official_rul_s: float | None  # left at the truncation, by the table; None: it is not known
    full_run_rul_s: float | None  # left there, by the recorded end


class ScoreFacts(BaseModel):
    """What scores need beside predictions.

    Attributes:
        classes: by their index.
        strength: of the split, as it is proven.
        mean_training_life_s, longest_training_life_s: of runs to failure, s.
        truncation: by test run, where the split truncates them.
        fault_periods_per_horizon: the least, by fault, where speed and geometry are known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...] = ()
    strength: str = ""
    mean_training_life_s: float | None = None
    longest_training_life_s: float | None = None
    truncation: dict[str, TruncatedRun] = Field({})
    fault_periods_per_horizon: dict[str, float] | None = None


@dataclass
class Predictions:
    """All predictions of a cell on the validation and test parts.

    ``spans`` has the columns SPAN_COLUMNS (times in seconds, NaN where unknown; ``part`` is
    ``val`` or ``test``).
    """

    spans: pd.DataFrame
    tasks: dict[str, TaskPredictions]
    facts: ScoreFacts = field(default_factory=ScoreFacts)

    def __post_init__(self) -> None:
        """Refuse tables whose rows do not line up."""
        for name, task in self.tasks.items():
            arrays = {"mask": task.mask, **task.outputs}
            if task.target is not None:
                arrays["target"] = task.target
            for label, array in arrays.items():
                if len(array) != len(self.spans):
                    raise ValueError(
                        f"{name}/{label} has {len(array)} rows, the spans have {len(self.spans)}"
                    )


class Labels(Protocol):
    """Labels of n spans, as the span reader gives them."""

    @property
    def fault(self) -> NDArray[np.int64]:
        """Class index, -1 where there is none."""

    @property
    def anomaly(self) -> NDArray[np.float32]:
        """0 or 1, NaN where there is none."""

    @property
    def rul(self) -> NDArray[np.float32]:
        """Fraction of life left, NaN where there is none."""


def task_labels(task: str, spans: Labels) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """(target, mask) of the label that `task` learns."""
    return targets_of(TASK_OPTIONS[task].LABEL, spans)


def targets_of(
    label: Label | None, spans: Labels
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """(target, mask) of tasks on `label`; without one, no target is kept and every span counts."""
    if label is None:
        return None, np.ones(len(spans.fault), dtype=np.bool_)
    if label == "fault":
        return spans.fault.astype(np.float64), spans.fault >= 0
    values = spans.anomaly if label == "anomaly" else spans.rul
    return values.astype(np.float64), ~np.isnan(values)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions` to `path`, complete or not at all."""
    write_whole(path, lambda temporary: _write(temporary, predictions))


def _write(path: Path, predictions: Predictions) -> None:
    # Made in memory, where it lies anyway: HDF5 may crash the process when a disk runs full.
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=True) as file:
        file.attrs["revision"] = REVISIONS["predictions"]
        file.attrs["facts"] = json.dumps(
            predictions.facts.model_dump(exclude_unset=True), sort_keys=True
        )
        spans = file.create_group("spans")
        for column in SPAN_COLUMNS:
            values = predictions.spans[column]
            if column in _NUMBERS:
                spans[column] = values.to_numpy(np.float64)
            else:
                texts = values.astype(str).tolist()
                spans.create_dataset(column, data=texts, dtype=h5py.string_dtype())
        if not predictions.tasks:  # a group of groups is made with the first of them
            file.create_group("tasks")
        for name, task in predictions.tasks.items():
            _write_task(file.create_group(f"tasks/{name}"), task)
    path.write_bytes(content.getbuffer())


def _write_task(group: h5py.Group, task: TaskPredictions) -> None:
    group["mask"] = task.mask
    if task.target is not None:
        group["target"] = task.target
    group.attrs["columns"] = json.dumps(task.columns)
    if task.distances:
        group.attrs["distances"] = json.dumps(task.distances)
    outputs = group.create_group("outputs", track_order=True)
    for row, output in task.outputs.items():
        outputs.create_dataset(row, data=output.astype(np.float32, copy=False))


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; a damaged file is BadData."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            spans = {}
            for column in SPAN_COLUMNS:
                data = file["spans"][column]
                spans[column] = data[:] if column in _NUMBERS else data.asstr()[:]
            return Predictions(
                spans=pd.DataFrame(spans),
                tasks={name: _read_task(group) for name, group in file["tasks"].items()},
                facts=ScoreFacts.model_validate_json(file.attrs["facts"]),
            )
    except (OSError, KeyError, ValidationError) as error:
        raise BadData(
            "A predictions file cannot be read.",
            where=str(path),
            found=str(error),
            remedy=f"rm {path}   # the next run writes it again from the finished weights",
        ) from error


def is_current(path: Path) -> bool:
    """Whether a predictions file is of the present revision; a damaged one is of none."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return bool(file.attrs.get("revision") == REVISIONS["predictions"])
    except OSError:
        return False


def _read_task(group: h5py.Group) -> TaskPredictions:
    return TaskPredictions(
        mask=group["mask"][:],
        outputs={row: data[:] for row, data in group["outputs"].items()},
        target=group["target"][:] if "target" in group else None,
        columns=tuple(json.loads(group.attrs["columns"])),
        distances=tuple(json.loads(group.attrs.get("distances", "[]"))),
    )
