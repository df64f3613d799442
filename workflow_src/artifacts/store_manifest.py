"""`manifest.json`: what the recordings of one rig are, and of which files they were made."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workflow_src.artifacts.data_file import DataFile


class LinkedFile(BaseModel):
    """What tells whether a file is the one that was linked: bytes, and time of change in whole s.

    Whole seconds: file systems and tools that copy differ in what they keep below.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size: int
    mtime_s: int


class StoreManifest(DataFile):
    """Of a store, complete with it.

    Attributes:
        rig, source: their names.
        unit: of amplitude, or ``unknown``.
        description: what the rig is and its citation.
        versions: of packages that decide the samples.
        recordings: their number.
        bytes: of samples.
        sha256: of identifiers, shapes, samples and table.
        table_sha256: of recordings.csv; None in stores of before there were these sums.
        files: SHA-256 of each source file, by name.
        links: the files that are read in place, by path.
        notes: a sentence each.
    """

    MADE_WITH: ClassVar[str] = "recordings.h5"

    rig: str
    source: str
    unit: str
    description: str
    versions: dict[str, str]
    recordings: int
    bytes: int
    sha256: str
    table_sha256: str | None = None
    files: dict[str, str]
    links: dict[str, LinkedFile] = Field({})
    notes: list[str]
