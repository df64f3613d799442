"""Scores of supervised fault detection; each recording counts once.

The threshold of an alarm is the 95th percentile of the healthy spans of the validation part, which
lies in the training conditions: nothing of the test part enters it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workflow_src.predictions import Predictions
from workflow_src.tasks.curves import area, average_precision, partial_area, roc_curve
from workflow_src.tasks.registry import Task
from workflow_src.tasks.scores import (
    Floats,
    Metrics,
    OnCopies,
    Scored,
    UndefinedError,
    labelled,
    ratio,
)

_NAME = "anomaly_detection"
_QUANTILE = 0.95
_ALARMS = 3  # in a row, that are believed
_ROUNDING = 1e-9  # shares that differ by less are equal: sums of weights round


@dataclass(frozen=True)
class Detected:
    """The spans that are known healthy or faulty: both kinds are among those of the test part."""

    test: Scored
    validation: Scored
    is_distance: bool  # whether the output ranks spans, but is no logit

    @cached_property
    def faulty(self) -> NDArray[np.bool_]:
        """(n,) of the test part."""
        return self.test.target > 0.5

    @cached_property
    def curve(self) -> tuple[Floats, Floats]:
        """See `roc_curve`."""
        return roc_curve(self.test.output, self.faulty, self.test.weights)

    @cached_property
    def rates(self) -> tuple[float, float]:
        """Share of faulty and of healthy weight that alarms; undefined without a threshold."""
        weights, faulty = self.test.weights, self.faulty
        alarm = self.test.output > threshold(self.validation)
        return (
            float(weights @ (alarm & faulty) / (weights @ faulty)),
            float(weights @ (alarm & ~faulty) / (weights @ ~faulty)),
        )

    @property
    def away(self) -> Floats:
        """(n,) logit of the kind that a span is not of; undefined where the output is no logit."""
        if self.is_distance:
            raise UndefinedError("the score is a distance, not a probability")
        return np.where(self.faulty, -self.test.output, self.test.output)

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Of the total weight: true alarms, false alarms, missed faults, rightly quiet spans."""
        recall, false_alarms = self.rates
        share = float(self.test.weights @ self.faulty)
        found, false = recall * share, false_alarms * (1 - share)
        return found, false, share - found, 1 - share - false


def _detected(predictions: Predictions, row: str) -> Detected:
    test = labelled(predictions, _NAME, row, "test")
    if not len(test):
        raise UndefinedError("no span of the test part is known healthy or faulty")
    faulty = test.target > 0.5
    if faulty.all() or not faulty.any():
        raise UndefinedError(f"all of test is {'faulty' if faulty[0] else 'healthy'}")
    is_distance = row in predictions.tasks[_NAME].distances
    return Detected(test, labelled(predictions, _NAME, row, "val"), is_distance)


METRICS = Metrics(_detected)


@METRICS.add("AUROC", higher_is_better=True)
def auroc(of: Detected) -> float:
    """Area under true over false positive rates: a faulty span scores above a healthy one."""
    return area(*of.curve)


@METRICS.add("false alarms", higher_is_better=False)
def false_alarm_rate(of: Detected) -> float:
    """Share of healthy spans above the threshold; undefined where there is none."""
    return of.rates[1]


@METRICS.add("recall", higher_is_better=True)
def recall(of: Detected) -> float:
    """Share of faulty spans above the threshold; undefined where there is none."""
    return of.rates[0]


@METRICS.add("F1", higher_is_better=True)
def f1(of: Detected) -> float:
    """2 P R / (P + R) of the alarms, which is 0 without a true one."""
    recall, false_alarms = of.rates
    share = float(of.test.weights @ of.faulty)  # of the total weight, which is 1
    return 2 * recall * share / (recall * share + false_alarms * (1 - share) + share)


@METRICS.add("F2", higher_is_better=True)
def f2(of: Detected) -> float:
    """5 P R / (4 P + R) of the alarms: recall counts twice as much as precision."""
    found, false, missed, _ = of.shares
    return 5 * found / (5 * found + 4 * missed + false)


@METRICS.add("accuracy", higher_is_better=True)
def accuracy(of: Detected) -> float:
    """Share of spans that rightly alarm or rightly do not."""
    found, _, _, quiet = of.shares
    return found + quiet


@METRICS.add("precision", higher_is_better=True)
def precision(of: Detected) -> float:
    """Share of alarms on faulty spans; undefined where nothing alarms."""
    found, false, _, _ = of.shares
    return ratio(found, found + false, "nothing alarms")


@METRICS.add("specificity", higher_is_better=True)
def specificity(of: Detected) -> float:
    """Share of healthy spans that do not alarm."""
    return 1 - of.rates[1]


