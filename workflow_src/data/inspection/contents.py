"""What one file holds: columns, arrays, length, rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src.configuration.folder import MOST_COLUMNS, FolderOptions
from workflow_src.data.sources.folder.delimited import first_cells, is_number
from workflow_src.data.sources.folder.hdf5 import list_hdf5
from workflow_src.data.sources.folder.matlab import list_mat
from workflow_src.data.sources.folder.numpy_files import list_npz, shape_of_npy
from workflow_src.data.sources.folder.parquet import parquet_names
from workflow_src.data.sources.folder.readers import ending_of, read_content
from workflow_src.data.sources.folder.spreadsheet import list_sheets, sheet_rows
from workflow_src.data.sources.folder.tdms import list_tdms, tdms_names
from workflow_src.data.sources.folder.text import decode, separator
from workflow_src.errors import BadData

ENCODINGS = ("utf-8", "gbk", "latin-1")
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
    those that hold numbers; ``shape`` that of the array as the file holds it.
    """

    frame: pd.DataFrame
    names: list[str] | None
    length: int
    shape: tuple[int, ...] = ()
    rate_hz: float | None = None
    rate_place: str = ""
    encoding: str = "utf-8"

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
    if ending.startswith((".csv", ".tsv", ".txt")):
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
    read = read_content(path, array, _anything(**options))
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
    sep = separator(text)
    cells = first_cells(text, sep)
    named = not all(is_number(cell) for cell in cells)
    try:
        frame = pd.read_csv(
            StringIO(text), sep=sep, header=None, skiprows=int(named), skipinitialspace=True
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise BadData("This is no table of samples.", where=str(path), found=str(error)) from error
    return Look(frame, cells if named else None, len(frame), encoding=encoding)


def _decoded(path: Path) -> tuple[str, str]:
    """A text, and the first of the usual encodings that fits; the last one fits any bytes."""
    for encoding in ENCODINGS[:-1]:
        with suppress(BadData):
            return decode(path, encoding), encoding
    return decode(path, ENCODINGS[-1]), ENCODINGS[-1]


def _look_at_sheet(path: Path, sheet: str | None) -> Look:
    rows = [row for _, row in islice(sheet_rows(path, sheet), LOOKED_AT)]
    named = not all(isinstance(cell, int | float) for cell in rows[0])
    frame = pd.DataFrame(rows[1:] if named else rows).infer_objects()
    names = ["" if cell is None else str(cell) for cell in rows[0]] if named else None
    return Look(frame, names, len(frame))
