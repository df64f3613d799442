"""The tasks: a line each."""

from __future__ import annotations

from pkgutil import resolve_name

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


def _options(path: str) -> type[TaskOptions]:
    found = resolve_name(path)
    if not (isinstance(found, type) and issubclass(found, TaskOptions)):
        raise TypeError(f"{path} is no class of TaskOptions")
    return found


TASK_OPTIONS: dict[str, type[TaskOptions]] = {name: _options(at) for name, at in _OPTIONS.items()}


def tasks_on(*labels: Label) -> list[str]:
    """The tasks that learn one of `labels`."""
    return [name for name, options in TASK_OPTIONS.items() if options.LABEL in labels]
