"""Scores of the fraction of life left.

The predictions of a snapshot (recording) are averaged, a metric is computed on each run and then
averaged over runs: a long run counts as much as a short one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_src.predictions import Predictions, ScoreFacts
from workflow_src.tasks.registry import Task
from workflow_src.tasks.rul_prediction.phm2012 import phm2012
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

_ALPHA = 0.2  # of the truth, or of a life: an error up to it is near
_LAMBDA = 0.5  # share of life left at which it is looked at
_CONSTANT = 1e-9  # values that differ by less are one: means of equal numbers round


@dataclass(frozen=True)
class Lives:
    """The test spans of runs that ended in failure, and their snapshots by run."""

    test: Scored
    runs: list[pd.DataFrame]
    facts: ScoreFacts

    def mean(self, metric: Callable[[pd.DataFrame], float]) -> float:
        """Mean over runs of `metric` on the snapshots of one."""
        return float(np.mean([metric(run) for run in self.runs]))


def _lives(predictions: Predictions, row: str) -> Lives:
    test = labelled(predictions, "rul_prediction", row, "test")
    if not len(test):
        raise UndefinedError("no test span of a run that ended in failure")
    return Lives(test, [run for _, run in snapshots(test)], predictions.facts)


METRICS = Metrics(_lives)


@METRICS.add("RMSE", higher_is_better=False, unit="life")
def rmse(of: Lives) -> float:
    """Root of the mean squared error of a run, averaged over runs."""
    return of.mean(lambda run: _rms(run["error"]))


@METRICS.add("MAE", higher_is_better=False, unit="life")
def mae(of: Lives) -> float:
    """Mean absolute error of a run, averaged over runs."""
    return of.mean(lambda run: float(run["error"].abs().mean()))


@METRICS.add("median error", higher_is_better=False, unit="life")
def median_absolute_error(of: Lives) -> float:
    """Median absolute error of a run, averaged over runs."""
    return of.mean(lambda run: float(run["error"].abs().median()))


@METRICS.add("maximum error", higher_is_better=False, unit="life")
def max_error(of: Lives) -> float:
    """Largest absolute error of a run, averaged over runs."""
    return of.mean(lambda run: float(run["error"].abs().max()))


@METRICS.add("RMSE, last 30 %", higher_is_better=False, unit="life")
def rmse_last_30(of: Lives) -> float:
    """RMSE where at most 0.3 of the life is left; undefined where a run has no such snapshot."""
    return of.mean(_rmse_last_30)


@METRICS.add("bias", higher_is_better=False, low=-1, unit="life")
def bias(of: Lives) -> float:
    """Mean of prediction less truth of a run, averaged over runs; 0 is best."""
    return of.mean(lambda run: float(run["error"].mean()))


@METRICS.add("late", higher_is_better=False)
def late_share(of: Lives) -> float:
    """Share of snapshots of a run that are told more life than is left, averaged over runs."""
    return of.mean(lambda run: float((run["error"] > 0).mean()))


@METRICS.add("R2", higher_is_better=True, low=-math.inf)
def r2(of: Lives) -> float:
    """1 - squared error / squared deviation of the truth of a run, averaged over runs.

    Undefined where the truth of a run does not vary: it has one snapshot.
    """
    return of.mean(_r2)


@METRICS.add("Pearson", higher_is_better=True, low=-1)
def pearson(of: Lives) -> float:
    """Correlation of prediction and truth of a run, averaged over runs.

    Undefined where either does not vary in a run.
    """
    return of.mean(_correlation)


@METRICS.add("Spearman", higher_is_better=True, low=-1)
def spearman(of: Lives) -> float:
    """Correlation of the ranks of prediction and truth of a run, ties sharing theirs (Spearman
    1904), averaged over runs; undefined where either does not vary in a run.
    """
    return of.mean(lambda run: _correlation(run, ranked=True))


@METRICS.add("alpha-lambda accuracy", higher_is_better=True)
def alpha_lambda_accuracy(of: Lives) -> float:
    """Share of runs of which, half-way through life, the prediction is within 20 % of the truth.

    Saxena et al. 2010, alpha 0.2 and lambda 0.5, at the first snapshot from there on. Undefined
    where a run has none before its end.
    """
    return of.mean(_is_near)


@METRICS.add("relative accuracy", higher_is_better=True, low=-math.inf)
def relative_accuracy(of: Lives) -> float:
    """1 - |error| / truth at the same snapshot (Saxena et al. 2010), averaged over runs."""
    return of.mean(_relative_accuracy)


@METRICS.add("cumulative relative accuracy", higher_is_better=True, low=-math.inf)
def cumulative_relative_accuracy(of: Lives) -> float:
    """Mean of 1 - |error| / truth over the snapshots of a run before its end, averaged over runs.

    Saxena et al. 2010 with uniform weights. Undefined where a run has no such snapshot.
    """
    return of.mean(_cumulative_accuracy)


@METRICS.add("prognostic horizon", higher_is_better=True, unit="life")
def prognostic_horizon(of: Lives) -> float:
    """Share of life left when the error is first at most 20 % of a life, averaged over runs.

    Saxena et al. 2010, alpha 0.2. 0 for a run whose error never is: it ends without a warning.
    """
    return of.mean(_first_within)


@METRICS.add("skill against clock", higher_is_better=True, low=-math.inf)
def skill_clock(of: Lives) -> float:
    """1 - RMSE / RMSE of `clock`; undefined without the mean training life or times in life."""
    life = of.facts.mean_training_life_s
    if not life or of.test.spans["time_s"].isna().any():
        raise UndefinedError("the mean training life or the time in life is unknown")
    reference = of.mean(lambda run: _rms(clock(run["time_s"].to_numpy(), life) - run["true"]))
    return 1 - ratio(rmse(of), reference, "the clock is exact")


@METRICS.add("PHM 2012 score", higher_is_better=True, name="phm2012")
def _phm2012(of: Lives) -> float:
    """See `phm2012`, by the official remaining lives."""
    return phm2012(of.test, of.facts, "official_rul_s")


@METRICS.add("PHM 2012 score, RUL of the full runs", higher_is_better=True)
def phm2012_full_run(of: Lives) -> float:
    """See `phm2012`, by the remaining lives of the recorded runs."""
    return phm2012(of.test, of.facts, "full_run_rul_s")


def snapshots(test: Scored) -> list[tuple[int, pd.DataFrame]]:
    """For each run its table of snapshots: ``true``, ``predicted``, ``error`` and ``time_s``."""
    spans = pd.DataFrame(
        {
            "run": group_ids(test.spans, "run_id"),
            "recording": group_ids(test.spans, "recording_id"),
            "true": test.target,
            "predicted": test.output,
            "error": test.output - test.target,
            "time_s": test.spans["time_s"].to_numpy(np.float64),
        }
    )
    means = spans.groupby(["run", "recording"]).mean().reset_index()
    return [(int(str(run)), table) for run, table in means.groupby("run")]


def clock(time_s: Floats, mean_life_s: float | Floats) -> Floats:
    """Fraction left if every run lived as long as the training runs on average.

    Times (n,), and one life or one for each.
    """
    return np.maximum(0.0, 1 - time_s / mean_life_s)


def _rms(error: pd.Series[float]) -> float:
    return float(np.sqrt((error**2).mean()))


def _rmse_last_30(run: pd.DataFrame) -> float:
    last = run["error"][run["true"] <= 0.3]
    if not len(last):
        raise UndefinedError("a test run has no snapshot in the last 30 % of its life")
    return _rms(last)


def _r2(run: pd.DataFrame) -> float:
    spread = float(((run["true"] - run["true"].mean()) ** 2).sum())
    if spread <= _CONSTANT**2 * len(run):
        raise UndefinedError("a test run has the same life left at all of its snapshots")
    return 1 - float((run["error"] ** 2).sum()) / spread


def _correlation(run: pd.DataFrame, *, ranked: bool = False) -> float:
    pair = run[["true", "predicted"]]
    if ((pair.max() - pair.min()) <= _CONSTANT).any():
        raise UndefinedError("prediction or truth of a test run does not vary")
    values = (pair.rank() if ranked else pair).to_numpy()
    centred = values - values.mean(0)  # (n, 2)
    product, spread = centred[:, 0] @ centred[:, 1], np.sqrt((centred**2).sum(0).prod())
    return float(product / spread)


def _at_half_life(run: pd.DataFrame) -> tuple[float, float]:
    """Error and truth at the first snapshot with half of the life left or less, but some."""
    later = run[(run["true"] <= _LAMBDA) & (run["true"] > 0)]
    if later.empty:
        raise UndefinedError("a test run has no snapshot between half of its life and its end")
    first = int(later["true"].to_numpy().argmax())
    return float(later["error"].iloc[first]), float(later["true"].iloc[first])


def _is_near(run: pd.DataFrame) -> float:
    error, truth = _at_half_life(run)
    return float(abs(error) <= _ALPHA * truth)


def _relative_accuracy(run: pd.DataFrame) -> float:
    error, truth = _at_half_life(run)
    return 1 - abs(error) / truth


def _cumulative_accuracy(run: pd.DataFrame) -> float:
    before = run[run["true"] > 0]
    if before.empty:
        raise UndefinedError("a test run has no snapshot before its end")
    return float((1 - before["error"].abs() / before["true"]).mean())


def _first_within(run: pd.DataFrame) -> float:
    near = run["true"][run["error"].abs() <= _ALPHA]
    return float(near.max()) if len(near) else 0.0


def _on_copies(predictions: Predictions, row: str) -> OnCopies:
    """The mean over runs, of which each is scored once."""
    of = _lives(predictions, row)
    each = np.array([_rms(run["error"]) for run in of.runs])  # (runs,)
    first = np.unique(group_ids(of.test.spans, "run_id"), return_index=True)[1]  # (runs,)
    return OnCopies(of.test, lambda copies: float(np.average(each, weights=copies[first])))


score = METRICS.score
SPEC = Task(
    title="Remaining useful life",
    metrics=tuple(METRICS),
    score=score,
    main="rmse",
    on_copies=_on_copies,
    note="Fraction of life left; computed for each run, then averaged over runs.",
    trivial=("training mean", "clock", "clock per condition"),
    baseline="workflow_src.classic.trivial:MeanAndClock",
)
