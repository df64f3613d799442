"""The remaining life by energies and their history, with and without age and condition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.classic.problem import Floats, Measured, Problem
from workflow_src.classic.supervised import run_weights
from workflow_src.errors import BadData
from workflow_src.features.history import with_history
from workflow_src.predictions import Predictions
from workflow_src.tasks.scores import group_ids

Whole = NDArray[np.int64]
# Fits inputs (n, F) with lives left (n,), weights (n,) and runs (n,); then lives of other inputs.
Fit = Callable[[Floats, Floats, Floats, Whole], Callable[[Floats], Floats]]


def described_lives(problem: Problem, rows: Whole) -> Measured:
    """Age and log energies of `rows`, or their shares alone where levels say nothing."""
    return problem.described(rows, ["age", "energies" if problem.amplitude else "shares"])


def asks_for_lives(problem: Problem) -> bool:
    """Whether lives are asked for, of runs whose past is there: of a truncated run it is not."""
    return "rul_prediction" in problem.tasks and not problem.facts.truncation


def lives_left(train: Measured, held: Measured, fit: Fit) -> dict[str, Floats]:
    """Rows ``model`` and ``model +age``, (n,) each, of spans described by `described_lives`."""
    known = train.where(~np.isnan(train.rul))
    _require_times(known, held)
    runs, weights = group_ids(known.spans, "run_id"), run_weights(known)
    left = np.clip(known.rul.astype(np.float64), 0.0, 1.0)
    conditions = sorted(set(known.spans["condition"]))
    inputs, asked = _history(known), _history(held)
    more, asked_more = (
        np.concatenate([part.values[:, :1], _one_hot(part.spans, conditions)], 1)
        for part in (known, held)
    )
    asked_more = np.nan_to_num(asked_more)  # of spans without a life, which no score looks at
    found = {
        "model": fit(inputs, left, weights, runs)(asked),
        "model +age": fit(np.concatenate([inputs, more], 1), left, weights, runs)(
            np.concatenate([asked, asked_more], 1)
        ),
    }
    return {row: np.clip(values, 0.0, 1.0) for row, values in found.items()}


def _history(part: Measured) -> Floats:
    """(n, 4 F) of a part; what another part holds of a run stays unseen."""
    time_s = part.spans["time_s"].to_numpy(np.float64)
    runs = group_ids(part.spans, "run_id", "part")
    return with_history(part.values[:, 1:], runs, np.nan_to_num(time_s))


def _one_hot(spans: pd.DataFrame, conditions: list[str]) -> Floats:
    """(n, conditions), zeros for a condition that training has not."""
    return np.stack([(spans["condition"] == c).to_numpy(np.float64) for c in conditions], 1)


def _require_times(*parts: Measured) -> None:
    for part in parts:
        if part.spans["time_s"].isna()[~np.isnan(part.rul)].any():
            raise BadData(
                "The history of a run needs times in life.",
                found="spans with a remaining life, but without a time",
                remedy="give `time_s` and `life_s` to every recording of a run to failure",
            )


def predict_lives(problem: Problem, fit: Fit) -> Predictions:
    """The remaining life alone; the other tasks are left to others."""
    held = described_lives(problem, problem.held())
    outputs = {}
    if asks_for_lives(problem):
        train = described_lives(problem, problem.train())
        outputs["rul_prediction"] = lives_left(train, held, fit)
    return problem.predictions(held, outputs)
