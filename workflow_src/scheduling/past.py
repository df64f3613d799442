"""What a journal teaches the next request: attempts of one identity, read whatever they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_src.scheduling.journal import Cause
from workflow_src.scheduling.slurm import cause_of_job


@dataclass(frozen=True)
class Attempt:
    """One finished attempt.

    Attributes:
        cause: how it ended.
        message: what it said.
        number: Snakemake's, which begins at 1 with each invocation.
        hardware: the class that it ran on.
        memory_mb: host memory that it was given, MB.
        runtime_minutes: time that it was given.
        micro_batch_size: spans in memory at once when it ended; 0: the whole batch.
        activation_checkpointing: whether activations were recomputed when it ended.
        steps: optimizer steps done in all; None where it did not say.
        shrank: whether the GPU's memory made it take a smaller micro-batch on its way.
        text: all that its log said of the error, as far as the journal has it.
    """

    cause: Cause
    message: str = ""
    number: int = 1
    hardware: str = ""
    memory_mb: int = 0
    runtime_minutes: int = 0
    micro_batch_size: int = 0
    activation_checkpointing: bool = False
    steps: int | None = None
    shrank: bool = False
    text: str = ""


def attempts(journal: Sequence[Mapping[str, Any]], identity: str) -> list[Attempt]:
    """The finished attempts at the cell of this identity, the oldest first.

    An event that is not as expected counts for nothing: a request is due whatever a file holds.
    """
    found: list[Attempt] = []
    started: Mapping[str, Any] | None = None
    shrunk: Mapping[str, Any] = {}
    for event in journal:
        kind = event.get("event")
        if kind == "started":
            started = event if event.get("identity") == identity else None
            shrunk = {}
        elif kind == "out_of_memory" and event.get("of") == "gpu":
            after = _mapping(event.get("after"))
            shrunk = after if "micro_batch" in after else shrunk
        elif kind == "ended" and started is not None:
            cause = Cause.named(event.get("cause"))
            if cause is not None:
                found.append(_attempt(cause, started, shrunk, event))
            started = None
    return found


def invocation(past: Sequence[Attempt]) -> list[Attempt]:
    """The attempts of the last invocation of Snakemake: those from its first one on."""
    firsts = [index for index, attempt in enumerate(past) if attempt.number <= 1]
    return list(past[firsts[-1] :]) if firsts else list(past)


def framing(journal: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events that begin and end attempts."""
    return [event for event in journal if event.get("event") in ("started", "ended")]


def cause_without_end(
    journal: Sequence[Mapping[str, Any]], sample: Mapping[str, Any]
) -> Cause | None:
    """How the last attempt ended, if it is over and wrote no end; None: it wrote one.

    ``sample`` is that of its last heartbeat. Slurm's word counts, where it has one.
    """
    last = framing(journal)[-1:]
    if not last or last[0]["event"] != "started":
        return None
    job = last[0].get("job")
    return (cause_of_job(str(job)) if job else None) or cause_of_silence(last[0], sample)


def cause_of_silence(started: Mapping[str, Any], sample: Mapping[str, Any]) -> Cause:
    """How an attempt ended of which nothing is known but its start and its last heartbeat.

    Args:
        started: its line in the journal; `until` is when its job was to end. Where Slurm did not
            say, what was asked for tells, from the start on.
        sample: time (s since the epoch), used_mb and limit_mb of the last heartbeat.
    """
    until, seen = started.get("until") or _asked_until(started), sample.get("time")
    if until is not None and seen is not None and seen >= until - 60:
        return Cause.DEADLINE
    limit = sample.get("limit_mb")
    if limit and sample.get("used_mb", 0) >= 0.8 * limit:
        return Cause.HOST_OOM
    return Cause.TERMINATED


def _asked_until(started: Mapping[str, Any]) -> float | None:
    told = started.get("told")
    minutes = told.get("runtime_minutes") if isinstance(told, Mapping) else None
    return started["time"] + 60.0 * minutes if started.get("job") and minutes else None


def _attempt(
    cause: Cause, started: Mapping[str, Any], shrunk: Mapping[str, Any], ended: Mapping[str, Any]
) -> Attempt:
    told = _mapping(started.get("told"))
    steps = ended.get("steps")
    return Attempt(
        cause=cause,
        message=_text(ended.get("message")),
        number=_count(told.get("attempt"), 1),
        hardware=_text(told.get("hardware")),
        memory_mb=_count(told.get("memory_mb")),
        runtime_minutes=_count(told.get("runtime_minutes")),
        micro_batch_size=_count(shrunk.get("micro_batch", told.get("micro_batch_size"))),
        activation_checkpointing=bool(
            shrunk.get("activation_checkpointing", told.get("activation_checkpointing")) is True
        ),
        steps=steps if isinstance(steps, int) else None,
        shrank=bool(shrunk),
        text=_text(ended.get("text")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any, least: int = 0) -> int:
    return value if isinstance(value, int) and value >= least else least
