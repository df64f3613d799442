"""Ridge regressions: the next samples from the last ones, the remaining life from energies.

Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970) 55-67, by scikit-learn. A life is
fitted as the logit of what is left of it; the row "+age" knows the time and the condition too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit, logit
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler

from workflow_src.classic.direct import DirectRidge
from workflow_src.classic.lives import Whole, asks_for_lives, described_lives, lives_left
from workflow_src.classic.problem import Floats, Outputs, Problem, Signals
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.features.autoregression import forecast
from workflow_src.predictions import Predictions
from workflow_src.tasks.signal_prediction.span_statistics import forecast_statistics

_ENDS = 0.02  # of a life: a logit is fitted no nearer to 0 and 1
_PENALTIES = tuple(10.0**k for k in range(-1, 5))  # of lives: chosen by leaving out training runs


class Options(ClassicOptions):
    """How the forecast is made; the penalty on lives is chosen on training runs."""

    FEATURES: ClassVar = True

    past: int = Field(256, ge=1, description="Samples that a forecast sees.", examples=[128])
    penalty: float = Field(
        0.1, gt=0, description="Penalty of a forecast's weights, over the power.", examples=[1.0]
    )


def predict(problem: Problem, options: Options) -> Predictions:
    """Signals and lives; classes and faults are left to others."""
    outputs: dict[str, Outputs] = {}
    held = described_lives(problem, problem.held())
    if "signal_prediction" in problem.tasks:
        outputs["signal_prediction"] = {"model": _forecasts(problem, options)}
    if asks_for_lives(problem):
        train = described_lives(problem, problem.train())
        outputs["rul_prediction"] = lives_left(train, held, _fit_lives)
    return problem.predictions(held, outputs)


def _forecasts(problem: Problem, options: Options) -> NDArray[np.float32]:
    """(n, S) statistics of the forecasts of the spans that are to be predicted."""
    direct = DirectRidge(options.past, options.penalty)
    for spans in problem.batches(problem.train()):
        direct.add(spans.window, spans.horizon)
    matrices = direct.matrices()
    answers = problem.batches(problem.held())
    return np.concatenate([_forecast_statistics(matrices, spans) for spans in answers])


def _forecast_statistics(matrices: Floats, spans: Signals) -> NDArray[np.float32]:
    window = spans.window
    return forecast_statistics(
        forecast(matrices, window),
        spans.horizon,
        mean=window.mean(1, dtype=np.float64),
        deviation=window.std(1, dtype=np.float64),
        last=window[:, -1],
    )


def _fit_lives(
    inputs: Floats, left: Floats, weights: Floats, runs: Whole
) -> Callable[[Floats], Floats]:
    scaler = StandardScaler().fit(inputs, sample_weight=weights)
    scaled, target = scaler.transform(inputs), logit(np.clip(left, _ENDS, 1 - _ENDS))
    if len(np.unique(runs)) > 1:
        search = GridSearchCV(
            Ridge(),
            {"alpha": _PENALTIES},
            scoring="neg_mean_squared_error",
            cv=LeaveOneGroupOut(),
        )
        fitted = search.fit(scaled, target, groups=runs, sample_weight=weights)
    else:
        fitted = Ridge(_PENALTIES[-1]).fit(scaled, target, sample_weight=weights)
    return lambda asked: np.asarray(expit(fitted.predict(scaler.transform(asked))))
