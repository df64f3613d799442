"""What a run will ask for, cell by cell and in all, before anything is submitted."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.cells import Cell
from workflow_src.configuration import Configuration, Hardware
from workflow_src.scheduling.next_request import JobRequest, most_memory_mb
from workflow_src.scheduling.rank_share import largest_share
from workflow_src.scheduling.status import State, Status
from workflow_src.scheduling.status_page import duration

ROWS = 40  # more trainings are summed up, on the page and in a dry run
_TO_DO = (State.NOT_STARTED, State.FAILED, State.INTERRUPTED, State.RUNNING)
_COLUMNS = ("cell", "state", "class", "micro x acc", "GPU MB", "host MB", "time")


@dataclass(frozen=True)
class PlannedCell:
    """One training, and what it asks for.

    Attributes:
        status: where it stands.
        request: of its next attempt.
        forecast: what it is expected to need; None: not known yet.
        batch: spans of an optimisation batch.
        hours: time of the remaining epochs, by finished ones of the same dataset and model on the
            same hardware class, else as forecast; None: neither is known.
        may_not_fit: whether its micro-batch, stated or one span, takes more than there is with the
            forecast's margin. It is tried, and halved where memory runs out.
    """

    status: Status
    request: JobRequest
    forecast: CellForecast | None
    batch: int
    hours: float | None
    may_not_fit: bool = False

    @property
    def cell(self) -> Cell:
        """Its name."""
        return self.status.cell

    @property
    def is_to_do(self) -> bool:
        """Whether it is still trained."""
        return self.status.state in _TO_DO

    @property
    def state(self) -> str:
        """Where it stands, in words."""
        one = self.status
        if one.state is State.NOT_STARTED:
            return "new"
        if one.state is State.FAILED and one.last is not None:
            return f"failed: {one.last.cause.words}"
        if one.state in (State.INTERRUPTED, State.RUNNING):
            word = "runs" if one.state is State.RUNNING else "resumes"
            return f"{word} {one.epoch}/{one.epochs}"
        return str(one.state)

    @property
    def share(self) -> int:
        """Spans of a batch that one device computes."""
        return largest_share(self.batch, self.request.devices)

    @property
    def micro_batch(self) -> int:
        """Spans in memory at once."""
        return self.request.spans_at_once(self.batch, self.request.devices)

    @property
    def accumulation(self) -> int:
        """Micro-batches of an optimisation batch."""
        return math.ceil(self.share / self.micro_batch)

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values, None where something is not known."""
        known = self.forecast
        return {
            "cell": self.cell.name,
            **vars(self.cell),
            "state": self.state,
            "hardware": self.request.hardware,
            "micro_batch_size": self.micro_batch,
            "accumulation": self.accumulation,
            "may_not_fit": self.may_not_fit,
            "activation_checkpointing": self.request.activation_checkpointing,
            "device_mb": None if known is None else known.device_mb,
            "host_mb": self.request.memory_mb,
            "hours": self.hours,
            "refusal": self.request.refusal or None,
        }


def plan(
    configuration: Configuration,
    statuses: Sequence[Status],
    request: Callable[[Cell], JobRequest],
    forecast: Callable[[Cell, str], CellForecast | None],
) -> list[PlannedCell]:
    """The trainings of a run; classic models are not among them.

    Args:
        configuration: of the run.
        statuses: where its cells stand.
        request: what a cell asks for next.
        forecast: what it is expected to need on a hardware class.
    """
    epoch_s = _seconds_per_epoch(statuses)
    found = []
    for status in statuses:
        training = configuration.resolve(*status.cell.key).training
        if training is None:
            continue
        asked = request(status.cell)
        known = forecast(status.cell, asked.hardware)
        own = status.epoch_s if status.hardware == asked.hardware else None
        seconds = own or epoch_s.get((asked.hardware, *status.cell.of_all_seeds))
        hours = _hours(training.epochs - status.epoch, seconds, known)
        tight = may_not_fit(asked, known, configuration.hardware[asked.hardware])
        found.append(PlannedCell(status, asked, known, training.batch_size, hours, tight))
    return found


def may_not_fit(asked: JobRequest, known: CellForecast | None, hardware: Hardware) -> bool:
    """Whether what is forecast for the micro-batch that is asked for is more than there is."""
    if known is None or asked.refused:
        return False
    if asked.accelerator == "cuda":
        return (asked.device_mb or 0) > (hardware.device_memory_mb or math.inf)
    return known.host_mb > asked.memory_mb


def _hours(epochs: int, epoch_s: float | None, forecast: CellForecast | None) -> float | None:
    """Of what is left, with start and end; the last epochs that were seen tell more."""
    around_s = 0.0 if forecast is None else forecast.around_s or 0.0
    if epoch_s is None:
        epoch_s = None if forecast is None else forecast.epoch_s
    return None if epoch_s is None else round((epochs * epoch_s + around_s) / 3600, 4)


