"""The finished network on the validation and test parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from workflow_src.data.windows import SpanReader
from workflow_src.predictions import MODEL_ROW, Predictions, TaskPredictions, task_labels
from workflow_src.tasks.signal_prediction.score import STATISTICS
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.batches import PartBatches, tensors


@torch.no_grad()
def predict(
    network: MultiTaskNetwork,
    reader: SpanReader,
    facts: Mapping[str, Any],
    batch_size: int,
    device: torch.device,
) -> Predictions:
    """Outputs of every task on each span of val and test, in the order of the split.

    ``facts`` are kept for the scores. The network is put into evaluation: two calls give the same
    numbers.
    """
    network.to(device).eval()
    rows = np.concatenate([reader.rows("val"), reader.rows("test")])
    outputs: dict[str, list[Any]] = {learner.name: [] for learner in network.learners}
    targets: dict[str, list[Any]] = {learner.name: [] for learner in network.learners}
    masks: dict[str, list[Any]] = {learner.name: [] for learner in network.learners}
    for spans in PartBatches(reader, rows, batch_size).spans():
        batch = tensors(spans).to(device)
        features = network.trunk(batch.window)
        for learner in network.learners:
            raw = network.heads[learner.name](features.tokens, learner.extra(batch))
            kept = learner.predict(raw, batch, features.scale)
            target, mask = task_labels(learner.name, spans)
            outputs[learner.name].append(kept.float().cpu().numpy())
            targets[learner.name].append(target)
            masks[learner.name].append(mask)
    return Predictions(
        spans=reader.frame(rows),
        tasks={
            name: TaskPredictions(
                mask=np.concatenate(masks[name]),
                outputs={MODEL_ROW: np.concatenate(outputs[name])},
                target=None if targets[name][0] is None else np.concatenate(targets[name]),
                columns=tuple(STATISTICS) if name == "signal_prediction" else (),
            )
            for name in outputs
        },
        facts=dict(facts),
    )
