"""What finished attempts used: `<study>/observed.csv`, and the rows that forecasts learn from."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from workflow_src import cells as paths
from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.cells import Cell
from workflow_src.configuration.schema import Request
from workflow_src.files import write_text
from workflow_src.scheduling.attempt_history import FinishedAttempt, attempt_history
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.next_request import MORE_MEMORY
from workflow_src.scheduling.status import epoch_seconds


@dataclass(frozen=True)
class Known:
    """What a run knows of a cell before it trains.

    Attributes:
        identity: of its present settings.
        request: what the configuration states.
        forecast: as the rule `forecast` made it; None: not yet.
    """

    identity: str
    request: Request
    forecast: CellForecast | None


@dataclass(frozen=True)
class Observed:
    """One finished attempt: a row of the file. What is not known is None.

    Attributes:
        cell: dataset/model/task_set/seed.
        hardware: the class it ran on.
        identity: of the cell.
        forecast_mb: host memory as forecast now for what it was told; None: it was told otherwise.
        requested_mb: host memory that it was told it may use.
        host_mb: the most host memory that its processes used.
        forecast_device_mb, device_mb: the same of one GPU.
        forecast_epoch_s, epoch_s: seconds of an epoch; the median of the last few.
        seconds: that it took.
        devices: processes that share a batch.
        cause: how it ended.
        is_short: whether host memory ran out, and it did with a smaller micro-batch or cache.
        lowered: whether its limit was set below the forecast: nothing is learned from it.
        time: of its end, s since the epoch.
    """

    cell: str
    hardware: str
    model: str
    task_set: str
    identity: str
    forecast_mb: int | None
    requested_mb: int | None
    host_mb: float | None
    forecast_device_mb: int | None
    device_mb: float | None
    forecast_epoch_s: float | None
    epoch_s: float | None
    seconds: float | None
    devices: int
    cause: str
    is_short: bool
    lowered: bool
    time: float

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.cell.split("/")[0]

    @property
    def needed_mb(self) -> float | None:
        """Host memory that would have done: where it ran out, what the next attempt asks for."""
        ran_out = self.is_short or self.cause == Cause.HOST_OOM.text
        if ran_out and self.requested_mb is not None:
            return max(self.host_mb or 0.0, MORE_MEMORY * self.requested_mb)
        return self.host_mb


def observe(study: str, known: Callable[[Cell, str], Known | None]) -> list[Observed]:
    """The finished attempts of `study` that tell a peak or ran out of memory, by cell and time.

    `known` tells of a cell on the hardware class with this name; None: it is not of the present
    configuration.
    """
    root = Path(study, "runs")
    found: list[Observed] = []
    for path in sorted(root.glob("*/*/*/seed*/attempts.jsonl")):
        cell = _cell_of(path.parent.relative_to(root))
        if cell is not None:
            found += _of_cell(path, cell, partial(known, cell))
    return found


def write_observed(study: str, rows: Iterable[Observed]) -> None:
    """Write `<study>/observed.csv`: as the run saw the journals when it began."""
    output = io.StringIO()
    names = [field.name for field in fields(Observed)]
    writer = csv.DictWriter(output, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_text(paths.observed_file(study), output.getvalue())


def _cell_of(folder: Path) -> Cell | None:
    dataset, model, task_set, seed = folder.parts
    number = seed.removeprefix("seed")
    return Cell(dataset, model, task_set, int(number)) if number.isdecimal() else None


def _of_cell(path: Path, cell: Cell, known: Callable[[str], Known | None]) -> Iterator[Observed]:
    events = Journal(path).events()
    starts = [event for event in events if isinstance(event, Started)]
    for identity in dict.fromkeys(start.identity for start in starts):
        history = attempt_history(events, identity)
        for attempt in history:
            if not attempt.peak_mb and attempt.cause is not Cause.HOST_OOM:
                continue  # a classic model, or an end of which nothing is known
            # What lies in history.csv is of all attempts at the settings that were started last.
            is_alone = len(history) == 1 and [one.identity for one in starts].count(identity) == 1
            is_last = is_alone and starts[-1].identity == identity
            seconds = epoch_seconds(path.parent / "history.csv") if is_last else None
            now = known(attempt.request.hardware)
            own = now if now is not None and now.identity == identity else None
            yield _row(cell, identity, attempt, own, seconds)


def _row(
    cell: Cell, identity: str, attempt: FinishedAttempt, known: Known | None, epoch_s: float | None
) -> Observed:
    told = attempt.request
    forecast = _forecast_of(attempt, known)
    return Observed(
        cell=cell.name,
        hardware=told.hardware,
        model=cell.model,
        task_set=cell.task_set,
        identity=identity,
        forecast_mb=None if forecast is None else forecast.host_mb,
        requested_mb=told.memory_mb,
        host_mb=attempt.peak_mb or None,
        forecast_device_mb=None if forecast is None else forecast.device_mb,
        device_mb=attempt.device_mb or None,
        forecast_epoch_s=None if forecast is None else forecast.epoch_s,
        epoch_s=epoch_s,
        seconds=attempt.seconds,
        devices=told.devices,
        cause=attempt.cause.text,
        is_short=attempt.is_short,
        lowered=forecast is not None and _is_lowered(attempt, known, forecast),
        time=attempt.time,
    )


def _forecast_of(attempt: FinishedAttempt, known: Known | None) -> CellForecast | None:
    """The forecast of what the attempt was told; None: there is none."""
    if known is None or known.forecast is None:
        return None
    told, forecast = attempt.request, known.forecast
    micro = told.spans_at_once(forecast.share, 1)
    # After it ran out of host memory, workers and cache are fewer; what it needs is still told.
    is_same = (
        micro == forecast.micro_batch
        and told.activation_checkpointing == forecast.activation_checkpointing
        and told.devices == known.request.devices
        and told.workers <= known.request.workers
    )
    return forecast if is_same else None


def _is_lowered(attempt: FinishedAttempt, known: Known | None, forecast: CellForecast) -> bool:
    """Whether a person gave it less than was forecast.

    One that finished within less used what it used, unless `request:` still states that limit.
    """
    had = attempt.request.memory_mb
    if had is None or had >= forecast.host_mb:
        return False
    is_stated = known is not None and known.request.memory_mb is not None
    return is_stated or attempt.is_short or attempt.cause is Cause.HOST_OOM
