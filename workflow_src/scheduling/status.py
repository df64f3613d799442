"""The grid as it stands: what journal, lock and history say of each cell (small files alone)."""

from __future__ import annotations

import enum
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue, ValidationError

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.configuration import Configuration, snapshot
from workflow_src.errors import UserError
from workflow_src.scheduling.attempt_history import (
    FinishedAttempt,
    attempt_history,
    cause_without_end,
    last_sample,
)
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Ended, Started, framing
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import SILENCE_S, Content, is_dead, newest
from workflow_src.scheduling.other_code import of_other_code

_TAIL_BYTES = 8192  # of history.csv: some rows, of which the last `_ROWS` count
_ROWS = 5
# A baseline keeps no lock; what its rule may take (rules/training.smk) bounds how long it runs.
_BASELINE_S = 3600.0


class State(enum.StrEnum):
    """Where a cell stands, in the order of a table: first what is to be looked at."""

    RUNNING = "running"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # from outside: nothing of the cell is to be mended
    TRAINED = "trained"  # not scored yet
    NOT_STARTED = "not started"  # whether it waits in a queue is not known here
    DONE = "done"


_FROM_OUTSIDE = (Cause.DEADLINE, Cause.TERMINATED, Cause.NODE_LOST)


@dataclass(frozen=True)
class Planned:
    """A cell that is to be looked at: its identity, and its epochs (None: a baseline)."""

    cell: Cell
    identity: str
    epochs: int | None


