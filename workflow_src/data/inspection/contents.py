"""What one file holds: columns, arrays, length, rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from workflow_src.configuration.drafts import Values
from workflow_src.configuration.folder import MOST_COLUMNS, FolderOptions
from workflow_src.configuration.scalars import Yaml
from workflow_src.data.sources.folder import lvm
from workflow_src.data.sources.folder.delimited import read_text
from workflow_src.data.sources.folder.hdf5 import list_hdf5
from workflow_src.data.sources.folder.layout import Layout
from workflow_src.data.sources.folder.matlab import list_mat
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.data.sources.folder.numpy_files import list_npz, shape_of_npy
from workflow_src.data.sources.folder.parquet import parquet_names
from workflow_src.data.sources.folder.readers import READERS, ending_of, read_content
from workflow_src.data.sources.folder.spreadsheet import list_sheets, sheet_layout, sheet_rows
from workflow_src.data.sources.folder.tdms import list_tdms, tdms_names
from workflow_src.data.sources.folder.text import utf8
from workflow_src.data.sources.folder.text_table import find_table
from workflow_src.errors import BadData

ENCODINGS = ("utf-8", "gbk", "latin-1")
T = TypeVar("T")
LOOKED_AT = 20_000  # samples of a sheet: more say no more

ARRAYS: Mapping[str, Callable[[Path], Mapping[str, tuple[int, ...]]]] = {
    ".mat": list_mat,
    ".npz": list_npz,
    ".h5": list_hdf5,
    ".hdf5": list_hdf5,
    ".tdms": list_tdms,
}


@dataclass(frozen=True)
class Look:
    """What was seen of a file; ``frame`` is (length, columns), or the first rows of it.

    ``names`` are those of the columns, None where the file has none; ``numeric`` the positions of
    those that hold numbers; ``shape`` that of the array as the file holds it; ``keys`` what
    `folder:` must say for the file to be read.
    """

    frame: pd.DataFrame
    names: list[str] | None
    length: int
    shape: tuple[int, ...] = ()
    rate_hz: float | None = None
    rate_place: str = ""
    keys: Values = field(default_factory=dict)

    @property
    def numeric(self) -> list[int]:
        """Positions of the columns that hold numbers alone."""
        kinds = [self.frame[column].dtype.kind for column in self.frame]
        empty = [bool(self.frame[column].isna().any()) for column in self.frame]
        return [i for i, kind in enumerate(kinds) if kind in "iuf" and not empty[i]]


def arrays_in(path: Path) -> dict[str, tuple[int, ...]]:
    """Arrays (groups, sheets) of more than one number by name; none for other formats."""
    ending = ending_of(path.name) or ""
    if ending == ".xlsx":
        return dict.fromkeys(list_sheets(path), ())
    listed = ARRAYS[ending](path) if ending in ARRAYS else {}
    return {name: shape for name, shape in listed.items() if np.prod(shape) != 1}


def look(path: Path, array: str | None) -> Look:
    """Look at a file, or at one array of it. ``BadData`` where it cannot be read."""
    ending = ending_of(path.name) or ""
    if READERS.get(ending) is read_text:
        return _look_at_text(path)
    if ending == ".xlsx":
        return _look_at_sheet(path, array)
    shape: tuple[int, ...] = shape_of_npy(path) if ending == ".npy" else ()
    if ending in ARRAYS and ending != ".tdms" and array is not None:
        shape = arrays_in(path)[array]
    turned = len([n for n in shape if n != 1]) == 2 and shape[-1] > shape[0]
    options: dict[str, object] = {"samples_along": "columns" if turned else "rows"}
    if stacked := is_stacked(shape):
        options = {"stacked": {"along": "rows"}}
    names = tdms_names(path, array) if ending == ".tdms" else None
    names = parquet_names(path) if ending == ".parquet" else names
    try:
        read = read_content(path, array, _anything(**options))
    except BadData:  # of a rate that is none, which the draft's own reading names
        read = read_content(path, array, _anything(**options, ignore_stated_rate=True))
    frame = pd.DataFrame(read.signal)
    length = len(frame) // read.windows
    return Look(frame, None if stacked else names, length, shape, read.rate_hz, read.rate_place)


def is_stacked(shape: tuple[int, ...]) -> bool:
    """Whether neither axis of an array can be that of the channels of one recording."""
    long = [n for n in shape if n != 1]
    return len(long) == 2 and min(long) > MOST_COLUMNS


def _anything(**options: object) -> FolderOptions:
    fields = dict.fromkeys(("unit_id", "condition", "run_id"), "any")
    return FolderOptions.model_validate({"path": ".", "files": "*", "fields": fields, **options})


def _look_at_text(path: Path) -> Look:
    text, encoding = _decoded(path)
    if text.startswith(lvm.BEGINNING):
        read = read_content(path, None, _anything(encoding=encoding))
        frame = pd.DataFrame(read.signal)
        return Look(frame, None, len(frame), (), read.rate_hz, read.rate_place)
    table, keys = _with_keys(lambda options: find_table(path, text, options))
    try:
        frame = table.frame(None, None)
    except (ValueError, pd.errors.ParserError) as error:
        raise BadData("This is no table of samples.", where=str(path), found=str(error)) from error
    keys |= {} if encoding == "utf-8" else {"encoding": encoding}
    return Look(frame, table.layout.names, len(frame), keys=keys)


def _with_keys(read: Callable[[FolderOptions], T]) -> tuple[T, dict[str, Yaml]]:
    """What is read with the keys that errors name until there is none, and these keys."""
    keys: dict[str, Yaml] = {}
    while True:
        try:
            return read(_anything(**keys)), keys
        except Misread as error:
            if set(error.put) <= set(keys):
                raise
            keys |= error.put


def _decoded(path: Path) -> tuple[bytes, str]:
    """A text, and the first of the usual encodings that fits; the last one fits any bytes."""
    for encoding in ENCODINGS[:-1]:
        with suppress(BadData):
            return utf8(path, encoding), encoding
    return utf8(path, ENCODINGS[-1]), ENCODINGS[-1]


def _look_at_sheet(path: Path, sheet: str | None) -> Look:
    rows = [(number, row) for number, row in islice(sheet_rows(path, sheet), LOOKED_AT)]

    def of_rows(options: FolderOptions) -> Layout:
        left = [(number, row) for number, row in rows if number > (options.skip_lines or 0)]
        return sheet_layout(path, left, options)

    layout, keys = _with_keys(of_rows)
    samples = [row for number, row in rows if number >= layout.first]
    frame = pd.DataFrame(samples).infer_objects()
    return Look(frame, layout.names, len(frame), keys=keys)
