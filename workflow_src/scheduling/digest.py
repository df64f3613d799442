"""What is said when a run ends with failures: what failed, why, what is kept, what to do next."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.configuration import Configuration
from workflow_src.scheduling.attempt_history import FinishedAttempt
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.hardware import larger_than_all
from workflow_src.scheduling.next_request import JobRequest
from workflow_src.scheduling.status import State, Status, planned, survey

AGAIN = "run the same command again"
_SHOWN = 20  # cells; the rest is counted
_TAIL_BYTES = 16384  # of a log
_MEMORY: dict[Cause, Literal["gpu", "host"]] = {Cause.GPU_OOM: "gpu", Cause.HOST_OOM: "host"}


@dataclass(frozen=True)
class Job:
    """A job that failed: its rule, outputs and first log (None: the rule has none)."""

    rule: str
    outputs: tuple[Path, ...]
    log: Path | None


def failed_jobs(text: str) -> list[Job]:
    """The jobs that Snakemake's own log calls failed and whose outputs are not there now.

    One that failed and was tried again is there once, or not at all.
    """
    found: dict[tuple[Path, ...], Job] = {}
    for match in re.finditer(r"^Error in rule (\w+):\n((?: {4}.*\n)*)", text, re.MULTILINE):
        outputs = tuple(map(Path, _listed(match[2], "output")))
        logs = _listed(match[2].replace(" (check log file(s) for error details)", ""), "log")
        if not outputs or not all(path.exists() for path in outputs):
            found[outputs] = Job(match[1], outputs, Path(logs[0]) if logs else None)
    return list(found.values())


def _listed(block: str, name: str) -> list[str]:
    line = re.search(rf"^ {{4}}{name}: (.*)$", block, re.MULTILINE)
    return line[1].split(", ") if line else []


class Said(NamedTuple):
    """An error, the first line of where it is, and the remedy that it names; "" for none."""

    head: str = ""
    where: str = ""
    remedy: str = ""


def said(log: Path | None) -> Said:
    """What a log says last that went wrong."""
    if log is None or not log.exists():
        return Said()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    # A traceback ends, and an error for users begins, with a line that is not indented.
    heads = [index for index, line in enumerate(lines) if line.strip() and not line[0].isspace()]
    if not heads:
        return Said()
    below = "\n".join(lines[heads[-1] + 1 :])
    remedy = re.search(r"^ {2}remedy: *((?:.*)(?:\n {12}.*)*)", below, re.MULTILINE)
    where = re.search(r"^ {2}where: *(.*)", below, re.MULTILINE)
    return Said(
        lines[heads[-1]],
        where[1] if where else "",
        textwrap.dedent(" " * 12 + remedy[1]) if remedy else "",
    )


def digest(
    configuration: Configuration,
    logs: Iterable[Path],
    log_of: Callable[[str, Cell], Path],
    request: Callable[[Cell], JobRequest],
    *,
    only_data: bool = False,
) -> str:
    """The text for a run that has failed.

    Args:
        configuration: of the run.
        logs: Snakemake's own, of this run.
        log_of: log of a rule of a cell.
        request: what the next run of the same command asks for.
        only_data: the run was asked for no cell, so that none is told of.
    """
    jobs = [job for log in logs for job in failed_jobs(log.read_text(errors="replace"))]
    grid = survey(configuration.run.study, planned(configuration))
    without = [status for status in grid if status.state is not State.DONE]
    blocks, rest = [], []
    for status in without:
        folder = paths.results(configuration.run.study, status.cell)
        job = next((job for job in jobs if any(folder == p.parent for p in job.outputs)), None)
        if job is None and status.state in (State.NOT_STARTED, State.TRAINED, State.RUNNING):
            rest.append(status)
            continue
        log = job.log if job is not None else log_of(_trainer(status), status.cell)
        facts = _Facts(configuration, status, job, log, request)
        blocks.append(_cell(facts, len(grid) - len(without), len(grid)))
    shared = [job for job in jobs if not any(_is_of_cell(job, status) for status in grid)]
    shared += _unmade(configuration, rest, {job.log for job in shared})
    if only_data:
        return "\n".join(map(_shared, shared))
    lines = [_shared(job) for job in shared] + blocks[:_SHOWN]
    if len(blocks) > _SHOWN:
        more = len(blocks) - _SHOWN
        lines.append(f"and {more} more: python -m workflow_src status {configuration.run.study}")
    return "\n".join([*lines, *_remaining(rest, bool(shared))])


def _unmade(
    configuration: Configuration, waiting: Iterable[Status], told: AbstractSet[Path | None]
) -> list[Job]:
    """What cells wait for and is not there although its log says why.

    Under `--quiet host` Snakemake's own log does not name the jobs that failed.
    """
    logs = paths.DATA / "logs"
    found: dict[Path, Job] = {}
    for status in waiting:
        name = status.cell.dataset
        rig = configuration.datasets[name].rig
        for each in (*configuration.rigs[rig].options.member_rigs(), rig):
            folder = paths.rig_folder(each)
            for rule, file in (("built", "built.json"), ("recordings", "recordings.h5")):
                found[logs / f"{each}.{rule}.log"] = Job(rule, (folder / file,), None)
        table = paths.split_folder(name) / "split.csv"
        found[logs / f"{name}.split.log"] = Job("split", (table,), None)
    return [
        Job(job.rule, job.outputs, log)
        for log, job in found.items()
        if log not in told and not job.outputs[0].exists() and _tells_of_failure(log)
    ]


def _tells_of_failure(log: Path) -> bool:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return bool(re.search(r"^(Traceback|  (where|found|expected|remedy): )", text, re.MULTILINE))


def _trainer(status: Status) -> str:
    return "classic" if status.epochs is None else "train"


def _is_of_cell(job: Job, status: Status) -> bool:
    return any(path.parent.parts[-4:] == status.cell.folder.parts for path in job.outputs)


@dataclass(frozen=True)
class _Facts:
    """What is known of a failed cell."""

    configuration: Configuration
    status: Status
    job: Job | None
    log: Path | None
    request: Callable[[Cell], JobRequest]


def _cell(facts: _Facts, done: int, cells: int) -> str:
    status, last = facts.status, facts.status.last
    # What the journal does not know happened before an attempt, or after the last.
    rule = facts.job.rule if facts.job is not None else _trainer(status)
    refusal = facts.request(status.cell).refusal if last is None and rule == "train" else ""
    if refusal:
        configuration = facts.configuration
        hardware = next(iter(configuration.hardware.values()))
        what, then = refusal, _elsewhere(configuration, hardware.tensors_in)
    elif last is None or last.cause is Cause.DONE or rule == "evaluate":
        error = said(facts.log)
        what, then = f"{rule}: {error.head or 'no word of why'}", _mended(error.remedy)
    else:
        what, then = _what(status, last), _next(facts, last)
    kept = paths.runs(facts.configuration.run.study, status.cell)
    others = f"the {done} other cells are" if done == cells - 1 else f"{done} of {cells} cells are"
    parts = [f"kept: {kept}"] if kept.exists() else []
    parts += [f"{others} done", f"log: {facts.log}"]
    return _block(f"FAILED {status.cell.name}: {what}", "   ".join(parts), then)


def _shared(job: Job) -> str:
    """A job that is no cell's: recordings, a split, tables."""
    error = said(job.log)
    outputs = ", ".join(sorted({str(path.parent) for path in job.outputs}))
    what = f"FAILED {job.rule} of {outputs}: {error.head or 'no word of why'}"
    where = f"where: {error.where}   " if error.where else ""
    return _block(what, f"{where}log: {job.log or 'none'}", _mended(error.remedy))


