"""The lines of a text and the cells of each, counted before a number is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.sources.folder.text import SPACES
from workflow_src.errors import BadData

_NEWLINE, _QUOTE, _SPACE = (ord(sign) for sign in '\n" ')
_SAMPLED = 20  # lines from the middle of a file tell how its samples are written


class Lines:
    """A text by lines; what stands within quotation marks ends no line and no cell.

    ``starts`` and ``ends`` (n,) are the first byte of each line and that behind its last one;
    ``count`` leaves out the blank lines at the end, which hold no data.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self.raw = text.encode()
        self._bytes = np.frombuffer(self.raw, np.uint8)
        self._quoted: NDArray[np.uint8] | None = None  # 1 within quotation marks
        if '"' in text:
            # An overflow of the sum leaves its parity as it is.
            self._quoted = np.cumsum(self._bytes == _QUOTE, dtype=np.uint8) & 1
        newline = self._bytes == _NEWLINE
        ends = np.flatnonzero(newline if self._quoted is None else newline & (self._quoted == 0))
        if not len(ends) or ends[-1] != len(self.raw) - 1:
            ends = np.append(ends, len(self.raw))
        self.ends = ends
        self.starts = np.concatenate(([0], ends[:-1] + 1))
        self.count = len(ends)
        while self.count and not self.text(self.count - 1).strip(" ,;\t\""):
            self.count -= 1
        if self._quoted is not None and self._quoted[-1]:
            raise BadData(
                "A quotation mark is not closed.",
                where=f"{path}, line {self.number(len(ends) - 1)} or before it",
                remedy="mend the file",
            )

    def text(self, index: int) -> str:
        """A line, by its index from 0."""
        return self.raw[self.starts[index] : self.ends[index]].decode()

    def number(self, index: int) -> int:
        """The number of a line as editors count it, from 1."""
        if self._quoted is None:
            return index + 1
        return self.raw.count(b"\n", 0, int(self.starts[index])) + 1

    def filled(self, first: int) -> Iterator[tuple[int, str]]:
        """Index and text of each line that is not blank, from the line ``first``."""
        for index in range(first, self.count):
            if (text := self.text(index)).strip():
                yield index, text

    def sample(self) -> list[str]:
        """Lines from the middle that are not blank; what stands before samples has ended there."""
        return [text for _, text in islice(self.filled(self.count // 2), _SAMPLED)]

    def odd_one(self, first: int, sep: str, widths: tuple[int, ...]) -> tuple[int, int] | None:
        """Index and cells of the first line, from ``first``, of another number of cells.

        Blank lines, which are missing values, have the right one.
        """
        starts, ends = self.starts[first : self.count], self.ends[first : self.count]
        marks = self._marks(int(starts[0]), int(ends[-1]), sep)
        extra = 0 if sep == SPACES else 1  # separators stand between cells
        each = widths[0] - extra
        if len(marks) == each * len(starts):
            grid = marks.reshape(len(starts), each)
            if not each or ((grid[:, 0] >= starts).all() and (grid[:, -1] < ends).all()):
                return None
        bounds = np.append(starts, len(self.raw))
        cells = np.diff(np.searchsorted(marks, bounds)) + extra
        for index in np.flatnonzero(~np.isin(cells, widths)):
            if self.text(first + int(index)).strip():
                return first + int(index), int(cells[index])
        return None

    def _marks(self, start: int, end: int, sep: str) -> NDArray[np.int64]:
        """Bytes of the separators from ``start`` to ``end``; of the cells' beginnings for spaces."""
        held = self._bytes[start:end]
        quoted = None if self._quoted is None else self._quoted[start:end] == 1
        if sep == SPACES:
            filled = held > _SPACE
            filled = filled if quoted is None else filled | quoted
            begins = filled.copy()
            begins[1:] &= ~filled[:-1]
            return np.flatnonzero(begins) + start
        found = held == ord(sep)
        return np.flatnonzero(found if quoted is None else found & ~quoted) + start
