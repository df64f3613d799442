"""What the scores, the tables and the baselines know of each task (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name

from workflow_src.artifacts.cell_metrics import Scores
from workflow_src.configuration.task_options import Label
from workflow_src.configuration.tasks import TASK_OPTIONS
from workflow_src.predictions import Predictions
from workflow_src.tasks.scores import Metric, OnCopies


@dataclass(frozen=True)
class Task:
    """How predictions of one task are scored and shown; `SPEC` of its `score.py`.

    Attributes:
        title: of its tables.
        metrics: all of them.
        score: from predictions and a row of the table to the metrics on the test part.
        main: the metric that ranks.
        on_copies: from predictions and a row to the main metric on units drawn anew; None: no
            intervals.
        companions: metrics that must stand beside it.
        stand_in: the metric that is shown where the main one is undefined, and its short name.
        columns: names of what is kept of a span, where that is several numbers.
        note: how to read its tables.
        noise_note: what noise on the windows of the test part does to the scores.
        trivial, reference: rows of the trivial model, in their order.
        baseline: ``module:class`` that makes those rows (`workflow_src.classic.trivial.Baseline`).
    """

    title: str
    metrics: tuple[Metric, ...]
    score: Callable[[Predictions, str], Scores]
    main: str
    on_copies: Callable[[Predictions, str], OnCopies] | None = None
    companions: tuple[str, ...] = ()
    stand_in: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()
    note: str = ""
    noise_note: str = ""
    trivial: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    baseline: str = ""

    def metric(self, name: str) -> Metric:
        """The metric of this name."""
        return next(metric for metric in self.metrics if metric.name == name)


@cache
def task_of(name: str) -> Task:
    """The task of this name."""
    found = resolve_name(f"workflow_src.tasks.{name}.score:SPEC")
    if not isinstance(found, Task):
        raise TypeError(f"SPEC of the task {name} is no Task")
    return found


def label_of(name: str) -> Label | None:
    """The label that a task learns."""
    return TASK_OPTIONS[name].LABEL
