"""Scores of supervised fault detection; each recording counts once.

The threshold of an alarm is the 95th percentile of the healthy spans of the validation part, which
lies in the training conditions: nothing of the test part enters it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workflow_src.predictions import Predictions
from workflow_src.tasks.registry import Task
from workflow_src.tasks.scores import (
    Floats,
    Metrics,
    Scored,
    UndefinedError,
    labelled,
    ratio,
)

_NAME = "anomaly_detection"
_QUANTILE = 0.95
_MAX_FPR = 0.1
_ROUNDING = 1e-9  # shares that differ by less are equal: sums of weights round


@dataclass(frozen=True)
class Detected:
    """The spans that are known healthy or faulty: both kinds are among those of the test part."""

    test: Scored
    validation: Scored

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


def _detected(predictions: Predictions, row: str) -> Detected:
    test = labelled(predictions, _NAME, row, "test")
    if not len(test):
        raise UndefinedError("no span of the test part is known healthy or faulty")
    faulty = test.target > 0.5
    if faulty.all() or not faulty.any():
        raise UndefinedError(f"all of test is {'faulty' if faulty[0] else 'healthy'}")
    return Detected(test, labelled(predictions, _NAME, row, "val"))


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


def _by_threshold(
    output: Floats, faulty: NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Weight of false and of true alarms, for each distinct threshold from the highest down."""
    distinct, which = np.unique(-output, return_inverse=True)
    false = np.bincount(which, weights * ~faulty, minlength=len(distinct)).cumsum()
    true = np.bincount(which, weights * faulty, minlength=len(distinct)).cumsum()
    return false, true


def roc_curve(output: Floats, faulty: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates, (0, 0) first; equal scores are one step."""
    false, true = _by_threshold(output, faulty, weights)
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def area(fpr: Floats, tpr: Floats) -> float:
    """Area under the curve by trapezia, ties counting one half."""
    return float(np.diff(fpr) @ (tpr[1:] + tpr[:-1]) / 2)


def partial_area(fpr: Floats, tpr: Floats, limit: float = _MAX_FPR) -> float:
    """Area for false positive rates up to `limit`, standardised to 0.5 at chance (McClish 1989)."""
    inside = fpr <= limit
    height = np.interp(limit, fpr, tpr)  # the last of equal abscissae
    part = area(np.append(fpr[inside], limit), np.append(tpr[inside], height))
    chance = limit**2 / 2
    return float((1 + (part - chance) / (limit - chance)) / 2)


def average_precision(output: Floats, faulty: NDArray[np.bool_], weights: Floats) -> float:
    """Precision at each distinct threshold, weighted by the recall that it adds."""
    false, true = _by_threshold(output, faulty, weights)
    gained = np.diff(true, prepend=0.0)
    return ratio(float(gained @ (true / (true + false))), float(true[-1]), "no faulty span in test")


score = METRICS.score
SPEC = Task(
    title="Fault detection (supervised)",
    metrics=tuple(METRICS),
    score=score,
    main="auroc",
    # An area under the curve says nothing of the alarms that a threshold gives, nor of the misses.
    companions=("recall", "false_alarm_rate"),
    note="Supervised, a coarsening of the fault classes: a gain here is no evidence of its own "
    "beside classification. The threshold of the false alarms is the 95th percentile of the "
    "healthy validation spans.",
    trivial=("always the majority", "RMS stump"),
    baseline="workflow_src.classic.trivial:MajorityAndStump",
)
