"""Ranks over rigs: Friedman's test, and Nemenyi's critical difference after it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from workflow_src.tables.statistics import as_shown
from workflow_src.tasks.scores import Floats, Metric

MIN_RIGS = 6  # below, no rank test
MIN_ROWS = 3
ALPHA = 0.05


class Ranks(NamedTuple):
    """Ranks of k rows on N rigs.

    Attributes:
        mean: (k,) mean of `ranks_of` over rigs.
        statistic, p: Friedman's test; None if all rows tie on every rig.
        critical_difference: mean ranks that are further apart differ (alpha 0.05).
        pairwise: (k, k) p values of Nemenyi's test.
    """

    mean: Floats
    statistic: float | None
    p: float | None
    critical_difference: float
    pairwise: Floats


def ranks_of(scores: Floats, metric: Metric) -> Floats:
    """(k, N) ranks of k rows on N rigs or columns; 1 is the best, equal printed scores tie."""
    from scipy.stats import rankdata

    higher, digits = metric.higher_is_better, metric.digits
    rows = scores.tolist()
    shown = np.array(
        [[as_shown(v, higher_is_better=higher, digits=digits) for v in r] for r in rows]
    )
    ranks: Floats = rankdata(-shown if higher else shown, axis=0)
    return ranks


def rank_test(scores: Floats, metric: Metric) -> Ranks:
    """Test the ranks of `scores` (k, N) for at least three rows (Demsar 2006)."""
    from scikit_posthocs import posthoc_nemenyi_friedman  # slow to import, seldom needed
    from scipy.stats import friedmanchisquare, studentized_range

    rows, rigs = scores.shape
    ranks = ranks_of(scores, metric)
    statistic = p = None
    if np.ptp(ranks, axis=0).any():
        found = friedmanchisquare(*ranks)
        statistic, p = float(found.statistic), float(found.pvalue)
    quantile = float(studentized_range.ppf(1 - ALPHA, rows, math.inf)) / math.sqrt(2)
    return Ranks(
        mean=ranks.mean(1),
        statistic=statistic,
        p=p,
        critical_difference=quantile * math.sqrt(rows * (rows + 1) / (6 * rigs)),
        pairwise=np.asarray(posthoc_nemenyi_friedman(ranks.T), np.float64),
    )
