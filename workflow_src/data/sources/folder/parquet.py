"""Parquet: the columns that are wanted, read by batches of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_src.configuration.base import repeated
from workflow_src.configuration.folder import FolderOptions
from workflow_src.configuration.validation_errors import as_flow
from workflow_src.data.sources.folder.clock import rate_of_clock
from workflow_src.data.sources.folder.content import (
    BLOCK,
    Content,
    columns,
    damage_named,
    package,
    rate_keys,
    real_channels,
    single,
)
from workflow_src.data.sources.folder.rates import Stated, agreed, one_rate
from workflow_src.errors import BadData

if TYPE_CHECKING:  # a package that few need
    from pyarrow.parquet import ParquetFile

PANDAS_INDEX = "__index_level_"  # a column that pandas adds for an index that counts no rows


def parquet_names(path: Path) -> list[str]:
    """The names of a file's columns, without an index that pandas added."""
    with damage_named(path), _opened(path) as file:
        return _names(file)


def read_parquet(path: Path, _: str | None, options: FolderOptions) -> Content:
    """Columns of a file, and the rate that its metadata state. A null becomes NaN."""
    with damage_named(path), _opened(path) as file:
        names = _names(file)
        channels, clock = columns(path, len(names), names, options)
        wanted = [names[column] for column in [*channels, *([] if clock is None else [clock])]]
        _require_distinct(path, wanted, names)
        _require_numbers(path, file, wanted)
        matrix = np.empty((file.metadata.num_rows, len(channels)), np.float32)
        times = np.empty(len(matrix) if clock is not None else 0, np.float64)
        start = 0
        for batch in file.iter_batches(batch_size=BLOCK, columns=wanted):
            part = slice(start, start := start + batch.num_rows)
            held = [batch.column(name).to_numpy(zero_copy_only=False) for name in wanted]
            for column in range(len(channels)):
                matrix[part, column] = held[column]
            if clock is not None:
                times[part] = held[-1]
        stated = _stated_rate(path, file, options)
    notes: tuple[str, ...] = ()
    if options.channels is None:
        by_column = {column: matrix[:, at] for at, column in enumerate(channels)}
        kept, notes = real_channels(path, names, (), by_column)
        if len(kept) < len(channels):
            matrix = single(matrix[:, [channels.index(column) for column in kept]])
        channels = kept
    if clock is not None:
        stated = agreed(path, rate_of_clock(path, times), stated)
    return Content(matrix, *stated, notes, columns=tuple(channels))


def _stated_rate(path: Path, file: ParquetFile, options: FolderOptions) -> Stated:
    held = {key.decode(): value for key, value in (file.metadata.metadata or {}).items()}
    return one_rate(options, path, {f"metadata {key!r}": held[key] for key in rate_keys(held)})


def _opened(path: Path) -> ParquetFile:
    return package("pyarrow.parquet", "pyarrow", path).ParquetFile(path)


def _names(file: ParquetFile) -> list[str]:
    return [name for name in file.schema_arrow.names if not name.startswith(PANDAS_INDEX)]


def _require_distinct(path: Path, wanted: list[str], names: list[str]) -> None:
    twice = repeated(names)
    if not set(twice) & set(wanted):
        return
    once = [name for name in names if name not in twice]
    choice = f"`channels: {as_flow(once)}` under `folder:` of the rig, or " if once else ""
    raise BadData(
        "Two columns of a file have one name, by which Parquet finds them.",
        where=str(path),
        found=f"{', '.join(map(repr, twice))} more than once, of columns {names}",
        expected="a name of its own for each column that is read",
        remedy=f"{choice}rename them: with pyarrow, `table.rename_columns([...])`",
    )


def _require_numbers(path: Path, file: ParquetFile, wanted: list[str]) -> None:
    types = package("pyarrow.types", "pyarrow", path)
    for name in wanted:
        kind = file.schema_arrow.field(name).type
        if not (types.is_integer(kind) or types.is_floating(kind)):
            raise BadData(
                "A column does not hold real numbers.",
                where=f"{path}, column {name!r}",
                found=str(kind),
                remedy="name the others under `folder:` of the rig: `channels: [...]`",
            )
