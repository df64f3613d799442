"""Scores of fault classification; each recording counts once."""

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
    group_ids,
    labelled,
    ratio,
)

TASK = "classification"
MAIN = "macro_f1"
TRIVIAL = ("majority class",)
REFERENCE: tuple[str, ...] = ()
METRICS = (
    Metric("macro_f1", "macro F1", True),
    Metric("balanced_accuracy", "balanced accuracy", True),
    Metric("accuracy", "accuracy", True),
    Metric("recording_accuracy", "recording accuracy", True),
    Metric("worst_class_recall", "worst recall", True),
    Metric("matthews", "Matthews", True),
    Metric("log_loss", "log loss", False, unit="nat"),
    Metric("brier", "Brier", False),
    Metric("calibration_error", "ECE", False),
)
_BINS = 15


def score(predictions: Predictions, row: str) -> Scores:
    """Scores of `row` on the test part.

    Where one of ``facts.classes`` is absent from test, the metrics that average over classes are
    undefined.
    """
    classes = predictions.facts.classes
    test = labelled(predictions, TASK, row, "test")
    if not len(test):
        return all_undefined(METRICS, "no span of the test part has a class")
    target = test.target.astype(np.int64)  # (n,)
    confusion = confusion_matrix(target, test.output.argmax(1), test.weights, len(classes))
    probability = softmax(test.output)  # (n, K)

    def every_class() -> Floats:
        absent = [name for name, share in zip(classes, confusion.sum(1), strict=True) if not share]
        if absent:
            raise UndefinedError("absent from test: " + ", ".join(absent))
        return confusion

    return collect(
        METRICS,
        {
            "macro_f1": lambda: float(class_f1(every_class()).mean()),
            "balanced_accuracy": lambda: float(class_recall(every_class()).mean()),
            "accuracy": lambda: float(np.trace(confusion)),
            "recording_accuracy": lambda: _recording_accuracy(test, target, probability),
            "worst_class_recall": lambda: float(class_recall(every_class()).min()),
            "matthews": lambda: matthews(confusion),
            "log_loss": lambda: _log_loss(test, target),
            "brier": lambda: float(
                test.weights @ ((probability - np.eye(len(classes))[target]) ** 2).sum(1)
            ),
            "calibration_error": lambda: calibration_error(target, probability, test.weights),
        },
    )


def confusion_matrix(
    target: NDArray[np.int64], predicted: NDArray[np.int64], weights: Floats, classes: int
) -> Floats:
    """(K, K) weight of true class i predicted as class j."""
    flat = np.bincount(target * classes + predicted, weights, minlength=classes**2)
    return flat.astype(np.float64).reshape(classes, classes)  # (K K,) -> (K, K)


def class_f1(confusion: Floats) -> Floats:
    """(K,) harmonic mean of precision and recall; every class must occur."""
    f1: Floats = 2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1))
    return f1


def class_recall(confusion: Floats) -> Floats:
    """(K,) share of a class that is found; every class must occur."""
    recall: Floats = np.diag(confusion) / confusion.sum(1)
    return recall


def matthews(confusion: Floats) -> float:
    """Matthews correlation for K classes (Gorodkin 2004)."""
    true, predicted, total = confusion.sum(1), confusion.sum(0), confusion.sum()
    spread = (total**2 - true @ true) * (total**2 - predicted @ predicted)
    if spread <= 1e-12 * total**4:
        raise UndefinedError("only one class in test or in what is predicted")
    return float((np.trace(confusion) * total - true @ predicted) / np.sqrt(spread))


def softmax(logits: Floats) -> Floats:
    """(n, K) logits to probabilities."""
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    probability: Floats = exponential / exponential.sum(1, keepdims=True)
    return probability


def calibration_error(
    target: NDArray[np.int64], probability: Floats, weights: Floats, bins: int = _BINS
) -> float:
    """Expected calibration error of the top label in equal bins (Guo et al. 2017, equation 3)."""
    confidence = probability.max(1)  # (n,)
    gap = weights * ((probability.argmax(1) == target) - confidence)
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(which, gap, minlength=bins)).sum() / weights.sum())


def _log_loss(test: Scored, target: NDArray[np.int64]) -> float:
    shifted = test.output - test.output.max(1, keepdims=True)  # (n, K)
    truth = np.take_along_axis(shifted, target[:, None], 1)[:, 0]  # (n,)
    return float(test.weights @ (np.log(np.exp(shifted).sum(1)) - truth))


def _recording_accuracy(test: Scored, target: NDArray[np.int64], probability: Floats) -> float:
    """Share of recordings whose mean probability is highest for their own class."""
    ids = group_ids(test.spans.assign(label=target), "recording_id", "label")
    totals = np.stack([np.bincount(ids, column) for column in probability.T], 1)  # (R, K)
    truth = np.zeros(len(totals), np.int64)
    truth[ids] = target
    hits = float((totals.argmax(1) == truth).sum())
    return ratio(hits, len(totals), "no recording in test")
