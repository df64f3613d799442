"""Bytes of a training step before anything runs: counted on tensors that hold no numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch._subclasses.fake_tensor import FakeTensorMode

from workflow_src.configuration import Training
from workflow_src.forecasting.live_bytes import LiveBytes, Phase
from workflow_src.forecasting.steps import Steps
from workflow_src.forecasting.workspace import workspace
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork

_STEPS = 2  # the first has no gradients of a step before it


@dataclass(frozen=True)
class StepTrace:
    """What a step takes.

    Attributes:
        parameters: numbers that are learned.
        peak: most bytes of tensors at once, weights, moments and batch included.
        peaks: the same within each phase.
        largest: bytes of the largest tensor: a margin for what operators other than convolutions
            take within themselves.
        changes: of storages, as of `LiveBytes`.
        shapes_vary: whether the values of a batch decide the shapes of its tensors.
    """

    parameters: int
    peak: int
    peaks: dict[Phase, int]
    largest: int
    changes: list[tuple[int, int]]
    shapes_vary: bool


@dataclass(frozen=True)
class Levers:
    """How a step is computed: spans at once, and whether activations are recomputed."""

    micro_batch: int
    checkpointing: bool = False


def trace_step(
    build: Callable[[], MultiTaskNetwork],
    draw: Callable[[int], Batch],
    training: Training,
    levers: Levers,
    accelerator: str = "cpu",
) -> StepTrace:
    """Two steps in the order of `TrainingModule.training_step`, on fake tensors of the CPU.

    Operators are the CPU's: a GPU keeps other masks for dropout and, under autocast, other
    tensors in float32.

    Args:
        build: makes the network; called among fake tensors, so it allocates nothing.
        draw: makes a batch of as many spans.
        training: the cell's keys of `training:`.
        levers: how the step is computed.
        accelerator: where it will run. What convolutions take within themselves is measured for
            the CPU; another one's libraries take something else, which is not counted.
    """
    counted = LiveBytes(workspace) if accelerator == "cpu" else LiveBytes()
    with FakeTensorMode(), counted as live:
        network = build().train()
        shapes_vary = bound_memory(network)
        live.hold((*network.parameters(), *network.buffers()))
        network.trunk.backbone.checkpointing = levers.checkpointing
        # The micro-batches after the second are like it; their spans are there all the same.
        computed = min(training.batch_size, 2 * levers.micro_batch)
        others = draw(training.batch_size - computed)
        steps = Steps(network, training, levers.micro_batch, live.mark)
        batch = draw(computed)
        for _ in range(_STEPS):
            steps.gradient(batch)
            live.mark("optimizer", "optimizer")
            steps.update()
            live.mark("data", None)
        del others, batch, steps
        count = sum(parameter.numel() for parameter in network.parameters())
    return StepTrace(count, live.peak, live.peaks, live.largest, live.changes, shapes_vary)


def bound_memory(network: MultiTaskNetwork) -> bool:
    """Let what depends on the values of a batch take the most that it can; False: nothing does."""
    bounds = [getattr(module, "bound_memory", None) for module in network.modules()]
    for bound in filter(None, bounds):
        bound(network.trunk.shape.patch_count)
    return any(bounds)
