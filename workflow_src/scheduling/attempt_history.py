"""What a journal teaches the next request: attempts of one identity, read whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import (
    AT_START,
    Ended,
    Event,
    MemorySample,
    Shrank,
    Started,
    framing,
)
from workflow_src.scheduling.lock import Content
from workflow_src.scheduling.slurm import cause_of_job


@dataclass(frozen=True)
class FinishedAttempt:
    """One attempt that is over.

    Attributes:
        cause: how it ended.
        request: what it was told; of micro-batch and recomputing, what was in force at its end.
        message: what it said.
        steps: optimizer steps done in all; None where it did not say.
        shrank: whether the GPU's memory made it take a smaller micro-batch on its way.
        beside_others: whether other processes held memory of its GPU: its micro-batches teach
            nothing.
        text: all that its log said of the error, as far as the journal has it.
        peak_mb: host memory that its processes used, MB; 0 where it is not known.
        device_mb: memory of one GPU, the same.
        seconds: that it took; None where it is not known.
        time: of its end, s since the epoch.
        is_short: whether it, or one before it, did with less because host memory ran out.
    """

    cause: Cause
    request: AttemptRequest
    message: str = ""
    steps: int | None = None
    shrank: bool = False
    beside_others: bool = False
    text: str = ""
    peak_mb: float = 0.0
    device_mb: float = 0.0
    seconds: float | None = None
    time: float = 0.0
    is_short: bool = False


def attempt_history(journal: Sequence[Event], identity: str) -> list[FinishedAttempt]:
    """The finished attempts at the cell of this identity, the oldest first.

    An event that is not as expected counts for nothing: a request is due whatever a file holds.
    """
    found: list[FinishedAttempt] = []
    started: Started | None = None
    shrunk: list[Shrank] = []  # by the GPU's memory, within one attempt
    is_short = False  # of host memory; checkpoints keep what was given up for it
    for event in journal:
        if isinstance(event, Started):
            started = event if event.identity == identity else None
            shrunk = []
        elif isinstance(event, Shrank) and event.of == "gpu":
            shrunk.append(event)
        elif isinstance(event, Shrank):
            is_short |= started is not None
        elif isinstance(event, Ended) and started is not None:
            if event.how is not None:
                attempt = _finished(event.how, started.request, shrunk, event)
                found.append(replace(attempt, is_short=is_short))
            started = None
    return found


def invocation(history: Sequence[FinishedAttempt], run: str) -> list[FinishedAttempt]:
    """The attempts of the run of Snakemake that is called `run`: those from its first one on."""
    own = [index for index, each in enumerate(history) if each.request.run == run]
    return list(history[own[0] :]) if own else []


def not_begun(journal: Sequence[Event], identity: str, run: str, attempt: int) -> int:
    """Attempts before the `attempt`-th of `run` of which the journal of a cell tells no start.

    Slurm refused their jobs or took them from the queue, or they ended before training.
    """
    begun = {
        event.request.attempt
        for event in journal
        if isinstance(event, Started) and event.identity == identity and event.request.run == run
    }
    return len(set(range(1, attempt)) - begun)


def last_sample(holder: Content | None) -> MemorySample:
    """What the holder that a lock file names saw at its last heartbeat."""
    return MemorySample.read((holder or {}).get("sample"))


def cause_without_end(journal: Sequence[Event], sample: MemorySample) -> Cause | None:
    """How the last attempt ended, if it is over and wrote no end; None: it wrote one.

    ``sample`` is that of its last heartbeat. Slurm's word counts, where it has one.
    """
    last = framing(journal)[-1:]
    if not last or not isinstance(last[0], Started):
        return None
    job = last[0].job
    return (cause_of_job(job) if job else None) or cause_of_silence(last[0], sample)


def cause_of_silence(started: Started, sample: MemorySample) -> Cause:
    """How an attempt ended of which nothing is known but its start and its last heartbeat.

    Where Slurm did not say when its job was to end, what was asked for tells, from the start on.
    """
    until = started.until or _asked_until(started)
    if until is not None and sample.time is not None and sample.time >= until - 60:
        return Cause.DEADLINE
    if sample.limit_mb and (sample.used_mb or 0) >= 0.8 * sample.limit_mb:
        return Cause.HOST_OOM
    return Cause.TERMINATED


def _asked_until(started: Started) -> float | None:
    minutes = started.request.runtime_minutes
    return started.time + 60.0 * minutes if started.job and minutes else None


def _finished(
    cause: Cause, request: AttemptRequest, shrunk: Sequence[Shrank], ended: Ended
) -> FinishedAttempt:
    for after in [each.after for each in shrunk if each.after.micro_batch is not None][-1:]:
        checkpointing = after.activation_checkpointing
        at_its_end = {"micro_batch_size": after.micro_batch} | (
            {} if checkpointing is None else {"activation_checkpointing": checkpointing}
        )
        request = request.model_copy(update=at_its_end)
    peaks = ended.peaks_mb or {}
    return FinishedAttempt(
        cause,
        request,
        ended.message,
        ended.steps,
        shrank=any(each.during != AT_START for each in shrunk),
        beside_others=any(each.during == AT_START for each in shrunk),
        text=ended.text,
        # That of one process, of which there are as many as devices.
        peak_mb=request.devices * peaks.get("host_mb", 0.0),
        device_mb=peaks.get("device_occupied_mb", peaks.get("device_mb", 0.0)),
        seconds=ended.seconds,
        time=ended.time,
    )
