"""Spreadsheets: .xlsx, the rows of one sheet as they come."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import NumberForm, comma_key, has_comma
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    columns,
    damage_named,
    of_matrix,
    package,
    real_channels,
)
from workflow_src.data.sources.folder.layout import FileRow as Labelled
from workflow_src.data.sources.folder.layout import Layout, find_layout
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.errors import BadData

if TYPE_CHECKING:  # a package that few need
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

Cell = Any  # a number, a text, a date, None: what a program wrote
SheetRow = tuple[Cell, ...]
_LOOKED_AT = 200  # rows, whose middle tells how the samples are written
_SAMPLED = 20


def list_sheets(path: Path) -> list[str]:
    """The names of the sheets that hold a cell."""
    with damage_named(path), _opened(path) as book:
        return _filled(book)


def sheet_rows(path: Path, sheet: str | None) -> Iterator[tuple[int, SheetRow]]:
    """Number, from 1, and cells of each row of a sheet that holds any; formulas as computed."""
    with damage_named(path), _opened(path) as book:
        name = chosen(path, sheet, _filled(book), "sheet")
        yield from _rows(book[name])


def read_sheet(path: Path, array: str | None, options: FolderOptions) -> Content:
    """The columns of the sheet ``array``; ``BadData`` names the row of a cell without a number."""
    rows = _skipped(path, sheet_rows(path, array), options.skip_lines or 0)
    top = list(islice(rows, _LOOKED_AT))
    if not any(_is_number(cell) for _, row in top for cell in row) and _has_formulas(path):
        raise _cell_error(path, top[0][0], 0, None)
    layout = sheet_layout(path, top, options)
    channels, clock = columns(path, layout.width, layout.names, options)
    wanted = sorted({*channels, *([] if clock is None else [clock])})
    table = _Sheet(path, layout, NumberForm.of(options), wanted, top)
    matrix = np.fromiter(
        table.numbers(chain(top, rows)), np.dtype((np.float64, len(wanted)))
    )  # (L, wanted)
    if not len(matrix):
        raise _cell_error(path, layout.first, wanted[0], None)
    notes = layout.notes
    if options.channels is None:
        held = {i: matrix[:, wanted.index(i)] for i in channels}
        channels, dropped = real_channels(path, layout.names, layout.blank, held)
        notes += dropped
    return of_matrix(path, matrix, wanted, channels, clock, notes)


def sheet_layout(path: Path, top: Sequence[tuple[int, SheetRow]], options: FolderOptions) -> Layout:
    """The layout of a sheet by its first rows that hold a cell."""
    form = NumberForm.of(options)
    texts = [(number, [_text(cell, form) for cell in row]) for number, row in top]
    width = max(len(cells) for _, cells in texts)
    padded = [Labelled(number, cells + [""] * (width - len(cells))) for number, cells in texts]
    middle = len(padded) // 2
    body = [row.cells for row in padded[middle : middle + _SAMPLED]]
    # A cell is 3 for 3 and for 3.0: nothing tells whether a whole number is one of samples.
    return find_layout(str(path), padded, body, options, lambda *_: {"plain"})


def _skipped(
    path: Path, rows: Iterator[tuple[int, SheetRow]], count: int
) -> Iterator[tuple[int, SheetRow]]:
    left = ((number, _trimmed(row)) for number, row in rows if number > count)
    first = next(left, None)
    if first is None:
        raise BadData("`skip_lines` leaves no row of a sheet.", where=str(path))
    return chain([first], left)


def _trimmed(row: SheetRow) -> SheetRow:
    """A row without the empty cells that a program may write at its end."""
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row[:end]


def _text(cell: Cell, form: NumberForm) -> str:
    if _is_number(cell):
        return repr(cell).replace(".", form.decimal)
    return "" if cell is None else str(cell).strip()


@dataclass(frozen=True)
class _Sheet:
    """The rows of samples of a sheet."""

    path: Path
    layout: Layout
    form: NumberForm
    wanted: list[int]
    top: Sequence[tuple[int, SheetRow]]

    def numbers(self, rows: Iterable[tuple[int, SheetRow]]) -> Iterator[tuple[float, ...]]:
        """The wanted cells of each row; blank rows at the end are none, others lack samples."""
        due = self.layout.first
        for number, row in rows:
            if number < self.layout.first:
                continue
            if number > due:
                raise _cell_error(self.path, due, self.wanted[0], None)
            self._require_width(number, row)
            yield tuple(self._number(number, column, row) for column in self.wanted)
            due = number + 1

    def _require_width(self, number: int, row: SheetRow) -> None:
        stray = [i for i in range(self.layout.width, len(row)) if row[i] is not None]
        stray += [i for i in self.layout.blank if i < len(row) and row[i] is not None]
        if stray:
            raise BadData(
                "A row has a cell in a column without a name and other cells.",
                where=f"{self.path}, row {number}, column {stray[0]} (from 0)",
                found=repr(row[stray[0]]),
                remedy="clear the cell, if nothing in the row was moved by it",
            )

    def _number(self, number: int, column: int, row: SheetRow) -> float:
        cell: Cell = row[column] if column < len(row) else None
        if _is_number(cell):
            return float(cell)
        if column in self.layout.blank:
            return math.nan
        text = cell.strip() if isinstance(cell, str) else ""
        if self.form.kind(text) == "number":  # which a program has stored as text
            return self.form.value(text)
        above = [other[column] for _, other in self.top if column < len(other)]
        raise _cell_error(self.path, number, column, cell, above)


def _cell_error(
    path: Path, number: int, column: int, cell: Cell, others: Sequence[Cell] = ()
) -> BadData:
    where = f"{path}, row {number}, column {column} (from 0)"
    if isinstance(cell, str) and has_comma(cell.strip()):
        numbers = [other for other in others if _is_number(other)]
        # A sheet does not say how fractions were written; whole numbers have no decimals.
        whole = all(isinstance(number, int) for number in numbers)
        key, said = comma_key([cell.strip(), *(map(str, numbers) if whole else ())])
        return Misread(f"A number is written with {said}.", where=where, found=cell, put=key)
    found = "an empty cell" if cell is None else repr(cell)
    remedy = "mend the file, or `channels:` (columns that hold numbers), `header:` or "
    remedy += "`skip_lines:` under `folder:` of the rig"
    if cell is None and _has_formulas(path):
        found = "an empty cell; the file has formulas that no program has computed"
        remedy = "open and save the file in a spreadsheet program, which computes them"
    return BadData("A cell does not hold a number.", where=where, found=found, remedy=remedy)


def _has_formulas(path: Path) -> bool:
    """Whether a formula has no stored value."""
    load = package("openpyxl", "openpyxl", path).load_workbook
    for sheet, computed in zip(
        load(path, read_only=True).worksheets,
        load(path, read_only=True, data_only=True).worksheets,
        strict=True,
    ):
        for row, values in zip(sheet.values, computed.values, strict=False):
            if any(
                isinstance(cell, str) and cell.startswith("=") and value is None
                for cell, value in zip(row, values, strict=False)
            ):
                return True
    return False


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


@contextmanager
def _opened(path: Path) -> Iterator[Workbook]:
    book = package("openpyxl", "openpyxl", path).load_workbook(path, read_only=True, data_only=True)
    try:
        yield book
    finally:
        book.close()


def _filled(book: Workbook) -> list[str]:
    return [sheet.title for sheet in book.worksheets if next(_rows(sheet), None) is not None]


def _rows(sheet: Worksheet) -> Iterator[tuple[int, SheetRow]]:
    sheet.reset_dimensions()  # which some programs write wrongly
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row
