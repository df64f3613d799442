"""From a task set to the learners of a network."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_src.configuration.task_set import TaskSet
from workflow_src.errors import BadData, UserError
from workflow_src.tasks import TASKS
from workflow_src.tasks.anomaly_detection.learn import AnomalyDetection
from workflow_src.tasks.classification.learn import Classification
from workflow_src.tasks.learner import Learner
from workflow_src.tasks.rul_prediction.learn import RulPrediction
from workflow_src.tasks.signal_prediction.learn import SignalPrediction


@dataclass(frozen=True)
class LearnFacts:
    """What learners need of the training part: its classes and its count of either kind."""

    classes: tuple[str, ...]
    positives: int  # faulty spans
    negatives: int  # healthy spans


def build_learners(tasks: TaskSet, *, facts: LearnFacts) -> list[Learner]:
    """A learner for each task that is set, in the order of TASKS.

    A training part that cannot teach a task is BadData, an empty task set a UserError.
    """
    learners: list[Learner] = []
    if (keys := tasks.classification) is not None:
        _require_classes(facts)
        learners.append(Classification(keys.weight, keys.label_smoothing))
    if (anomaly := tasks.anomaly_detection) is not None:
        learners.append(AnomalyDetection(_pos_weight(facts), anomaly.weight, anomaly.amplitude))
    if (signal := tasks.signal_prediction) is not None:
        learners.append(SignalPrediction(signal.weight))
    if (rul := tasks.rul_prediction) is not None:
        learners.append(RulPrediction(rul.weight, rul.loss, tuple(rul.inputs)))
    if not learners:
        raise UserError(
            "A task set names no task that can be learned.",
            found="an empty task set",
            expected="one or more of " + ", ".join(TASKS),
        )
    return learners


def _require_classes(facts: LearnFacts) -> None:
    if len(facts.classes) < 2:
        raise BadData(
            "Classification needs two classes or more in the training part.",
            found=", ".join(facts.classes) or "no class",
            remedy="choose another split, or a task set without `classification:`",
        )


def _pos_weight(facts: LearnFacts) -> float:
    if not facts.positives or not facts.negatives:
        raise BadData(
            "Supervised anomaly detection needs healthy and faulty spans in the training part.",
            found=f"{facts.negatives} healthy and {facts.positives} faulty spans",
            remedy="choose another split, or a task set without `anomaly_detection:`",
        )
    return facts.negatives / facts.positives
