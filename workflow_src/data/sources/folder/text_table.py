"""A text of samples: where they stand, one check of the cells of each line, their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import (
    NumberForm,
    Style,
    comma_key,
    has_comma,
    is_no_value,
    is_whole,
    most_common_width,
    styles_of,
)
from workflow_src.data.sources.folder.layout import MARKS, FileRow, Layout, find_layout
from workflow_src.data.sources.folder.lines import Line, Lines
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.data.sources.folder.text import ONE_COLUMN, SPACES, separator, split
from workflow_src.errors import BadData

# A decimal comma in a text whose columns are parted by commas looks like two whole numbers.
_PAIR = r"[+-]?(?:0|[1-9]\d*),\d+(?:[eE][+-]?\d+)?"
_PAIRS = re.compile(rf"(?m)^ *{_PAIR}(?: *, *{_PAIR})*,? *$".encode())
_WHOLE = re.compile(rb"(?m)^ *[+-]?\d+(?: *, *[+-]?\d+(?:[eE][+-]?\d+)?)+,? *$")
_GROUPS = re.compile(rb"(?m)^ *[+-]?[1-9]\d{0,2}(?:,\d{3})+ *$")
_FRACTION = re.compile(rb",0\d|(?m:^|,)-0,")
_BLANK = re.compile(rb"(?m)^ *$")
_GERMAN = re.compile(rb"(?m)^ *[+-]?(\d{1,3}(?:\.\d{3})+|\d{1,3}),\d+ *$")
_POINTED = re.compile(rb"(?m)^ *[+-]?\d{1,3}(?:\.\d{3})+,\d+ *$")
_FEW = 4  # classes that a column of digits may count


@dataclass(frozen=True)
class TextTable:
    """A text of samples: its lines, the first of samples, and how their cells are written."""

    path: Path
    lines: Lines
    first: Line
    separator: str
    form: NumberForm
    layout: Layout

    @property
    def body(self) -> bytes:
        """The bytes of the samples, without the blank lines that follow."""
        return self.lines.raw[self.first.start : self.lines.end]

    def body_cells(self) -> list[list[str]]:
        """The cells of lines from the middle."""
        return [split(line, self.separator) for line in self.lines.middle()]

    def frame(self, wanted: list[int] | None, dtype: type | None) -> pd.DataFrame:
        """The columns ``wanted`` (None: all), a row for each line; a blank one is NaN."""
        held = BytesIO(self.lines.raw)  # without a copy
        held.seek(self.first.start)
        frame = pd.read_csv(
            held,
            sep=self.separator,
            header=None,
            index_col=False,
            usecols=wanted,
            dtype=dtype,
            decimal=self.form.decimal,
            thousands=self.form.thousands,
            skipinitialspace=b" " in self.lines.raw,  # which slows pandas by a tenth
            skip_blank_lines=False,
        )
        if len(frame) != (count := self.lines.count(self.first.start)):
            raise ValueError(f"{count} lines gave {len(frame)} rows")
        return frame


def find_table(path: Path, text: bytes, options: FolderOptions) -> TextTable:
    """Where the samples of a text stand, after a check of the cells of each line.

    Raises ``BadData``, as ``Misread`` where other keys read it.
    """
    lines, form = Lines(path, text), NumberForm.of(options)
    begin = next(lines.each(), Line(0, 1, ""))
    if options.skip_lines is not None:
        begin = lines.at(options.skip_lines + 1)
        if begin.number <= options.skip_lines:
            raise BadData("`skip_lines` leaves no line of a file.", where=str(path))
    sample = lines.middle()
    sep = separator(sample, form)
    if sep == "," and options.decimal is None:
        _refuse_pairs(lines, sample, path)
        _refuse_points(lines, sample, path)
    cells = [split(line, sep) for line in sample]
    width = most_common_width(cells)
    body = [row for row in cells if len(row) == width]

    def styles(first: FileRow, columns: Sequence[int]) -> set[Style]:
        start = lines.at(first.number + 1)
        below = (split(line.text, sep) for line in lines.filled(start.start, start.number))
        return styles_of(below, columns, form)

    layout = find_layout(str(path), _rows(lines, begin, sep), body, options, styles)
    table = TextTable(path, lines, lines.at(layout.first), sep, form, layout)
    require_width(table, (layout.width,))
    _require_thousands(table)
    return table


def _rows(lines: Lines, begin: Line, sep: str) -> Iterator[FileRow]:
    for _, number, text in lines.filled(begin.start, begin.number):
        bare = text.strip()
        mark = next((mark for mark in MARKS if bare.startswith(mark)), None)
        cells = split(text, sep)
        held = is_no_value(cells[0])  # #N/A begins no comment
        if mark is None or held or (len(cells) > 1 and all(c.startswith(mark) for c in cells if c)):
            yield FileRow(number, cells)
        else:
            yield FileRow(number, split(bare.lstrip(mark).strip(), sep), comment=True)


def numbers_of(table: TextTable, wanted: list[int]) -> NDArray[np.float64]:
    """The columns ``wanted`` (L, wanted); ``BadData`` names the first cell that is no number."""
    try:
        return table.frame(wanted, np.float64).to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        raise _unread(table, wanted, str(error)) from error


def require_width(table: TextTable, widths: tuple[int, ...]) -> None:
    """Raise ``BadData`` naming the first line whose number of cells is none of ``widths``."""
    lines = table.lines
    odd = lines.odd_one(table.first, table.separator, widths)
    if odd is None:
        return
    line, cells = odd
    text = line.text.strip()
    where, found = f"{table.path}, line {line.number}", f"{cells} cells: {text[:80]}"
    held = [text, *(line.strip() for line in lines.middle())]
    if table.separator == "," and all(has_comma(one) or one.isdigit() for one in held):
        key, said = comma_key(held)
        what = f"Numbers are written with {said}."
        raise Misread(what, where=where, found=found, put=key)
    raise BadData(
        "A line has another number of cells than the others.",
        where=where,
        found=found,
        expected=f"{widths[0]} cells separated by {_named(table.separator)}",
        remedy="mend the line; where it is one of several before the samples, say so under "
        "`folder:` of the rig: `skip_lines: NUMBER`",
    )


def _refuse_pairs(lines: Lines, sample: list[str], path: Path) -> None:
    """Refuse what seems to be columns of whole numbers, but is numbers with commas within.

    Signs of it are zeros before other digits, a negative zero, groups of three, and a column of
    one digit behind another, unless it counts a few classes or each column has a name.
    """
    begin = None if any("." in line for line in sample) else _WHOLE.search(lines.raw)
    if begin is None or b"." in (raw := _body(lines, begin)):
        return
    width, filled = begin[0].rstrip(b", ").count(b",") + 1, _filled(raw)
    zeros = _FRACTION.search(raw) is not None
    decimals = zeros or (_has_decimals(raw, width) and not _are_named(lines, width))
    key, other = {"decimal": "."}, "if they are columns of whole numbers"
    if (zeros or width > 2) and len(_GROUPS.findall(raw)) == filled:
        key, other = {"thousands": ","}, "if so; if they are decimals: `decimal: ','`; if columns "
        other += "of whole numbers: `decimal: '.'`"
    elif not decimals or len(_WHOLE.findall(raw)) != filled:
        return
    elif width == 2 and len(_PAIRS.findall(raw)) == filled:
        key, other = {"decimal": ","}, "if they are columns of whole numbers: `decimal: '.'`"
    else:
        other += "; if not, export the file with another separator of columns"
    what = "thousands" if "thousands" in key else "a decimal comma"
    raise Misread(
        f"Whole numbers in columns: or numbers with {what}?",
        where=_place(path, lines, begin),
        found=begin[0].decode()[:80],
        put=key,
        other=other,
    )


def _refuse_points(lines: Lines, sample: list[str], path: Path) -> None:
    """Refuse what seems to be two columns, but is numbers such as 1.234,5 and 234,5."""
    # The whole text is searched only where lines from its middle look like that.
    looks_so = any(_GERMAN.search(line.encode()) for line in sample)
    begin = _GERMAN.search(lines.raw) if looks_so else None
    if begin is None or _are_named(lines, 2):
        return
    raw = _body(lines, begin)
    pointed = _POINTED.search(raw)
    if pointed is None or len(_GERMAN.findall(raw)) != _filled(raw):
        return
    raise Misread(
        "Two columns: or numbers with a decimal comma and points for thousands?",
        where=_place(path, lines, begin),
        found=pointed[0].decode()[:80].strip(),
        put={"decimal": ",", "thousands": "."},
        other="if they are two columns: `decimal: '.'`",
    )


def _body(lines: Lines, begin: re.Match[bytes]) -> bytes:
    """The text from `begin` on, without separators at its end."""
    return lines.raw[begin.start() : lines.end].rstrip(b", ")


def _filled(raw: bytes) -> int:
    """The number of lines that are not blank."""
    return raw.count(b"\n") + 1 - len(_BLANK.findall(raw))


def _place(path: Path, lines: Lines, begin: re.Match[bytes]) -> str:
    return f"{path}, line {lines.raw.count(bytes([10]), 0, begin.start()) + 1}"


def _has_decimals(raw: bytes, width: int) -> bool:
    """Whether a column but the first is of one digit, as decimals are and classes are not."""
    for column in range(1, width):
        before = rb"(?m)^(?:[^,\n]*,){%d} *" % column
        if re.search(before + rb"(?!\d *(?:,|$))", raw) is None:
            digits = {int(digit) for digit in re.findall(before + rb"(\d)", raw)}
            if not _are_classes(digits):
                return True
    return False


def _are_classes(digits: set[int]) -> bool:
    """Whether these are a few classes, counted from 0 or from 1."""
    first = min(digits)
    counted = digits == set(range(first, first + len(digits)))
    return digits != {0} and first < 2 and counted and len(digits) <= _FEW


def _are_named(lines: Lines, width: int) -> bool:
    """Whether the first line has a name for each column."""
    names = split(next(lines.filled()).text, ",")
    return len(names) == width and not any(is_whole(name) for name in names)


def _require_thousands(table: TextTable) -> None:
    """pandas leaves the signs of thousands out wherever they stand; refuse any other place."""
    sign = table.form.thousands
    if sign is None:
        return
    mark, point = (re.escape(s).encode() for s in (sign, table.form.decimal))
    wrong = rb"(?<=\d)%b(?!\d{3}(?!\d))(?=\d)|(?<!\d)\d{4,}%b(?=\d)|%b\d+%b(?=\d)"
    found = re.search(wrong % (mark, mark, point, mark), table.body)
    if found is not None:
        line = table.lines.at(table.first.number + table.body.count(b"\n", 0, found.start()))
        raise BadData(
            f"A number has `{sign}` elsewhere than before three digits.",
            where=f"{table.path}, line {line.number}",
            found=line.text[:80],
            remedy="mend `thousands:` or `decimal:` under `folder:` of the rig",
        )


def require_blank(table: TextTable, wanted: list[int], matrix: NDArray[np.float64]) -> None:
    """Refuse a number in a column that is blank elsewhere: the cells before it were moved."""
    for column in table.layout.blank:
        held = np.flatnonzero(~np.isnan(matrix[:, wanted.index(column)]))
        if 0 < len(held) < len(matrix):
            number = table.first.number + int(held[0])
            raise BadData(
                "A cell stands in a column without a name that is blank in other lines.",
                where=f"{table.path}, line {number}, column {column} (from 0)",
                found=table.lines.at(number).text[:80],
                remedy="mend the line",
            )


def _unread(table: TextTable, wanted: list[int], said: str) -> BadData:
    """The refusal of a text that pandas does not read: the first cell that is no number."""
    for line in table.lines.filled(table.first.start, table.first.number):
        cells = split(line.text, table.separator)
        for column in wanted:
            cell = cells[column] if column < len(cells) else ""
            if table.form.kind(cell) == "text":
                return _no_number(table, line, column, cell)
    return BadData("A table of samples cannot be read.", where=str(table.path), found=said)


def _no_number(table: TextTable, line: Line, column: int, cell: str) -> BadData:
    where = f"{table.path}, line {line.number}, column {column} (from 0)"
    others = [cells[column] for cells in table.body_cells() if column < len(cells)]
    key, said = comma_key([cell, *others])
    # Beside numbers with points a comma is none of decimals.
    if has_comma(cell) and not ("decimal" in key and any("." in other for other in others)):
        return Misread(f"A number is written with {said}.", where=where, found=cell, put=key)
    header = "" if table.layout.names else "not "
    return BadData(
        "A cell does not hold a number.",
        where=where,
        found=f"{cell!r} (columns separated by {_named(table.separator)}, header {header}present)",
        remedy="mend the file, or `channels:` (columns that hold numbers), `header:`, `decimal:` "
        "or `skip_lines:` under `folder:` of the rig",
    )


def _named(sep: str) -> str:
    return "spaces" if sep == SPACES else "line ends alone" if sep == ONE_COLUMN else repr(sep)