def _block(what: str, known: str, then: str) -> str:
    return "\n".join([what, f"  {known}", "  next: " + then.replace("\n", "\n" + " " * 8)])


def _remaining(rest: Sequence[Status], is_input_lost: bool) -> list[str]:
    """Cells that nothing is to be said of but that they are there."""
    lines = []
    for state, because in (
        (State.NOT_STARTED, ", as what they read could not be made" if is_input_lost else ""),
        (State.TRAINED, ""),
        (State.RUNNING, " elsewhere"),
    ):
        count = sum(status.state is state for status in rest)
        if count:
            cells = "cell is" if count == 1 else "cells are"
            words = "not scored yet" if state is State.TRAINED else state.value
            lines.append(f"{count} {cells} {words}{because}")
    return lines


def _what(status: Status, last: FinishedAttempt) -> str:
    """How the last attempt ended, after how many, and where it stopped."""
    parts = [last.cause.words + _at(last)]
    if status.attempts > 1:
        parts.append(f"{status.attempts} attempts")
    if status.epochs is not None:
        parts.append(f"stopped at epoch {status.epoch}/{status.epochs}")
    return ", ".join(parts)


def _at(last: FinishedAttempt) -> str:
    had = last.request
    on = f" ({had.hardware})" if had.hardware else ""
    if last.cause is Cause.GPU_OOM:
        recomputed = " with activations recomputed" if had.activation_checkpointing else ""
        return f" at {_size(had.micro_batch_size)}{recomputed}{on}"
    if last.cause is Cause.HOST_OOM:
        return f" with {had.memory_mb} MB{on}" if had.memory_mb else on
    if last.cause is Cause.DEADLINE and had.runtime_minutes:
        return f" ({had.runtime_minutes} minutes)"
    return f": {last.message.rstrip('.')}" if last.message else ""


