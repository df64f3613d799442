"""Cases of one recording of text, which most mutants are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .draw import Draw
from .forms import Text
from .verdict import Case, Held, Reading, Verdict

UNIT = "k07-1"


class Single:
    """One recording of text, `k07-1` with the ending of its form, in `root`/data_root/rig."""

    def __init__(
        self, draw: Draw, root: Path, channels: int | None = None, **settings: Any
    ) -> None:
        self.draw = draw
        self.form = Text(draw, channels, plain=True, **settings)
        self.file = f"{UNIT}{self.form.ending}"
        self.path = root / "data_root/rig" / self.file
        self.rows = self.form.cells(draw.signal(draw.length(), self.form.channels))

    def write(self, rows: list[list[str]] | None = None) -> None:
        """Write the header and rows of cells."""
        self.form.write_lines(self.path, self.form.lines(self.rows if rows is None else rows))

    def write_lines(self, lines: list[str]) -> None:
        """Write the file's lines as they are, without a header of its own."""
        self.form.write_lines(self.path, lines)

    def line_of(self, row: int) -> int:
        """The line of the file, from 1, that a row of the samples stands in."""
        return row + 1 + int(self.form.has_header)

    def is_read(self, about: str, *rows: list[list[str]], said: str = "", **keys: Any) -> Case:
        """One of these lists of rows is what a human reads; a refusal names the file."""
        options = self.form.keys(**keys)
        given = rows or (self.rows,)
        readings = tuple(Reading({self.file: self.form.held(r)}, said) for r in given)
        return Case(options, readings, names=(UNIT,), about=about)

    def holds(self, about: str, *held: Held, said: str = "", **keys: Any) -> Case:
        """One of these signals is what a human reads; a refusal names the file."""
        readings = tuple(Reading({self.file: one}, said) for one in held)
        return Case(self.form.keys(**keys), readings, names=(UNIT,), about=about)

    def must_be_refused(
        self, about: str, *, row: int | None = None, otherwise: Verdict = Verdict.WRONG, **keys: Any
    ) -> Case:
        """No reading is right; the refusal names the file and, where one is at fault, the row.

        The row may be named by its line or by its sample, from 0 or from 1.
        """
        names = [UNIT]
        if row is not None:
            numbers = sorted({row, row + 1, self.line_of(row)})
            names.append(rf"\b({'|'.join(map(str, numbers))})\b")
        options = self.form.keys(**keys)
        return Case(options, (), names=tuple(names), otherwise=otherwise, about=about)