def _seconds_per_epoch(statuses: Iterable[Status]) -> dict[tuple[str, str, str, str], float]:
    """The slowest of the seeds that have trained, by hardware class."""
    found: dict[tuple[str, str, str, str], float] = {}
    for status in statuses:
        if status.epoch_s is not None:
            key = (status.hardware, *status.cell.of_all_seeds)
            found[key] = max(found.get(key, 0.0), status.epoch_s)
    return found


# ------------------------------------------------------------------ a page


def page(cells: Sequence[PlannedCell], classes: Mapping[str, Hardware], jobs: int = 1) -> str:
    """A line per cell, or per dataset, model and task set where there are many; then the totals."""
    groups: dict[tuple[str, ...], list[PlannedCell]] = {}
    for one in cells:
        asked = (one.request.hardware, _micro(one), str(one.forecast is None))
        alike = (*one.cell.of_all_seeds, *asked)
        groups.setdefault(alike if len(cells) > ROWS else (one.cell.name,), []).append(one)
    rows = [
        _row(group, classes[group[0].request.hardware], is_folded=len(cells) > ROWS)
        for group in groups.values()
    ]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (_COLUMNS, *rows)]
    return "\n".join([*lines, "", *totals(cells, jobs)])


def totals(cells: Sequence[PlannedCell], jobs: int = 1) -> list[str]:
    """What is left to train, its hours, and what fits nowhere."""
    left = [one for one in cells if one.is_to_do]
    lines = [f"{len(left)} of {len(cells)} trainings to do"]
    hours = [one.hours for one in left if one.hours is not None]
    if hours:
        known = "" if len(hours) == len(left) else f" ({len(hours)} of them; no time of the others)"
        side = max(max(hours), sum(hours) / jobs)
        total = sum(one.request.devices * (one.hours or 0.0) for one in left)
        is_cuda = left[0].request.accelerator == "cuda"
        taken = f"{total:.3g} GPU-hours" if is_cuda else duration(3600 * total)
        lines[0] += f": {taken}{known}, {duration(3600 * side)} with {jobs} side by side"
    classes = Counter(one.request.hardware for one in left)
    if len(classes) > 1:
        lines.append("by class: " + ", ".join(f"{n} on {name}" for name, n in classes.items()))
    unknown = sum(one.forecast is None for one in left)
    if unknown:
        lines.append(f"no forecast yet of {unknown}: the target `forecasts` makes them")
    refused = [one for one in left if one.request.refused]
    forecast = "" if not unknown else f" of the {len(left) - unknown} that are forecast"
    lines.append(f"fits nowhere{forecast}: {len(refused) or 'none'}")
    lines += [f"  {one.cell.name}: {one.request.refusal}" for one in refused[:ROWS]]
    if tight := sum(one.may_not_fit for one in left):
        lines.append(f"micro-batch may not fit: {tight}; halved where memory runs out")
    return lines


def _row(group: Sequence[PlannedCell], hardware: Hardware, *, is_folded: bool) -> tuple[str, ...]:
    first = group[0]
    name = "/".join(first.cell.of_all_seeds) if is_folded else first.cell.name
    states: dict[str, int] = {}
    for one in group:
        word = one.state.split(" ")[0] if is_folded else one.state
        states[word] = states.get(word, 0) + 1
    state = ", ".join(f"{n} {word}" if is_folded else word for word, n in states.items())
    most = max(group, key=lambda one: one.request.memory_mb)
    hours = [one.hours for one in group if one.is_to_do]
    known = [hour for hour in hours if hour is not None]
    return (
        name,
        state,
        first.request.hardware,
        _micro(first),
        _beside_limit(_device_mb(group), hardware.device_memory_mb),
        _beside_limit(most.request.memory_mb, most_memory_mb(hardware))
        + (", not forecast" if first.forecast is None else ""),
        ("" if not hours else "?" if not known else duration(3600 * sum(known))),
    )


def _micro(one: PlannedCell) -> str:
    if one.request.refused:
        return "does not fit"
    recomputed = " recomputed" if one.request.activation_checkpointing else ""
    tight = " may not fit" if one.may_not_fit else ""
    return f"{one.micro_batch} x {one.accumulation}{recomputed}{tight}"


def _device_mb(group: Sequence[PlannedCell]) -> int | None:
    known = [one.forecast.device_mb for one in group if one.forecast is not None]
    return max((each for each in known if each is not None), default=None)


def _beside_limit(used: int | None, limit: float | None) -> str:
    if used is None:
        return ""
    return f"{used:,}" + ("" if limit in (None, math.inf) else f" / {limit:,.0f}")


def to_csv(cells: Iterable[PlannedCell]) -> str:
    """A line per cell."""
    output = io.StringIO()
    rows = [one.to_json() for one in cells]
    writer = csv.DictWriter(output, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return output.getvalue()
