"""What a score is, and the weighting and grouping that all tasks share (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.artifacts.cell_metrics import Scores
from workflow_src.errors import BadData
from workflow_src.predictions import Predictions

Floats = NDArray[np.float64]
Outputs = NDArray[Any]  # of floats, in single precision where they are wide


V = TypeVar("V")  # what the metrics of a task are computed from


@dataclass(frozen=True)
class Metric:
    """A column of a table; values lie from ``low`` to ``high``, ``digits`` are shown."""

    name: str
    label: str
    higher_is_better: bool
    low: float
    high: float
    digits: int = 3
    unit: str = ""


class Metrics(Generic[V]):
    """The metrics of a task in their order, each declared where it is computed.

    `view` makes of predictions and a table's row what all of them read, and raises UndefinedError
    where none has a value.
    """

    def __init__(self, view: Callable[[Predictions, str], V]) -> None:
        self._view = view
        self._functions: dict[Metric, Callable[[V], float]] = {}

    def add(
        self,
        label: str,
        *,
        higher_is_better: bool,
        low: float = 0.0,
        high: float = 1.0,
        unit: str = "",
        name: str = "",
    ) -> Callable[[Callable[[V], float]], Callable[[V], float]]:
        """Declare the decorated function, by default under its own name, as a metric."""

        def declare(function: Callable[[V], float]) -> Callable[[V], float]:
            own = name or function.__name__
            metric = Metric(own, label, higher_is_better, low=low, high=high, unit=unit)
            self._functions[metric] = function
            return function

        return declare

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def score(self, predictions: Predictions, row: str) -> Scores:
        """Scores of `row` on the test part.

        A metric that raises UndefinedError, or has no finite value, gets its reason.
        """
        values: dict[str, float | None] = dict.fromkeys(metric.name for metric in self)
        try:
            view = self._view(predictions, row)
        except UndefinedError as reason:
            return Scores(values=values, undefined=dict.fromkeys(values, str(reason)))
        undefined: dict[str, str] = {}
        for metric, function in self._functions.items():
            try:
                value = float(function(view))
                if not np.isfinite(value):
                    raise UndefinedError("no finite value on these spans")
                values[metric.name] = value
            except UndefinedError as reason:
                undefined[metric.name] = str(reason)
        return Scores(values=values, undefined=undefined)


class UndefinedError(Exception):
    """A metric has no value here; the text says why."""


@dataclass(frozen=True)
class Scored:
    """The labelled spans of one part: table (n rows), target (n,) and output (n, ...)."""

    spans: pd.DataFrame
    target: Floats
    output: Outputs
    weights: Floats  # (n,), sum 1; all spans of a recording together weigh as much as another's

    def __len__(self) -> int:
        return len(self.spans)

    def where(self, keep: NDArray[np.bool_]) -> Scored:
        """The spans that `keep` (n,) marks, weighed anew."""
        if keep.all():
            return self  # no second copy of what may be large
        return _scored(self.spans[keep], self.target[keep], self.output[keep])

    def copied(self, copies: Floats) -> Scored:
        """The same spans where each counts (n,) times; all spans of a recording alike."""
        weights = self.weights * copies
        return replace(self, weights=weights / weights.sum())


class OnCopies(NamedTuple):
    """The labelled spans of the test part (n), and the main metric where each counts (n,) times."""

    test: Scored
    value: Callable[[Floats], float]


def labelled(
    predictions: Predictions, task: str, row: str, part: str, *, wide: bool = False
) -> Scored:
    """The labelled spans of `part` as a table's `row` predicts them.

    A task without targets gets NaN as target; output that is `wide` stays in single precision.
    Raises BadData where an output is not finite.
    """
    content = predictions.tasks[task]
    keep = content.mask & (predictions.spans["part"] == part).to_numpy(np.bool_)
    kept = content.outputs[row][keep]
    output = kept if wide else kept.astype(np.float64)
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


def _scored(spans: pd.DataFrame, target: Floats, output: Outputs) -> Scored:
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


def ratio(numerator: float, denominator: float, reason: str) -> float:
    """The quotient, undefined for `reason` where the denominator is 0."""
    if denominator == 0:
        raise UndefinedError(reason)
    return float(numerator / denominator)
