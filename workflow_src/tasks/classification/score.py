"""Scores of fault classification; each recording counts once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workflow_src.predictions import Predictions
from workflow_src.tasks.curves import area, average_precision, roc_curve
from workflow_src.tasks.registry import Task
from workflow_src.tasks.scores import (
    Floats,
    Metrics,
    OnCopies,
    Scored,
    UndefinedError,
    group_ids,
    labelled,
    ratio,
)

_BINS = 15
_ROUNDING = 1e-12  # of sums of weights


@dataclass(frozen=True)
class Classified:
    """The spans of the test part that have a class."""

    classes: tuple[str, ...]  # K
    test: Scored
    target: NDArray[np.int64]  # (n,)
    probability: Floats  # (n, K)
    confusion: Floats  # (K, K), weight of true class i predicted as class j

    def every_class(self) -> Floats:
        """The confusion; undefined where a class is absent from test."""
        shares = zip(self.classes, self.confusion.sum(1), strict=True)
        absent = [name for name, share in shares if not share]
        if absent:
            raise UndefinedError("absent from test: " + ", ".join(absent))
        return self.confusion


def _classified(predictions: Predictions, row: str) -> Classified:
    classes = predictions.facts.classes
    test = labelled(predictions, "classification", row, "test")
    if not len(test):
        raise UndefinedError("no span of the test part has a class")
    target = test.target.astype(np.int64)  # (n,)
    confusion = confusion_matrix(target, test.output.argmax(1), test.weights, len(classes))
    return Classified(classes, test, target, softmax(test.output), confusion)


METRICS = Metrics(_classified)


@METRICS.add("macro F1", higher_is_better=True)
def macro_f1(of: Classified) -> float:
    """Mean over classes of 2 P R / (P + R); undefined where a class is absent from test."""
    return float(class_f1(of.every_class()).mean())


@METRICS.add("balanced accuracy", higher_is_better=True)
def balanced_accuracy(of: Classified) -> float:
    """Mean over classes of the recall; undefined where a class is absent from test."""
    return float(class_recall(of.every_class()).mean())


@METRICS.add("accuracy", higher_is_better=True)
def accuracy(of: Classified) -> float:
    """Share of spans whose largest logit is that of their class."""
    return float(np.trace(of.confusion))


@METRICS.add("recording accuracy", higher_is_better=True)
def recording_accuracy(of: Classified) -> float:
    """Share of recordings whose mean probability is highest for their own class."""
    ids = group_ids(of.test.spans.assign(label=of.target), "recording_id", "label")
    totals = np.stack([np.bincount(ids, column) for column in of.probability.T], 1)  # (R, K)
    truth = np.zeros(len(totals), np.int64)
    truth[ids] = of.target
    hits = float((totals.argmax(1) == truth).sum())
    return ratio(hits, len(totals), "no recording in test")


@METRICS.add("top-2 accuracy", higher_is_better=True)
def top_2_accuracy(of: Classified) -> float:
    """Share of spans whose class is among the two of largest logit, the first of equal ones first.

    Undefined for two classes, of which it would always be.
    """
    if len(of.classes) < 3:
        raise UndefinedError("fewer than three classes")
    logits = of.test.output  # (n, K)
    own = np.take_along_axis(logits, of.target[:, None], 1)  # (n, 1)
    earlier = np.arange(logits.shape[1]) < of.target[:, None]  # (n, K)
    before = (logits > own) | ((logits == own) & earlier)
    return float(of.test.weights @ (before.sum(1) < 2))


@METRICS.add("macro precision", higher_is_better=True)
def macro_precision(of: Classified) -> float:
    """Mean over classes of the share of what is predicted as a class that is of it.

    Undefined where a class is absent from test or never predicted.
    """
    confusion = of.every_class()
    predicted = confusion.sum(0)  # (K,)
    never = [name for name, share in zip(of.classes, predicted, strict=True) if not share]
    if never:
        raise UndefinedError("never predicted: " + ", ".join(never))
    return float((np.diag(confusion) / predicted).mean())


@METRICS.add("weighted F1", higher_is_better=True)
def weighted_f1(of: Classified) -> float:
    """Mean of 2 P R / (P + R) over the classes in test, each by its share."""
    shares = of.confusion.sum(1)  # (K,)
    there = shares > 0
    f1 = 2 * np.diag(of.confusion)[there] / (shares + of.confusion.sum(0))[there]
    return float(shares[there] @ f1 / shares.sum())


@METRICS.add("macro Jaccard", higher_is_better=True)
def macro_jaccard(of: Classified) -> float:
    """Mean over classes of TP / (TP + FP + FN); undefined where a class is absent from test."""
    confusion = of.every_class()
    found = np.diag(confusion)
    return float((found / (confusion.sum(0) + confusion.sum(1) - found)).mean())


@METRICS.add("Cohen's kappa", higher_is_better=True, low=-1)
def cohens_kappa(of: Classified) -> float:
    """(p_o - p_e) / (1 - p_e) of the agreement and that by chance (Cohen 1960).

    Undefined where only one class occurs and is predicted.
    """
    total = of.confusion.sum()
    chance = float(of.confusion.sum(0) @ of.confusion.sum(1) / total**2)
    agreement = float(np.trace(of.confusion) / total)
    if 1 - chance <= _ROUNDING:
        raise UndefinedError("only one class in test and in what is predicted")
    return (agreement - chance) / (1 - chance)


@METRICS.add("macro AUROC", higher_is_better=True)
def macro_auroc(of: Classified) -> float:
    """Mean over classes of the AUROC of one against the rest (Hand & Till 2001, by class).

    Undefined where a class is absent from test or alone in it.
    """
    return _over_classes(of, lambda *ranked: area(*roc_curve(*ranked)))


@METRICS.add("macro average precision", higher_is_better=True)
def macro_average_precision(of: Classified) -> float:
    """Mean over classes of the average precision of one against the rest.

    Undefined where a class is absent from test or alone in it.
    """
    return _over_classes(of, average_precision)


def _over_classes(
    of: Classified, metric: Callable[[Floats, NDArray[np.bool_], Floats], float]
) -> float:
    """Mean over classes of a metric of its log-odds, which keep the order of saturated spans."""
    of.every_class()
    if len(of.classes) < 2:
        raise UndefinedError("only one class in test")
    columns = enumerate(log_odds(of.test.output).T)
    return float(np.mean([metric(odds, of.target == k, of.test.weights) for k, odds in columns]))


@METRICS.add("worst recall", higher_is_better=True)
def worst_class_recall(of: Classified) -> float:
    """Least recall of a class; undefined where a class is absent from test."""
    return float(class_recall(of.every_class()).min())


@METRICS.add("Matthews", higher_is_better=True, low=-1, name="matthews")
def _matthews(of: Classified) -> float:
    """See `matthews`; undefined where only one class occurs or is predicted."""
    return matthews(of.confusion)


@METRICS.add("log loss", higher_is_better=False, high=math.inf, unit="nat")
def log_loss(of: Classified) -> float:
    """Mean of -log p of the true class, from logits, so that saturated ones stay finite."""
    shifted = of.test.output - of.test.output.max(1, keepdims=True)  # (n, K)
    truth = np.take_along_axis(shifted, of.target[:, None], 1)[:, 0]  # (n,)
    return float(of.test.weights @ (np.log(np.exp(shifted).sum(1)) - truth))


@METRICS.add("Brier", higher_is_better=False, high=2)
def brier(of: Classified) -> float:
    """Mean of the squared distance of probabilities from the class, summed over classes (Brier
    1950).
    """
    truth = np.eye(len(of.classes))[of.target]  # (n, K)
    return float(of.test.weights @ ((of.probability - truth) ** 2).sum(1))


@METRICS.add("ECE", higher_is_better=False, name="calibration_error")
def _calibration_error(of: Classified) -> float:
    """See `calibration_error`."""
    return calibration_error(of.target, of.probability, of.test.weights)


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


def log_odds(logits: Floats) -> Floats:
    """(n, K) log of p / (1 - p) of each class: ordered as p, and finite where p rounds to 1."""
    odds = np.empty_like(logits)
    for k in range(logits.shape[1]):
        # Sorted differences: spans of equal probabilities get equal odds, to the bit.
        above = np.sort(np.delete(logits, k, 1) - logits[:, [k]], 1)  # (n, K - 1)
        odds[:, k] = -np.logaddexp.reduce(above, 1)
    return odds


def calibration_error(
    target: NDArray[np.int64], probability: Floats, weights: Floats, bins: int = _BINS
) -> float:
    """Expected calibration error of the top label in equal bins (Guo et al. 2017, equation 3)."""
    confidence = probability.max(1)  # (n,)
    gap = weights * ((probability.argmax(1) == target) - confidence)
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(which, gap, minlength=bins)).sum() / weights.sum())


def _on_copies(predictions: Predictions, row: str) -> OnCopies:
    of = _classified(predictions, row)
    of.every_class()
    predicted = of.test.output.argmax(1)  # (n,)

    def value(copies: Floats) -> float:
        weights = of.test.copied(copies).weights
        confusion = confusion_matrix(of.target, predicted, weights, len(of.classes))
        return macro_f1(replace(of, confusion=confusion))

    return OnCopies(of.test, value)


score = METRICS.score
SPEC = Task(
    title="Classification",
    metrics=tuple(METRICS),
    score=score,
    main="macro_f1",
    on_copies=_on_copies,
    # With a class absent from test no score over the classes exists, but the share that is right
    # does.
    stand_in=("accuracy", "acc"),
    trivial=("majority class",),
    baseline="workflow_src.classic.trivial:MajorityClass",
)
