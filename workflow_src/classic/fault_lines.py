"""A classifier on fault lines: how far each fault's line stands out of the envelope's spectrum.

It knows nothing but the physics of the bearing or the gears, and so needs the speed and the
geometry of every recording in use: without, it gives no row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_src.classic.problem import Floats, Problem, Signals
from workflow_src.classic.supervised import fault_outputs
from workflow_src.configuration.classic_models import ClassicOptions
from workflow_src.features.fault_lines import LOWEST_HZ, fault_lines
from workflow_src.features.fault_orders import COLUMNS, orders_by_recording, shaft_hz
from workflow_src.predictions import Predictions

# Orders of bearings, then of gears: columns of what is measured, whatever a rig knows.
_ORDERS = (*(name for name, _ in COLUMNS.values()), "wheel", "mesh")


class Options(ClassicOptions):
    """What learns from the lines."""

    MACHINE: ClassVar = True

    classifier: Literal["logistic_regression", "forest"] = Field(
        "logistic_regression", description="What learns from the lines.", examples=["forest"]
    )
    trees: int = Field(200, ge=1, description="Trees.", examples=[500])


def predict(problem: Problem, options: Options) -> Predictions:
    """Classes and faults; the other tasks are left to others."""
    train_rows, held_rows = problem.train(), problem.held()
    train = problem.measure(train_rows, _lines_of(problem, train_rows))
    held = problem.measure(held_rows, _lines_of(problem, held_rows))
    known = np.isfinite(np.concatenate([train.values, held.values])).all(0)  # (F,)
    used = np.flatnonzero(known).tolist()
    train, held = train.columns(used), held.columns(used)
    if not used:
        return problem.predictions(held, {})
    classifier = partial(_classifier, options, problem.seed)
    return problem.predictions(held, fault_outputs(problem, classifier, train, held))


def _classifier(options: Options, seed: int) -> Any:
    if options.classifier == "forest":
        size = {"n_estimators": options.trees, "min_samples_leaf": 2}
        return RandomForestClassifier(**size, random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _lines_of(problem: Problem, rows: Any) -> Callable[[Signals], Floats]:
    """Measures (n, C 2 K) of the spans of `rows`, batch after batch; NaN for what is unknown."""
    which, table = problem.source.recordings_of(rows)
    orders = _orders(table, problem)
    rate, turns = table["rate_hz"].to_numpy(float), shaft_hz(table).to_numpy(float)
    places = iter(which.tolist())

    def measure(spans: Signals) -> Floats:
        found = np.empty((*spans.window.shape[::2], len(LOWEST_HZ) * len(_ORDERS)))  # (n, C, 2 K)
        for span, lines in zip(spans.window, found, strict=True):
            at = next(places)
            for channel, signal in enumerate(span.T.astype(np.float64)):
                lines[channel] = fault_lines(signal, rate[at], turns[at], orders[at])
        return found.reshape(len(found), -1)

    return measure


def _orders(table: pd.DataFrame, problem: Problem) -> list[dict[str, float]]:
    """_ORDERS of each recording of the table, by its own columns or the geometry of its rig."""
    if "rig" in table.columns:  # of a union
        parts = [
            orders_by_recording(part, problem.geometry.get(str(rig)))
            for rig, part in table.groupby("rig")
        ]
    else:
        parts = [orders_by_recording(table, next(iter(problem.geometry.values()), None))]
    every = pd.concat(parts).reindex(index=table.index, columns=list(_ORDERS))
    return [dict(zip(_ORDERS, row, strict=True)) for row in every.to_numpy(float).tolist()]
