"""A random forest on the shape of windows: moments, octaves of the spectrum and of the envelope.

Breiman, "Random forests", Machine Learning 45 (2001) 5-32, by scikit-learn. The remaining life is
told by the amplitude too, where a network may have it; the row "+age" knows the time as well.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from workflow_src.classic.problem import Problem
from workflow_src.classic.supervised import fault_outputs, lives_by_columns
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.features.shape import NAMES
from workflow_src.predictions import Predictions


class Options(ClassicOptions):
    """The size of the forest."""

    FEATURES: ClassVar = True

    trees: int = Field(200, ge=1, description="Trees.", examples=[500])
    leaf: int = Field(2, ge=1, description="Least spans in a leaf.", examples=[5])


def predict(problem: Problem, options: Options) -> Predictions:
    """Classes, faults and remaining life; signals are left to others."""
    size = {"n_estimators": options.trees, "min_samples_leaf": options.leaf}
    drawn = {**size, "max_features": "sqrt", "random_state": problem.seed}
    kinds = ["age", "log_amplitude", "shape"]
    train = problem.described(problem.train(), kinds)
    held = problem.described(problem.held(), kinds)
    channels = train.values.shape[1] // (len(NAMES) + 1)
    shape = slice(1 + channels, None)  # behind the age and the amplitudes
    outputs = fault_outputs(
        problem, partial(RandomForestClassifier, **drawn), train.columns(shape), held.columns(shape)
    )
    if "rul_prediction" in problem.tasks:
        given = slice(1, None) if problem.amplitude else shape
        every = list(range(train.values.shape[1]))
        outputs["rul_prediction"] = {
            row: lives_by_columns(RandomForestRegressor(**drawn), train, held, columns)
            for row, columns in (("model", every[given]), ("model +age", [0, *every[given]]))
        }
    return problem.predictions(held, outputs)
