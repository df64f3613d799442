"""Where random scaling of spans is refused: a scale is an input there, or is taken away again."""

from __future__ import annotations

from workflow_src.configuration.resolved_cell import NetworkCell
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError


def refuse_scaling(cell: NetworkCell) -> None:
    """Raise ``UserError`` where the scale of spans is an input of a head, or of nothing at all."""
    augmentation = cell.training.augmentation
    if augmentation is None or augmentation.scale is None:
        return
    readers = [task for task, keys in cell.tasks.given().items() if keys.reads_amplitude]
    if cell.offers_amplitude and readers:
        what = f"amplitude is an input of {', '.join(readers)}, and would say nothing"
        mend = as_yaml(("amplitude",), "none") + "\nof the dataset, or no `scale`"
    elif cell.model.normalisation == "window":
        what = "normalisation: window takes every factor away again"
        mend = as_yaml(("normalisation",), "none") + "\nof the model, or no `scale`"
    else:
        return
    raise UserError(
        "Training spans cannot be scaled here.",
        where=f"{cell.cell.dataset}/{cell.cell.model}, key `training.augmentation.scale`",
        found=f"scale: {augmentation.scale}; {what}",
        remedy=mend,
    )
