"""The rows that every table needs beside a network: what costs no learning worth the name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pkgutil import resolve_name

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.classic.problem import Measured, Problem, Signals
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.configuration.tasks import tasks_on
from workflow_src.errors import BadData
from workflow_src.features.autoregression import ORDER, Autoregression, forecast
from workflow_src.predictions import Predictions, ScoreFacts, TaskPredictions, targets_of
from workflow_src.tasks.curves import roc_curve
from workflow_src.tasks.registry import task_of
from workflow_src.tasks.rul_prediction.score import clock
from workflow_src.tasks.scores import group_ids, recording_weights
from workflow_src.tasks.signal_prediction.span_statistics import STATISTICS, forecast_statistics

Floats = NDArray[np.float64]
Rows = tuple[TaskPredictions, ScoreFacts]  # and the facts, with what the scores of them need

_SILENCE = 1e-12  # least RMS, so that a dead channel has a logarithm


class Options(ClassicOptions):
    """The trivial rows have no keys."""


def predict(problem: Problem, options: Options) -> Predictions:
    """Fit the trivial rows of each task on the training part, predict validation and test.

    The clock adds its mean life to the facts. A training part without a label that a task needs,
    or a life without times, is BadData.
    """
    baselines: dict[str, Baseline] = {
        task: resolve_name(path)() for task in problem.tasks if (path := task_of(task).baseline)
    }
    learn = _log_rms_and([baseline.learn for baseline in baselines.values()])
    train = problem.measure(problem.train(), learn)
    answer = _log_rms_and([baseline.predict for baseline in baselines.values()])
    held = problem.measure(problem.held(), answer)
    content, facts = {}, problem.facts
    for task, baseline in baselines.items():
        content[task], facts = baseline.rows(train, held, facts)
    return Predictions(held.spans, content, facts)


def _log_rms_and(each: Sequence[Callable[[Signals], None]]) -> Callable[[Signals], Floats]:
    """Measures the log RMS of windows less their mean, (n, C); `each` sees every batch too."""

    def log_rms(spans: Signals) -> Floats:
        for see in each:
            see(spans)
        rms = spans.window.std(1, dtype=np.float64)  # (n, L, C) -> (n, C)
        logs: Floats = np.log(np.maximum(rms, _SILENCE))
        return logs

    return log_rms


class Baseline:
    """The trivial rows of one task. It sees each batch of spans in passing, and then all labels."""

    def learn(self, spans: Signals) -> None:
        """See a batch of the training part."""

    def predict(self, spans: Signals) -> None:
        """See a batch of the validation or the test part, after the whole training part."""

    def rows(self, train: Measured, held: Measured, facts: ScoreFacts) -> Rows:
        """The rows for the spans `held`."""
        raise NotImplementedError


class MajorityClass(Baseline):
    """`majority class`."""

    def rows(self, train: Measured, held: Measured, facts: ScoreFacts) -> Rows:
        """See `_classification`."""
        return _classification(train, held, len(facts.classes)), facts


class MajorityAndStump(Baseline):
    """`always the majority` and `RMS stump`."""

    def rows(self, train: Measured, held: Measured, facts: ScoreFacts) -> Rows:
        """See `_anomaly`."""
        return _anomaly(train, held), facts


class MeanAndClock(Baseline):
    """`training mean`, `clock` and `clock per condition`."""

    def rows(self, train: Measured, held: Measured, facts: ScoreFacts) -> Rows:
        """See `_rul`; the facts get the mean training life."""
        content, life_s = _rul(train, held)
        return content, facts.model_copy(update={"mean_training_life_s": life_s})


class MeanAndAutoregression(Baseline):
    """`input mean` and `AR(32)`: the statistics of their forecasts."""

    def __init__(self) -> None:
        self.autoregression = Autoregression(ORDER)
        self.matrices: Floats | None = None  # (C, H, p), once the horizon is known
        self.statistics: dict[str, list[NDArray[np.float32]]] = {"input mean": [], "AR(32)": []}

    def learn(self, spans: Signals) -> None:
        """Add windows to the correlations."""
        self.autoregression.add(spans.window)

    def predict(self, spans: Signals) -> None:
        """Forecast the horizons."""
        window, horizon = spans.window, spans.horizon
        if self.matrices is None:
            self.matrices = self.autoregression.forecaster(horizon.shape[1])
        mean = window.mean(1, dtype=np.float64)  # (n, C)
        deviation = window.std(1, dtype=np.float64)  # (n, C)
        forecasts = {
            "input mean": np.broadcast_to(mean[:, None], horizon.shape),
            "AR(32)": forecast(self.matrices, window),
        }
        for row, values in forecasts.items():
            self.statistics[row].append(
                forecast_statistics(
                    values, horizon, mean=mean, deviation=deviation, last=window[:, -1]
                )
            )

    def rows(self, train: Measured, held: Measured, facts: ScoreFacts) -> Rows:
        """The statistics of all spans; `train` and `held` are not needed."""
        outputs = {row: np.concatenate(parts) for row, parts in self.statistics.items()}
        count = len(held.spans)
        return TaskPredictions(np.ones(count, np.bool_), outputs, columns=STATISTICS), facts


def _classification(train: Measured, held: Measured, classes: int) -> TaskPredictions:
    """`majority class`: the log of the share of training recordings, for every span."""
    train = _labelled(train, train.fault >= 0, "a fault class")
    share = np.bincount(train.fault, recording_weights(train.spans), minlength=classes)
    logits = np.log(np.maximum(share, 1e-3)).astype(np.float32)  # (K,)
    target, mask = targets_of("fault", held)
    return TaskPredictions(mask, {"majority class": np.tile(logits, (len(held.spans), 1))}, target)


def _anomaly(train: Measured, held: Measured) -> TaskPredictions:
    """`always the majority`: one logit for all; `RMS stump`: see `stump`."""
    train = _labelled(train, ~np.isnan(train.anomaly), "a label of healthy or faulty")
    faulty = train.anomaly > 0.5
    weights = recording_weights(train.spans)
    share = np.clip(weights @ faulty, 1e-3, 1 - 1e-3)
    if faulty.all() or not faulty.any():
        raise BadData(
            "A stump on the RMS needs healthy and faulty spans in the training part.",
            found=f"only {'faulty' if faulty[0] else 'healthy'} ones",
            remedy=f"choose another split, or a task set without `{tasks_on('anomaly')[0]}:`",
        )
    channel, direction, threshold = stump(train.values, faulty, weights)
    constant = np.full(len(held.spans), np.log(share / (1 - share)), np.float32)
    distance = (direction * (held.values[:, channel] - threshold)).astype(np.float32)
    target, mask = targets_of("anomaly", held)
    outputs = {"always the majority": constant, "RMS stump": distance}
    return TaskPredictions(mask, outputs, target, distances=("RMS stump",))


def stump(features: Floats, faulty: NDArray[np.bool_], weights: Floats) -> tuple[int, float, float]:
    """Feature, direction (1: faulty above, -1: below) and threshold of best balanced accuracy.

    `features` is (n, F); the threshold lies midway between two neighbouring values.
    """
    best = (0.0, 0, 1.0, float(features[:, 0].max()))
    for index, values in enumerate(features.T):
        distinct = np.unique(values)[::-1]
        if len(distinct) == 1:
            continue
        false, true = roc_curve(values, faulty, weights)  # a point a distinct value, from the top
        gain = (true - false)[1:-1]  # (distinct - 1,)
        at = int(np.abs(gain).argmax())
        if abs(gain[at]) > best[0]:
            midway = float(distinct[at] + distinct[at + 1]) / 2
            best = (abs(gain[at]), index, float(np.sign(gain[at])), midway)
    return best[1:]


def _rul(train: Measured, held: Measured) -> tuple[TaskPredictions, float]:
    """`training mean`: mean over runs; `clock`: 1 - t / mean training life, not below 0.

    `clock per condition` takes the mean life of the training runs at the same speed and load, and
    that of all where there is none. Returns the mean life of all (s) too.
    """
    train = _labelled(train, ~np.isnan(train.rul), "a remaining life")
    target, mask = targets_of("rul", held)
    life = _mean_life_s(train.spans)
    time = held.spans["time_s"].to_numpy(np.float64)  # (n,)
    if np.isnan(time[mask]).any() or np.isnan(life):
        raise BadData(
            "The clock needs times in life.",
            found="spans with a remaining life, but without a time or the length of that life",
            remedy="give `time_s` and `life_s` to every recording of a run to failure",
        )
    mean = np.full(
        len(time), _mean_over_runs(train.spans, train.rul.astype(np.float64)), np.float32
    )
    known = np.where(np.isnan(time), 0.0, time)
    lives = held.spans["condition"].map(_life_by_condition_s(train.spans)).fillna(life)
    outputs = {
        "training mean": mean,
        "clock": clock(known, life).astype(np.float32),
        "clock per condition": clock(known, np.asarray(lives, np.float64)).astype(np.float32),
    }
    return TaskPredictions(mask, outputs, target), life


def _mean_life_s(spans: pd.DataFrame) -> float:
    """Mean over runs of their life in seconds, of labelled training `spans`; NaN if unknown."""
    lives = spans.groupby(["rig", "run_id"])["life_s"].first(skipna=False)
    return float(lives.mean(skipna=False))


def _life_by_condition_s(spans: pd.DataFrame) -> pd.Series[float]:
    """Mean over runs of their life in seconds, by condition, of labelled training `spans`."""
    lives = spans.groupby(["condition", "rig", "run_id"])["life_s"].first()
    return lives.groupby("condition").mean()


def _mean_over_runs(spans: pd.DataFrame, values: Floats) -> float:
    """Mean of `values` (n,) over the spans of a snapshot, then over a run, then over runs."""
    table = pd.DataFrame(
        {
            "run": group_ids(spans, "run_id"),
            "recording": group_ids(spans, "recording_id"),
            "value": values,
        }
    )
    per_recording = table.groupby(["run", "recording"])["value"].mean()
    return float(per_recording.groupby("run").mean().mean())


def _labelled(train: Measured, keep: NDArray[np.bool_], what: str) -> Measured:
    if not keep.any():
        raise BadData(
            f"No span of the training part has {what}.",
            remedy="choose another split, or a task set without the tasks that need it",
        )
    return train.where(keep)
