"""One optimisation step's gradients, the same at any micro-batch size (plain torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork


def valid_labels(network: MultiTaskNetwork, batch: Batch) -> dict[str, Tensor]:
    """Number of samples of `batch` that bear a label, a task."""
    return {learner.name: learner.mask(batch).sum() for learner in network.learners}


def sample_keys(seed: int, step_index: int, index: Tensor) -> Tensor:
    """(B,) int64: what the random draws of a sample in a step are keyed by.

    Splitmix64's finaliser (Steele, Lea & Flood 2014) over seed, step and sample, so that draws do
    not depend on batch mates or on how the batch is divided.
    """
    keys = index
    for word in (step_index, seed):
        keys = keys * -7046029254386353131 + word  # int64 wraps around, as it should
        keys = (keys ^ (keys >> 30)) * -4658895280553007687
        keys = (keys ^ (keys >> 27)) * -7723592293110705685
        keys = keys ^ (keys >> 31)
    return keys


def loss_sums(
    network: MultiTaskNetwork, batch: Batch, keys: Tensor | None = None
) -> dict[str, Tensor]:
    """Sum of each task's loss over the samples of `batch` that bear its label.

    In float64: sums over a whole part do not drift, and hardly tell how it was divided.
    """
    features = network.trunk(batch.window, keys)
    sums = {}
    for learner in network.learners:
        output = network.heads[learner.name](features.tokens, learner.extra(batch))
        losses = learner.loss(output, batch, features.scale)  # (B,)
        sums[learner.name] = torch.where(learner.mask(batch), losses, 0.0).double().sum()
    return sums


def weighted(
    network: MultiTaskNetwork, sums: Mapping[str, Tensor], counts: Mapping[str, Tensor]
) -> Tensor:
    """Objective: each task's mean over its valid labels, weighted; no label, no contribution."""
    terms = [
        learner.weight * sums[learner.name] / counts[learner.name].clamp(min=1)
        for learner in network.learners
    ]
    return torch.stack(terms).sum()


def step(
    network: MultiTaskNetwork,
    batch: Batch,
    micro_batch_size: int,
    keys: Tensor | None = None,
    backward: Callable[[Tensor], object] = Tensor.backward,
) -> dict[str, Tensor]:
    """Add the gradient of `batch` to the parameters' `.grad`; give each task's mean loss.

    The counts are those of the whole batch, so the sum over micro-batches is the full-batch
    gradient up to rounding, whatever labels are missing where. (The mean of micro-batch means,
    usual elsewhere, is off by tens of percent once labels are missing.) ``keys`` (B,) decide the
    random draws of each sample.
    """
    counts = valid_labels(network, batch)
    totals: dict[str, Tensor] = {}
    for start in range(0, len(batch), micro_batch_size):
        stop = min(start + micro_batch_size, len(batch))
        part_keys = None if keys is None else keys[start:stop]
        sums = loss_sums(network, batch.part(start, stop), part_keys)
        backward(weighted(network, sums, counts))
        for name, value in sums.items():
            totals[name] = totals.get(name, torch.zeros_like(value)) + value.detach()
    return {name: total / counts[name].clamp(min=1) for name, total in totals.items()}
