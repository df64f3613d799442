"""From a task set to the learners of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from workflow_src.errors import BadData, UserError
from workflow_src.tasks import TASKS
from workflow_src.tasks.anomaly_detection.learn import AnomalyDetection
from workflow_src.tasks.classification.learn import Classification
from workflow_src.tasks.learner import Learner
from workflow_src.tasks.rul_prediction.learn import RulInput, RulLoss, RulPrediction
from workflow_src.tasks.signal_prediction.learn import SignalPrediction


@dataclass(frozen=True)
class LearnFacts:
    """What learners need of the training part: its classes and its count of either kind."""

    classes: tuple[str, ...]
    positives: int  # faulty spans
    negatives: int  # healthy spans


def build_learners(
    task_set: Mapping[str, Mapping[str, Any]], *, facts: LearnFacts
) -> list[Learner]:
    """A learner for each task of `task_set` (task to options), in the order of TASKS.

    Options are ``weight`` and: classification ``label_smoothing``; anomaly_detection
    ``amplitude``; rul_prediction ``loss`` (mse or huber) and ``inputs`` (of amplitude, age).
    An unknown task or option is a UserError; a training part that cannot teach a task is BadData.
    """
    unknown = [task for task in task_set if task not in TASKS]
    if unknown or not task_set:
        raise UserError(
            "A task set names no task that can be learned.",
            found=", ".join(unknown) or "an empty task set",
            expected="one or more of " + ", ".join(TASKS),
        )
    return [_build(task, dict(task_set[task]), facts) for task in TASKS if task in task_set]


def _build(task: str, options: dict[str, Any], facts: LearnFacts) -> Learner:
    try:
        if task == "classification":
            _require_classes(facts)
            return Classification(**options)
        if task == "anomaly_detection":
            return AnomalyDetection(pos_weight=_pos_weight(facts), **options)
        if task == "signal_prediction":
            return SignalPrediction(**options)
        return _rul_prediction(options)
    except TypeError as error:
        raise UserError(
            f"The task {task} was given an option that it does not have.",
            found=str(error),
            remedy=f"remove the option from `{task}:` in config/task_sets.yaml",
        ) from error


def _rul_prediction(options: dict[str, Any]) -> RulPrediction:
    loss = options.pop("loss", "mse")
    inputs = tuple(options.pop("inputs", ("amplitude",)))
    for key, found, known in (
        ("loss", (loss,), get_args(RulLoss)),
        ("inputs", inputs, get_args(RulInput)),
    ):
        if not set(found) <= set(known):
            raise UserError(
                f"rul_prediction does not know a value of `{key}`.",
                found=", ".join(map(str, found)),
                expected=" or ".join(known),
                remedy=f"{key}: {known[0] if key == 'loss' else list(known)}",
            )
    return RulPrediction(loss_name=loss, inputs=inputs, **options)


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
