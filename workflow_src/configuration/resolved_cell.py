"""`cell.json`: everything that decides the numbers of one cell, and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal, Self

from pydantic import ConfigDict, JsonValue, field_serializer, field_validator

from workflow_src.configuration.base import StrictModel
from workflow_src.configuration.cell import Cell
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.schema import Architecture, Dataset, TaskSet, Training
from workflow_src.json_files import JsonFile

# Keys of a dataset that are not of its cells: words, and what is merged into `training`.
_NO_NUMBERS = {"extends": None, "label": None, "note": "", "training": None}
_LEFT_OUT = ("code", "geometry", "training", "truncation")  # where there is none


def identity(value: JsonValue) -> str:
    """Sixteen hex digits of the SHA-256 of `value` as canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def canonical(value: JsonValue) -> str:
    """`value` as JSON in one line: equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class NetworkModel(Architecture):
    """Sizes of a network; the keys of its backbone are beside them.

    Attributes:
        source: text of a backbone of the user's own.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    kind: Literal["network"] = "network"
    source: str | None = None


class ClassicModel(StrictModel):
    """A classic model; the keys of its method are beside them.

    Attributes:
        source: text of a method of the user's own.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    kind: Literal["classic"] = "classic"
    method: str
    source: str | None = None


class ResolvedCell(JsonFile):
    """What one cell is made of: default < model < dataset < overrides.

    Attributes:
        cell: its name.
        identity: the hash of all other keys.
        dataset: without label, note and training.
        amplitude_comparable: whether the amplitude of the rig may be an input.
        rig: what decides the recordings.
        split_table: SHA-256 of the table of a fixed split.
        truncation: SHA-256 of the table of a truncation.
        geometry: of bearings and gears by rig, for a classic model that asks for it.
        tasks: what is learned.
        model: the network or the baseline.
        revision: of the code that makes the numbers; raised by hand.
        code: digest of that code, under `code: strict`.
        training: of a network.
    """

    cell: Cell
    identity: str = ""
    dataset: Dataset
    amplitude_comparable: bool
    rig: dict[str, JsonValue]
    split_table: str | None
    truncation: str | None = None
    geometry: dict[str, Geometry] | None = None
    tasks: TaskSet
    model: NetworkModel | ClassicModel
    revision: int
    code: str | None = None
    training: Training | None = None

    def named(self, cell: Cell, content: Mapping[str, JsonValue]) -> Self:
        """The same settings for `cell`, with their identity; `content` is that of this one."""
        found = identity({**content, "cell": asdict(cell)})
        return self.model_copy(update={"cell": cell, "identity": found})

    @property
    def offers_amplitude(self) -> bool:
        """Whether heads may be given the amplitude of a span."""
        return self.amplitude_comparable and self.dataset.amplitude != "none"

    @property
    def task_names(self) -> list[str]:
        """The tasks in the order of cell.json, whose keys are sorted."""
        return sorted(self.tasks.model_dump(exclude_none=True))

    def content(self) -> dict[str, JsonValue]:
        """All keys but those that say nothing here; the identity once it is known."""
        without = {name for name in _LEFT_OUT if getattr(self, name) is None}
        return self.model_dump(exclude=without if self.identity else {*without, "identity"})

    def to_json(self) -> str:
        """One line, as the rule passes it on."""
        return canonical(self.content())

    @field_validator("dataset")
    @classmethod
    def _without_words(cls, dataset: Dataset) -> Dataset:
        return dataset.model_copy(update=_NO_NUMBERS)

    @field_serializer("dataset")
    def _of_dataset(self, dataset: Dataset) -> dict[str, JsonValue]:
        return dataset.model_dump(exclude=set(_NO_NUMBERS))

    @field_serializer("tasks", "model")
    def _set_keys(self, keys: TaskSet | NetworkModel | ClassicModel) -> dict[str, JsonValue]:
        return keys.model_dump(exclude_none=True)


class NetworkCell(ResolvedCell):
    """A cell that is trained."""

    model: NetworkModel
    training: Training
