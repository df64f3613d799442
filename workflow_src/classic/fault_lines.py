"""A classifier on fault lines: how far each fault's line stands out of the envelope's spectrum.

It knows nothing but the physics of the bearing or the gears, and so needs the speed and the
geometry of every recording in use: without, it gives no row.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_src.classic.problem import Problem
from workflow_src.classic.supervised import Classifier, fault_outputs
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.predictions import Predictions


class Options(ClassicOptions):
    """What learns from the lines."""

    MACHINE: ClassVar = True
    FEATURES: ClassVar = True

    classifier: Literal["logistic_regression", "forest"] = Field(
        "logistic_regression", description="What learns from the lines.", examples=["forest"]
    )
    trees: int = Field(200, ge=1, description="Trees.", examples=[500])


def predict(problem: Problem, options: Options) -> Predictions:
    """Classes and faults; the other tasks are left to others."""
    train = problem.described(problem.train(), ["fault_lines"])
    held = problem.described(problem.held(), ["fault_lines"])
    known = np.isfinite(np.concatenate([train.values, held.values])).all(0)  # (F,)
    used = np.flatnonzero(known).tolist()
    train, held = train.columns(used), held.columns(used)
    if not used:
        return problem.predictions(held, {})
    classifier = partial(_classifier, options, problem.seed)
    return problem.predictions(held, fault_outputs(problem, classifier, train, held))


def _classifier(options: Options, seed: int) -> Classifier:
    if options.classifier == "forest":
        size = {"n_estimators": options.trees, "min_samples_leaf": 2}
        made: Classifier = RandomForestClassifier(**size, random_state=seed)
    else:
        made = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return made
