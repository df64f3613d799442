"""`audit.json`: what parts of a split share, and what gives a target away."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from workflow_src.artifacts.data_file import DatasetFile

_PART = ConfigDict(extra="forbid", frozen=True, strict=True, validate_by_name=True)


class SharedContent(BaseModel):
    """What two recordings share at one shift, or at one ratio of their rates.

    Attributes:
        part, recording_id: the held-out one.
        begin, end: its first shared sample, and the one behind its last.
        shared_with, their_recording_id, their_from, their_to: likewise, of the earlier part.
        shift: samples by which the content lies later in the held-out one.
        samples: of the held-out one that are shared.
        stretches: that they are in.
        channels: of the held-out and of the earlier one.
        gain: by which the held-out one is larger.
        ratio: samples of the earlier one for each, negative if backwards.
    """

    model_config = _PART

    part: str
    recording_id: str
    begin: int = Field(alias="from")
    end: int = Field(alias="to")
    shared_with: str
    their_recording_id: str
    their_from: int
    their_to: int
    shift: int
    samples: int
    stretches: int
    channels: tuple[tuple[int, int], ...]
    gain: float
    ratio: float = 1.0


class SharedSpans(BaseModel):
    """Spans of a held-out part that hold a shared sample, and all of them."""

    model_config = _PART

    spans: int
    of: int


@dataclass(frozen=True)
class ShortcutFigures:
    """How well one feature tells a target in the test part.

    ``p`` is the share of permutations that do as well, ``least_p`` the least that so few units can
    give; ``level`` is what counts.
    """

    __pydantic_config__ = _PART

    feature: str
    target: str
    score: float
    chance: float
    units: int
    p: float
    least_p: float
    level: float


@dataclass(frozen=True)
class FoundShortcut(ShortcutFigures):
    """The figures of one feature, and whether they are a warning."""

    warns: bool


class AuditReport(DatasetFile):
    """Of one dataset.

    Attributes:
        certain_from_samples: content of so many samples is found for certain; None: not searched.
        declared_leaky: whether the split says that it leaks.
        shared_pairs: their number, of which ``shared`` holds the first.
        shared_spans: by held-out part.
        passed_over: places of a pattern that returns too often.
        warnings: that stand under the tables, by task.
    """

    certain_from_samples: int | None
    declared_leaky: bool
    shared_pairs: int
    shared: tuple[SharedContent, ...]
    shared_spans: dict[str, SharedSpans]
    passed_over: int
    shortcuts: tuple[FoundShortcut, ...]
    warnings: dict[str, list[str]]
