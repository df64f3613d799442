"""Detectors that know healthy windows alone: how far the shape of a window is from theirs.

Mahalanobis distance with the covariance of Ledoit and Wolf, "A well-conditioned estimator for
large-dimensional covariance matrices", Journal of Multivariate Analysis 88 (2004) 365-411; Liu,
Ting and Zhou, "Isolation forest", ICDM 2008; both by scikit-learn.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from workflow_src.classic.problem import Floats, Problem
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.predictions import Predictions


class Options(ClassicOptions):
    """Which detector."""

    FEATURES: ClassVar = True

    detector: Literal["mahalanobis", "isolation_forest"] = Field(
        "mahalanobis", description="Which detector.", examples=["isolation_forest"]
    )


def predict(problem: Problem, options: Options) -> Predictions:
    """Faults, by what differs from healthy training windows; the other tasks are left to others."""
    held = problem.described(problem.held(), ["shape"])
    outputs: dict[str, dict[str, Floats]] = {}
    if "anomaly_detection" in problem.tasks:
        train = problem.described(problem.train(), ["shape"])
        healthy = train.values[train.anomaly == 0]
        score = _distance(options.detector, problem.seed, healthy, held.values)
        outputs["anomaly_detection"] = {"model": score}
    return problem.predictions(held, outputs, distances=["model"])


def _distance(detector: str, seed: int, healthy: Floats, asked: Floats) -> Floats:
    """(n,) of `asked` (n, F), higher the less they are like `healthy` (m, F)."""
    scaler = StandardScaler().fit(healthy)
    healthy, asked = scaler.transform(healthy), scaler.transform(asked)
    if detector == "isolation_forest":
        return -np.asarray(IsolationForest(random_state=seed).fit(healthy).score_samples(asked))
    distance: Floats = np.sqrt(LedoitWolf().fit(healthy).mahalanobis(asked))
    return distance
