"""A table before it has a format: entries under columns, rows in blocks, notes beneath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pandas as pd

DASH = "–"


@dataclass(frozen=True)
class Entry:
    """The content of one place.

    Attributes:
        text: the score, or why there is none.
        mark: best, second or none.
        letter: of its note.
        span: the range over rotations, in brackets; beneath the score if lines are short.
    """

    text: str
    mark: str = ""
    letter: str = ""
    span: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, one line beneath it, and the headings of its sub-columns ("" for a single one)."""

    label: str
    beneath: str = ""
    subs: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Row:
    """A label and an entry for each sub-column of each column."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def lines(self) -> int:
        """Height in lines, with spans beneath scores."""
        return 2 if any(entry.span for entry in self.entries) else 1


@dataclass(frozen=True)
class Table:
    """One table; a rule stands between ``blocks``, ``lettered`` explains the letters."""

    title: str
    columns: tuple[Column, ...]
    blocks: tuple[tuple[Row, ...], ...]
    notes: tuple[str, ...]
    lettered: tuple[tuple[str, str], ...] = ()

    def filled(self) -> list[tuple[Row, ...]]:
        """The blocks that have rows."""
        return [block for block in self.blocks if block]

    def part(self, start: int, end: int) -> Table:
        """Columns `start` to `end` (not included), with all their sub-columns and every row."""
        first, last = (
            sum(len(column.subs) for column in self.columns[:stop]) for stop in (start, end)
        )
        blocks = (
            tuple(Row(row.label, row.entries[first:last]) for row in block) for block in self.blocks
        )
        return replace(self, columns=self.columns[start:end], blocks=tuple(blocks))

    def panels(self, fits: Callable[[Table], bool]) -> Iterator[Table]:
        """Yield the table in panels with as many columns as `fits` allows, at least one."""
        start = 0
        for end in range(1, len(self.columns) + 1):
            if end == len(self.columns) or not fits(self.part(start, end + 1)):
                yield self.part(start, end)
                start = end

    def cut(self, most: int) -> Iterator[Table]:
        """Yield the table in pieces of at most `most` lines; rules between blocks stay."""
        held: list[tuple[Row, ...]] = []
        room = most
        for block in self.blocks:
            piece: list[Row] = []
            for row in block:
                if row.lines > room:
                    yield replace(self, blocks=(*held, tuple(piece)))
                    held, piece, room = [], [], most
                piece.append(row)
                room -= row.lines
            held.append(tuple(piece))
        yield replace(self, blocks=tuple(held))


@dataclass(frozen=True)
class Paper:
    """The tables of one file, in order, and the LaTeX label of the first one.

    ``data`` holds the same numbers unrounded, for the CSV; the code that makes it documents its
    columns.
    """

    name: str
    label: str
    tables: tuple[Table, ...]
    data: pd.DataFrame = field(default_factory=pd.DataFrame)


def heading_lines(label: str, width: int) -> list[str]:
    """`label` in lines of at most `width` characters, broken at spaces only."""
    lines: list[str] = []
    for word in label.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def letter(i: int) -> str:
    """The letter of note `i`: a to z, then aa, ab, ..."""
    first = letter(i // 26 - 1) if i >= 26 else ""
    return first + chr(ord("a") + i % 26)


def number(value: float, digits: int) -> str:
    """`value` with `digits` decimals, without a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