@dataclass(frozen=True)
class Status:
    """What is known of a cell under its present settings.

    Attributes:
        cell: the cell.
        state: where it stands.
        epoch: epochs finished.
        epochs: epochs wanted; None for a baseline.
        loss: of validation at the last epoch; without such a part, the sum of the tasks' losses.
        epoch_s: seconds of an epoch, the median of the last few.
        used_mb, limit_mb: host memory at the last heartbeat; of running cells alone.
        left_s: seconds that the epochs that are left take; of running cells alone.
        attempts: attempts started.
        hardware: the class of the last of them; "": there is none.
        last: the last attempt that ended; of one that left no word, as it was classified.
        other_code: whether other code than that of now has trained it.
    """

    cell: Cell
    state: State
    epoch: int = 0
    epochs: int | None = None
    loss: float | None = None
    epoch_s: float | None = None
    used_mb: int | None = None
    limit_mb: int | None = None
    left_s: float | None = None
    attempts: int = 0
    hardware: str = ""
    last: FinishedAttempt | None = None
    other_code: bool = False

    @property
    def why(self) -> str:
        """Why it did not end well, in words; "": it did, or has not ended."""
        if self.last is None or self.last.cause is Cause.DONE:
            return ""
        return ": ".join(filter(None, [self.last.cause.words, self.last.message]))

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values, None where something is not known."""
        last = self.last
        return {
            "cell": self.cell.name,
            **vars(self.cell),
            "state": self.state.value,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "loss": self.loss,
            "seconds_per_epoch": self.epoch_s,
            "host_used_mb": self.used_mb,
            "host_limit_mb": self.limit_mb,
            "eta_seconds": self.left_s,
            "attempts": self.attempts,
            "hardware": self.hardware or None,
            "cause": last.cause.text if last is not None and self.why else None,
            "message": last.message if last is not None and self.why else None,
            "other_code": self.other_code,
        }


# ------------------------------------------------------------------ which cells


def planned(configuration: Configuration) -> list[Planned]:
    """The cells of a run."""
    found = []
    for cell in paths.grid(configuration):
        resolved = configuration.resolve(*cell.key)
        epochs = None if resolved.training is None else resolved.training.epochs
        found.append(Planned(cell, resolved.identity, epochs))
    return found


def last_run(study: str | None = None) -> tuple[str, list[Planned]]:
    """The cells of the last run of `study`, or of any: as it kept them, else by their cell.json.

    Raises:
        UserError: there is neither.
    """
    kept = _last_kept(study)
    if kept is not None:
        return kept.run.study, planned(kept)
    recorded = [] if study is None else list(_recorded(study))
    if study is None or not recorded:
        raise UserError(
            "No run is known here." if study is None else f"No run of `{study}` is known here.",
            where=str(Path.cwd()),
            expected=f"a configuration below {snapshot.FOLDER}, which a run keeps, or cell.json "
            "files below <study>/results",
            remedy="call it from the folder that Snakemake runs in, with the name of a study:\n"
            "python -m workflow_src status STUDY",
        )
    return study, recorded


def last_configuration(study: str | None = None) -> Configuration:
    """What the last command for `study`, or for any, was given.

    Raises:
        UserError: none is kept.
    """
    kept = _last_kept(study)
    if kept is None:
        raise UserError(
            "No run is known here." if study is None else f"No run of `{study}` is known here.",
            where=str(Path.cwd()),
            expected=f"a configuration below {snapshot.FOLDER}, which each run keeps",
            remedy="snakemake plan --profile profiles/local   # or the profile of your cluster",
        )
    return kept


def _last_kept(study: str | None) -> Configuration | None:
    return next((each for each in _kept() if study in (None, each.run.study)), None)


def _kept() -> Iterator[Configuration]:
    """The configurations that runs have kept, the last one first."""
    files = {path: path.stat().st_mtime for path in snapshot.FOLDER.glob("*.json")}
    for path in sorted(files, key=files.__getitem__, reverse=True):
        try:
            yield snapshot.read(path)
        except (ValidationError, KeyError):  # of another version of this package
            continue


def _recorded(study: str) -> Iterator[Planned]:
    for path in sorted(Path(study, "results").glob("*/*/*/*/cell.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        epochs = content.get("training", {}).get("epochs")
        yield Planned(Cell(**content["cell"]), content["identity"], epochs)


# ------------------------------------------------------------------ one cell


def survey(study: str, wanted: Iterable[Planned]) -> list[Status]:
    """Look at each cell."""
    wanted = list(wanted)
    other = set(of_other_code(study, (one.cell for one in wanted)))
    return [replace(look(study, one), other_code=one.cell in other) for one in wanted]


def look(study: str, wanted: Planned) -> Status:
    """What is known of one cell; what a kill has torn counts for nothing."""
    folder = paths.runs(study, wanted.cell)
    events = Journal(folder / "attempts.jsonl").events()
    starts = [event for event in events if isinstance(event, Started)]
    of_this = [start for start in starts if start.identity == wanted.identity]
    number, holder = newest(folder)
    sample = last_sample(holder)
    if holder is not None:
        is_held = not holder.get("released") and _lives(folder / f"lock.{number}", holder)
    else:
        open_start = [e for e in framing(events)[-1:] if isinstance(e, Started)]
        is_held = bool(open_start) and _runs_without_lock(open_start[0])
    # Slurm may be asked: not for each cell that runs.
    without_end = None if is_held else cause_without_end(events, sample)
    if without_end is not None:
        events.append(Ended(cause=without_end.text, message="it left no word"))
    history = attempt_history(events, wanted.identity)
    last = history[-1] if history else None
    is_scored = _is_scored(paths.results(study, wanted.cell) / "metrics.json", wanted.identity)
    state = _state(is_held, is_scored, last)
    found = Status(wanted.cell, state, epochs=wanted.epochs, attempts=len(of_this), last=last)
    # What lies in runs/ is of the settings that were started last.
    if of_this and starts[-1] is of_this[-1]:
        found = replace(found, hardware=starts[-1].request.hardware)
        found = _progress(found, folder / "history.csv")
        if len({start.request.hardware for start in of_this}) > 1:
            found = replace(found, epoch_s=None, left_s=None)  # epochs of several classes
    return replace(found, used_mb=sample.used_mb, limit_mb=sample.limit_mb) if is_held else found


def _state(is_held: bool, is_scored: bool, last: FinishedAttempt | None) -> State:
    if is_held:
        return State.RUNNING
    if is_scored:
        return State.DONE
    if last is None:
        return State.NOT_STARTED
    if last.cause is Cause.DONE:
        return State.TRAINED
    return State.INTERRUPTED if last.cause in _FROM_OUTSIDE else State.FAILED


def _lives(lock: Path, holder: Content) -> bool:
    """Whether the holder lives; one elsewhere is not asked for, its last heartbeat tells."""
    if holder.get("host") == platform.node():
        return not is_dead(holder)
    try:
        return time.time() - lock.stat().st_mtime < SILENCE_S
    except FileNotFoundError:  # it is being overwritten, as NFS shows it
        return True


def _runs_without_lock(started: Started) -> bool:
    if started.host == platform.node():
        return Path(f"/proc/{started.pid}").exists()
    return time.time() - started.time < _BASELINE_S


def _is_scored(metrics: Path, identity: str) -> bool:
    try:
        content = json.loads(metrics.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(content, dict) and content.get("identity") == identity


def _progress(status: Status, history: Path) -> Status:
    """Epoch, loss and speed by the last rows of history.csv; the time left of a running cell."""
    rows = _last_rows(history)
    if not rows:
        return status
    epoch, last = int(rows[-1]["epoch"]), rows[-1]
    losses = [_number(last.get("val_loss"))]
    if losses == [None]:
        losses = [_number(text) for name, text in last.items() if name.startswith("loss_")]
    finite = [loss for loss in losses if loss is not None]
    found = replace(status, epoch=epoch, loss=sum(finite) if finite else None)
    epoch_s, left_s = _median_seconds(rows), None
    if epoch_s is None:
        return found
    if status.state is State.RUNNING and status.epochs is not None:
        since = min(epoch_s, max(0.0, time.time() - history.stat().st_mtime))
        left_s = round(max(0.0, (status.epochs - epoch) * epoch_s - since), 1)
    return replace(found, epoch_s=epoch_s, left_s=left_s)


def epoch_seconds(history: Path) -> float | None:
    """Seconds of an epoch, the median of the last few; None: no epoch is finished."""
    return _median_seconds(_last_rows(history))


def _median_seconds(rows: Sequence[dict[str, str]]) -> float | None:
    seconds = [s for row in rows if (s := _number(row.get("seconds"))) is not None]
    return round(statistics.median(seconds), 3) if seconds else None


def _last_rows(history: Path) -> list[dict[str, str]]:
    """The last whole rows; a file of many epochs is not read from its beginning."""
    try:
        with history.open("rb") as file:
            names = file.readline().decode("utf-8", errors="replace").strip().split(",")
            begin = file.tell()
            start = max(begin, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
            file.seek(start)
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    if names[0] != "epoch":
        return []
    # The first may be the end of a row; what follows the last newline is being written.
    rows = [line.strip().split(",") for line in lines[int(start > begin) : -1]]
    whole = [row for row in rows if len(row) == len(names) and row[0].isdecimal()]
    return [dict(zip(names, row, strict=True)) for row in whole[-_ROWS:]]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
