"""What a journal teaches the next request: attempts of one identity, read whatever they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_src.scheduling.journal import Cause


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
