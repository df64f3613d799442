"""From a cell's resolved configuration to its network: trunk, one head a task, learners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workflow_src.configuration import NetworkCell
from workflow_src.configuration.task_set import TaskSet
from workflow_src.data.windows import SpanReader
from workflow_src.models.network import Network, Trunk, build_trunk
from workflow_src.tasks.learner import HeadShape, Learner
from workflow_src.tasks.learners import LearnFacts, build_learners


class MultiTaskNetwork(Network):
    """A network that knows what its heads learn."""

    def __init__(self, trunk: Trunk, learners: Sequence[Learner], shape: HeadShape) -> None:
        super().__init__(trunk, {learner.name: learner.build_head(shape) for learner in learners})
        self.learners = tuple(learners)


def usable_tasks(cell: NetworkCell, kept: Sequence[str]) -> TaskSet:
    """The `kept` tasks, without the amplitude where the rig's is not comparable."""
    dropped = dict.fromkeys(set(TaskSet.model_fields) - set(kept))
    tasks = cell.tasks.model_copy(update=dropped)
    rul = tasks.rul_prediction
    if rul is None or cell.offers_amplitude:
        return tasks
    inputs = [name for name in rul.inputs if name != "amplitude"]
    without = rul.model_copy(update={"inputs": inputs})
    return tasks.model_copy(update={"rul_prediction": without})


def build_network(
    cell: NetworkCell, kept: Sequence[str], reader: SpanReader, facts: Mapping[str, Any]
) -> MultiTaskNetwork:
    """The network of a cell, initialised from the cell's seed.

    ``facts`` are the split's; ``kept`` the tasks that the split supports.
    """
    torch.manual_seed(cell.cell.seed)
    span, model = cell.dataset.span, cell.model
    channels, counts = reader.channels, facts["anomaly_counts"]["train"]
    learners = build_learners(
        usable_tasks(cell, kept),
        facts=LearnFacts(
            classes=reader.classes,
            positives=counts["positive"],
            negatives=counts["negative"],
        ),
    )
    sizes = model.model_dump(exclude_none=True)
    trunk = build_trunk(sizes, span.window, channels, facts["rate_hz"])
    shape = HeadShape(
        tokens=model.patch_count,
        width=model.width,
        horizon=span.horizon,
        channels=channels,
        classes=len(reader.classes),
    )
    return MultiTaskNetwork(trunk, learners, shape)
