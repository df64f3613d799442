"""From a task set to the objectives of a network."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name

from workflow_src.configuration.task_set import TaskSet
from workflow_src.errors import UserError
from workflow_src.tasks import TASKS
from workflow_src.tasks.objective import Objective


@dataclass(frozen=True)
class ObjectiveFacts:
    """What objectives need of the training part: its classes and its count of either kind."""

    classes: tuple[str, ...]
    positives: int  # faulty spans
    negatives: int  # healthy spans


def build_objectives(tasks: TaskSet, *, facts: ObjectiveFacts) -> list[Objective]:
    """An objective for each task that is set, in the order of TASKS: `build` of its `objective.py`.

    A training part that cannot teach a task is BadData, an empty task set a UserError.
    """
    objectives: list[Objective] = [
        resolve_name(f"workflow_src.tasks.{name}.objective:build")(keys, facts)
        for name, keys in tasks.given().items()
    ]
    if not objectives:
        raise UserError(
            "A task set names no task that can be learned.",
            found="an empty task set",
            expected="one or more of " + ", ".join(TASKS),
        )
    return objectives
