"""Where the cells of a configuration fit, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.cells import grid, split_folder
from workflow_src.configuration import Configuration, Hardware, NetworkCell
from workflow_src.errors import UserError
from workflow_src.forecasting.step_memory import StepMemory, limit_mb
from workflow_src.forecasting.trace import Levers
from workflow_src.limits import MB
from workflow_src.scheduling.hardware import detected


@dataclass(frozen=True)
class Room:
    """What a hardware class has for one process: micro-batch, MB needed; or why it has none."""

    micro_batch: int
    needed_mb: float
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or f"{self.micro_batch} ({self.needed_mb:,.0f} MB)"


@dataclass(frozen=True)
class CellSurvey:
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
) -> list[CellSurvey]:
    """The networks of the configuration whose `dataset/model/task_set` matches `pattern`.

    ``configfile`` is where it stands, for remedies.

    Raises:
        UserError: a class or a split is not there, or nothing matches.
    """
    hardware = {name: detected(configuration.class_named(name)) for name in classes}
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
    _require_splits(cells.values(), configfile)
    return [survey_cell(name, cell, hardware) for name, cell in cells.items()]


def survey_cell(name: str, cell: NetworkCell, classes: dict[str, Hardware]) -> CellSurvey:
    """What a step of `cell` takes, and the largest micro-batch for each class."""
    split = SplitSummary.read(split_folder(cell.cell.dataset) / "split.json")
    memory, batch = StepMemory(cell, split), cell.training.batch_size
    if not memory.tasks:
        nothing = dict.fromkeys(classes, Room(0, 0.0, "no task"))
        return CellSurvey(name, 0, batch, 0.0, 0.0, nothing)
    rooms = {each: _room(hardware, cell, memory) for each, hardware in classes.items()}
    kinds = {hardware.accelerator for hardware in classes.values()}
    of = kinds.pop() if len(kinds) == 1 else "cpu"
    one, whole = memory.trace(Levers(1), of), memory.trace(Levers(batch), of)
    return CellSurvey(name, one.parameters, batch, one.peak / MB, whole.peak / MB, rooms)


def _room(hardware: Hardware, cell: NetworkCell, memory: StepMemory) -> Room:
    if cell.training.precision not in hardware.precisions:
        return Room(0, 0.0, f"no {cell.training.precision}")
    limit = limit_mb(hardware) * MB
    size, most = memory.largest(hardware.accelerator, limit, checkpointing=False)
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


def table(forecasts: Sequence[CellSurvey], classes: Sequence[str]) -> str:
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
