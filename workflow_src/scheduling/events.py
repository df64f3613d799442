"""What a journal tells: one type an event, one line of JSON each.

Lines of older and of later versions are read as far as they go (`lenient`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, field_serializer

from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.lenient import lenient


class _Line(BaseModel):
    model_config = ConfigDict(
        frozen=True, populate_by_name=True, allow_inf_nan=False, defer_build=True
    )

    def to_json(self) -> dict[str, JsonValue]:
        """What is known, under the names of the journal."""
        known: dict[str, JsonValue] = self.model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        return known


class MemorySample(_Line):
    """What a holder saw at its last heartbeat: time (s since the epoch), host memory."""

    time: float | None = None
    used_mb: int | None = None
    limit_mb: int | None = None

    @staticmethod
    def read(values: JsonValue) -> MemorySample:
        """What a lock file tells."""
        return lenient(MemorySample, values)


class _Event(_Line):
    event: str = ""
    time: float = 0.0

    def to_json(self) -> dict[str, JsonValue]:
        """The event's name, and what is known of it."""
        return {"event": self.event, **super().to_json()}


def _request(value: AttemptRequest | JsonValue) -> AttemptRequest:
    return value if isinstance(value, AttemptRequest) else AttemptRequest.read(value)


class Started(_Event):
    """An attempt began.

    Attributes:
        time: s since the epoch, as in all events.
        host, pid, job: where; `job` is Slurm's.
        request: what it was told; of a baseline nothing.
        identity: of the cell.
        limit_mb: host memory that it may use.
        until: when its job ends, s since the epoch.
        versions: of packages that a number may depend on.
    """

    event: Literal["started"] = "started"
    host: str = ""
    pid: int = 0
    job: str | None = None
    request: Annotated[AttemptRequest, BeforeValidator(_request)] = Field(
        AttemptRequest(), alias="told"
    )
    identity: str = ""
    limit_mb: int | None = None
    until: float | None = None
    versions: Mapping[str, str] = {}

    @field_serializer("request")
    def _whole(self, request: AttemptRequest) -> dict[str, JsonValue]:
        """With the defaults, which another version may not have."""
        return request.model_dump()


class Resumed(_Event):
    """It goes on from a checkpoint."""

    event: Literal["resumed"] = "resumed"
    checkpoint: str = ""


class Levers(_Line):
    """What decides the memory of a step, or of reading ahead."""

    micro_batch: int | None = Field(None, ge=1)
    activation_checkpointing: bool | None = None
    workers: int | None = None
    cache: bool | None = None


AT_START = "start"


class Shrank(_Event):
    """Memory ran out, and the same work is done again with less of it.

    ``during`` is training, validation or prediction; at the start another process held some of the
    GPU's memory, and none has run out.
    """

    event: Literal["out_of_memory"] = "out_of_memory"
    of: Literal["gpu", "host", ""] = ""
    during: str = ""
    before: Levers = Levers()
    after: Levers = Levers()
    message: str = ""
    rank: int | None = None


class NearLimit(_Event):
    """Memory in use crossed a share of its limit, MB."""

    event: Literal["memory"] = "memory"
    of: str = ""
    crossed: str = ""
    used_mb: float = 0.0
    limit_mb: float = 0.0
    source: str = ""


class Ended(_Event):
    """An attempt ended.

    Attributes:
        cause: name of a `Cause`; a later version may know others.
        message: why, in a line.
        text: all that its log says of it, as far as there is room.
        steps: optimizer steps done in all.
        peaks_mb: of memory.
        signal: that ended the process.
        peak_host_mb, limit_mb: host memory, where it ran out.
        peak_rss_mb: of a baseline.
        seconds: that it took.
        found_later: the next attempt has written this, by `sample` and by what Slurm says.
    """

    event: Literal["ended"] = "ended"
    cause: str = ""
    message: str = ""
    text: str = ""
    steps: int | None = None
    peaks_mb: Mapping[str, float] | None = None
    signal: str | None = None
    peak_host_mb: int | None = None
    limit_mb: int | None = None
    peak_rss_mb: float | None = None
    seconds: float | None = None
    found_later: bool | None = None
    sample: MemorySample | None = None

    @property
    def how(self) -> Cause | None:
        """The cause; None: of another version."""
        return Cause.named(self.cause)


class Other(_Event):
    """An event of a later version, of which nothing but its place is understood."""


Event = Started | Resumed | Shrank | NearLimit | Ended | Other
_TYPES: dict[str, type[Event]] = {
    kind.model_fields["event"].default: kind for kind in get_args(Event)
}


def read_event(values: JsonValue) -> Event | None:
    """The event of one line; None: it is none."""
    if not isinstance(values, dict) or "event" not in values:
        return None
    kind = _TYPES.get(str(values["event"]))
    if kind is None:  # most of a long journal of another version
        return Other(event=str(values["event"]))
    return lenient(kind, values)


def framing(journal: Sequence[Event]) -> list[Started | Ended]:
    """The events that begin and end attempts."""
    return [event for event in journal if isinstance(event, Started | Ended)]


@dataclass
class Measured:
    """What an attempt has measured so far, for its last line, however it ends.

    Attributes:
        steps: optimizer steps done in all.
        peaks_mb: of memory.
    """

    steps: int | None = None
    peaks_mb: dict[str, float] | None = None

    def ended(self, **said: str) -> Ended:
        """The end with what is known."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return Ended.model_validate(said | known)
