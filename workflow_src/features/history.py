"""What a run has shown so far: each value beside its past, and nothing of its future."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FIRST = 3  # windows of a run that the others are relative to
MEANS_S = (600.0, 3000.0)  # time constants of the exponential means, s


def with_history(values: Values, run: NDArray[np.int64], time_s: Values) -> Values:
    """(n, 4 F) of `values` (n, F) at times (n,) of runs (n,), in whatever order they are.

    Each value less the mean of the first FIRST of its run; the greatest of those so far; their
    exponential means over MEANS_S, weighed by the time between them. Neither the number nor the
    rank of what was kept of a run is told: on a thinned run they would be its life.
    """
    found = np.empty((len(values), (2 + len(MEANS_S)) * values.shape[1]))
    for number in np.unique(run):
        rows = np.flatnonzero(run == number)
        rows = rows[np.argsort(time_s[rows], kind="stable")]
        found[rows] = _of_run(values[rows], time_s[rows])
    return found


def _of_run(values: Values, time_s: Values) -> Values:
    """(m, 4 F) of one run (m, F) in the order of time (m,)."""
    reference = np.cumsum(values[:FIRST], 0) / np.arange(1, len(values[:FIRST]) + 1)[:, None]
    late = np.minimum(np.arange(len(values)), len(reference) - 1)
    relative = values - reference[late]  # of the first ones: those that are there by then
    columns = [relative, np.maximum.accumulate(relative)]
    for constant in MEANS_S:
        kept = np.exp(-np.diff(time_s) / constant)  # (m - 1,)
        mean = relative.copy()
        for k, share in enumerate(kept, 1):
            mean[k] = share * mean[k - 1] + (1 - share) * relative[k]
        columns.append(mean)
    return np.concatenate(columns, 1)
