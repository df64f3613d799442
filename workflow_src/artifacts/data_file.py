"""Files below data/: keys stand in the order of their declarations, and one command makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from workflow_src.json_files import JsonFile


class DataFile(JsonFile):
    """A JSON file beside ``MADE_WITH``, the file by which Snakemake is asked for both."""

    MADE_WITH: ClassVar[str]

    @classmethod
    def remedy(cls, path: Path) -> str:
        """The command that makes `path`, and what lies beside it, anew."""
        command = "snakemake --profile profiles/local --force"
        return f"build it again: {command} {path.parent / cls.MADE_WITH}"

    def content(self) -> dict[str, JsonValue]:
        """The keys that were given, by their names in the file, as plain values."""
        return self.model_dump(exclude_unset=True, by_alias=True)

    def to_json(self) -> str:
        """The text of the file: equal contents are equal bytes."""
        return json.dumps(self.content(), indent=1)


class DatasetFile(DataFile):
    """Of the dataset of that name, whose recordings are those of `rig`."""

    MADE_WITH: ClassVar[str] = "split.csv"

    dataset: str
    rig: str
