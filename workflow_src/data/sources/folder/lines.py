"""The lines of a text and the cells of each, counted before a number is read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.sources.folder.text import SPACES
from workflow_src.errors import BadData

_NEWLINE, _QUOTE, _SPACE = (ord(sign) for sign in '\n" ')
_END = b"\n"
_SAMPLED = 12  # lines from the middle of a file tell how its samples are written
_MOST_BLANK = 1_000_000  # lines in a row; each would be a missing value
_SHORT = 1000  # bytes: all lines are looked at to find the middle of so few


class Line(NamedTuple):
    """A line: its first byte, its number as editors count it, its text."""

    start: int
    number: int
    text: str


class Lines:
    """A text by lines; what stands within quotation marks ends no line and no cell.

    ``end`` is the byte behind the last line that is not blank: what follows is no data.
    """

    def __init__(self, path: Path, raw: bytes) -> None:
        self.raw = raw
        self._counts: dict[int, int] = {}  # lines behind a byte
        self._has_quotes = b'"' in raw
        if self._has_quotes and self._quoted[-1]:
            raise BadData(
                "A quotation mark is not closed.",
                where=f"{path}, line {raw.count(_END, 0, raw.rindex(b'%c' % _QUOTE)) + 1}",
                remedy="mend the file",
            )
        self.has_blank_rows = False  # of separators alone, behind the samples
        self.end = len(self.raw)
        while self.end:
            start = self.raw.rfind(b"\n", 0, self.end) + 1
            last = self.raw[start : self.end]
            if last.strip(b' ,;\t"'):
                break
            self.has_blank_rows |= bool(last.strip())
            self.end = max(start - 1, 0)
        if len(self.raw) > self.end + 1:  # more than the newline of the last line
            self.raw = self.raw[: self.end + 1]
        if not self.end:
            raise BadData("A file holds separators alone.", where=str(path))
        blank = self.raw.find(b"\n" * _MOST_BLANK)
        if blank >= 0:
            raise BadData(
                f"A file holds more than {_MOST_BLANK} blank lines in a row.",
                where=f"{path}, line {self.raw.count(_END, 0, blank) + 2}",
                remedy="mend the file",
            )

    def each(self, start: int = 0, number: int = 1) -> Iterator[Line]:
        """The lines from the byte ``start``, which begins the line ``number``."""
        while start < self.end:
            end = self._end_of(start)
            yield Line(start, number, self.raw[start:end].decode())
            number += 1 + (self.raw.count(b"\n", start, end) if self._has_quotes else 0)
            start = end + 1

    def filled(self, start: int = 0, number: int = 1) -> Iterator[Line]:
        """Those of the lines that are not blank."""
        return (line for line in self.each(start, number) if line.text.strip())

    def at(self, number: int) -> Line:
        """The line of a number, or the one that it lies in."""
        found = Line(0, 1, "")
        for line in self.each():
            if line.number > number:
                break
            found = line
        return found

    def middle(self) -> list[str]:
        """Lines from the middle that are not blank; what stands before samples has ended there."""
        if self.end < _SHORT:
            lines = [line.text for line in self.filled()]
            return lines[min(-(-len(lines) // 3), len(lines) - 1) :][:_SAMPLED]
        start = self._end_of(self.end // 2) + 1
        start = start if start < self.end else self.raw.rfind(b"\n", 0, self.end) + 1
        return [line.text for line in islice(self.filled(start), _SAMPLED)]

    def count(self, start: int) -> int:
        """The number of lines from the byte ``start`` on."""
        if self._has_quotes:
            return int(np.count_nonzero((self._ends >= start) & (self._ends < self.end))) + 1
        if start not in self._counts:
            self._counts[start] = self.raw.count(b"\n", start, self.end) + 1
        return self._counts[start]

    def odd_one(self, first: Line, sep: str, widths: tuple[int, ...]) -> tuple[Line, int] | None:
        """The first line, from ``first`` on, of another number of cells, and this number.

        Blank lines, which are missing values, have the right one.
        """
        if not self._has_quotes and self._is_even(first.start, sep, widths[0]):
            return None
        ends = self._ends[(self._ends >= first.start) & (self._ends < self.end)]
        bounds = np.concatenate(([first.start], ends + 1, [self.end]))  # (n + 1,)
        cells = np.diff(np.searchsorted(self._marks(first.start, sep), bounds))
        cells += 0 if sep == SPACES else 1  # separators stand between cells
        for index in np.flatnonzero(~np.isin(cells, widths)):
            start = int(bounds[index])
            text = self.raw[start : self._end_of(start)].decode()
            if text.strip():
                number = first.number + self.raw.count(b"\n", first.start, start)
                return Line(start, number, text), int(cells[index])
        return None

    def _is_even(self, start: int, sep: str, width: int) -> bool:
        """Whether nothing but the same separators is left of each line without its cells."""
        sign = (" " if sep == SPACES else sep).encode()
        others = bytes(set(range(256)) - set(sign + b"\n"))
        left = self.raw[start : self.end].translate(None, others) + b"\n"
        count = self._counts[start] = left.count(b"\n")
        even: bool = left == (sign * (width - 1) + b"\n") * count
        # Spaces may also stand before, behind and beside each other, or be tabs.
        loose = (b"  ", b" \n", b"\n ", b"\t") if sep == SPACES else ()
        return even and not any(self.raw.find(one, start, self.end) >= 0 for one in loose)

    def _end_of(self, start: int) -> int:
        if self._has_quotes:
            at = int(np.searchsorted(self._ends, start))
            return int(self._ends[at]) if at < len(self._ends) else self.end
        end = self.raw.find(b"\n", start, self.end)
        return end if end >= 0 else self.end

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.raw, np.uint8)

    @cached_property
    def _quoted(self) -> NDArray[np.uint8]:
        """1 for a byte within quotation marks; an overflow of the sum leaves its parity."""
        return np.cumsum(self._bytes == _QUOTE, dtype=np.uint8) & np.uint8(1)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The newlines that end a line."""
        newline = self._bytes == _NEWLINE
        return np.flatnonzero(newline & (self._quoted == 0) if self._has_quotes else newline)

    def _marks(self, start: int, sep: str) -> NDArray[np.int64]:
        """Bytes of the separators from ``start`` on; of the cells' beginnings for spaces."""
        held = self._bytes[start : self.end]
        quoted = self._quoted[start : self.end] == 1 if self._has_quotes else np.False_
        if sep == SPACES:
            filled = (held > _SPACE) | quoted
            filled[1:] &= ~filled[:-1]
            return np.flatnonzero(filled) + start
        return np.flatnonzero((held == ord(sep)) & ~quoted) + start
