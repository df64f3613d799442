"""Curves of a score over all its thresholds, and the areas under them (no torch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.tasks.scores import Floats, ratio

_MAX_FPR = 0.1


def _by_threshold(
    output: Floats, faulty: NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Weight of false and of true alarms, for each distinct threshold from the highest down."""
    distinct, which = np.unique(-output, return_inverse=True)
    false = np.bincount(which, weights * ~faulty, minlength=len(distinct)).cumsum()
    true = np.bincount(which, weights * faulty, minlength=len(distinct)).cumsum()
    return false, true


def roc_curve(output: Floats, faulty: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates, (0, 0) first; equal scores are one step."""
    false, true = _by_threshold(output, faulty, weights)
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def area(fpr: Floats, tpr: Floats) -> float:
    """Area under the curve by trapezia, ties counting one half."""
    return float(np.diff(fpr) @ (tpr[1:] + tpr[:-1]) / 2)


def partial_area(fpr: Floats, tpr: Floats, limit: float = _MAX_FPR) -> float:
    """Area for false positive rates up to `limit`, standardised to 0.5 at chance (McClish 1989)."""
    inside = fpr <= limit
    height = np.interp(limit, fpr, tpr)  # the last of equal abscissae
    part = area(np.append(fpr[inside], limit), np.append(tpr[inside], height))
    chance = limit**2 / 2
    return float((1 + (part - chance) / (limit - chance)) / 2)


def average_precision(output: Floats, faulty: NDArray[np.bool_], weights: Floats) -> float:
    """Precision at each distinct threshold, weighted by the recall that it adds."""
    false, true = _by_threshold(output, faulty, weights)
    gained = np.diff(true, prepend=0.0)
    return ratio(float(gained @ (true / (true + false))), float(true[-1]), "no faulty span in test")
