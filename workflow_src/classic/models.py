"""From the keys of a classic model to its predictions: a file of this package, or the user's."""

from __future__ import annotations

from dataclasses import replace

from workflow_src.classic.problem import Problem
from workflow_src.configuration.model_files import module_of
from workflow_src.configuration.resolved_cell import ClassicModel
from workflow_src.errors import UserError
from workflow_src.predictions import Predictions

_PREDICT = "predict(problem: Problem, options: Options) -> Predictions"


def predict(model: ClassicModel, problem: Problem) -> Predictions:
    """What the method of `model` predicts on the validation and test parts of `problem`.

    Raises:
        UserError: a file that has no function `predict`, or one that gives something else.
    """
    file = module_of(model.method, model.source, "classic", _PREDICT)
    keys = model.model_dump(exclude={"kind", "method", "source"}, exclude_none=True)
    if not file.Options.FEATURES:  # no file that the rule does not wait for
        problem = replace(problem, features=None)
    predictions = file.predict(problem, file.Options.model_validate(keys))
    if not isinstance(predictions, Predictions):
        raise UserError(
            "The function `predict` of a classic model did not return Predictions.",
            where=model.method,
            found=type(predictions).__name__,
            expected="workflow_src.predictions.Predictions",
            remedy="return problem.predictions(held, {task: {'model': outputs}})",
        )
    return predictions
