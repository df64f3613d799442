"""The finished network on the validation and test parts."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from workflow_src.data.windows import SpanReader
from workflow_src.predictions import (
    MODEL_ROW,
    Predictions,
    ScoreFacts,
    TaskPredictions,
    task_labels,
)
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.registry import task_of
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.batches import PartBatches, tensors
from workflow_src.training.recovery import Recovery
from workflow_src.training.step import Mark, micro_batches, unwatched

Arrays = list[NDArray[np.float32]]


def predict(
    recovery: Recovery,
    reader: SpanReader,
    facts: ScoreFacts,
    batch_size: int,
    device: torch.device,
    mark: Mark = unwatched,
) -> Predictions:
    """Outputs of every task on each span of val and test, in the order of the split.

    ``facts`` are kept for the scores. The network is put into evaluation, in full precision: two
    calls give the same numbers.
    """
    network = recovery.network
    network.to(device).eval()
    mark("evaluation", None)
    rows = np.concatenate([reader.rows("val"), reader.rows("test")])
    names = [objective.name for objective in network.objectives]
    outputs: dict[str, Arrays] = {name: [] for name in names}
    targets: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    masks: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in names}
    for spans in PartBatches(reader, rows, batch_size).spans():
        work = partial(outputs_of, network, tensors(spans), device)
        for name, kept in recovery.run("prediction", work).items():
            target, mask = task_labels(name, spans)
            outputs[name] += kept
            if target is not None:
                targets[name].append(target)
            masks[name].append(mask)
    return Predictions(
        spans=reader.frame(rows),
        tasks={
            name: TaskPredictions(
                mask=np.concatenate(masks[name]),
                outputs={MODEL_ROW: np.concatenate(outputs[name])},
                target=np.concatenate(targets[name]) if targets[name] else None,
                columns=task_of(name).columns,
            )
            for name in names
        },
        facts=facts,
    )


@torch.no_grad()
def outputs_of(
    network: MultiTaskNetwork, batch: Batch, device: torch.device, size: int
) -> dict[str, Arrays]:
    """What the predictions file keeps of each task: one array per micro-batch of `size` spans."""
    kept: dict[str, Arrays] = {objective.name: [] for objective in network.objectives}
    for piece, _ in micro_batches(batch, size):
        part = piece.to(device)
        features = network.trunk(part.window)
        for objective in network.objectives:
            raw = network.heads[objective.name](features.tokens, objective.extra(part))
            output = objective.predict(raw, part, features.scale)
            kept[objective.name].append(output.float().cpu().numpy())
    return kept
