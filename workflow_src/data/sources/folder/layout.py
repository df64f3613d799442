"""Which of a table's first rows are samples, and which are names, units or a preamble.

The same for text and for sheets: rows come as text cells. A guess is told in `Layout.notes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import (
    NumberForm,
    Style,
    comma_key,
    has_comma,
    is_no_value,
    is_whole,
    styles_of,
)
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.errors import BadData

MARKS = ("#", "%", "//", "!")  # begin a comment
_LONGEST_HEAD = 1000
_BRACKETED = re.compile(r"[(\[{<].*[)\]}>]")
_UNITS = frozenset(
    (
        *("s", "sec", "seconds", "ms", "us", "µs", "μs", "min", "h", "hz", "khz", "rpm", "1/min"),
        *("g", "gn", "mg", "m/s2", "m/s²", "m/s^2", "m/s**2", "mm/s2", "mm/s²", "mm/s", "um/s"),
        *("m", "mm", "um", "µm", "μm", "in", "v", "mv", "volt", "volts", "a", "ma", "amp", "pa"),
        *("kpa", "mpa", "bar", "n", "kn", "nm", "n·m", "n*m", "kg", "w", "kw", "db", "%", "-"),
        *("deg", "°", "rad", "rad/s", "°c", "c", "degc", "k", "#"),
    )
)


class FileRow(NamedTuple):
    """A row that holds a cell: its number as editors count it, and whether it is a comment."""

    number: int
    cells: list[str]
    comment: bool = False


# How the numbers below a row are written in some columns, looked at in the whole table.
StylesBelow = Callable[[FileRow, Sequence[int]], set[Style]]


@dataclass(frozen=True)
class Layout:
    """Names of the columns, None for none; the number of the first row of samples; the guesses.

    ``blank`` are columns without a name and, as far as was looked, without a cell.
    """

    names: list[str] | None
    first: int
    width: int
    blank: tuple[int, ...]
    notes: tuple[str, ...] = ()


def find_layout(
    where: str,
    rows: Iterable[FileRow],
    body: Sequence[list[str]],
    options: FolderOptions,
    styles: StylesBelow,
) -> Layout:
    """The layout of a table whose first rows are ``rows`` and of which ``body`` are samples.

    Each row of ``body`` has the table's width. Raises ``BadData`` naming file, row and the key
    that reads it.
    """
    looked = _Body(where, body, options, styles)
    head: list[FileRow] = []
    for row in rows:
        if not row.comment and looked.is_samples(row.cells, options.header):
            if options.header == "present" and not any(not r.comment for r in head):
                head.append(row)  # names that are numbers
                continue
            return _told(looked, head, row, options)
        head.append(row)
        if options.header == "absent" and not row.comment:
            return looked.layout(None, row.number)
        if len(head) > _LONGEST_HEAD:
            break
    raise BadData(
        "A table has no row of samples among its first ones.",
        where=where,
        found=f"{looked.width} columns in the middle of it, and no such row in the first "
        f"{len(head)}",
        remedy="name the lines before the samples under `folder:` of the rig: `skip_lines: NUMBER`",
    )


class _Body:
    """What rows from the middle of a table tell of its columns."""

    def __init__(
        self, where: str, body: Sequence[list[str]], options: FolderOptions, styles: StylesBelow
    ) -> None:
        self._styles_below = styles
        self.where = where
        self.form = NumberForm.of(options)
        self.rows = body
        self.width = len(body[0])
        columns = list(zip(*body, strict=True))
        kinds = [[self.form.kind(cell) for cell in column] for column in columns]
        self.blank = tuple(i for i, column in enumerate(columns) if not any(column))
        numeric = [i for i, k in enumerate(kinds) if k.count("number") > k.count("text")]
        named = [*(options.channels or ()), options.time_column]
        wanted = {column for column in named if isinstance(column, int)}
        words = any(isinstance(column, str) for column in named)
        asked = range(self.width) if words or not options.channels else sorted(wanted)
        declared = "," in (self.form.decimal, self.form.thousands)
        for column in () if declared else (columns[i] for i in asked if i < self.width):
            if any(has_comma(cell) and self.form.kind(cell) == "text" for cell in column):
                self._refuse_commas(column)
        self.used = [i for i in numeric if i in wanted] or numeric
        if not self.used:
            raise BadData(
                "No column of a table holds numbers.",
                where=where,
                found=f"rows such as {list(body[0])}",
                remedy="mend the file, or name another separator of decimals or the lines before "
                "the samples under `folder:` of the rig: `decimal:`, `skip_lines:`",
            )

    def _refuse_commas(self, column: Sequence[str]) -> None:
        key, said = comma_key(column)
        commas = [cell for cell in column if has_comma(cell)]
        raise Misread(
            f"Numbers are written with {said}.",
            where=self.where,
            found=", ".join(commas[:3]),
            expected=f"numbers with `{self.form.decimal}` before the decimals",
            put=key,
        )

    def layout(self, names: list[str] | None, first: int, *notes: str) -> Layout:
        blank = tuple(i for i in self.blank if names is None or not names[i])
        return Layout(names, first, self.width, blank, notes)

    def kinds(self, cells: Sequence[str]) -> list[str]:
        """What the used columns of a row hold."""
        held = [cells[i] for i in self.used if i < len(cells)]
        return ["missing" if is_no_value(cell) else self.form.kind(cell) for cell in held]

    def is_samples(self, cells: Sequence[str], header: str) -> bool:
        """Whether a row is one of samples: numbers, or gaps, in each used column."""
        kinds = self.kinds(cells)
        held = any(cells[i] for i in self.used if i < len(cells))
        return len(cells) == self.width and held and "text" not in kinds

    def styles(self, first: FileRow, columns: Sequence[int]) -> set[Style]:
        """How all numbers below a row are written; those in the middle tell of whole ones."""
        near = styles_of(self.rows, columns, self.form)
        return near if near <= {"mixed", "whole"} else self._styles_below(first, columns)

    def fitted(self, cells: Sequence[str]) -> list[str] | None:
        """The names of all columns from a row of names, None where it has not as many.

        A program may leave out or add names of blank columns at the end. R gives the column of
        row names, which comes first, no name: a name less than there are columns.
        """
        given = list(cells)
        while given and not given[-1]:
            given.pop()
        end = self.width
        while end and end - 1 in self.blank:
            end -= 1
        if len(cells) == self.width or len(given) == end:
            return (given + [""] * self.width)[: self.width]
        if len(given) == end - 1 and self.numbers_rows(0):
            return (["", *given] + [""] * self.width)[: self.width]
        return None

    def numbers_rows(self, column: int) -> bool:
        """Whether a column numbers or names the rows, as far as it was looked at."""
        cells = [row[column] for row in self.rows]
        if not all(is_whole(cell) for cell in cells):
            return all(self.form.kind(cell) == "text" for cell in cells)
        return len(set(cells)) == len(cells)


def _told(looked: _Body, head: list[FileRow], samples: FileRow, options: FolderOptions) -> Layout:
    """The layout, from the rows before the samples and the first one of these."""
    plain = [row for row in head if not row.comment]
    if not plain and looked.width == 1:
        _refuse_blank(looked, head[-1].number if head else options.skip_lines or 0, samples)
    if not plain and options.header == "detect":
        if head and (names := _names_in(looked, head[-1].cells)) is not None:
            return looked.layout(
                names, samples.number, f"names are those of a comment ({_said(names)})"
            )
        return _without_names(looked, samples, options)
    if not plain:
        return looked.layout(None, samples.number)
    names = looked.fitted(plain[0].cells)
    units = len(plain) == 2 and _are_units(looked, plain[1].cells)
    if names is None or not (len(plain) == 1 or units):
        raise _preamble(looked, plain, samples)
    if options.header == "detect":
        _refuse_mixed(looked, plain[0])
    # A blank line between names and samples of several columns is none of samples.
    first = plain[-1].number + 1 if looked.width == 1 else samples.number
    guessed = options.header == "detect" and not _texts(options) & set(names)
    notes = [f"a row of names ({_said(names)})"] if guessed else []
    notes += [f"a row of units ({_said(plain[1].cells)})"] if units else []
    return looked.layout(names, first, *notes)


def _refuse_blank(looked: _Body, above: int, samples: FileRow) -> None:
    """Blank lines above samples of one column, which the line ``above`` ends, may be samples."""
    if samples.number > above + 1:
        raise Misread(
            "Blank lines stand above the samples: missing ones?",
            where=f"{looked.where}, line {above + 1}",
            found=f"{samples.number - above - 1} blank lines, then {_said(samples.cells)}",
            put={"skip_lines": samples.number - 1},
            other="if they are none; otherwise mend the file",
        )


def _names_in(looked: _Body, cells: list[str]) -> list[str] | None:
    names = looked.fitted(cells)
    return names if names and set(looked.kinds(names)) == {"text"} else None


def _are_units(looked: _Body, cells: list[str]) -> bool:
    held = [cell for cell in cells if cell]
    fits = looked.fitted(cells) is not None and "number" not in looked.kinds(cells)
    return fits and all(_BRACKETED.fullmatch(c) or c.lower() in _UNITS for c in held)


def _refuse_mixed(looked: _Body, row: FileRow) -> None:
    """Names among which are numbers may be samples among which is text."""
    numbers = [c for c in row.cells if looked.form.kind(c) == "number"]
    counted = all(is_whole(c) for c in numbers) and all(
        int(b) == int(a) + 1 for a, b in pairwise(numbers)
    )
    gaps = [c for c in row.cells if is_no_value(c)]
    if gaps or not counted or not any(map(str.isalpha, "".join(row.cells))):
        raise Misread(
            "The first row holds other than words: names of columns, or samples?",
            where=f"{looked.where}, line {row.number}",
            found=", ".join(row.cells),
            put={"header": "present"},
            other="if it holds names; otherwise mend the file, or `header: absent`",
        )


def _without_names(looked: _Body, first: FileRow, options: FolderOptions) -> Layout:
    """No row stands before the samples; but the first of these may hold numbers of columns."""
    cells = first.cells
    texts = _texts(options)
    if texts and texts <= set(cells):
        return looked.layout(cells, first.number + 1)
    used = [i for i in looked.used if cells[i]]
    if not all(is_whole(cells[i]) for i in used):
        return looked.layout(None, first.number)
    indexed = not cells[0] and looked.numbers_rows(0)  # pandas names no index
    counted = [cell for i, cell in enumerate(cells) if i not in looked.blank][indexed:]
    from_0, from_1 = (counted == [str(i + k) for i in range(len(counted))] for k in (0, 1))
    styles = looked.styles(first, used)
    # Samples would be written with decimals, as all others in these columns are.
    strange = styles & {"fixed", "repr"}
    if (indexed and from_0) or (strange == styles and (from_0 or from_1) and len(counted) > 1):
        note = f"a row of numbered names ({_said(cells)}), not written as the samples are"
        return looked.layout(cells, first.number + 1, note)
    if strange or ((from_0 or from_1) and len(counted) > 1 + (from_1 and styles == {"whole"})):
        raise Misread(
            "The first row holds whole numbers: of columns, of samples, or samples?",
            where=f"{looked.where}, line {first.number}",
            found=f"{', '.join(cells)}; further down {', '.join(looked.rows[0])}",
            put={"header": "present"},
            other="if it is none of samples; if it is one: `header: absent`",
        )
    alone = "plain" in styles or (counted == ["0"] and styles != {"whole"})
    note = f"the first row, {_said(cells)}, is taken for a sample; if it holds names: "
    return looked.layout(None, first.number, *([f"{note}`header: present`"] if alone else []))


def _texts(options: FolderOptions) -> set[str]:
    """The names of columns that a rig uses."""
    named = [*(options.channels or ()), options.time_column]
    return {column for column in named if isinstance(column, str)}


def _preamble(looked: _Body, plain: list[FileRow], samples: FileRow) -> Misread:
    """The refusal of lines before the samples that are not names and units alone."""
    last = plain[-1]
    names = last
    if len(plain) > 1 and _are_units(looked, last.cells):
        names = plain[-2]
    named = looked.fitted(names.cells) is not None and "number" not in looked.kinds(names.cells)
    skipped = names.number - 1 if named else samples.number - 1
    return Misread(
        "Lines that are no samples stand before the samples.",
        where=f"{looked.where}, line {plain[0].number}",
        found=f"{len(plain)} lines, the first: {_said(plain[0].cells)}; samples of "
        f"{looked.width} columns from line {samples.number} on",
        expected="at most a row of names and one of units",
        put={"skip_lines": skipped},
        other="if no sample is among them",
    )


def _said(cells: Sequence[str]) -> str:
    return ", ".join(cells[:8]) + (", ..." if len(cells) > 8 else "")
