"""The tasks: a line each."""

from __future__ import annotations

from workflow_src.configuration.base import section_at
from workflow_src.configuration.task_options import Label, TaskOptions

# Name in a task set -> its options, in the order of the tables. What they import is imported with
# the Snakefile. Beside them lie `score.py` and `objective.py` (docs/extending.md).
_OPTIONS = {
    "classification": "workflow_src.tasks.classification.options:ClassificationKeys",
    "anomaly_detection": "workflow_src.tasks.anomaly_detection.options:AnomalyKeys",
    "signal_prediction": "workflow_src.tasks.signal_prediction.options:SignalKeys",
    "rul_prediction": "workflow_src.tasks.rul_prediction.options:RulKeys",
}
TASKS = tuple(_OPTIONS)

TASK_OPTIONS = {name: section_at(path, TaskOptions) for name, path in _OPTIONS.items()}


def tasks_on(*labels: Label) -> list[str]:
    """The tasks that learn one of `labels`."""
    return [name for name, options in TASK_OPTIONS.items() if options.LABEL in labels]
