"""Scores of signal prediction from statistics of each span; each recording counts once.

Errors are in units of the standard deviation of the window (input part), channel by channel, so
that the mean squared error is the nMSE; forecasting the window's mean has a nMSE about 1.
Predicted signals are too large to keep: `forecast_statistics` is what the predictions file holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workflow_src.predictions import Predictions
from workflow_src.tasks.registry import Task
from workflow_src.tasks.scores import (
    Floats,
    Metrics,
    OnCopies,
    Scored,
    UndefinedError,
    labelled,
    ratio,
)

_NAME = "signal_prediction"
GROUPS = {"step_1": (0, 1), "steps_2_8": (1, 8), "steps_9_32": (8, 32), "steps_33_end": (32, None)}
STATISTICS = (
    "steps",  # H
    "channels",  # that move within the window; the others have no scale and are left out
    *(f"squared_{group}" for group in GROUPS),  # sum of (forecast - truth)^2
    *(f"mean_squared_{group}" for group in GROUPS),  # the same of the mean as forecast
    "absolute",  # sum of |forecast - truth|
    "last_absolute",  # the same of the last value as forecast
    "truth",
    "truth_squared",
    "forecast",
    "forecast_squared",
    "product",
)
_SKILL_GROUPS = ("step_1", "steps_2_8", "steps_9_32")
_CONSTANT = 1e-9  # a variance below this share of the mean square is rounding
_STILL = 1e-6  # a deviation below this share of the mean is rounding of a constant


def forecast_statistics(
    forecast: NDArray[Any],
    truth: NDArray[Any],
    *,
    mean: NDArray[Any],
    deviation: NDArray[Any],
    last: NDArray[Any],
) -> NDArray[np.float32]:
    """(n, S) sums over steps and channels, columns STATISTICS.

    `forecast` and `truth` (n, H, C), `mean`, `deviation` and `last` value of the window (n, C),
    all in the rig's unit.
    """
    moving = deviation > _STILL * np.abs(mean)  # (n, C)
    gain = np.where(moving, 1 / np.where(moving, deviation.astype(np.float64), 1), 0)[:, None]
    p, y = (gain * (signal - mean[:, None].astype(np.float64)) for signal in (forecast, truth))
    held = gain * (last - mean.astype(np.float64))[:, None]  # (n, 1, C)
    columns = {
        "steps": np.full(len(y), y.shape[1]),
        "channels": moving.sum(1),
        "absolute": np.abs(p - y).sum((1, 2)),
        "last_absolute": np.abs(held - y).sum((1, 2)),
        "truth": y.sum((1, 2)),
        "truth_squared": (y**2).sum((1, 2)),
        "forecast": p.sum((1, 2)),
        "forecast_squared": (p**2).sum((1, 2)),
        "product": (p * y).sum((1, 2)),
    }
    for group, (start, stop) in GROUPS.items():
        columns[f"squared_{group}"] = ((p - y)[:, start:stop] ** 2).sum((1, 2))
        columns[f"mean_squared_{group}"] = (y[:, start:stop] ** 2).sum((1, 2))
    return np.stack([columns[name] for name in STATISTICS], 1).astype(np.float32)


class Forecasts:
    """Statistics of the test part: means over spans of what each has on average a value."""

    def __init__(self, test: Scored) -> None:
        self.weights = test.weights
        self.columns: dict[str, Floats] = dict(zip(STATISTICS, test.output.T, strict=True))
        self.steps = int(self.columns["steps"].min())

    def __call__(self, name: str) -> float:
        """Mean of a statistic over spans, steps and channels."""
        values = self.columns["steps"] * self.columns["channels"]
        return float(self.weights @ (self.columns[name] / values))

    def per_value(self, kind: str, groups: tuple[str, ...], short: bool = False) -> float:
        """Mean of the sums `kind` over the steps of `groups`, which only `short` lets be cut."""
        steps = 0
        for group in groups:
            start, stop = GROUPS[group]
            if not short and self.steps < (stop or start + 1):
                raise UndefinedError(f"the horizon has {self.steps} steps")
            steps += max(0, min(self.steps, stop or self.steps) - start)
        total = np.sum([self.columns[f"{kind}_{group}"] for group in groups], 0)  # (n,)
        return float(self.weights @ (total / (steps * self.columns["channels"])))

    def r2(self) -> float:
        """Share of the variance of all horizons that is explained."""
        variance = self("truth_squared") - self("truth") ** 2
        error = self.per_value("squared", tuple(GROUPS), short=True)
        if variance <= _CONSTANT * self("truth_squared"):
            raise UndefinedError("the horizons are constant")
        return 1 - error / variance

    def pearson(self) -> float:
        """Correlation of forecast and truth over all horizons."""
        truth = self("truth_squared") - self("truth") ** 2
        forecast = self("forecast_squared") - self("forecast") ** 2
        still = truth <= _CONSTANT * self("truth_squared")
        if still or forecast <= _CONSTANT * self("forecast_squared"):
            raise UndefinedError("the forecasts or the horizons are constant")
        product = self("product") - self("truth") * self("forecast")
        return float(product / np.sqrt(truth * forecast))


def _moving(predictions: Predictions, row: str) -> Scored:
    found = predictions.tasks[_NAME].columns
    if found != STATISTICS:
        raise ValueError(f"{_NAME} was written with the columns {found}, not {STATISTICS}")
    test = labelled(predictions, _NAME, row, "test")
    test = test.where(test.output[:, STATISTICS.index("channels")] > 0)
    if not len(test):
        raise UndefinedError("no test span whose window moves")
    return test


def _forecasts(predictions: Predictions, row: str) -> Forecasts:
    return Forecasts(_moving(predictions, row))


METRICS = Metrics(_forecasts)


@METRICS.add("skill, 32 steps", higher_is_better=True, low=-math.inf)
def skill(of: Forecasts) -> float:
    """1 - MSE / MSE(the window's mean) over the first 32 steps; undefined on a shorter horizon."""
    reference = of.per_value("mean_squared", _SKILL_GROUPS)
    error = of.per_value("squared", _SKILL_GROUPS)
    return 1 - ratio(error, reference, "the horizon equals the mean of the window")


@METRICS.add("nMSE", higher_is_better=False, high=math.inf)
def nmse(of: Forecasts) -> float:
    """Mean squared error over the variance of the window."""
    return of.per_value("squared", tuple(GROUPS), short=True)


def _of_group(group: str) -> Callable[[Forecasts], float]:
    return lambda of: of.per_value("squared", (group,))


for _group in GROUPS:
    METRICS.add(
        f"nMSE {_group.replace('_', ' ')}",
        higher_is_better=False,
        high=math.inf,
        name=f"nmse_{_group}",
    )(_of_group(_group))


@METRICS.add("MAE", higher_is_better=False, high=math.inf, unit="sd")
def mae(of: Forecasts) -> float:
    """Mean absolute error in deviations of the window."""
    return of("absolute")


@METRICS.add("MASE", higher_is_better=False, high=math.inf)
def mase(of: Forecasts) -> float:
    """MAE over that of the last value as forecast (Hyndman & Koehler 2006)."""
    return ratio(of("absolute"), of("last_absolute"), "the last value forecasts exactly")


@METRICS.add("R2", higher_is_better=True, low=-math.inf, name="r2")
def _r2(of: Forecasts) -> float:
    """See `Forecasts.r2`."""
    return of.r2()


@METRICS.add("explained variance", higher_is_better=True, low=-math.inf)
def explained_variance(of: Forecasts) -> float:
    """1 - Var(error) / Var(truth) over all horizons: as R2, but a constant offset costs nothing.

    Undefined where the horizons are constant.
    """
    variance = of("truth_squared") - of("truth") ** 2
    if variance <= _CONSTANT * of("truth_squared"):
        raise UndefinedError("the horizons are constant")
    offset = of("forecast") - of("truth")
    return 1 - (nmse(of) - offset**2) / variance


@METRICS.add("Pearson", higher_is_better=True, low=-1, name="pearson")
def _pearson(of: Forecasts) -> float:
    """See `Forecasts.pearson`."""
    return of.pearson()


def _on_copies(predictions: Predictions, row: str) -> OnCopies:
    test = _moving(predictions, row)
    return OnCopies(test, lambda copies: skill(Forecasts(test.copied(copies))))


score = METRICS.score
SPEC = Task(
    title="Signal prediction",
    metrics=tuple(METRICS),
    score=score,
    main="skill",
    on_copies=_on_copies,
    columns=STATISTICS,
    note="Over the first 32 samples of the horizon; beyond them hardly anything beats the mean. "
    "results.csv holds the errors by step.",
    noise_note="Forecast errors there are in units of the noisy window's deviation and not "
    "comparable with the clean column.",
    trivial=("input mean",),
    reference=("AR(32)",),
    baseline="workflow_src.classic.trivial:MeanAndAutoregression",
)
