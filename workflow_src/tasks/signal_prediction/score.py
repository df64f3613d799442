"""Scores of signal prediction from statistics of each span; each recording counts once.

Errors are in units of the standard deviation of the window (input part), channel by channel, so
that the mean squared error is the nMSE; forecasting the window's mean has a nMSE about 1.
Predicted signals are too large to keep: of each span there is what `span_statistics` makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from workflow_src.features.autoregression import REFERENCE, STEPS
from workflow_src.features.fault_orders import REPEATING
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
from workflow_src.tasks.signal_prediction.span_statistics import GROUPS, QUANTILES, STATISTICS

_NAME = "signal_prediction"
_SKILL_GROUPS = ("step_1", "steps_2_8", "steps_9_32")
# A variance below this share of the mean square, or of the window's variance, is rounding.
_CONSTANT = 1e-6
_ON_THE_MEAN = "the horizon equals the mean of the window"
_FEWEST_PERIODS = 4.0  # of each fault in a horizon whose envelope is looked at


class Forecasts:
    """Statistics of the test part: means over spans of what each has on average a value.

    Attributes:
        weights: (n,), sum 1, of the spans whose window moves.
        steps: the fewest of a horizon.
        reference: squared errors of AR(32) (n,), where they are known.
        periods: the least number of each fault's in a horizon, where it is known.
    """

    def __init__(self, test: Scored, periods: Mapping[str, float]) -> None:
        self.weights, self.periods = test.weights, periods
        self._output = test.output  # (n, S), of which there may be millions
        self.steps = int(self.column("steps").min())
        known = REFERENCE in test.spans
        self.reference = test.spans[REFERENCE].to_numpy(np.float64) if known else None

    def column(self, name: str) -> Floats:
        """A statistic of each span, (n,)."""
        return self._output[:, STATISTICS.index(name)].astype(np.float64)

    @property
    def quantiles(self) -> NDArray[np.float32]:
        """Of the absolute errors of each span, (n, Q)."""
        first = STATISTICS.index("quantile_0")
        return self._output[:, first : first + QUANTILES].astype(np.float32)

    def total(self, name: str) -> float:
        """Mean over spans of a statistic."""
        return float(self.weights @ self.column(name))

    def __call__(self, name: str) -> float:
        """Mean of a statistic over spans, steps and channels."""
        values = self.column("steps") * self.column("channels")
        return float(self.weights @ (self.column(name) / values))

    def per_value(self, kind: str, groups: tuple[str, ...], short: bool = False) -> float:
        """Mean over spans of `of_spans`."""
        return float(self.weights @ self.of_spans(kind, groups, short))

    def of_spans(self, kind: str, groups: tuple[str, ...], short: bool = False) -> Floats:
        """(n,) means of the sums `kind` over the steps of `groups`, all there unless `short`."""
        steps = 0
        for group in groups:
            start, stop = GROUPS[group]
            if not short and self.steps < (stop or start + 1):
                raise UndefinedError(f"the horizon has {self.steps} steps")
            steps += max(0, min(self.steps, stop or self.steps) - start)
        total = np.sum([self.column(f"{kind}_{group}") for group in groups], 0)  # (n,)
        means: Floats = total / (steps * self.column("channels"))
        return means

    def require_steps(self, least: int) -> None:
        """Undefined on a shorter horizon."""
        if self.steps < least:
            raise UndefinedError(f"the horizon has {self.steps} steps")

    def variance(self, signal: str, constant: str) -> float:
        """Over all horizons of `truth` or `forecast`; undefined with `constant` as the reason."""
        square = self(f"{signal}_squared")
        variance = square - self(signal) ** 2
        require_spread(variance, square, constant)
        return variance

    def r2(self) -> float:
        """Share of the variance of all horizons that is explained."""
        variance = self.variance("truth", "the horizons are constant")
        return 1 - self.per_value("squared", tuple(GROUPS), short=True) / variance

    def pearson(self) -> float:
        """Correlation of forecast and truth over all horizons."""
        constant = "the forecasts or the horizons are constant"
        truth, forecast = (self.variance(signal, constant) for signal in ("truth", "forecast"))
        product = self("product") - self("truth") * self("forecast")
        return float(product / np.sqrt(truth * forecast))


def require_spread(variance: float, square: float, constant: str) -> None:
    """Undefined with `constant` as the reason; `square` is the mean square."""
    if variance <= _CONSTANT * max(square, 1.0):  # the window's variance is 1
        raise UndefinedError(constant)


def _moving(predictions: Predictions, row: str) -> Scored:
    found = predictions.tasks[_NAME].columns
    if found != STATISTICS:
        raise ValueError(f"{_NAME} was written with the columns {found}, not {STATISTICS}")
    test = labelled(predictions, _NAME, row, "test", wide=True)
    test = test.where(test.output[:, STATISTICS.index("channels")] > 0)
    if not len(test):
        raise UndefinedError("no test span whose window moves")
    return test


def _forecasts(predictions: Predictions, row: str) -> Forecasts:
    periods = predictions.facts.fault_periods_per_horizon or {}
    return Forecasts(_moving(predictions, row), periods)


METRICS = Metrics(_forecasts)


@METRICS.add("skill, 32 steps", higher_is_better=True, low=-math.inf)
def skill(of: Forecasts) -> float:
    """1 - MSE / MSE(the window's mean) over the first 32 steps; undefined on a shorter horizon."""
    return _skill(of.weights, *_skill_parts(of))


def _skill_parts(of: Forecasts) -> tuple[Floats, Floats]:
    """(n,) each: the squared error of the forecast, and that of the window's mean."""
    reference = of.of_spans("mean_squared", _SKILL_GROUPS)
    return of.of_spans("squared", _SKILL_GROUPS), reference


def _skill(weights: Floats, error: Floats, reference: Floats) -> float:
    of_mean = float(weights @ reference)
    require_spread(of_mean, of_mean, _ON_THE_MEAN)
    return 1 - float(weights @ error) / of_mean


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
    variance = of.variance("truth", "the horizons are constant")
    offset = of("forecast") - of("truth")
    return 1 - (nmse(of) - offset**2) / variance


@METRICS.add("Pearson", higher_is_better=True, low=-1, name="pearson")
def _pearson(of: Forecasts) -> float:
    """See `Forecasts.pearson`."""
    return of.pearson()


@METRICS.add("MSE", higher_is_better=False, high=math.inf, unit="squared unit of the rig")
def mse(of: Forecasts) -> float:
    """Mean squared error in the rig's unit, over the channels that move."""
    return of("squared_unit")


@METRICS.add("median error", higher_is_better=False, high=math.inf, unit="sd")
def median_absolute_error(of: Forecasts) -> float:
    """Median absolute error in deviations of the window.

    Of the quantiles of each span: it lies between the ranks 0.469 and 0.531 of all errors.
    """
    return weighted_median(of.quantiles, of.weights)


@METRICS.add("maximum error", higher_is_better=False, high=math.inf, unit="sd")
def max_error(of: Forecasts) -> float:
    """Largest absolute error of all spans in deviations of the window."""
    return float(of.column("maximum").max())


@METRICS.add("sMAPE", higher_is_better=False, high=2)
def smape(of: Forecasts) -> float:
    """Mean of 2 |p - y| / (|p| + |y|) about the window's mean (Makridakis 1993); 0 where p = y."""
    return of("smape")


@METRICS.add("log-spectral distance", higher_is_better=False, high=math.inf, unit="dB")
def log_spectral_distance(of: Forecasts) -> float:
    """Root mean square over frequencies of the levels' difference (Gray & Markel 1976).

    Mean over channels and spans. Levels below -60 dB of white noise with the window's deviation
    count as that. Undefined on a horizon of one step.
    """
    of.require_steps(2)
    return float(of.weights @ (of.column("log_spectral") / of.column("channels")))


@METRICS.add("spectral convergence", higher_is_better=False, high=math.inf)
def spectral_convergence(of: Forecasts) -> float:
    """Norm of the difference of the moduli of the spectra over that of the truth's.

    Sturmel & Daudet 2011; over all spans. Undefined on a horizon of one step.
    """
    of.require_steps(2)
    square = of("truth_squared")
    require_spread(square, square, _ON_THE_MEAN)
    return math.sqrt(of.total("spectral_error") / of.total("spectral_power"))


@METRICS.add("envelope correlation", higher_is_better=True, low=-1)
def envelope_correlation(of: Forecasts) -> float:
    """Correlation within the horizon of the moduli of the analytic signals, over all spans.

    Undefined where the horizon may hold less than 4 periods of a fault.
    """
    periods = {name: count for name, count in of.periods.items() if name in REPEATING}
    if not periods:
        raise UndefinedError("how many fault periods the horizon spans is not known")
    fault, fewest = min(periods.items(), key=lambda item: item[1])
    if fewest < _FEWEST_PERIODS:
        raise UndefinedError(f"horizon too short: {fewest:.2g} periods of {fault}, not 4")
    for signal in ("truth", "forecast"):
        variance, square = of(f"envelope_{signal}"), of(f"{signal}_squared")
        require_spread(variance, square, "the envelopes of forecasts or horizons are constant")
    spread = of.total("envelope_truth") * of.total("envelope_forecast")
    return of.total("envelope_product") / math.sqrt(spread)


@METRICS.add("skill against AR(32)", higher_is_better=True, low=-math.inf)
def skill_ar(of: Forecasts) -> float:
    """1 - MSE / MSE(AR(32) of the training windows) over the first 32 steps."""
    error = of.per_value("squared", _SKILL_GROUPS)
    if of.reference is None:
        raise UndefinedError("the error of AR(32) on these spans is not known")
    reference = of.weights @ (of.reference / (STEPS * of.column("channels")))
    return 1 - ratio(error, float(reference), "AR(32) forecasts exactly")


def weighted_median(values: NDArray[np.float32], weights: Floats) -> float:
    """Smallest of `values` >= 0 (n, Q) below or at which half of the weight lies.

    A row's weight (n,) is shared by its values. By bisection over the bits of a number, whose
    order is that of numbers: no sorting, no copy.
    """
    low, high = -1, int(values.max().view(np.int32))
    while high - low > 1:
        middle = (low + high) // 2
        below = (values.view(np.int32) <= middle).mean(1)  # (n,)
        if weights @ below >= 0.5 - 1e-9:  # weights sum to 1 up to rounding
            high = middle
        else:
            low = middle
    return float(np.int32(high).view(np.float32))


def _on_copies(predictions: Predictions, row: str) -> OnCopies:
    test = _moving(predictions, row)
    parts = _skill_parts(Forecasts(test, {}))  # once: a draw changes the weights alone
    return OnCopies(test, lambda copies: _skill(test.copied(copies).weights, *parts))


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