@METRICS.add("Matthews", higher_is_better=True, low=-1)
def matthews(of: Detected) -> float:
    """Correlation of alarm and fault (Matthews 1975); undefined where all or nothing alarms."""
    found, false, missed, quiet = of.shares
    spread = (found + false) * (missed + quiet) * (found + missed) * (false + quiet)
    if spread <= _ROUNDING**2:
        raise UndefinedError("all spans alarm, or none does")
    return float((found * quiet - false * missed) / np.sqrt(spread))


@METRICS.add("balanced accuracy", higher_is_better=True)
def balanced_accuracy(of: Detected) -> float:
    """Mean of recall and specificity."""
    return (of.rates[0] + 1 - of.rates[1]) / 2


@METRICS.add("average precision", higher_is_better=True, name="average_precision")
def _average_precision(of: Detected) -> float:
    """See `average_precision`."""
    return average_precision(of.test.output, of.faulty, of.test.weights)


@METRICS.add("AUROC, FPR to 0.1", higher_is_better=True)
def partial_auroc(of: Detected) -> float:
    """See `partial_area`."""
    return partial_area(*of.curve)


@METRICS.add("FPR at 95 % TPR", higher_is_better=False)
def fpr_at_95_tpr(of: Detected) -> float:
    """Least false positive rate of a threshold that finds 95 % of the faulty weight."""
    false, true = of.curve
    return float(false[true >= 0.95 - _ROUNDING].min())


@METRICS.add("equal error rate", higher_is_better=False)
def equal_error_rate(of: Detected) -> float:
    """Where the curve, straight between its points, has as many false alarms as missed faults."""
    false, true = of.curve
    excess = false + true - 1  # from -1 to 1, never falling
    after = int((excess >= 0).argmax())
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


@METRICS.add("log loss", higher_is_better=False, high=math.inf, unit="nat")
def log_loss(of: Detected) -> float:
    """Mean of -log p of the kind that a span is of, with p the logistic function of its output."""
    return float(of.test.weights @ np.logaddexp(0, of.away))


@METRICS.add("Brier", higher_is_better=False, high=2)
def brier(of: Detected) -> float:
    """Mean of the squared distance of p from the kind of a span, summed over both (Brier 1950)."""
    wrong = np.exp(-np.logaddexp(0, -of.away))  # (n,) probability of the other kind
    return float(2 * of.test.weights @ wrong**2)


@METRICS.add("detection delay", higher_is_better=False, high=math.inf, unit="s")
def detection_delay(of: Detected) -> float:
    """Time from the onset of a fault to the third alarm in a row, averaged over runs.

    The outputs of a recording are averaged before the threshold. Undefined where no onset is known,
    or a run has no three alarms in a row after its own.
    """
    spans = of.test.spans.assign(output=of.test.output)
    spans = spans[spans["onset_s"].notna() & (spans["time_s"] >= spans["onset_s"])]
    if spans.empty:
        raise UndefinedError("no onset of a fault is known")
    limit, delays = threshold(of.validation), []
    for (_, run), own in spans.groupby(["rig", "run_id"]):
        shown = own.groupby("recording_id")[["time_s", "onset_s", "output"]].mean()
        shown = shown.sort_values("time_s")
        in_a_row = (shown["output"] > limit).rolling(_ALARMS).sum() == _ALARMS
        if not in_a_row.any():
            raise UndefinedError(f"run {run} has no {_ALARMS} alarms in a row after its onset")
        delays.append(float((shown["time_s"] - shown["onset_s"])[in_a_row].iloc[0]))
    return float(np.mean(delays))


def threshold(validation: Scored) -> float:
    """Score above which a span alarms: the weighted 95th percentile of healthy validation spans.

    Where every validation span has the same score there is no percentile to speak of: a constant
    alarms by its own label, the sign of its logit.
    """
    healthy = validation.where(validation.target < 0.5)
    if not len(healthy):
        raise UndefinedError("no healthy span in the validation part to set the threshold by")
    if np.ptp(validation.output) == 0:
        return 0.0
    order = np.argsort(healthy.output, kind="stable")
    reached = healthy.weights[order].cumsum() >= _QUANTILE - _ROUNDING
    return float(healthy.output[order][reached.argmax()])


def _on_copies(predictions: Predictions, row: str) -> OnCopies:
    of = _detected(predictions, row)
    return OnCopies(of.test, lambda copies: auroc(replace(of, test=of.test.copied(copies))))


score = METRICS.score
SPEC = Task(
    title="Fault detection (supervised)",
    metrics=tuple(METRICS),
    score=score,
    main="auroc",
    on_copies=_on_copies,
    # An area under the curve says nothing of the alarms that a threshold gives, nor of the misses.
    companions=("recall", "false_alarm_rate"),
    note="Supervised, a coarsening of the fault classes: a gain here is no evidence of its own "
    "beside classification. The threshold of the false alarms is the 95th percentile of the "
    "healthy validation spans.",
    trivial=("always the majority", "RMS stump"),
    baseline="workflow_src.classic.trivial:MajorityAndStump",
)
