"""Scores of the fraction of life left.

The predictions of a snapshot (recording) are averaged, a metric is computed on each run and then
averaged over runs: a long run counts as much as a short one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from workflow_src.artifacts.cell_metrics import Scores
from workflow_src.predictions import Predictions
from workflow_src.tasks.rul_prediction.phm2012 import phm2012
from workflow_src.tasks.scores import (
    Floats,
    Metric,
    Scored,
    UndefinedError,
    all_undefined,
    collect,
    group_ids,
    labelled,
    ratio,
)

TASK = "rul_prediction"
MAIN = "rmse"
TRIVIAL = ("training mean", "clock", "clock per condition")
REFERENCE: tuple[str, ...] = ()
METRICS = (
    Metric("rmse", "RMSE", False, unit="life"),
    Metric("mae", "MAE", False, unit="life"),
    Metric("median_absolute_error", "median error", False, unit="life"),
    Metric("max_error", "maximum error", False, unit="life"),
    Metric("rmse_last_30", "RMSE, last 30 %", False, unit="life"),
    Metric("bias", "bias", False, unit="life"),
    Metric("late_share", "late", False),
    Metric("skill_clock", "skill against clock", True),
    Metric("phm2012", "PHM 2012 score", True),
    Metric("phm2012_full_run", "PHM 2012 score, RUL of the full runs", True),
)


def score(predictions: Predictions, row: str) -> Scores:
    """Scores of `row` on the test part.

    The skill against the clock needs ``facts.mean_training_life_s``, the PHM 2012 score the
    facts that `phm2012` names.
    """
    test = labelled(predictions, TASK, row, "test")
    if not len(test):
        return all_undefined(METRICS, "no test span of a run that ended in failure")
    runs = snapshots(test)
    facts = predictions.facts
    life = facts.mean_training_life_s

    def over_runs(metric: Callable[[pd.DataFrame], float]) -> float:
        return float(np.mean([metric(run) for _, run in runs]))

    def skill_clock() -> float:
        if not life or test.spans["time_s"].isna().any():
            raise UndefinedError("the mean training life or the time in life is unknown")
        reference = over_runs(lambda run: _rms(clock(run["time_s"].to_numpy(), life) - run["true"]))
        return 1 - ratio(over_runs(lambda run: _rms(run["error"])), reference, "the clock is exact")

    return collect(
        METRICS,
        {
            "rmse": lambda: over_runs(lambda run: _rms(run["error"])),
            "mae": lambda: over_runs(lambda run: float(run["error"].abs().mean())),
            "median_absolute_error": lambda: over_runs(lambda r: float(r["error"].abs().median())),
            "max_error": lambda: over_runs(lambda run: float(run["error"].abs().max())),
            "rmse_last_30": lambda: over_runs(_rmse_last_30),
            "bias": lambda: over_runs(lambda run: float(run["error"].mean())),
            "late_share": lambda: over_runs(lambda run: float((run["error"] > 0).mean())),
            "skill_clock": skill_clock,
            "phm2012": lambda: phm2012(test, facts, "official_rul_s"),
            "phm2012_full_run": lambda: phm2012(test, facts, "full_run_rul_s"),
        },
    )


def snapshots(test: Scored) -> list[tuple[int, pd.DataFrame]]:
    """For each run its table of snapshots: ``true``, ``error`` (fractions) and ``time_s``."""
    spans = pd.DataFrame(
        {
            "run": group_ids(test.spans, "run_id"),
            "recording": group_ids(test.spans, "recording_id"),
            "true": test.target,
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
