"""From a cell's resolved configuration to its network: trunk, one head a task, objectives."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.configuration import NetworkCell
from workflow_src.configuration.task_set import TaskSet
from workflow_src.models.network import Network, Trunk, build_trunk
from workflow_src.tasks.objective import HeadShape, Objective
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives


class MultiTaskNetwork(Network):
    """A network that knows what its heads learn."""

    def __init__(self, trunk: Trunk, objectives: Sequence[Objective], shape: HeadShape) -> None:
        super().__init__(
            trunk, {objective.name: objective.build_head(shape) for objective in objectives}
        )
        self.objectives = tuple(objectives)


def usable_tasks(cell: NetworkCell, kept: Sequence[str]) -> TaskSet:
    """The `kept` tasks, without the amplitude where the rig's is not comparable."""
    return cell.tasks.narrowed(kept, amplitude=cell.offers_amplitude)


def build_network(cell: NetworkCell, kept: Sequence[str], split: SplitSummary) -> MultiTaskNetwork:
    """The network of a cell, initialised from the cell's seed.

    ``kept`` are the tasks that the split supports.
    """
    torch.manual_seed(cell.cell.seed)
    span, model = cell.dataset.span, cell.model
    channels, counts = split.channels, split.anomaly_counts.train
    objectives = build_objectives(
        usable_tasks(cell, kept),
        facts=ObjectiveFacts(
            classes=split.classes,
            positives=counts.positive,
            negatives=counts.negative,
        ),
    )
    sizes = model.model_dump(exclude_none=True)
    trunk = build_trunk(sizes, span.window, channels, split.rate_hz)
    shape = HeadShape(
        tokens=model.patch_count,
        width=model.width,
        horizon=span.horizon,
        channels=channels,
        classes=len(split.classes),
    )
    return MultiTaskNetwork(trunk, objectives, shape)
