"""The main metric on test units drawn with replacement: the effect of the choice of units."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.predictions import Predictions
from workflow_src.tasks.registry import label_of, task_of
from workflow_src.tasks.scores import Floats, Scored, UndefinedError, group_ids

MIN_UNITS = 3  # of a class in test; below, no interval
RESAMPLES = 1000
_LEAST = 200  # resamples, however many spans there are
_MOST_SPANS = 20_000_000  # in all resamples together
_NOUNS = {"unit_id": "unit", "run_id": "run", "recording_id": "recording"}
Whole = NDArray[np.int64]


def replicates(predictions: Predictions, task: str, row: str) -> Floats:
    """(resamples,) the main metric of `row`, each on as many units as the test part has.

    Units are drawn with replacement within each class (Efron & Tibshirani 1993, chapter 8). If
    recordings name no unit, runs are drawn, else recordings. A unit that is drawn twice counts as
    two. Raises UndefinedError with ``n/a (2 units)`` if a class has fewer than 3 units.
    """
    on_copies = task_of(task).on_copies
    if on_copies is None:
        raise UndefinedError("n/a (not drawn anew)")
    test, value = on_copies(predictions, row)
    column = next(c for c in _NOUNS if (test.spans[c] != "").all())
    units = group_ids(test.spans, column)
    strata = _strata(units, test, by_class=label_of(task) in ("fault", "anomaly"))
    few = min(map(len, strata))
    if few < MIN_UNITS:
        raise UndefinedError(f"n/a ({few} {_NOUNS[column]}{'s' * (few != 1)})")
    count = int(np.clip(_MOST_SPANS // len(test), _LEAST, RESAMPLES))
    drawn = _copies(strata, count, _seed(test.spans, column))
    return np.array([value(copies[units]) for copies in drawn])


def interval(values: Floats) -> tuple[float, float]:
    """The central 95 % of replicates."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _strata(units: Whole, test: Scored, *, by_class: bool) -> list[Whole]:
    """The units of each class, or of each set of classes for units with several; else all units."""
    classes = test.target if by_class else np.zeros(len(units))
    borne = pd.Series(classes).groupby(units).agg(frozenset)
    sets = sorted(set(borne), key=sorted)
    return [borne.index[borne == one].to_numpy(np.int64) for one in sets]


def _seed(spans: pd.DataFrame, column: str) -> int:
    """A seed from the names of the units, so that all models get the same draws."""
    names = sorted(set(spans["rig"].astype(str) + "/" + spans[column].astype(str)))
    return zlib.crc32("\n".join(names).encode())


def _copies(strata: list[Whole], count: int, seed: int) -> Floats:
    """(count, units) number of times that each unit is drawn."""
    rng = np.random.default_rng(seed)
    copies = np.zeros((count, sum(map(len, strata))))
    for members in strata:
        drawn = rng.integers(len(members), size=(count, len(members)))
        np.add.at(copies, (np.arange(count)[:, None], members[drawn]), 1.0)
    return copies
