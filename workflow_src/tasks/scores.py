"""What a score is, and the weighting and grouping that all tasks share (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.artifacts.cell_metrics import Scores
from workflow_src.errors import BadData
from workflow_src.predictions import Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A column of a table; ``digits`` are shown after the point."""

    name: str
    label: str
    higher_is_better: bool
    digits: int = 3
    unit: str = ""


class UndefinedError(Exception):
    """A metric has no value here; the text says why."""


@dataclass(frozen=True)
class Scored:
    """The labelled spans of one part: table (n rows), target (n,) and output (n, ...)."""

    spans: pd.DataFrame
    target: Floats
    output: Floats
    weights: Floats  # (n,), sum 1; all spans of a recording together weigh as much as another's

    def __len__(self) -> int:
        return len(self.spans)

    def where(self, keep: NDArray[np.bool_]) -> Scored:
        """The spans that `keep` (n,) marks, weighed anew."""
        return _scored(self.spans[keep], self.target[keep], self.output[keep])


def labelled(predictions: Predictions, task: str, row: str, part: str) -> Scored:
    """The labelled spans of `part` as a table's `row` predicts them.

    A task without targets gets NaN as target. Raises BadData where an output is not finite.
    """
    content = predictions.tasks[task]
    keep = content.mask & (predictions.spans["part"] == part).to_numpy(np.bool_)
    output = content.outputs[row][keep].astype(np.float64)
    broken = ~np.isfinite(output).all(axis=tuple(range(1, output.ndim)))  # (n, ...) -> (n,)
    spans = predictions.spans[keep]
    if broken.any():
        first = spans[broken].iloc[0]
        raise BadData(
            f"{broken.sum()} predictions of `{row}` for {task} are not finite.",
            where=f"recording {first['recording_id']}, sample {first['start']:.0f}",
            expected="finite numbers: a network whose loss was finite gives them",
            remedy="python -m workflow_src reset <cell>   # then train again",
        )
    if content.target is None:
        return _scored(spans, np.full(len(spans), np.nan), output)
    return _scored(spans, content.target[keep], output)


def _scored(spans: pd.DataFrame, target: Floats, output: Floats) -> Scored:
    return Scored(spans, target, output, recording_weights(spans))


def group_ids(spans: pd.DataFrame, *columns: str) -> NDArray[np.int64]:
    """(n,) number from 0 on of the group, spans of one rig that agree in `columns`."""
    numbers = spans.groupby(["rig", *columns], sort=True, dropna=False).ngroup()
    return np.asarray(numbers, np.int64)


def recording_weights(spans: pd.DataFrame) -> Floats:
    """(n,) weights of sum 1, in which each recording counts once however many spans it has."""
    if not len(spans):
        return np.empty(0)
    ids = group_ids(spans, "recording_id")
    counts = np.bincount(ids)
    weights: Floats = 1.0 / (counts[ids] * len(counts))
    return weights


def collect(metrics: tuple[Metric, ...], functions: Mapping[str, Callable[[], float]]) -> Scores:
    """Compute every metric; what raises UndefinedError, or has no finite value, gets its reason."""
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for metric in metrics:
        try:
            value = float(functions[metric.name]())
            if not np.isfinite(value):
                raise UndefinedError("no finite value on these spans")
            values[metric.name] = value
        except UndefinedError as reason:
            values[metric.name] = None
            undefined[metric.name] = str(reason)
    return Scores(values=values, undefined=undefined)


def all_undefined(metrics: tuple[Metric, ...], reason: str) -> Scores:
    """Scores in which every metric is undefined for one reason."""
    names = [metric.name for metric in metrics]
    return Scores(values=dict.fromkeys(names), undefined=dict.fromkeys(names, reason))


def ratio(numerator: float, denominator: float, reason: str) -> float:
    """The quotient, undefined for `reason` where the denominator is 0."""
    if denominator == 0:
        raise UndefinedError(reason)
    return float(numerator / denominator)
