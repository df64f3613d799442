"""Seconds of a cell: of a step by a probe or from what it computes; of epochs and of a run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import Field

from workflow_src.artifacts.split_summary import ByPart, SplitSummary
from workflow_src.configuration import CardRates, NetworkCell, Training
from workflow_src.forecasting.operations import (
    Kind,
    Operator,
    Work,
    operations_and_bytes,
    validation_operations,
)
from workflow_src.forecasting.steps import Steps, noise
from workflow_src.forecasting.trace import Levers
from workflow_src.json_files import JsonFile
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import MultiTaskNetwork, build_network
from workflow_src.training.precision import PrecisionName
from workflow_src.training.randomness import RandomState

_WARM_UPS = 3
_CPU = torch.device("cpu")
Clock = Callable[[], float]


@dataclass(frozen=True)
class StepSeconds:
    """What a network takes, s.

    Attributes:
        step: an optimizer step over a whole batch.
        span: a span of validation, forward only.
        steps: that were timed; 0 of an estimate.
    """

    step: float
    span: float
    steps: int


def probe_step_seconds(
    cell: NetworkCell,
    kept: Sequence[str],
    split: SplitSummary,
    levers: Levers | None = None,
    *,
    steps: int = 20,
    limit_s: float = 60.0,
    device: torch.device = _CPU,
    clock: Clock = time.perf_counter,
) -> StepSeconds:
    """Real steps of a cell on noise; nothing is written, generators and threads stay as they were.

    Args:
        cell: the resolved configuration.
        kept: tasks that the split supports.
        split: of the cell's dataset.
        levers: how the step is computed; None: the whole batch at once.
        steps: that are timed after three others; fewer where `limit_s` is reached, at least one.
        limit_s: seconds after which no further step is begun, warm-up included.
        device: where the tensors lie.
        clock: `time.process_time` where others use the same cores.
    """
    levers = levers or Levers(cell.training.batch_size)
    state, threads = RandomState.now(), torch.get_num_threads()
    torch.set_num_threads(cell.training.torch_threads)
    try:
        network = build_network(cell, kept, split).to(device)
        batch = noise(cell.training.batch_size, cell, split).to(device)
        return timed(network, batch, cell.training, levers, steps, limit_s, clock)
    finally:
        torch.set_num_threads(threads)
        state.restore()


def timed(
    network: MultiTaskNetwork,
    batch: Batch,
    training: Training,
    levers: Levers,
    steps: int = 20,
    limit_s: float = 60.0,
    clock: Clock = time.perf_counter,
) -> StepSeconds:
    """Median seconds of steps over `batch`, as of `probe_step_seconds`, which gives its bounds."""
    network.train()
    network.trunk.backbone.checkpointing = levers.checkpointing
    replica = Steps(network, training, levers.micro_batch)
    end = time.monotonic() + limit_s

    def seconds(work: Callable[[Batch], object], count: int) -> list[float]:
        taken: list[float] = []
        while len(taken) < count and (not taken or time.monotonic() < end):
            start = clock()
            work(batch)
            if replica.device.type == "cuda":
                torch.cuda.synchronize(replica.device)
            taken.append(clock() - start)
        return taken

    seconds(replica.checked, _WARM_UPS)
    taken = seconds(replica.checked, steps)
    network.eval()
    forward = seconds(replica.validate, max(2, steps // 4))
    return StepSeconds(
        statistics.median(taken), statistics.median(forward) / len(batch), len(taken)
    )


# ------------------------------------------------------------------------------ before any probe


class Rates(JsonFile):
    """What a kind of processor does a second within a training step, and what a call costs.

    Attributes:
        product, convolution: floating-point operations a second.
        pointwise, reduction: bytes read and written a second.
        operator_s: of each call of an operator, s: Python, autograd, the launch of a kernel.
        processor: on which they were measured.
    """

    product: float = Field(gt=0)
    convolution: float = Field(gt=0)
    pointwise: float = Field(gt=0)
    reduction: float = Field(gt=0)
    operator_s: float = Field(ge=0)
    processor: str = ""

    @classmethod
    def remedy(cls, path: Path) -> str:
        """The command that measures anew."""
        return f"python benchmarks/rates.py --out {path}"

    @classmethod
    def of_card(cls, card: CardRates, precision: PrecisionName, reached: float) -> Rates | None:
        """Those of a GPU in which a network reaches this share of its peaks; None: not known."""
        if precision not in card.tflops:
            return None
        flops, moved = 1e12 * card.tflops[precision], 1e9 * card.copy_gb_s
        return cls(
            product=reached * flops,
            convolution=reached * flops,
            pointwise=reached * moved,
            reduction=reached * moved,
            operator_s=1e-6 * card.call_us,
        )

    def of(self, kind: Kind) -> float:
        """Operations or bytes a second."""
        return float(getattr(self, kind))


# Of the peaks of a GPU, by networks of small operators: no GPU has been asked.
REACHED = 0.3
# One thread of an AMD EPYC at 2.4 GHz in float32: medians of nine runs of benchmarks/rates.py.
ONE_CORE = Rates(
    product=71e9, convolution=23e9, pointwise=4.9e9, reduction=1.46e9, operator_s=26e-6
)


@dataclass(frozen=True)
class StepWork:
    """What a network computes.

    Attributes:
        step: an optimizer step over a whole batch.
        validation: one micro-batch, forward only.
        micro_batch: its spans.
    """

    step: Work
    validation: Work
    micro_batch: int

    def seconds(self, rates: Rates) -> StepSeconds:
        """What `probe_step_seconds` would say, without a step, at these rates."""
        step, validation = (estimated_seconds(one, rates) for one in (self.step, self.validation))
        return StepSeconds(step, validation / self.micro_batch, 0)


def step_work(
    cell: NetworkCell, kept: Sequence[str], split: SplitSummary, levers: Levers | None = None
) -> StepWork:
    """Counted on fake tensors, in a second or two; arguments as of `probe_step_seconds`."""
    size, training = cell.training.batch_size, cell.training
    levers = levers or Levers(size)
    arguments = (
        partial(build_network, cell, kept, split),
        partial(noise, cell=cell, split=split),
        training,
        levers,
    )
    return StepWork(
        operations_and_bytes(*arguments),
        validation_operations(*arguments),
        min(size, levers.micro_batch),
    )


def estimated_seconds(work: Work, rates: Rates) -> float:
    """Seconds of `work`: each call has a fixed part, and computes or moves as fast as it can."""
    return sum(count * _call_s(each, rates) for each, count in work.calls.items())


def _call_s(operator: Operator, rates: Rates) -> float:
    if operator.operations:
        return rates.operator_s + operator.operations / rates.of(operator.kind)
    return rates.operator_s + operator.moved / rates.of(operator.kind)


# ------------------------------------------------------------------------------ epochs and runs


@dataclass(frozen=True)
class Around:
    """What an attempt takes beside its steps, s.

    Attributes:
        start: interpreter, libraries, the split's table, the trainer; ends with the weights' file.
        epoch: history, checkpoint and log of an epoch.
        step: the trainer's loop around a step.
        read: a span read from the store.
    """

    start: float
    epoch: float
    step: float
    read: float


# Processor time of cells of the default run, one thread of an AMD EPYC at 2.4 GHz, others at work.
AROUND = Around(start=16.0, epoch=0.04, step=2e-3, read=12e-6)


def epoch_seconds(
    step: StepSeconds,
    spans: ByPart[int],
    batch_size: int,
    around: Around = AROUND,
    workers: int = 0,
) -> float:
    """Seconds of an epoch with its validation; a short last batch counts as a whole one.

    Args:
        step: by a probe, or estimated.
        spans: of the split (`SplitSummary.spans`).
        batch_size: spans of an optimizer step.
        around: what the attempt takes beside its steps.
        workers: processes that read the training part ahead; the slower of both sides counts.
    """
    steps = math.ceil(spans.train / batch_size)
    computing, reading = steps * (step.step + around.step), spans.train * around.read
    training = max(computing, reading / workers) if workers else computing + reading
    return training + spans.val * (step.span + around.read) + around.epoch


@dataclass(frozen=True)
class RunSeconds:
    """Of an attempt that is not interrupted, s.

    Attributes:
        start: before the first epoch and after the last.
        epoch: of each, with its validation.
        prediction: of the validation and the test part.
    """

    start: float
    epoch: float
    prediction: float

    @classmethod
    def of(
        cls,
        step: StepSeconds,
        spans: ByPart[int],
        batch_size: int,
        around: Around = AROUND,
        workers: int = 0,
    ) -> RunSeconds:
        """Of a cell; arguments as of `epoch_seconds`."""
        predicted = (spans.val + spans.test) * (step.span + around.read)
        epoch = epoch_seconds(step, spans, batch_size, around, workers)
        return cls(around.start, epoch, predicted)

    def run_seconds(self, epochs: int) -> float:
        """Of the whole attempt."""
        return self.start + epochs * self.epoch + self.prediction
