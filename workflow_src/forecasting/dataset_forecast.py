"""What the networks of a dataset will need of the hardware class that a run asks for."""

from __future__ import annotations

import math

from workflow_src.artifacts.forecast_file import CellForecast, DatasetForecast, forecast_key
from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.cells import forecast_file, grid, rig_folder, split_folder
from workflow_src.configuration import Configuration, Hardware, NetworkCell
from workflow_src.configuration.schema import Request
from workflow_src.forecasting.seconds import (
    ONE_CORE,
    REACHED,
    Rates,
    RunSeconds,
    StepSeconds,
    probe_step_seconds,
)
from workflow_src.forecasting.step_memory import PROCESS_MB, StepMemory, limit_mb
from workflow_src.forecasting.trace import Levers
from workflow_src.limits import MB

# Host memory of a process whose tensors are on a GPU: not yet measured on one.
CUDA_PROCESS_MB = 4000
# Steps that are really computed; what takes more memory than the job has, or many micro-batches a
# step (a probe computes at least five whole steps), is estimated.
PROBE_STEPS, PROBE_S, PROBE_MB, PROBE_PARTS = 10, 10.0, 1000, 4


def write_forecast(configuration: Configuration, dataset: str) -> None:
    """Write the forecasts of all networks of `dataset` to the study's folder."""
    split = SplitSummary.read(split_folder(dataset) / "split.json")
    found = dict[str, CellForecast]()
    for cell in grid(configuration):
        resolved = configuration.resolve(*cell.key)
        if cell.dataset != dataset or not isinstance(resolved, NetworkCell):
            continue
        request = configuration.request(*cell.key)
        memory = StepMemory(resolved, split, request.devices)  # traces once for all classes
        for hardware in configuration.hardware.values():
            key = forecast_key(resolved, request, hardware)
            if key not in found and resolved.training.precision in hardware.precisions:
                found[key] = forecast_cell(resolved, split, request, hardware, memory)
    DatasetForecast(cells=found).write(forecast_file(configuration.run.study, dataset))


def forecast_cell(
    cell: NetworkCell,
    split: SplitSummary,
    request: Request,
    hardware: Hardware,
    memory: StepMemory | None = None,
) -> CellForecast:
    """The largest micro-batch that fits, and the memory of the training at that micro-batch.

    ``memory`` is that of a step of the cell, where another class has asked for it before.
    """
    memory = memory or StepMemory(cell, split, request.devices)
    name = f"{cell.cell.model}/{cell.cell.task_set}"
    device_mb = 0 if hardware.accelerator == "cuda" else None
    host = _HostMemory(request, hardware, _cached_bytes(cell, request))
    if not memory.tasks:
        return CellForecast(
            name=name,
            parameters=0,
            share=memory.share,
            micro_batch=memory.share,
            activation_checkpointing=False,
            device_mb=device_mb,
            host_mb=host.total_mb(PROCESS_MB * MB),
        )
    limit = host.limit_of_a_process(request.workers, host.cached)
    levers, needed = _levers(memory, request, hardware.accelerator, limit)
    # Fewer workers and no cache are tried where memory runs out.
    refusal = _refusal(memory, levers, hardware, host.limit_of_a_process(0, 0))
    run = None if refusal else _seconds(memory, cell, split, levers, hardware)
    return CellForecast(
        name=name,
        parameters=memory.trace(levers, hardware.accelerator).parameters,
        share=memory.share,
        micro_batch=levers.micro_batch,
        activation_checkpointing=levers.checkpointing,
        device_mb=None if device_mb is None else math.ceil(needed / MB),
        host_mb=host.total_mb(needed),
        refusal=refusal,
        epoch_s=None if run is None else round(run.epoch, 3),
        around_s=None if run is None else round(run.start + run.prediction, 1),
        parts_mb=_parts_mb(memory, levers, hardware.accelerator),
    )


def _parts_mb(
    memory: StepMemory, levers: Levers, accelerator: str
) -> tuple[tuple[str, float], ...]:
    parts = memory.parts(levers, accelerator)
    return tuple((name, round(part / MB, 1)) for name, part in parts.items())


