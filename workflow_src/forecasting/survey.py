"""Where the cells of a configuration fit, before any of them runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path

import torch

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.cells import grid, split_folder
from workflow_src.configuration import Configuration, Hardware, NetworkCell
from workflow_src.data.label_support import require
from workflow_src.errors import UserError
from workflow_src.forecasting.allocator import reserved_bytes
from workflow_src.forecasting.fit import largest_that_fits
from workflow_src.forecasting.trace import Levers, StepTrace, trace_step
from workflow_src.limits import MB
from workflow_src.scheduling.hardware import detected
from workflow_src.scheduling.next_request import most_memory_mb
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import build_network

# Beside its tensors a process of the default run had 546 to 625 MB (`peak_rss_mb` of
# training.json): interpreter, libraries, recordings. On the device there is the CUDA context.
PROCESS_MB, CONTEXT_MB = 640, 600
# A GPU's operators keep other tensors than the CPU's, whose trace this is; not yet measured.
CUDA_MARGIN = 1.15


@dataclass(frozen=True)
class Room:
    """What a hardware class has for one process: micro-batch, MB needed; or why it has none."""

    micro_batch: int
    needed_mb: float
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or f"{self.micro_batch} ({self.needed_mb:,.0f} MB)"


@dataclass(frozen=True)
class CellForecast:
    """Of all seeds of a cell.

    Attributes:
        name: dataset/model/task_set.
        parameters: numbers that are learned.
        batch: spans of an optimisation batch.
        one_mb, whole_mb: tensors of a step at one span and at the whole batch at once.
        rooms: by hardware class.
    """

    name: str
    parameters: int
    batch: int
    one_mb: float
    whole_mb: float
    rooms: dict[str, Room]


def survey(
    configuration: Configuration,
    classes: Sequence[str],
    pattern: str = "*",
    configfile: Path | None = None,
) -> list[CellForecast]:
    """The networks of the configuration whose `dataset/model/task_set` matches `pattern`.

    ``configfile`` is where it stands, for remedies.

    Raises:
        UserError: a class or a split is not there, or nothing matches.
    """
    for name in classes:
        if name not in configuration.classes:
            raise UserError(
                f"There is no hardware class `{name}`.",
                where="--hardware",
                expected=", ".join(sorted(configuration.classes)),
                remedy=f"--hardware {next(iter(sorted(configuration.classes)))}",
            )
    cells: dict[str, NetworkCell] = {}
    for cell in grid(configuration):
        name = f"{cell.dataset}/{cell.model}/{cell.task_set}"
        if name not in cells and fnmatchcase(name, pattern):
            resolved = configuration.resolve(*cell.key)
            if isinstance(resolved, NetworkCell):
                cells[name] = resolved
    if not cells:
        raise UserError(
            "No network of the configuration matches.",
            found=pattern,
            expected="dataset/model/task_set, with * for any",
            remedy="python -m workflow_src forecast '*'" + _behind(configfile),
        )
    hardware = {name: detected(configuration.classes[name]) for name in classes}
    _require_splits(cells.values(), configfile)
    return [forecast_cell(name, cell, hardware) for name, cell in cells.items()]


def forecast_cell(name: str, cell: NetworkCell, classes: dict[str, Hardware]) -> CellForecast:
    """What a step of `cell` takes, and the largest micro-batch for each class."""
    split = SplitSummary.read(split_folder(cell.cell.dataset) / "split.json")
    kept, _ = require(split, cell.task_names, "drop")
    batch = cell.training.batch_size
    if not kept:
        return CellForecast(name, 0, batch, 0.0, 0.0, dict.fromkeys(classes, _NOTHING))
    torch.set_num_threads(cell.training.torch_threads)

    @cache
    def traced(size: int) -> StepTrace:
        return trace_step(
            partial(build_network, cell, kept, split),
            lambda size: _batch(size, cell, split),
            cell.training,
            Levers(size),
        )

    @cache  # many classes have one accelerator, and a replay of its allocator takes time
    def needed(size: int, accelerator: str) -> int:
        return needed_bytes(traced(size), accelerator)

    rooms = {each: _room(hardware, cell, needed) for each, hardware in classes.items()}
    one, whole = traced(1), traced(batch)
    return CellForecast(name, one.parameters, batch, one.peak / MB, whole.peak / MB, rooms)


_NOTHING = Room(0, 0.0, "no task")


def needed_bytes(trace: StepTrace, accelerator: str) -> int:
    """Bytes that a process with this step takes of the memory where its tensors lie."""
    if accelerator == "cuda":
        return int(CONTEXT_MB * MB + CUDA_MARGIN * reserved_bytes(trace.changes))
    return PROCESS_MB * MB + trace.peak + trace.largest


def _room(hardware: Hardware, cell: NetworkCell, needed: Callable[[int, str], int]) -> Room:
    if cell.training.precision not in hardware.precisions:
        return Room(0, 0.0, f"no {cell.training.precision}")
    is_cuda = hardware.accelerator == "cuda"
    limit = hardware.device_memory_mb if is_cuda else most_memory_mb(hardware)
    size, most = largest_that_fits(
        lambda size: needed(size, hardware.accelerator),
        cell.training.batch_size,
        math.inf if limit is None else limit * MB,
    )
    return Room(size, most / MB) if size else Room(0, most / MB, f"no: {most / MB:,.0f} MB")


def _require_splits(cells: Iterable[NetworkCell], configfile: Path | None) -> None:
    folders = dict.fromkeys(split_folder(cell.cell.dataset) for cell in cells)
    lacking = [
        str(folder / "split.csv") for folder in folders if not (folder / "split.json").exists()
    ]
    if lacking:
        command = "snakemake --profile profiles/local" + _behind(configfile)
        raise UserError(
            "A forecast needs the channels and classes of splits that are not there yet.",
            where=", ".join(lacking),
            expected="splits that `snakemake` made; they need no GPU",
            remedy=f"{command} -- {' '.join(lacking)}",
        )


def _behind(configfile: Path | None) -> str:
    return "" if configfile is None else f" --configfile {configfile}"


def _batch(size: int, cell: NetworkCell, split: SplitSummary) -> Batch:
    span, channels = cell.dataset.span, split.channels
    return Batch(
        window=torch.zeros(size, span.window, channels),
        horizon=torch.zeros(size, span.horizon, channels),
        fault=torch.zeros(size, dtype=torch.int64),
        anomaly=torch.zeros(size),
        rul=torch.zeros(size),
        log_amplitude=torch.zeros(size, channels),
        age=torch.zeros(size),
        index=torch.arange(size),
    )


def table(forecasts: Sequence[CellForecast], classes: Sequence[str]) -> str:
    """A line per cell; by class the largest micro-batch and what it takes."""
    head = ["dataset/model/task_set", "parameters", "batch", "MB at 1", "MB at batch", *classes]
    lines = [head]
    for one in forecasts:
        numbers = [f"{one.parameters:,}", str(one.batch), f"{one.one_mb:,.0f}"]
        numbers += [f"{one.whole_mb:,.0f}"]
        lines.append([one.name, *numbers, *(str(one.rooms[name]) for name in classes)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rows = (
        line[0].ljust(widths[0])
        + "".join(f"  {text:>{width}}" for text, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )
    return "\n".join(
        [
            *rows,
            "",
            "By class: the largest micro-batch that fits, and the MB of its process. Those of GPUs "
            "are not yet measured on one.",
        ]
    )
