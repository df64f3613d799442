"""Bytes that a training step of one cell takes, by micro-batch and accelerator."""

from __future__ import annotations

import math
from functools import partial

import torch

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.configuration import Hardware, NetworkCell
from workflow_src.data.label_support import require
from workflow_src.forecasting.allocator import reserved_bytes
from workflow_src.forecasting.fit import largest_that_fits
from workflow_src.forecasting.seconds import StepWork, step_work
from workflow_src.forecasting.steps import noise
from workflow_src.forecasting.trace import Levers, StepTrace, trace_step
from workflow_src.limits import CUDA_CONTEXT_MB, MB
from workflow_src.scheduling.next_request import most_memory_mb
from workflow_src.scheduling.rank_share import largest_share
from workflow_src.training.assembly import build_network

# Beside tensors and cached recordings a process has interpreter and libraries: 544 MB resident in
# the default run. The rest is for memory that is mapped and not touched, which counts where tensors
# lie in host memory (`limit_host_memory`).
PROCESS_MB = 580
# oneDNN keeps the kernels of a thousand shapes of convolutions, and maps 256 KB for each.
KERNELS_MB = 300
# Freed blocks leave holes between those that stay.
HOLES = 1.1
# A GPU's operators keep other tensors than the CPU's, whose trace this is; not yet measured.
CUDA_MARGIN = 1.15

# Bytes a parameter: itself, its gradient and AdamW's two moments, in float32.
_KEPT = 4 * 4


class StepMemory:
    """Traces of one cell's step, each made once.

    Args:
        cell: the network and how it is trained.
        split: of its dataset.
        devices: processes that share a batch.

    Attributes:
        cell: the same, with the batch of one process.
        tasks: those that the split has labels for.
        share: spans of a batch that one process computes.
    """

    def __init__(self, cell: NetworkCell, split: SplitSummary, devices: int = 1) -> None:
        self.tasks, _ = require(split, cell.task_names, "drop")
        self.share = largest_share(cell.training.batch_size, devices)
        training = cell.training.model_copy(update={"batch_size": self.share})
        self.cell = cell.model_copy(update={"training": training})
        self._split = split
        self._build = partial(build_network, cell, self.tasks, split)
        self._draw = partial(noise, cell=cell, split=split)
        self._traces: dict[tuple[Levers, str], StepTrace] = {}
        self._needed: dict[tuple[Levers, str], int] = {}
        self._work: dict[Levers, StepWork] = {}

    def trace(self, levers: Levers, accelerator: str = "cpu") -> StepTrace:
        """Bytes of the step."""
        key = levers, accelerator
        if key not in self._traces:
            training = self.cell.training
            torch.set_num_threads(training.torch_threads)
            self._traces[key] = trace_step(self._build, self._draw, training, *key)
        return self._traces[key]

    def work(self, levers: Levers) -> StepWork:
        """Operations and bytes of the step."""
        if levers not in self._work:
            self._work[levers] = step_work(self.cell, self.tasks, self._split, levers)
        return self._work[levers]

    def needed(self, levers: Levers, accelerator: str) -> int:
        """Bytes that a process takes of the memory in which its tensors lie, with a margin."""
        # Many classes have one accelerator, and a replay of its allocator takes time.
        key = levers, accelerator
        if key not in self._needed:
            trace = self.trace(*key)
            tensors = (
                CUDA_MARGIN * reserved_bytes(trace.changes)
                if accelerator == "cuda"
                else HOLES * trace.peak + trace.largest
            )
            self._needed[key] = int(_beside_tensors(trace, accelerator) + tensors)
        return self._needed[key]

    def parts(self, levers: Levers, accelerator: str) -> dict[str, int]:
        """What `needed` adds up, bytes."""
        trace = self.trace(levers, accelerator)
        process = _beside_tensors(trace, accelerator)
        kept = min(_KEPT * trace.parameters, trace.peak)
        return {
            "context" if accelerator == "cuda" else "process": process,
            "weights, gradients, moments": kept,
            "activations": trace.peak - kept,
            "margin": self.needed(levers, accelerator) - process - trace.peak,
        }

    def least(self, levers: Levers, accelerator: str) -> int:
        """The same without a margin."""
        trace = self.trace(levers, accelerator)
        return trace.peak + _beside_tensors(trace, accelerator)

    def largest(self, accelerator: str, limit: float, *, checkpointing: bool) -> tuple[int, int]:
        """The largest micro-batch that fits into `limit` bytes, and what it needs of them.

        (0, need of one span) where not even one span fits.
        """
        return largest_that_fits(
            lambda size: self.needed(Levers(size, checkpointing), accelerator), self.share, limit
        )


def limit_mb(hardware: Hardware) -> float:
    """What a process may use of the memory in which its tensors lie, alone on a node, MB."""
    if hardware.accelerator != "cuda":
        return most_memory_mb(hardware)
    return math.inf if hardware.device_memory_mb is None else hardware.device_memory_mb


def _beside_tensors(trace: StepTrace, accelerator: str) -> int:
    if accelerator == "cuda":
        return CUDA_CONTEXT_MB * MB
    return (PROCESS_MB + KERNELS_MB * trace.shapes_vary) * MB
