"""Scores of supervised fault detection; each recording counts once.

The threshold of an alarm is the 95th percentile of the healthy spans of the validation part, which
lies in the training conditions: nothing of the test part enters it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.artifacts.cell_metrics import Scores
from workflow_src.predictions import Predictions
from workflow_src.tasks.scores import (
    Floats,
    Metric,
    Scored,
    UndefinedError,
    all_undefined,
    collect,
    labelled,
    ratio,
)

TASK = "anomaly_detection"
MAIN = "auroc"
TRIVIAL = ("always the majority", "RMS stump")
REFERENCE: tuple[str, ...] = ()
METRICS = (
    Metric("auroc", "AUROC", True),
    Metric("false_alarm_rate", "false alarms", False),
    Metric("recall", "recall", True),
    Metric("f1", "F1", True),
    Metric("balanced_accuracy", "balanced accuracy", True),
    Metric("average_precision", "average precision", True),
    Metric("partial_auroc", "AUROC, FPR to 0.1", True),
    Metric("fpr_at_95_tpr", "FPR at 95 % TPR", False),
)
_QUANTILE = 0.95
_MAX_FPR = 0.1
_ROUNDING = 1e-9  # shares that differ by less are equal: sums of weights round


def score(predictions: Predictions, row: str) -> Scores:
    """Scores of `row` on the test part, alarms by the threshold of the validation part."""
    test = labelled(predictions, TASK, row, "test")
    if not len(test):
        return all_undefined(METRICS, "no span of the test part is known healthy or faulty")
    faulty = test.target > 0.5
    if faulty.all() or not faulty.any():
        return all_undefined(METRICS, f"all of test is {'faulty' if faulty[0] else 'healthy'}")

    curve = roc_curve(test.output, faulty, test.weights)
    validation = labelled(predictions, TASK, row, "val")

    def rates() -> tuple[float, float]:
        alarm = test.output > threshold(validation)
        return (
            float(test.weights @ (alarm & faulty) / (test.weights @ faulty)),
            float(test.weights @ (alarm & ~faulty) / (test.weights @ ~faulty)),
        )

    def f1() -> float:
        recall, false_alarms = rates()
        share = float(test.weights @ faulty)  # of the total weight, which is 1
        return 2 * recall * share / (recall * share + false_alarms * (1 - share) + share)

    return collect(
        METRICS,
        {
            "auroc": lambda: area(*curve),
            "false_alarm_rate": lambda: rates()[1],
            "recall": lambda: rates()[0],
            "f1": f1,
            "balanced_accuracy": lambda: (rates()[0] + 1 - rates()[1]) / 2,
            "average_precision": lambda: average_precision(test.output, faulty, test.weights),
            "partial_auroc": lambda: partial_area(*curve),
            "fpr_at_95_tpr": lambda: float(curve[0][curve[1] >= 0.95 - _ROUNDING].min()),
        },
    )


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
