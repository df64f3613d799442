"""`split.json`: what the parts of a split are, and what their labels allow.

Keys stand in the file by group: pydantic collects the fields of the last base first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workflow_src.artifacts.data_file import DatasetFile
from workflow_src.configuration.base import is_absent
from workflow_src.configuration.protocols import UnitCount
from workflow_src.predictions import ScoreFacts, TruncatedRun

T = TypeVar("T")


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class ByPart(Generic[T]):
    """One value a part."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    train: T
    val: T
    test: T

    @classmethod
    def of(cls, value: Callable[[str], T]) -> Self:
        """What `value` gives for the name of each part."""
        return cls(value("train"), value("val"), value("test"))


class LeakyWindows(_Group):
    """How many test windows there are, and how many share samples with the other parts."""

    test_windows: int
    sharing_samples: int


class ShotSummary(_Group):
    """Shots of the held-out group: how many of each class, and their names by class."""

    per_class: int
    of: Literal["recordings", "blocks"]
    draw: int
    drawn: dict[str, tuple[str, ...]]


class UnitSummary(_Group):
    """Training units that were drawn: how many of each class, and which by class."""

    number: UnitCount
    draw: int
    drawn: dict[str, tuple[str, ...]]


class ValidationClaim(_Group):
    """The strategy of the validation part, as declared and as drawn, and why they differ."""

    declared: str
    strategy: str
    reason: str


class AnomalyCounts(_Group):
    """Faulty and healthy spans."""

    positive: int
    negative: int


class ReachedShare(_Group):
    """The share of the spans that a part was to hold, and the one that it holds."""

    asked: float
    reached: float


class SplitSums(_Group):
    """SHA-256 of split.csv, and of the other keys of split.json."""

    rows: str
    facts: str


class SplitClaim(_Group):
    """How the parts are apart.

    Attributes:
        declared: the strategy that was asked for.
        strength: the proven one, or ``leaky``.
        reasons: why they differ, and what else a reader must know.
        leaky: where windows are drawn at random.
        truncation: by test run, where the split truncates them.
        shots: where the held-out group gives some.
        train_units: where training has but some of its units.
        validation: of the validation part.
    """

    declared: str
    strength: str
    reasons: tuple[str, ...]
    leaky: LeakyWindows | None = Field(None, exclude_if=is_absent)
    truncation: dict[str, TruncatedRun] | None = Field(None, exclude_if=is_absent)
    shots: ShotSummary | None = Field(None, exclude_if=is_absent)
    train_units: UnitSummary | None = Field(None, exclude_if=is_absent)
    validation: ValidationClaim


class SpanLayout(_Group):
    """What spans are cut from.

    Attributes:
        excluded: recordings in no part, by reason.
        window, horizon, span: samples; a span is both.
        gap: samples left out at a border inside a recording.
        channels, channel_kinds: in use.
        test_rigs: in the test part, where recordings name their rig.
    """

    excluded: dict[str, int]
    window: int
    horizon: int
    span: int
    gap: int
    channels: int
    channel_kinds: tuple[str, ...]
    test_rigs: tuple[str, ...] | None = Field(None, exclude_if=is_absent)


class LabelCounts(_Group):
    """Labels of the parts.

    Attributes:
        spans, recordings: their number.
        classes: of the training part, normal first, then by name.
        units_per_class: of every class.
        training_class_counts: spans by class.
        anomaly_counts: of labelled spans.
        runs_to_failure: runs whose life is known; None in splits of before they were counted.
        training_lives_s: of training runs, s.
        mean_training_life_s: None without one.
    """

    spans: ByPart[int]
    recordings: ByPart[int]
    classes: tuple[str, ...]
    units_per_class: dict[str, ByPart[int]]
    training_class_counts: dict[str, int]
    anomaly_counts: ByPart[AnomalyCounts]
    runs_to_failure: ByPart[int] | None = None
    training_lives_s: dict[str, float]
    mean_training_life_s: float | None


class TaskSupport(_Group):
    """For each task None or why its labels do not suffice, and the YAML that would mend it."""

    supported: dict[str, str | None]
    remedies: dict[str, str] = Field({})


class SpanFigures(_Group):
    """What a span is in time and turns; None where the rate or the speed is unknown or mixed.

    Attributes:
        rate_hz: of all recordings.
        window_ms, horizon_ms: their lengths.
        revolutions_per_window: the least.
        fault_periods_per_window, fault_periods_per_horizon: the least, by fault.
        warnings: that stand under the tables.
    """

    rate_hz: float | None
    window_ms: float | None
    horizon_ms: float | None
    revolutions_per_window: float | None
    fault_periods_per_window: dict[str, float]
    fault_periods_per_horizon: dict[str, float]
    warnings: tuple[str, ...]


class SplitSummary(SpanFigures, TaskSupport, LabelCounts, SpanLayout, SplitClaim, DatasetFile):
    """Of one dataset.

    Attributes:
        shares: of the drawn parts, by part.
        sha256: None where it was not written yet, or before there were these sums.
    """

    shares: dict[str, ReachedShare] = Field({})
    sha256: SplitSums | None = Field(None, exclude_if=is_absent)

    @classmethod
    def remedy(cls, path: Path) -> str:
        """The command after which the next run makes the split anew."""
        table = path.with_name(cls.MADE_WITH)
        return f"rm {table} {path}   # the next run makes it again"

    def sealed(self, rows: str) -> Self:
        """The same with its sums, where `rows` is the SHA-256 of split.csv."""
        sums = SplitSums(rows=rows, facts=self._sum())
        return self.model_copy(update={"sha256": sums})

    def _sum(self) -> str:
        content = {name: value for name, value in self.content().items() if name != "sha256"}
        return sha256(json.dumps(content, indent=1).encode()).hexdigest()

    @model_validator(mode="after")
    def _is_what_was_written(self) -> Self:
        if self.sha256 is not None and self.sha256.facts != self._sum():
            raise ValueError("it is not what was written: its SHA-256 is another")
        return self

    def score_facts(self) -> ScoreFacts:
        """What scores need of a split; the lives of training where test runs are truncated."""
        known = ScoreFacts(classes=self.classes, strength=self.strength)
        if self.fault_periods_per_horizon:
            periods = {"fault_periods_per_horizon": self.fault_periods_per_horizon}
            known = known.model_copy(update=periods)
        if self.truncation is None:
            return known
        longest = max(self.training_lives_s.values(), default=None)
        added = {"truncation": self.truncation, "longest_training_life_s": longest}
        return known.model_copy(update=added)
