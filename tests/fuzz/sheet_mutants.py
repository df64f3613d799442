"""Spreadsheets as people leave them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl

from .array_mutants import keys_for
from .draw import Draw
from .single import UNIT
from .verdict import Case, Held, Reading, Verdict

RATE = 10000.0


class Book:
    """A signal (L, C) of whole rows, and the book that it is written to."""

    def __init__(self, draw: Draw, root: Path, channels: int | None = None) -> None:
        self.signal = draw.signal(draw.randint(70, 150), channels or draw.randint(1, 3))
        self.rows: list[list[Any]] = self.signal.tolist()
        self.names: list[Any] = [f"Acc {n}" for n in range(self.signal.shape[1])]
        self.path = root / f"data_root/rig/{UNIT}.xlsx"
        self.book = openpyxl.Workbook()

    def write(self, *above: list[Any]) -> None:
        """Write the rows below `above`."""
        sheet = self.book.active
        assert sheet is not None
        for row in [*above, *self.rows]:
            sheet.append(row)
        self.path.parent.mkdir(parents=True)
        self.book.save(self.path)

    def is_read(self, about: str, said: str = "", **more: Any) -> Case:
        """The signal is what a human reads."""
        reading = Reading({self.path.name: Held(self.signal, RATE)}, said)
        keys = keys_for(".xlsx", **more)
        return Case(keys, (reading,), names=(UNIT,), about=f"a sheet with {about}")

    def must_be_refused(self, about: str, row: int | None = None, **more: Any) -> Case:
        """A refusal names the file and the row of the sheet, from 1, or the sample."""
        near = rf"\b({'|'.join(str(row + k) for k in (-2, -1, 0))})\b" if row else ""
        names = (UNIT, near) if near else (UNIT,)
        keys = keys_for(".xlsx", **more)
        about = f"a sheet with {about}"
        return Case(keys, (), names=names, otherwise=Verdict.SILENT, about=about)


def empty_cell(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    row = draw.row(len(it.rows))
    column = draw.randrange(len(it.rows[0]))
    it.rows[row][column] = draw.one(None, "", "NA", "#N/A", "#DIV/0!", True)
    it.write(it.names)
    return it.must_be_refused(f"the cell {it.rows[row][column]!r}", row + 2)


def empty_rows(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    row = draw.row(len(it.rows))
    it.rows[row] = [None] * len(it.rows[row])
    it.write(it.names)
    return it.must_be_refused("an empty row between rows", row + 2)


def empty_end(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.rows += draw.one([[None]], [[None], [None, None]], [[""]])
    it.write(it.names)
    return it.is_read("empty rows at the end")


def wider_row(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    row = draw.row(len(it.rows))
    it.rows[row] = [*it.rows[row], draw.one(7, "check this", 0.5)]
    it.write(it.names)
    return it.must_be_refused("a stray cell beside a row", row + 2)


def units_row(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.write(it.names, ["g"] * len(it.names))
    return it.is_read("a row of units")


def title_rows(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    above: list[list[Any]] = [["Bearing test"], ["Rate", 10000], [], ["Operator", "N. N."]]
    above = above[: draw.randint(1, 4)]
    it.write(*above, it.names)
    more = {"skip_lines": len(above)} if draw.random() < 0.5 else {}
    return it.is_read("rows above the header", **more)


def numbered_header(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.write(list(range(len(it.names))))
    case = it.is_read("a header of numbers 0, 1, ...")
    if len(it.names) > 1:
        return case
    # A lone 0 may be a sample: a human who takes it for one says so.
    longer = np.concatenate([np.zeros((1, 1)), it.signal])
    taken = Reading({it.path.name: Held(longer, RATE)}, said="header: present")
    return replace(case, readings=(*case.readings, taken))


def numbers_as_text(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    sign = draw.one(".", ",")
    it.rows = [[f"{x:.5f}".replace(".", sign) for x in row] for row in it.rows]
    it.signal = np.round(it.signal, 5)
    it.write(it.names)
    return it.is_read(f"numbers as text, decimals by {sign!r}")


def label_column(draw: Draw, root: Path) -> Case:
    """A column of text, no header: the first row holds samples."""
    it = Book(draw, root)
    it.rows = [["S1", *row] for row in it.rows]
    it.write()
    used = list(range(1, len(it.names) + 1))
    return it.is_read("a column of text and no header", channels=used)


def empty_column(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.rows = [[None, *row] for row in it.rows]
    used = list(range(1, len(it.names) + 1))
    it.write([None, *it.names])
    return it.is_read("an empty first column", **draw.one({}, {"channels": used}))


def dates(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    start = datetime.datetime(2024, 1, 1)
    step = datetime.timedelta(microseconds=100)
    it.rows = [[start + n * step, *row] for n, row in enumerate(it.rows)]
    it.write(["time", *it.names])
    return it.is_read("a column of dates", channels=[str(name) for name in it.names])


def formulas(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.rows = [[f"=SIN({n}/5)" for _ in row] for n, row in enumerate(it.rows)]
    it.write(it.names)
    return it.must_be_refused("formulas that were never computed")


def more_sheets(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    other = it.book.create_sheet("Other")
    other.append([9.0])
    hidden = draw.random() < 0.5
    other.sheet_state = "hidden" if hidden else "visible"
    it.write(it.names)
    if hidden:
        return it.is_read("a hidden sheet beside it", said="sheet|hidden")
    return it.must_be_refused("another sheet beside it")


def far_cell(draw: Draw, root: Path) -> Case:
    it = Book(draw, root)
    it.write(it.names)
    sheet = it.book.active
    assert sheet is not None
    sheet.cell(draw.one(5000, 200000), 1, draw.one(0.5, "end"))
    it.book.save(it.path)
    return it.must_be_refused("a cell far below")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "sheet: cell without number": empty_cell,
    "sheet: empty row": empty_rows,
    "sheet: empty end": empty_end,
    "sheet: wider row": wider_row,
    "sheet: units row": units_row,
    "sheet: rows above": title_rows,
    "sheet: numbered header": numbered_header,
    "sheet: numbers as text": numbers_as_text,
    "sheet: text column": label_column,
    "sheet: empty column": empty_column,
    "sheet: dates": dates,
    "sheet: formulas": formulas,
    "sheet: more sheets": more_sheets,
    "sheet: cell far below": far_cell,
}
