"""Extremely randomised trees on log energies and their history, for the remaining life.

Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63 (2006) 3-42, by
scikit-learn. The row "+age" knows the time and the condition too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field
from sklearn.ensemble import ExtraTreesRegressor

from workflow_src.classic.lives import Whole, predict_lives
from workflow_src.classic.problem import Floats, Problem
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.predictions import Predictions


class Options(ClassicOptions):
    """The number of trees, and how small their leaves are."""

    FEATURES: ClassVar = True

    trees: int = Field(300, ge=1, description="Trees.", examples=[500])
    leaf: int = Field(5, ge=1, description="Least spans in a leaf.", examples=[5])


def predict(problem: Problem, options: Options) -> Predictions:
    """The remaining life."""

    def fit(
        inputs: Floats, left: Floats, weights: Floats, runs: Whole
    ) -> Callable[[Floats], Floats]:
        size = {"n_estimators": options.trees, "min_samples_leaf": options.leaf}
        trees = ExtraTreesRegressor(**size, max_features=0.5, random_state=problem.seed)
        fitted: Callable[[Floats], Floats] = trees.fit(inputs, left, sample_weight=weights).predict
        return fitted

    return predict_lives(problem, fit)
