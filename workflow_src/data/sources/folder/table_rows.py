"""The table that names a rig's recordings: CSV, spreadsheet or Parquet, each cell as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_src.data.sources.folder.content import damage_named, package
from workflow_src.data.sources.folder.spreadsheet import sheet_rows
from workflow_src.data.sources.folder.text import decode, separator
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
        lines = list(_text_lines(table, encoding))
    names = lines[0][1] if lines else []
    if "file" not in names or len(set(names)) != len(names) or len(lines) == 1:
        raise BadData(
            "A rig's table needs a column `file`, each column once, and a line a recording.",
            where=str(table),
            found=f"columns {names}, {max(len(lines) - 1, 0)} lines",
        )
    for number, cells in lines[1:]:
        if len(cells) != len(names):
            raise BadData(
                "A line of a rig's table has the wrong number of cells.",
                where=f"{table}, line {number}",
                found=f"{len(cells)} cells for {len(names)} columns",
            )
    return [(number, dict(zip(names, cells, strict=True))) for number, cells in lines[1:]]


def _text_lines(table: Path, encoding: str) -> Iterator[Line]:
    text = decode(table, encoding)
    # The header decides: cells further down may hold any of the separators.
    found = separator(text.strip().splitlines()[0])
    reader = csv.reader(text.splitlines(), delimiter=" " if found == r"\s+" else found)
    for row in reader:
        if any(row):
            yield reader.line_num, [cell.strip() for cell in row]


def _sheet_lines(table: Path) -> Iterator[Line]:
    width = 0
    for number, row in sheet_rows(table, None):
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:  # a program may write empty cells at the end
            cells.pop()
        width = width or len(cells)
        yield number, cells + [""] * (width - len(cells))


def _parquet_lines(table: Path) -> Iterator[Line]:
    with damage_named(table):
        held = package("pyarrow.parquet", "pyarrow", table).read_table(table)
    yield 1, held.column_names
    for number, row in enumerate(held.to_pylist(), start=2):
        yield number, [_text(cell) for cell in row.values()]


def _text(cell: Any) -> str:
    if cell is None or cell != cell:  # an empty cell; pandas writes NaN for it
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a spreadsheet knows no integers, and pandas none beside NaN
    return str(cell).strip()
