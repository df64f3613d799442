"""The table that names a rig's recordings: CSV, spreadsheet or Parquet, each cell as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from workflow_src.data.sources.folder.content import damage_named, package
from workflow_src.data.sources.folder.spreadsheet import sheet_rows
from workflow_src.data.sources.folder.text import decode
from workflow_src.errors import BadData, UserError

Line = tuple[int, list[str]]  # its number, from 1, and its cells


def table_rows(table: Path, encoding: str) -> list[tuple[int, dict[str, str]]]:
    """Number of the line and cells by column, for each line of a rig's table."""
    if not table.is_file():
        raise UserError(
            "The table of a rig is missing.",
            where=str(table),
            remedy="mend `table:` under `folder:` of the rig (a file beside its YAML)",
        )
    if table.suffix == ".xlsx":
        lines = list(_sheet_lines(table))
    elif table.suffix == ".parquet":
        lines = list(_parquet_lines(table))
    else:
        lines = list(text_lines(table, decode(table, encoding)))
    lines = _without_nameless(table, lines)
    names = lines[0][1] if lines else []
    if "file" not in names or len(set(names)) != len(names) or len(lines) == 1:
        near = [name for name in names if name.strip("\ufeff# ").lower() == "file"]
        raise BadData(
            "A rig's table needs a column `file`, each column once, and a line a recording.",
            where=str(table),
            found=f"columns {names}, {max(len(lines) - 1, 0)} lines",
            remedy=f"name the column `file` in place of `{near[0]}`" if near else None,
        )
    return [(number, dict(zip(names, cells, strict=True))) for number, cells in lines[1:]]


def text_lines(where: Path, text: str) -> Iterator[Line]:
    """Number and cells of each line of a text that holds a cell, all of the header's width.

    Blank cells behind the last column are none. Raises ``BadData`` naming the first other line.
    """
    # The header decides: cells further down may hold any of the separators.
    header = text.strip().partition("\n")[0]
    delimiter = max(";\t,", key=header.count)
    delimiter = delimiter if delimiter in header else " "
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    width = 0
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        width = width or len(cells)
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) != width:
            raise _wrong_width(where, reader.line_num, cells, width)
        yield reader.line_num, cells


def _wrong_width(where: Path, number: int, cells: list[str], width: int) -> BadData:
    return BadData(
        "A line of a table has the wrong number of cells.",
        where=f"{where}, line {number}",
        found=f"{len(cells)} cells for {width} columns: {', '.join(cells)[:80]}",
        remedy="mend the line; a cell that holds the separator stands in quotation marks",
    )


def _without_nameless(table: Path, lines: list[Line]) -> list[Line]:
    """The lines without columns that have no name: blank ones, and the index of pandas."""
    names = lines[0][1] if lines else []
    dropped = []
    for column in (i for i, name in enumerate(names) if not name):
        cells = [cells[column] for _, cells in lines[1:]]
        if any(cells) and cells != [str(i) for i in range(len(cells))]:
            raise BadData(
                "A column of a rig's table has no name.",
                where=f"{table}, column {column} (from 0)",
                found=", ".join(cells[:5]),
                remedy="name the column in the first line, or remove it",
            )
        dropped.append(column)
    return [
        (number, [cell for i, cell in enumerate(cells) if i not in dropped])
        for number, cells in lines
    ]


def _sheet_lines(table: Path) -> Iterator[Line]:
    width = 0
    for number, row in sheet_rows(table, None):
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:  # a program may write empty cells at the end
            cells.pop()
        width = width or len(cells)
        if len(cells) > width:
            raise _wrong_width(table, number, cells, width)
        yield number, cells + [""] * (width - len(cells))


def _parquet_lines(table: Path) -> Iterator[Line]:
    with damage_named(table):
        held = package("pyarrow.parquet", "pyarrow", table).read_table(table)
    yield 1, held.column_names
    for number, row in enumerate(held.to_pylist(), start=2):
        yield number, [_text(cell) for cell in row.values()]


def _text(cell: str | float | None) -> str:
    if cell is None or cell != cell:  # an empty cell; pandas writes NaN for it
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a spreadsheet knows no integers, and pandas none beside NaN
    return str(cell).strip()
