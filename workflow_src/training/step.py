"""One optimisation step's gradients, the same at any micro-batch size (plain torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workflow_src.models.network import Features
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.objective import Meter, Objective
from workflow_src.training.assembly import MultiTaskNetwork

Mark = Callable[[str, str | None], None]


def unwatched(phase: str, component: str | None) -> None:
    """Stands where nobody wants to know what is being computed."""


@dataclass(frozen=True)
class StepOptions:
    """How a batch is computed, in what changes no result beyond rounding.

    Attributes:
        autocast: makes the context of a forward pass (mixed precision).
        scale: what losses are multiplied by before the backward pass, and gradients with them.
        meters: running metrics that see each output, by task.
        mark: told which phase and component comes next.
    """

    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    scale: float = 1.0
    meters: Mapping[str, Meter] = field(default_factory=dict)
    mark: Mark = unwatched


@dataclass(frozen=True)
class StepTotals:
    """What a step adds up over its samples, a task: float64 scalars.

    Attributes:
        losses: sum of the losses of the samples that bear a label.
        squares: squared norm of the weighted loss' gradient at the tokens, times the squared scale.
    """

    losses: dict[str, Tensor]
    squares: dict[str, Tensor]

    @classmethod
    def zero(cls, network: MultiTaskNetwork, device: torch.device) -> StepTotals:
        """Sums over no sample."""

        def zeros() -> dict[str, Tensor]:
            names = [objective.name for objective in network.objectives]
            return {name: torch.zeros((), dtype=torch.float64, device=device) for name in names}

        return cls(zeros(), zeros())


def valid_labels(network: MultiTaskNetwork, batch: Batch) -> dict[str, Tensor]:
    """Number of samples of `batch` that bear a label, a task."""
    return {objective.name: objective.mask(batch).sum() for objective in network.objectives}


def means(sums: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each task's mean over its valid labels; 0 where there is none."""
    return {name: total / counts[name].clamp(min=1) for name, total in sums.items()}


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


def micro_batches(
    batch: Batch, size: int, keys: Tensor | None = None
) -> Iterator[tuple[Batch, Tensor | None]]:
    """The micro-batches of `batch` with the keys of their samples; the last may be short."""
    for start in range(0, len(batch), size):
        stop = min(start + size, len(batch))
        yield batch.part(start, stop), None if keys is None else keys[start:stop]


def loss_sum(
    network: MultiTaskNetwork,
    objective: Objective,
    features: Features,
    part: Batch,
    options: StepOptions,
) -> Tensor:
    """Sum of one task's loss over the samples of `part` that bear its label, () float64.

    In float64: sums over a whole part do not drift, and hardly tell how it was divided.
    """
    with options.autocast():
        output = network.heads[objective.name](features.tokens, objective.extra(part))
    losses = objective.loss(output, part, features.scale)  # (b,)
    if objective.name in options.meters:
        options.meters[objective.name].update(output.detach(), part, features.scale)
    return torch.where(objective.mask(part), losses, 0.0).double().sum()


def loss_sums(
    network: MultiTaskNetwork, batch: Batch, size: int, options: StepOptions
) -> dict[str, Tensor]:
    """Sum of each task's loss over the labels of `batch`, `size` samples at a time; no gradient."""
    sums = StepTotals.zero(network, batch.window.device).losses
    with torch.no_grad():
        for part, _ in micro_batches(batch, size):
            with options.autocast():
                features = network.trunk(part.window)
            for objective in network.objectives:
                sums[objective.name] += loss_sum(network, objective, features, part, options)
    return sums


def weighted_loss(network: MultiTaskNetwork, mean_losses: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum of the tasks' mean losses, which training lowers."""
    terms = [objective.weight * mean_losses[objective.name] for objective in network.objectives]
    return torch.stack(terms).sum()


def step(
    network: MultiTaskNetwork,
    batch: Batch,
    size: int,
    keys: Tensor | None,
    counts: Mapping[str, Tensor],
    options: StepOptions,
) -> StepTotals:
    """Add the gradient of `batch` to the parameters' `.grad`, `size` samples at a time.

    ``counts`` are the valid labels of the whole logical batch, so the sum over micro-batches (and
    over processes that share the batch) is the full-batch gradient up to rounding, whatever labels
    are missing where. (The mean of micro-batch means, usual elsewhere, is off by tens of percent
    once labels are missing.) ``keys`` (B,) decide the random draws of each sample.

    The trunk runs once a micro-batch. Each head then runs forward and backward by itself from the
    detached tokens and frees its graph before the next begins; one backward pass takes the sum of
    their gradients through the trunk: the same gradients with one head's activations in memory.
    """
    sums = StepTotals.zero(network, batch.window.device)
    for part, part_keys in micro_batches(batch, size, keys):
        options.mark("forward", "trunk")
        with options.autocast():
            features = network.trunk(part.window, part_keys)
        gradient = _through_heads(network, features, part, counts, options, sums)
        options.mark("backward", "trunk")
        features.tokens.backward(gradient)
        del features, gradient  # not alive while the next part runs
    return sums


def _through_heads(
    network: MultiTaskNetwork,
    features: Features,
    part: Batch,
    counts: Mapping[str, Tensor],
    options: StepOptions,
    sums: StepTotals,
) -> Tensor:
    """Gradient (b, N, D) of the objective at the tokens; adds to `sums` and the heads' `.grad`."""
    total = torch.zeros_like(features.tokens)  # (b, N, D)
    for objective in network.objectives:
        name = objective.name
        tokens = features.tokens.detach().requires_grad_()  # a leaf: backward stops here
        options.mark("forward", f"head:{name}")
        loss = loss_sum(network, objective, Features(tokens, features.scale), part, options)
        options.mark("backward", f"head:{name}")
        (options.scale * objective.weight * loss / counts[name].clamp(min=1)).backward()
        assert tokens.grad is not None, f"the head of {name} does not read the tokens"
        sums.losses[name] += loss.detach()
        # A norm in float32 would overflow where a float16 gradient is large.
        sums.squares[name] += torch.linalg.vector_norm(tokens.grad, dtype=torch.float64).square()
        total += tokens.grad
        del loss, tokens  # not alive while the next head runs
    return total