def _seconds(
    memory: StepMemory,
    cell: NetworkCell,
    split: SplitSummary,
    levers: Levers,
    hardware: Hardware,
) -> RunSeconds | None:
    """On a GPU at the class's rates, else on a core such as this one, where the forecast is made.

    None: the class states no rates.
    """
    step: StepSeconds | None
    if hardware.accelerator == "cuda":
        card = hardware.rates
        rates = None if card is None else Rates.of_card(card, cell.training.precision, REACHED)
        step = None if rates is None else memory.work(levers).seconds(rates)
    elif _is_short(memory, levers):
        step = probe_step_seconds(
            memory.cell, memory.tasks, split, levers, steps=PROBE_STEPS, limit_s=PROBE_S
        )
    else:
        step = memory.work(levers).seconds(ONE_CORE)
    return None if step is None else RunSeconds.of(step, split.spans, cell.training.batch_size)


def _is_short(memory: StepMemory, levers: Levers) -> bool:
    return (
        memory.share <= PROBE_PARTS * levers.micro_batch
        and memory.trace(levers).peak <= PROBE_MB * MB
    )


def _levers(
    memory: StepMemory, request: Request, accelerator: str, limit: float
) -> tuple[Levers, int]:
    """How the step is to be computed: what the request states, else the largest that fits.

    Where one span fits only without the margin, it is tried, with activations recomputed.
    """
    stated, checkpointing = request.micro_batch_size, request.activation_checkpointing
    if stated is not None:
        levers = Levers(min(stated, memory.share), checkpointing)
        return levers, memory.needed(levers, accelerator)
    for recompute in dict.fromkeys((checkpointing, True)):
        size, needed = memory.largest(accelerator, limit, checkpointing=recompute)
        if size:
            return Levers(size, recompute), needed
    return Levers(1, checkpointing=True), needed


def _refusal(memory: StepMemory, levers: Levers, hardware: Hardware, limit: float) -> str:
    """Why it fits nowhere: one span takes more than there is even without a margin."""
    if memory.needed(levers, hardware.accelerator) <= limit:
        return ""
    least = memory.least(Levers(1, checkpointing=True), hardware.accelerator)
    if least <= limit:
        return ""
    kind = {"gpu": "GPU", "host": "host"}[hardware.tensors_in]
    return (
        f"one span with activations recomputed takes {least / MB:,.0f} MB of {kind} memory, and "
        f"there are {limit / MB:,.0f} MB"
    )


class _HostMemory:
    """Host memory of all processes of a training.

    Args:
        request: how many processes there are.
        hardware: where they run.
        cached: recordings that each of them keeps, bytes.
    """

    def __init__(self, request: Request, hardware: Hardware, cached: int) -> None:
        self._devices, self._workers = request.devices, request.workers
        self._stated_mb = math.inf if request.memory_mb is None else request.memory_mb
        self._hardware, self.cached = hardware, cached

    def limit_of_a_process(self, workers: int, cached: int) -> float:
        """GPU: bytes for its tensors. CPU: bytes for all but the recordings that it keeps."""
        most_mb = limit_mb(self._hardware)
        if self._hardware.accelerator == "cuda":
            return most_mb * MB
        most_mb = min(most_mb, self._stated_mb)
        return most_mb * MB / (self._devices * (1 + workers)) - cached

    def total_mb(self, needed: int) -> int:
        """MB of all, where a process needs `needed` bytes of the memory its tensors lie in."""
        processes = self._devices * (1 + self._workers)
        if self._hardware.accelerator == "cuda":
            own = CUDA_PROCESS_MB + self._workers * PROCESS_MB
            return math.ceil(self._devices * own + processes * self.cached / MB)
        # Each process may allocate an equal part (`limit_host_memory`).
        return math.ceil(processes * (needed + self.cached) / MB)


def _cached_bytes(cell: NetworkCell, request: Request) -> int:
    store = rig_folder(cell.dataset.rig) / "recordings.h5"
    return min(request.cache_mb * MB, store.stat().st_size)
