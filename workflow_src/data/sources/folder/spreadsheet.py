"""Spreadsheets: .xlsx, the rows of one sheet as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    columns,
    damage_named,
    of_matrix,
    package,
)
from workflow_src.errors import BadData

Row = tuple[Any, ...]


def list_sheets(path: Path) -> list[str]:
    """The names of the sheets that hold a cell."""
    with damage_named(path), _opened(path) as book:
        return _filled(book)


def sheet_rows(path: Path, sheet: str | None) -> Iterator[tuple[int, Row]]:
    """Number, from 1, and cells of each row of a sheet that holds any; formulas as computed."""
    with damage_named(path), _opened(path) as book:
        name = chosen(path, sheet, _filled(book), "sheet")
        yield from _rows(book[name])


def read_sheet(path: Path, array: str | None, options: FolderOptions) -> Content:
    """The columns of the sheet ``array``; ``BadData`` names the row of a cell without a number."""
    rows = sheet_rows(path, array)
    number, first = next(rows)
    named = options.header == "present" or (
        options.header == "detect" and not all(_is_number(cell) for cell in first)
    )
    names = ["" if cell is None else str(cell) for cell in first] if named else None
    channels, clock = columns(path, len(first), names, options)
    wanted = sorted({*channels, *([] if clock is None else [clock])})

    def numbers() -> Iterator[tuple[float, ...]]:
        if not named:
            yield _numbers(path, number, first, wanted)
        for line, row in rows:
            yield _numbers(path, line, row, wanted)

    matrix = np.fromiter(numbers(), np.dtype((np.float64, len(wanted))))  # (L, wanted)
    return of_matrix(path, matrix, wanted, channels, clock)


def _numbers(path: Path, line: int, row: Row, wanted: list[int]) -> tuple[float, ...]:
    cells: list[Any] = [row[column] if column < len(row) else None for column in wanted]
    for column, cell in zip(wanted, cells, strict=True):
        if not _is_number(cell):
            raise BadData(
                "A cell does not hold a number.",
                where=f"{path}, row {line}, column {column} (from 0)",
                found="an empty cell" if cell is None else repr(cell),
                remedy="mend the file, or `channels:` (columns that hold numbers) or `header:` "
                "of the rig",
            )
    return tuple(float(cell) for cell in cells)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    book = package("openpyxl", "openpyxl", path).load_workbook(path, read_only=True, data_only=True)
    try:
        yield book
    finally:
        book.close()


def _filled(book: Any) -> list[str]:
    return [sheet.title for sheet in book.worksheets if next(_rows(sheet), None) is not None]


def _rows(sheet: Any) -> Iterator[tuple[int, Row]]:
    sheet.reset_dimensions()  # which some programs write wrongly
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row
