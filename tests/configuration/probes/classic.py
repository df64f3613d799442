"""Keys of classic models: another value is another answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from workflow_src.classic.models import predict
from workflow_src.classic.problem import Problem
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.resolved_cell import ClassicModel
from workflow_src.predictions import ScoreFacts

# Of each key a model that has it, two values, and a task that it matters for.
KEYS: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "trees": ({"method": "forest"}, 3, 5, "classification"),
    "classifier": ({"method": "fault_lines"}, "logistic_regression", "forest", "classification"),
    "detector": ({"method": "healthy"}, "mahalanobis", "isolation_forest", "anomaly_detection"),
    "past": ({"method": "ridge"}, 8, 16, "signal_prediction"),
    "penalty": ({"method": "ridge"}, 0.1, 10.0, "signal_prediction"),
    "leaf": ({"method": "forest", "trees": 3}, 1, 9, "classification"),
}


class Turning:
    """The spans of a reader, of a shaft whose speed is known."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def recordings_of(self, rows: Any) -> Any:
        which, table = self._reader.recordings_of(rows)
        return which, table.assign(speed_rpm=300)


def key(name: str) -> Any:
    model, one, other, task = KEYS[name]

    def answer(world: Any, value: Any) -> dict[str, np.ndarray]:
        cell = world.cell(None, "d/tr/all/1", models__tr={**model, name: value})
        assert cell["model"][name] == value
        facts, reader = ScoreFacts(classes=("normal", "inner")), Turning(world.reader())
        machines = {rig: Geometry(**known) for rig, known in cell.get("geometry", {}).items()}
        problem = Problem(reader, [task], facts, 1, amplitude=True, geometry=machines)
        return predict(ClassicModel.model_validate(cell["model"]), problem).tasks[task].outputs

    def probe(world: Any) -> None:
        first, second = answer(world, one), answer(world, other)
        assert any(not np.array_equal(first[row], second[row]) for row in first)

    return probe


PROBES = {f"Model.{name}": key(name) for name in KEYS}
