"""What split.json says of a split that no recording stands behind."""

from __future__ import annotations

import json
from typing import Any

from workflow_src.artifacts.split_summary import SplitSummary

_UNITS = {"train": 3, "val": 1, "test": 2}
_COUNTS = {"positive": 3, "negative": 3}
_CONTENT: dict[str, Any] = {
    "dataset": "bearing",
    "rig": "bearing",
    "declared": "unit",
    "strength": "unit",
    "reasons": [],
    "validation": {"declared": "unit", "strategy": "unit", "reason": "as declared"},
    "excluded": {},
    "window": 48,
    "horizon": 16,
    "span": 64,
    "gap": 0,
    "channels": 1,
    "channel_kinds": ["vibration"],
    "spans": {"train": 6, "val": 2, "test": 4},
    "recordings": {"train": 6, "val": 2, "test": 4},
    "classes": ["normal", "inner"],
    "units_per_class": {"normal": _UNITS, "inner": _UNITS},
    "training_class_counts": {"normal": 3, "inner": 3},
    "anomaly_counts": {"train": _COUNTS, "val": _COUNTS, "test": _COUNTS},
    "training_lives_s": {"r1": 100.0, "r2": 300.0},
    "mean_training_life_s": 200.0,
    "supported": {
        "classification": None,
        "anomaly_detection": None,
        "signal_prediction": None,
        "rul_prediction": None,
    },
    "remedies": {},
    "rate_hz": 1000.0,
    "window_ms": 48.0,
    "horizon_ms": 16.0,
    "revolutions_per_window": None,
    "fault_periods_per_window": {},
    "fault_periods_per_horizon": {},
    "warnings": [],
    "shares": {},
}


def split_summary(**changes: Any) -> SplitSummary:
    """A split by unit of two classes, where `changes` are keys of split.json, as JSON."""
    return SplitSummary.model_validate_json(json.dumps(_CONTENT | changes))
