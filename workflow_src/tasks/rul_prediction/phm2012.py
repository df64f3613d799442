"""The score of the IEEE PHM 2012 challenge: one remaining life a test run, at its truncation.

Nectoux et al., PRONOSTIA: an experimental platform for bearings accelerated degradation tests,
IEEE PHM 2012, section on the scoring of results.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from workflow_src.predictions import ScoreFacts
from workflow_src.tasks.scores import Scored, UndefinedError

_MOST = 0.99  # of life that a prediction may leave: t f / (1 - f) has no end
_EARLY, _LATE = 20.0, 5.0  # percent of error that halve the accuracy


def phm2012(
    test: Scored, facts: ScoreFacts, reference: Literal["official_rul_s", "full_run_rul_s"]
) -> float:
    """Mean accuracy of the remaining life over the truncated test runs, from 0 to 1 (best).

    `reference` names the remaining life that counts. Undefined where no run is truncated, where a
    run has no such life, or where one of the runs is not in `test`.
    """
    truncation = facts.truncation
    if not truncation:
        raise UndefinedError("only of test runs that are truncated as in the challenge")
    longest = facts.longest_training_life_s
    if longest is None:
        raise UndefinedError("the lives of the training runs are unknown")
    absent = sorted(set(truncation) - set(test.spans["run_id"].astype(str)))
    if absent:
        raise UndefinedError(f"the test run {absent[0]} has no label, and so no prediction here")
    accuracies = []
    times = test.spans["time_s"].to_numpy(np.float64)
    for run, places in test.spans.groupby("run_id").indices.items():
        at = truncation[str(run)]
        actual = at.official_rul_s if reference == "official_rul_s" else at.full_run_rul_s
        if actual is None or actual <= 0:
            raise UndefinedError(f"the remaining life of {run} at its truncation is unknown")
        fraction, seen_s = float(test.output[places].mean()), float(times[places].min())
        accuracies.append(accuracy(actual, remaining_s(fraction, seen_s, at.truncation_s, longest)))
    return float(np.mean(accuracies))


def remaining_s(fraction: float, seen_s: float, truncation_s: float, longest_s: float) -> float:
    """The remaining life (s) at the truncation that a fraction left at `seen_s` stands for.

    t f / (1 - f) with f from 0 to 0.99, at most the longest training life, less what passes
    between the last snapshot and the truncation; not below 0.
    """
    left = min(max(fraction, 0.0), _MOST)
    at_snapshot = min(seen_s * left / (1 - left), longest_s)
    return max(at_snapshot - (truncation_s - seen_s), 0.0)


def accuracy(actual_s: float, predicted_s: float) -> float:
    """A_i of one run: 1 where exact; half at 20 % too early or at 5 % too late.

    With Er = 100 (actual - predicted) / actual: exp(-ln(0.5) Er / 5) for Er <= 0 (late), else
    exp(ln(0.5) Er / 20).
    """
    error = 100 * (actual_s - predicted_s) / actual_s
    return math.exp(math.log(0.5) * (-error / _LATE if error <= 0 else error / _EARLY))
