"""From a task set to the objectives of a network."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_src.configuration.task_set import TaskSet
from workflow_src.errors import BadData, UserError
from workflow_src.tasks import TASKS
from workflow_src.tasks.anomaly_detection.objective import AnomalyDetection
from workflow_src.tasks.classification.objective import Classification
from workflow_src.tasks.objective import Objective
from workflow_src.tasks.rul_prediction.objective import RulPrediction
from workflow_src.tasks.signal_prediction.objective import SignalPrediction


@dataclass(frozen=True)
class ObjectiveFacts:
    """What objectives need of the training part: its classes and its count of either kind."""

    classes: tuple[str, ...]
    positives: int  # faulty spans
    negatives: int  # healthy spans


def build_objectives(tasks: TaskSet, *, facts: ObjectiveFacts) -> list[Objective]:
    """A objective for each task that is set, in the order of TASKS.

    A training part that cannot teach a task is BadData, an empty task set a UserError.
    """
    objectives: list[Objective] = []
    if (keys := tasks.classification) is not None:
        _require_classes(facts)
        objectives.append(Classification(keys.weight, keys.label_smoothing))
    if (anomaly := tasks.anomaly_detection) is not None:
        objectives.append(AnomalyDetection(_pos_weight(facts), anomaly.weight, anomaly.amplitude))
    if (signal := tasks.signal_prediction) is not None:
        objectives.append(SignalPrediction(signal.weight))
    if (rul := tasks.rul_prediction) is not None:
        objectives.append(RulPrediction(rul.weight, rul.loss, tuple(rul.inputs)))
    if not objectives:
        raise UserError(
            "A task set names no task that can be learned.",
            found="an empty task set",
            expected="one or more of " + ", ".join(TASKS),
        )
    return objectives


def _require_classes(facts: ObjectiveFacts) -> None:
    if len(facts.classes) < 2:
        raise BadData(
            "Classification needs two classes or more in the training part.",
            found=", ".join(facts.classes) or "no class",
            remedy="choose another split, or a task set without `classification:`",
        )


def _pos_weight(facts: ObjectiveFacts) -> float:
    if not facts.positives or not facts.negatives:
        raise BadData(
            "Supervised anomaly detection needs healthy and faulty spans in the training part.",
            found=f"{facts.negatives} healthy and {facts.positives} faulty spans",
            remedy="choose another split, or a task set without `anomaly_detection:`",
        )
    return facts.negatives / facts.positives