def _size(micro_batch_size: int | None) -> str:
    return f"micro-batch {micro_batch_size}" if micro_batch_size else "the whole batch"


def _mended(remedy: str) -> str:
    return f"{remedy}\nthen {AGAIN}" if remedy else f"mend what the log says, then {AGAIN}"


def _next(facts: _Facts, last: FinishedAttempt) -> str:
    """What to do about a cause."""
    if last.cause in (Cause.ERROR, Cause.BAD_DATA, Cause.DIVERGED):
        return _mended(said(facts.log).remedy)
    request = facts.request(facts.status.cell)
    if request.refusal and last.cause in _MEMORY:
        elsewhere = _elsewhere(facts.configuration, _MEMORY[last.cause])
        return f"{request.refusal}:\n{elsewhere}"
    goes_on = f"{AGAIN}: it goes on from epoch {facts.status.epoch}"
    changes = _changes(request, last)
    had = last.request.runtime_minutes or 0
    is_same_class = request.hardware == last.request.hardware
    if last.cause is Cause.DEADLINE and is_same_class and request.runtime_minutes <= had:
        name = request.hardware
        limit = f"config/hardware/{name}.yaml, `max_runtime_minutes: {request.runtime_minutes}`"
        changes.append(f"with no more time, which {limit} does not allow")
    return ", ".join([goes_on, *changes])


def _changes(request: JobRequest, last: FinishedAttempt) -> list[str]:
    """What the same command asks for that the last attempt did not have."""
    changes, had = [], last.request
    if had.hardware and request.hardware != had.hardware:
        return [f"on {request.hardware}"]
    if had.memory_mb and request.memory_mb > had.memory_mb:
        changes.append(f"with {request.memory_mb} MB of host memory in place of {had.memory_mb}")
    if had.runtime_minutes and request.runtime_minutes > had.runtime_minutes:
        changes.append(f"with {request.runtime_minutes} minutes in place of {had.runtime_minutes}")
    if last.cause is Cause.GPU_OOM:
        changes.append(f"at {_size(request.micro_batch_size)}")
        if request.activation_checkpointing and not had.activation_checkpointing:
            changes.append("with activations recomputed")
    return changes


def _elsewhere(configuration: Configuration, of: Literal["gpu", "host"]) -> str:
    """Nothing fits on this hardware class: those that have more, and what takes less."""
    names = larger_than_all(configuration.classes, configuration.hardware, of)
    memory = "GPU memory" if of == "gpu" else "host memory"
    classes = " or ".join(f"`hardware: {name}`" for name in names)
    return (
        f"{classes or 'a hardware class'} with more {memory} (in the profile),\n"
        f"or a smaller model, or a shorter `window`; then {AGAIN}"
    )
