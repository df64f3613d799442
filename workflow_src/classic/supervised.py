"""What estimators of scikit-learn say of classes, faults and lives; recordings count the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workflow_src.classic.problem import Floats, Measured, Problem
from workflow_src.tasks.scores import group_ids, recording_weights

_LEAST = 1e-3  # of a probability, so that it has a logarithm


class Classifier(Protocol):
    """A classifier of scikit-learn, whose types nobody states."""

    classes_: NDArray[np.int64]

    def fit(self, inputs: Floats, label: NDArray[np.int64], /, **weights: Floats) -> Classifier:
        """Itself, fitted."""

    def predict_proba(self, inputs: Floats, /) -> Floats:
        """(n, classes) probabilities."""


class Regressor(Protocol):
    """A regressor of scikit-learn."""

    def fit(self, inputs: Floats, target: NDArray[np.float32], /, **weights: Floats) -> Regressor:
        """Itself, fitted."""

    def predict(self, inputs: Floats, /) -> Floats:
        """(n,) values."""


def fault_outputs(
    problem: Problem, classifier: Callable[[], Classifier], train: Measured, held: Measured
) -> dict[str, dict[str, Floats]]:
    """Classes and faults of `held`, where they are asked for, by what a new `classifier` learns."""
    outputs: dict[str, dict[str, Floats]] = {}
    for task in problem.tasks:
        if task == "classification":
            logits = class_logits(classifier(), train, held, len(problem.facts.classes))
            outputs[task] = {"model": logits}
        elif task == "anomaly_detection":
            outputs[task] = {"model": fault_logits(classifier(), train, held)}
    return outputs


def class_logits(classifier: Classifier, train: Measured, held: Measured, classes: int) -> Floats:
    """(n, classes) logarithms of the probabilities of `held` by a `classifier` fitted on `train`.

    Classes count the same, however many recordings each has.
    """
    known = train.where(train.fault >= 0)
    fitted = _fit(classifier, known, known.fault)
    share = np.zeros((len(held.values), classes))
    share[:, fitted.classes_] = fitted.predict_proba(held.values)
    return np.log(np.maximum(share, _LEAST))


def fault_logits(classifier: Classifier, train: Measured, held: Measured) -> Floats:
    """(n,) logits of a fault in `held`; healthy and faulty recordings count the same."""
    known = train.where(~np.isnan(train.anomaly))
    fitted = _fit(classifier, known, (known.anomaly > 0.5).astype(np.int64))
    share = fitted.predict_proba(held.values)[:, -1]
    logits: Floats = np.log(np.maximum(share, _LEAST) / np.maximum(1 - share, _LEAST))
    return logits


def _fit(classifier: Classifier, known: Measured, label: NDArray[np.int64]) -> Classifier:
    weights = recording_weights(known.spans)
    weights /= np.bincount(label, weights)[label]
    return classifier.fit(known.values, label, **weighted(classifier, weights * len(weights)))


def lives_by_columns(
    regressor: Regressor, train: Measured, held: Measured, columns: Sequence[int]
) -> Floats:
    """(n,) fractions of life left of `held`, by the given columns; each run counts once."""
    known = train.where(~np.isnan(train.rul)).columns(columns)
    fitted = regressor.fit(known.values, known.rul, **weighted(regressor, run_weights(known)))
    left: Floats = np.clip(fitted.predict(held.columns(columns).values), 0.0, 1.0)
    return left


def weighted(estimator: Classifier | Regressor, weights: Floats) -> dict[str, Floats]:
    """`weights` as the argument of `fit`, also for a pipeline, whose last step takes them."""
    steps = getattr(estimator, "steps", None)
    name = "sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight"
    return {name: weights}


def run_weights(train: Measured) -> Floats:
    """(n,) weights of mean 1, in which each run counts once."""
    ids = group_ids(train.spans, "run_id")
    counts = np.bincount(ids)
    weights: Floats = len(ids) / (counts[ids] * len(counts))
    return weights
