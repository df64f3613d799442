"""What a source is: it opens options, gives recordings one by one, and says where they are from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

from workflow_src.configuration.source_options import SourceOptions
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport


@dataclass(frozen=True)
class Context:
    """What a source is told beside its options.

    Attributes:
        unit: of amplitude, or ``unknown``.
        data_root: below which paths of the options lie, None where none is set.
        config_folder: holds the rig's YAML and the table beside it.
        stores: folder of the store of each rig in ``member_rigs()``.
    """

    unit: str = "unknown"
    data_root: Path | None = None
    config_folder: Path = Path()
    stores: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where recordings are from, as the manifest and the data report of their store say it.

    Attributes:
        files: SHA-256 of each file that was read, by name.
        notes: a sentence each.
        versions: of packages that decide the samples.
        description: what the rig is, where its YAML does not say it.
        report: what the source says and its recordings do not bear out.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    report: DataReport = field(default_factory=DataReport)


class Source(Protocol):
    """The recordings of one rig.

    A recording whose ``place`` is set is read from the source's own file ever after; others are
    copied to the store.
    """

    def recordings(self) -> Iterator[Recording]:
        """The recordings in an order of their own, one in memory at a time."""

    def provenance(self) -> Provenance:
        """Where they are from; asked after the last one."""


@dataclass(frozen=True)
class Built:
    """What was built: ``content`` tells one build from another, ``told`` is for the log."""

    content: Mapping[str, str]
    told: str


def open_source(options: SourceOptions, context: Context) -> Source:
    """The source of `options`."""
    opener: Callable[[SourceOptions, Context], Source] = resolve_name(options.OPENED_BY)
    return opener(options, context)


def build(options: SourceOptions, context: Context) -> Built:
    """Fetch or make the files that the source of `options` reads; what is there is left as it is.

    Raises ``ValueError`` if it builds nothing.
    """
    if options.BUILT_BY is None:
        raise ValueError(f"{type(options).__name__} builds nothing")
    builder: Callable[[SourceOptions, Context], Built] = resolve_name(options.BUILT_BY)
    return builder(options, context)
